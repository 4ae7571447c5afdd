// Values -> RGBA pixels of the image's own matrix, or of a smaller one for screens that have fewer pixels.

import { entries, type FrameValues, lookUp, type Values } from "./describe";
import { paddingOf, type Range } from "./modality";
import { type Applied, grayOf, windowed } from "./window";

export interface Pixels {
  readonly width: number;
  readonly height: number;
  readonly rgba: Uint8ClampedArray<ArrayBuffer>;
}

/** Gray images whose values, or a range of them, have one table entry each. */
const MOST_ENTRIES = 1 << 16;

/** Means of `factor` x `factor` stored values; padding counts as the darkest other value, as on the server. */
export function reduced(frame: FrameValues, values: Values, range: Range, factor: number): Float32Array {
  const [rows = 1, columns = 1] = frame.shape;
  const [height, width] = [Math.ceil(rows / factor), Math.ceil(columns / factor)];
  const padding = range.padded ? paddingOf(frame, frame.dtype) : null;
  const dark = darkest(frame, range);
  const means = new Float32Array(width * height);
  for (let y = 0; y < height; y += 1)
    for (let x = 0; x < width; x += 1) {
      const [endY, endX] = [Math.min(rows, (y + 1) * factor), Math.min(columns, (x + 1) * factor)];
      let sum = 0;
      for (let row = y * factor; row < endY; row += 1)
        for (let column = x * factor; column < endX; column += 1) {
          const value = values[row * columns + column] as number;
          sum += padding && value >= padding[0] && value <= padding[1] ? dark : value;
        }
      means[y * width + x] = sum / ((endY - y * factor) * (endX - x * factor));
    }
  return means;
}

function darkest(frame: FrameValues, range: Range): number {
  const inverse = (frame.photometric_interpretation === "MONOCHROME1") !== frame.inverse;
  return inverse ? range.high : range.low;
}

/** Gray values of `source` (stored values or means of them). */
export function paintGray(
  frame: FrameValues,
  source: Values,
  width: number,
  height: number,
  range: Range,
  applied: Applied,
  invert: boolean,
): Pixels {
  const gray = grayOf(frame, applied, invert);
  const whole = !(source instanceof Float32Array || source instanceof Float64Array);
  const span = range.high - range.low;
  const steps = whole && span < MOST_ENTRIES ? 1 : span > 0 ? (MOST_ENTRIES - 1) / span : 1;
  const count = Math.round(span * steps) + 1;
  const table = new Uint32Array(count);
  for (let i = 0; i < count; i += 1) table[i] = 0xff000000 | (gray(range.low + i / steps) * 0x010101);
  const padding = range.padded ? paddingOf(frame, frame.dtype) : null;
  const dark = table[Math.round((darkest(frame, range) - range.low) * steps)] ?? 0xff000000;
  const out = new Uint32Array(width * height);
  const { low } = range;
  const last = count - 1;
  for (let i = 0; i < out.length; i += 1) {
    const value = source[i] as number;
    if (padding && whole && value >= padding[0] && value <= padding[1]) out[i] = dark;
    else {
      const place = steps === 1 && whole ? value - low : Math.round((value - low) * steps);
      out[i] = table[Math.min(last, Math.max(0, place))] as number;
    }
  }
  return { width, height, rgba: new Uint8ClampedArray(out.buffer) };
}

/** Colours of the image's own matrix: RGB, YBR_FULL, or a palette. A window, in stored values, acts on each channel. */
export function paintColour(frame: FrameValues, values: Values, applied: Applied, invert: boolean): Pixels {
  const [height = 1, width = 1] = frame.shape;
  const rgba = new Uint8ClampedArray(width * height * 4);
  const channel = channelTable(frame, applied, invert);
  const palette = frame.palette && frame.shape.length === 2 ? paletteOf(frame.palette) : null;
  const ybr = frame.photometric_interpretation === "YBR_FULL";
  const top = 255 / (2 ** frame.bits_stored - 1);
  for (let i = 0; i < width * height; i += 1) {
    let [r, g, b] = [0, 0, 0];
    if (palette) [r, g, b] = palette(values[i] as number);
    else {
      [r, g, b] = [values[3 * i] as number, values[3 * i + 1] as number, values[3 * i + 2] as number];
      if (frame.dtype !== "u8") [r, g, b] = [Math.round(r * top), Math.round(g * top), Math.round(b * top)];
      if (ybr) [r, g, b] = fromYbr(r, g, b);
    }
    rgba[4 * i] = channel[clipped(r)] as number;
    rgba[4 * i + 1] = channel[clipped(g)] as number;
    rgba[4 * i + 2] = channel[clipped(b)] as number;
    rgba[4 * i + 3] = 255;
  }
  return { width, height, rgba };
}

const clipped = (value: number) => Math.min(255, Math.max(0, value));

/** YBR_FULL of 8 bits -> RGB (PS3.3 C.7.6.3.1.2). */
function fromYbr(y: number, cb: number, cr: number): [number, number, number] {
  const [b, r] = [cb - 128, cr - 128];
  return [
    Math.round(y + 1.402 * r),
    Math.round(y - 0.344136286 * b - 0.714136286 * r),
    Math.round(y + 1.772 * b),
  ];
}

function paletteOf(
  tables: NonNullable<FrameValues["palette"]>,
): (stored: number) => [number, number, number] {
  const data = tables.map(entries);
  const value = (index: 0 | 1 | 2, stored: number) => {
    const table = tables[index];
    const entry = lookUp(table, data[index] as Uint16Array, stored);
    return table.bits > 8 ? Math.floor(entry / 257) : entry;
  };
  return (stored) => [value(0, stored), value(1, stored), value(2, stored)];
}

function channelTable(frame: FrameValues, applied: Applied, invert: boolean): Uint8Array {
  const top = frame.palette ? 255 : 2 ** frame.bits_stored - 1;
  const { center, width } = applied;
  return Uint8Array.from({ length: 256 }, (_, shown) => {
    const value =
      applied.kind === "window" && center !== null && width !== null
        ? Math.floor(windowed((shown * top) / 255, center, width, "LINEAR") * 255 + 1e-6)
        : shown;
    return invert ? 255 - value : value;
  });
}
