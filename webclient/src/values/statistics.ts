// Exact figures of a region, from stored values: of modality values (HU …), padding left out.

import type { FrameValues, Values } from "./describe";
import { modalityOf, paddingOf } from "./modality";

/** x, y, width, height in image pixels. */
export type Rect = readonly [number, number, number, number];

export interface Statistics {
  readonly count: number;
  readonly mean: number;
  /** Of the whole population, not of a sample. */
  readonly standardDeviation: number;
  readonly minimum: number;
  readonly maximum: number;
  readonly unit: string;
}

/** Of the pixels whose centre lies in the rectangle or in the ellipse inside it; null where there is none. */
export function statisticsOf(
  frame: FrameValues,
  values: Values,
  rect: Rect,
  shape: "rectangle" | "ellipse" = "rectangle",
): Statistics | null {
  if (frame.shape.length !== 2 || frame.palette) return null;
  const [rows = 1, columns = 1] = frame.shape;
  const modality = modalityOf(frame);
  const padding = paddingOf(frame, frame.dtype);
  const found: number[] = [];
  const [left, top, width, height] = rect;
  const [fromX, toX] = [
    Math.max(0, Math.ceil(left - 0.5)),
    Math.min(columns, Math.floor(left + width + 0.5)),
  ];
  const [fromY, toY] = [Math.max(0, Math.ceil(top - 0.5)), Math.min(rows, Math.floor(top + height + 0.5))];
  for (let y = fromY; y < toY; y += 1)
    for (let x = fromX; x < toX; x += 1) {
      const [dx, dy] = [(x + 0.5 - left) / width - 0.5, (y + 0.5 - top) / height - 0.5];
      if (Math.abs(dx) > 0.5 || Math.abs(dy) > 0.5 || (shape === "ellipse" && dx * dx + dy * dy > 0.25))
        continue;
      const stored = values[y * columns + x] as number;
      if (padding && stored >= padding[0] && stored <= padding[1]) continue;
      const value = modality(stored);
      // A float frame's NaN and infinities are no measured values (as in `rangeOf`).
      if (Number.isFinite(value)) found.push(value);
    }
  if (!found.length) return null;
  const mean = found.reduce((sum, value) => sum + value, 0) / found.length;
  const squares = found.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  return {
    count: found.length,
    mean,
    standardDeviation: Math.sqrt(squares / found.length),
    minimum: found.reduce((least, value) => Math.min(least, value)),
    maximum: found.reduce((most, value) => Math.max(most, value)),
    unit: frame.unit,
  };
}

export interface Probe {
  readonly x: number;
  readonly y: number;
  readonly stored: readonly number[];
  /** Modality value; null for colour and for padding. */
  readonly value: number | null;
  readonly unit: string;
}

/** The pixel at an image point; null outside. */
export function probeOf(frame: FrameValues, values: Values, x: number, y: number): Probe | null {
  const [rows = 1, columns = 1, samples = 1] = frame.shape;
  const [column, row] = [Math.floor(x), Math.floor(y)];
  if (column < 0 || row < 0 || column >= columns || row >= rows) return null;
  const start = (row * columns + column) * samples;
  const stored = Array.from(values.subarray(start, start + samples));
  const padding = paddingOf(frame, frame.dtype);
  const [first = 0] = stored;
  const none =
    samples > 1 || frame.palette !== null || (padding && first >= padding[0] && first <= padding[1]);
  return { x: column, y: row, stored, value: none ? null : modalityOf(frame)(first), unit: frame.unit };
}
