// Stored values -> modality values (HU …) and the padding that is no value at all (PS3.3 C.11.1, C.7.5.1.1.2).

import { type Dtype, entries, lookUp, type Meaning, type Values } from "./describe";

/** One function for one frame: rescale, or its modality table. */
export function modalityOf(meaning: Meaning): (stored: number) => number {
  const table = meaning.modality_lut;
  if (table) {
    const data = entries(table);
    return (stored) => lookUp(table, data, stored);
  }
  const { rescale_slope: slope, rescale_intercept: intercept } = meaning;
  return (stored) => stored * slope + intercept;
}

/** A padding value in the range of the stored type: some files give it with the other signedness. */
function asStored(value: number, dtype: Dtype): number {
  if (dtype.startsWith("f")) return value;
  const bits = Number(dtype.slice(1));
  const whole = ((Math.trunc(value) % 2 ** bits) + 2 ** bits) % 2 ** bits;
  return dtype.startsWith("i") && whole >= 2 ** (bits - 1) ? whole - 2 ** bits : whole;
}

/** Lowest and highest padding value; null where there is none. */
export function paddingOf(meaning: Meaning, dtype: Dtype): readonly [number, number] | null {
  if (meaning.padding_value === null || meaning.palette) return null;
  const low = asStored(meaning.padding_value, dtype);
  const high = meaning.padding_range_limit === null ? low : asStored(meaning.padding_range_limit, dtype);
  return [Math.min(low, high), Math.max(low, high)];
}

export interface Range {
  readonly low: number;
  readonly high: number;
  /** Some pixels, but not all, are padding. */
  readonly padded: boolean;
}

/** Smallest and largest value that is no padding and finite; of everything where nothing else is there. */
export function rangeOf(values: Values, padding: readonly [number, number] | null): Range {
  let low = Number.POSITIVE_INFINITY;
  let high = Number.NEGATIVE_INFINITY;
  let padded = 0;
  for (let i = 0; i < values.length; i += 1) {
    const value = values[i] as number;
    if (padding && value >= padding[0] && value <= padding[1]) padded += 1;
    else if (value - value === 0) {
      if (value < low) low = value;
      if (value > high) high = value;
    }
  }
  if (low > high) return padding ? rangeOf(values, null) : { low: 0, high: 0, padded: false };
  return { low, high, padded: padded > 0 };
}
