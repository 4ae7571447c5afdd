// The second series in colour: which can be, its window, and what its values are called. SUV where the server can tell.

import type { Manifest, SeriesEntry } from "../viewer/manifest";
import type { Fused } from "../viewport/state";
import type { VolumeWords } from "./words";

export interface Span {
  readonly low: number;
  readonly high: number;
}

/** A window as the server tells it, and the unit of its values. */
export interface OverlayWindow {
  readonly window_center: number | null;
  readonly window_width: number | null;
  readonly unit?: string;
  /** "auto": the file has none. */
  readonly voi?: string;
}

/** Usual upper ends of a PET's window, SUV (UX.md section 7). */
export const SUV_ENDS = [2.5, 5, 10, 15];
const USUAL_END = 5;
const KINDS = ["PT", "NM", "MR", "CT"];
const FEWEST_FRAMES = 8;
/** Of 1 mm at the window's end, where nothing else is to be seen. */
const MOST_DENSE = 0.5;
const FIRST = { colourMap: "hot", opacity: 0.6, windowCenter: null, windowWidth: null };

/** Series of another kind that can lie over one, PET first. The server sees to it that they share their space. */
export function overlaysOf(base: SeriesEntry, series: readonly SeriesEntry[]): SeriesEntry[] {
  if (base.modality === "PT") return [];
  const rank = (entry: SeriesEntry) => KINDS.indexOf(entry.modality);
  return series
    .filter((one) => one.modality !== base.modality && rank(one) >= 0 && one.frame_count >= FEWEST_FRAMES)
    .sort((a, b) => rank(a) - rank(b));
}

export function nameOf(entry: SeriesEntry): string {
  const name = [`${entry.modality} ${entry.number ?? ""}`.trim(), entry.description]
    .filter(Boolean)
    .join(" · ");
  return name.length > 24 ? `${name.slice(0, 23)}…` : name;
}

/** Another series over the planes; colours and opacity stay, its window is its own. */
export function laid(fused: Fused | null, series: number): Fused {
  const look = fused ? { colourMap: fused.colourMap, opacity: fused.opacity } : {};
  return { ...FIRST, ...look, series };
}

export function withSpan(fused: Fused, span: Span): Fused {
  return { ...fused, windowCenter: (span.low + span.high) / 2, windowWidth: span.high - span.low };
}

/** From which value to which the colours go: as chosen, else as the server shows it. */
export function spanOf(fused: Fused, told: OverlayWindow | null): Span | null {
  const center = fused.windowCenter ?? told?.window_center ?? null;
  const width = fused.windowWidth ?? told?.window_width ?? null;
  return center === null || width === null ? null : { low: center - width / 2, high: center + width / 2 };
}

/** A PET without a window of its own is shown from SUV 0 to 5 (UX.md section 7); null where nothing is to be changed. */
export function usual(
  fused: Fused,
  told: OverlayWindow | null,
  manifest: Manifest | undefined,
): Fused | null {
  const factor = suvOf(manifest)?.factor ?? null;
  if (fused.windowWidth !== null || told?.voi !== "auto" || factor === null) return null;
  return withSpan(fused, { low: 0, high: USUAL_END / factor });
}

/** As fields of a view (rules 26 and 31 of docs/stream-protocol.md), without how much it covers. */
export function overlayFields(fused: Fused): Record<string, unknown> {
  const { series, colourMap, windowCenter, windowWidth } = fused;
  return {
    overlay: series,
    colour_map: colourMap,
    ...(windowWidth === null
      ? {}
      : { overlay_voi: "window", overlay_window_center: windowCenter, overlay_window_width: windowWidth }),
  };
}

/** Opacity of 1 mm for a share of what covers a plane: along a way through the body all of it adds up. */
export const densityOf = (opacity: number): number => Number((opacity ** 2 * MOST_DENSE).toFixed(4));

/** The factor to SUV, or why there is none; null of a series that is no PET, or is not known yet. */
export function suvOf(manifest: Manifest | undefined): Manifest["suv"] | null {
  return manifest?.suv ?? null;
}

/** Four digits of large numbers, two of small; what is nothing beside `most` is 0. */
function rounded(value: number, most: number): string {
  if (Math.abs(value) < 1e-3 * Math.abs(most)) return "0";
  return String(Number(value.toPrecision(Math.abs(value) >= 1000 ? 4 : 2)));
}

/** "SUV 0-6", or the series' own values and unit. */
export function spanText(span: Span, factor: number | null, unit = ""): string {
  const by = factor ?? 1;
  const ends = `${rounded(span.low * by, span.high * by)}–${rounded(span.high * by, span.high * by)}`;
  return factor === null ? `${ends} ${unit}`.trim() : `SUV ${ends}`;
}

/** Why SUV cannot be told, as a sentence; "" where it can. */
export function suvRefused(manifest: Manifest | undefined, words: VolumeWords): string {
  const suv = suvOf(manifest);
  if (!suv || suv.factor !== null) return "";
  return `${words.noSuv}${words.suvReasons[suv.reason] ?? suv.reason}`;
}
