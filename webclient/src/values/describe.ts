// What the server tells of a frame's exact values (docs/values.md), and the arrays that hold them.

export type Dtype = "u8" | "i8" | "u16" | "i16" | "u32" | "i32" | "f32" | "f64";
export type Values =
  | Uint8Array
  | Int8Array
  | Uint16Array
  | Int16Array
  | Uint32Array
  | Int32Array
  | Float32Array
  | Float64Array;

/** A DICOM look-up table (PS3.3 C.11.1.1): entry 0 belongs to `first_mapped`. `data`: base64 of uint16, little endian. */
export interface Table {
  readonly first_mapped: number;
  readonly bits: number;
  readonly data: string;
}

/** From stored values to what they mean and how they are shown. */
export interface Meaning {
  readonly fidelity: "stored" | "lossy" | "converted";
  readonly bits_stored: number;
  readonly modality: string;
  readonly rescale_slope: number;
  readonly rescale_intercept: number;
  readonly unit: string;
  readonly modality_lut: Table | null;
  readonly windows: readonly (readonly [number, number])[];
  readonly voi_lut_function: string;
  readonly voi_lut: Table | null;
  readonly palette: readonly [Table, Table, Table] | null;
  readonly padding_value: number | null;
  readonly padding_range_limit: number | null;
  readonly inverse: boolean;
  readonly pixel_aspect: number;
}

export interface FrameValues extends Meaning {
  readonly sha256: string;
  readonly dtype: Dtype;
  /** Rows, columns[, samples]. */
  readonly shape: readonly number[];
  readonly photometric_interpretation: string;
  /** Whether it can be had as HTJ2K. */
  readonly htj2k: boolean;
  /** Of the codestream; null while none is prepared. */
  readonly bytes: number | null;
  /** After how many bytes each resolution is complete, coarsest first. */
  readonly ends: readonly number[];
}

/** A frame whose values cannot be had, by the error's code. */
export interface NoValues {
  readonly problem: string;
}

export interface ValuesManifest {
  readonly series: number;
  readonly version: number;
  readonly first: number;
  readonly frames: readonly (FrameValues | NoValues)[];
}

const KINDS = {
  u8: Uint8Array,
  i8: Int8Array,
  u16: Uint16Array,
  i16: Int16Array,
  u32: Uint32Array,
  i32: Int32Array,
  f32: Float32Array,
  f64: Float64Array,
} as const;

export function hasValues(frame: FrameValues | NoValues | undefined): frame is FrameValues {
  return frame !== undefined && "sha256" in frame;
}

export function sampleCount(frame: FrameValues): number {
  return frame.shape.reduce((product, length) => product * length, 1);
}

/** Bytes of the decoded array. */
export function byteLength(frame: FrameValues): number {
  return sampleCount(frame) * KINDS[frame.dtype].BYTES_PER_ELEMENT;
}

/** The typed array over a buffer of exactly its length. Throws where the length is another. */
export function arrayOver(frame: FrameValues, buffer: ArrayBuffer): Values {
  if (buffer.byteLength !== byteLength(frame)) throw new Error("values: length");
  return new KINDS[frame.dtype](buffer);
}

/** Entries of a table. */
export function entries(table: Table): Uint16Array {
  const text = atob(table.data);
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i += 1) bytes[i] = text.charCodeAt(i);
  return new Uint16Array(bytes.buffer);
}

/** The entry of a value; outside the table's ends they are repeated. */
export function lookUp(table: Table, data: Uint16Array, value: number): number {
  const index = Math.round(value) - table.first_mapped;
  return data[Math.min(data.length - 1, Math.max(0, index))] ?? 0;
}
