// Stored values -> display values by one table per view, as the server does it (render/lut.py; PS3.3 C.11.2).

import { entries, type FrameValues, lookUp, type Values } from "./describe";
import { modalityOf, paddingOf, type Range } from "./modality";

/** The part of the view state that decides gray values. */
export interface Wish {
  readonly voi: "file" | "auto" | "window";
  readonly center: number | null;
  readonly width: number | null;
  readonly invert: boolean;
}

/** What was applied: a window, or the file's own table (then center and width are null). */
export interface Applied {
  readonly kind: "window" | "auto" | "lut" | "none";
  readonly center: number | null;
  readonly width: number | null;
}

/** Modality value -> 0..1 by LINEAR, LINEAR_EXACT or SIGMOID (C.11.2.1.2, C.11.2.1.3). */
export function windowed(value: number, center: number, width: number, kind: string): number {
  if (kind === "SIGMOID") return 1 / (1 + Math.exp(clip((-4 * (value - center)) / width, -60, 60)));
  if (kind === "LINEAR_EXACT") return clip((value - center) / width + 0.5, 0, 1);
  if (width <= 1) return value > center - 0.5 ? 1 : 0;
  return clip((value - (center - 0.5)) / (width - 1) + 0.5, 0, 1);
}

const clip = (value: number, low: number, high: number) => Math.min(high, Math.max(low, value));

/** The window of a view: as asked, the file's first, its table, or automatic. */
export function choose(frame: FrameValues, wish: Wish, automatic: () => Applied): Applied {
  if (wish.voi === "window" && wish.center !== null && wish.width !== null)
    return { kind: "window", center: wish.center, width: Math.max(wish.width, 1e-6) };
  if (wish.voi === "auto") return automatic();
  const first = frame.windows[0];
  if (first) return { kind: "window", center: first[0], width: Math.max(first[1], 1e-6) };
  return frame.voi_lut ? { kind: "lut", center: null, width: null } : automatic();
}

/** Between the 1st and the 99th percentile of what is not padding, on at most 512 x 512 samples. */
export function automaticWindow(frame: FrameValues, values: Values, range: Range): Applied {
  const [rows = 1, columns = 1] = frame.shape;
  const stepY = Math.max(1, Math.floor(rows / 512));
  const stepX = Math.max(1, Math.floor(columns / 512));
  const padding = range.padded ? paddingOf(frame, frame.dtype) : null;
  const sample: number[] = [];
  for (let y = 0; y < rows; y += stepY)
    for (let x = 0; x < columns; x += stepX) {
      const value = values[y * columns + x] as number;
      if (value - value === 0 && !(padding && value >= padding[0] && value <= padding[1])) sample.push(value);
    }
  const sorted = Float64Array.from(sample).sort();
  const modality = modalityOf(frame);
  const [low, high] = [modality(percentile(sorted, 0.01)), modality(percentile(sorted, 0.99))];
  return { kind: "auto", center: (low + high) / 2, width: Math.max(Math.abs(high - low), 1) };
}

/** Linear between the neighbours, as NumPy does it. */
function percentile(sorted: Float64Array, part: number): number {
  const place = part * (sorted.length - 1);
  const below = Math.floor(place);
  const first = sorted[below] ?? 0;
  return first + ((sorted[below + 1] ?? first) - first) * (place - below);
}

/** Stored value -> gray 0..255, with every inversion. Cut, not rounded: 255 only where the window ends. */
export function grayOf(frame: FrameValues, applied: Applied, invert: boolean): (stored: number) => number {
  const modality = modalityOf(frame);
  const inverse = (frame.photometric_interpretation === "MONOCHROME1") !== frame.inverse;
  const { center, width } = applied;
  let shown: (value: number) => number;
  const table = applied.kind === "lut" ? frame.voi_lut : null;
  if (table) {
    const data = entries(table);
    shown = (value) => clip(lookUp(table, data, value) / (2 ** table.bits - 1), 0, 1);
  } else shown = (value) => windowed(value, center ?? 0, width ?? 1, frame.voi_lut_function);
  return (stored) => {
    const part = shown(modality(stored));
    const gray = Math.floor((inverse ? 1 - part : part) * 255 + 1e-6);
    return invert ? 255 - gray : gray;
  };
}
