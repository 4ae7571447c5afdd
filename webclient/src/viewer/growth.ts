// A series may grow while it is open (rule 19): which series changed, and where the image that is seen is now.

import { frameInfo, type Manifest, type SeriesEntry } from "./manifest";

/** Series whose images are other ones now, or that are new. */
export function changedSeries(before: readonly SeriesEntry[], after: readonly SeriesEntry[]): SeriesEntry[] {
  const known = new Map(before.map((entry) => [entry.series, entry.version]));
  return after.filter((entry) => known.get(entry.series) !== entry.version);
}

/** How many images came. */
export function imagesMore(before: readonly SeriesEntry[], after: readonly SeriesEntry[]): number {
  const count = (list: readonly SeriesEntry[]) => list.reduce((sum, entry) => sum + entry.frame_count, 0);
  return Math.max(0, count(after) - count(before));
}

function identity(manifest: Manifest, frame: number): string {
  const { position, instance_number } = frameInfo(manifest, frame);
  return JSON.stringify([position, instance_number]);
}

/** Index in `after` of the image that was `frame` in `before`; the nearest possible index when it cannot be told. */
export function sameImage(before: Manifest, after: Manifest, frame: number): number {
  const wanted = identity(before, frame);
  // Frames of one object may be told apart by nothing: then the count of those before it decides.
  const nth = Array.from({ length: frame }, (_, index) => index).filter(
    (index) => identity(before, index) === wanted,
  ).length;
  let seen = 0;
  for (let index = 0; index < after.frame_count; index += 1) {
    if (identity(after, index) !== wanted) continue;
    if (seen === nth) return index;
    seen += 1;
  }
  return Math.max(0, Math.min(frame, after.frame_count - 1));
}
