// Lengths, angles and areas of an image's points. A quantity says its unit and what its spacing is true of: PS3.3
// 10.7.1.3 (projections), C.8.5.5 (ultrasound regions), C.7.6.3.1.7 (pixel aspect). Never millimetres without a spacing.

import type { FrameInfo } from "../viewer/manifest";
import type { ImagePoint } from "../viewport/state";

/** Lengths of a step along a row (to the next column) and along a column (to the next row). */
export interface Scale {
  readonly across: number;
  readonly down: number;
  readonly unit: "mm" | "px";
  /** What the millimetres are true of: the manifest's `calibration`, `region` in ultrasound; "" for pixels. */
  readonly calibration: string;
}

export interface Quantity {
  readonly kind: "length" | "angle" | "area";
  readonly value: number;
  readonly unit: "mm" | "px" | "°" | "mm²" | "px²";
  readonly calibration: string;
}

/** Pixels as long as a column is wide. */
function inPixels(info: FrameInfo): Scale {
  return { across: 1, down: info.pixel_aspect ?? 1, unit: "px", calibration: "" };
}

/** The scale that holds at all of these points: in ultrasound that of the smallest region around them. */
export function scaleAt(info: FrameInfo, points: readonly ImagePoint[]): Scale {
  const regions = info.regions ?? [];
  if (!regions.length) {
    const [down, across] = info.spacing_mm ?? [0, 0];
    const isKnown = across > 0 && down > 0;
    return isKnown ? { across, down, unit: "mm", calibration: info.calibration } : inPixels(info);
  }
  const around = regions
    .map(([x0, y0, x1, y1, across, down]) => ({ x0, y0, x1, y1, across, down }))
    .filter(({ x0, y0, x1, y1 }) => {
      if (x0 == null || y0 == null || x1 == null || y1 == null) return false;
      return points.every(([x, y]) => x >= x0 && x <= x1 + 1 && y >= y0 && y <= y1 + 1);
    })
    .sort((a, b) => areaOf(a) - areaOf(b));
  const { across, down } = around[0] ?? {};
  if (!across || !down) return inPixels(info);
  return { across, down, unit: "mm", calibration: "region" };
}

function areaOf(bounds: { [name: string]: number | null | undefined }): number {
  const { x0, y0, x1, y1 } = bounds;
  return ((x1 ?? 0) - (x0 ?? 0)) * ((y1 ?? 0) - (y0 ?? 0));
}

export function lengthOf(from: ImagePoint, to: ImagePoint, scale: Scale): Quantity {
  const value = Math.hypot((to[0] - from[0]) * scale.across, (to[1] - from[1]) * scale.down);
  return { kind: "length", value, unit: scale.unit, calibration: scale.calibration };
}

/** Degrees from 0 to 180, in the plane of the patient (or of the projection): pixels need not be square. */
export function angleOf(from: ImagePoint, vertex: ImagePoint, to: ImagePoint, scale: Scale): Quantity {
  const arm = (end: ImagePoint) =>
    [(end[0] - vertex[0]) * scale.across, (end[1] - vertex[1]) * scale.down] as const;
  const [ax, ay] = arm(from);
  const [bx, by] = arm(to);
  // Exact near 0 and 180 as well, where an arc cosine is not.
  const radians = Math.atan2(Math.abs(ax * by - ay * bx), ax * bx + ay * by);
  return { kind: "angle", value: (radians * 180) / Math.PI, unit: "°", calibration: scale.calibration };
}

/** Of the ellipse in the rectangle between two corners. */
export function ellipseArea(corner: ImagePoint, opposite: ImagePoint, scale: Scale): Quantity {
  const [width, height] = [Math.abs(opposite[0] - corner[0]), Math.abs(opposite[1] - corner[1])];
  const value = (Math.PI / 4) * width * scale.across * height * scale.down;
  return { kind: "area", value, unit: scale.unit === "mm" ? "mm²" : "px²", calibration: scale.calibration };
}

/** x, y, width, height of the rectangle between two corners. */
export function rectOf(corner: ImagePoint, opposite: ImagePoint): [number, number, number, number] {
  const [x, y] = [Math.min(corner[0], opposite[0]), Math.min(corner[1], opposite[1])];
  return [x, y, Math.abs(opposite[0] - corner[0]), Math.abs(opposite[1] - corner[1])];
}
