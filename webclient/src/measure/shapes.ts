// Measurements as shapes: where their handles are, how they move, and what of them is under a finger.

import { type Matrix, through } from "../viewport/placement";
import type { ImagePoint, Measurement } from "../viewport/state";

type Point = readonly [number, number];

const ELLIPSE_STEPS = 64;

/** Where it can be held: ends, or all four corners around an ellipse. */
export function handlesOf({ kind, points }: Measurement): readonly ImagePoint[] {
  const [a, b] = points;
  if (kind !== "ellipse" || !a || !b) return points;
  return [a, [b[0], a[1]], b, [a[0], b[1]]];
}

/** With one handle somewhere else. */
export function withHandle(measurement: Measurement, handle: number, at: ImagePoint): Measurement {
  if (measurement.kind === "ellipse") {
    const opposite = handlesOf(measurement)[(handle + 2) % 4] ?? at;
    return { ...measurement, points: [at, opposite] };
  }
  return {
    ...measurement,
    points: measurement.points.map((point, index) => (index === handle ? at : point)),
  };
}

/** Moved as a whole, no further than the image's edge. */
export function moved(measurement: Measurement, by: Point, columns: number, rows: number): Measurement {
  const within = (axis: 0 | 1, most: number) => {
    const places = measurement.points.map((point) => point[axis]);
    const [least, furthest] = [-Math.min(...places), most - Math.max(...places)];
    return least > furthest ? 0 : Math.min(Math.max(by[axis], least), furthest);
  };
  const [dx, dy] = [within(0, columns), within(1, rows)];
  return { ...measurement, points: measurement.points.map(([x, y]) => [x + dx, y + dy] as const) };
}

/** Its line on the screen, as a chain of points. */
export function outlineOf({ kind, points }: Measurement, toScreen: Matrix): Point[] {
  const [a, b] = points;
  if (kind !== "ellipse" || !a || !b) return points.map(([x, y]) => through(toScreen, x, y));
  const [cx, cy, rx, ry] = [(a[0] + b[0]) / 2, (a[1] + b[1]) / 2, (b[0] - a[0]) / 2, (b[1] - a[1]) / 2];
  return Array.from({ length: ELLIPSE_STEPS + 1 }, (_, step) => {
    const turn = (step / ELLIPSE_STEPS) * 2 * Math.PI;
    return through(toScreen, cx + rx * Math.cos(turn), cy + ry * Math.sin(turn));
  });
}

export function distanceToSegment([x, y]: Point, [ax, ay]: Point, [bx, by]: Point): number {
  const [dx, dy] = [bx - ax, by - ay];
  const square = dx * dx + dy * dy;
  const along = square ? Math.min(1, Math.max(0, ((x - ax) * dx + (y - ay) * dy) / square)) : 0;
  return Math.hypot(x - ax - along * dx, y - ay - along * dy);
}

export function distanceToChain(at: Point, chain: readonly Point[]): number {
  const [first] = chain;
  if (!first) return Number.POSITIVE_INFINITY;
  let least = Math.hypot(at[0] - first[0], at[1] - first[1]);
  for (let index = 1; index < chain.length; index += 1)
    least = Math.min(least, distanceToSegment(at, chain[index - 1] as Point, chain[index] as Point));
  return least;
}

export interface Box {
  readonly left: number;
  readonly top: number;
  readonly width: number;
  readonly height: number;
}

export function isInside([x, y]: Point, box: Box): boolean {
  return x >= box.left && x <= box.left + box.width && y >= box.top && y <= box.top + box.height;
}
