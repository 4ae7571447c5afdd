// What the page and its value workers say to each other. Every question has an answer under its number.

import type { FrameValues } from "./describe";
import type { Probe, Rect, Statistics } from "./statistics";
import type { Applied, Wish } from "./window";

export type Question =
  | { op: "start"; decoder: string }
  /** Decode, hash, keep. `level` n: only 1/2^n of the size, shown but never called lossless. */
  | { op: "keep"; key: string; frame: FrameValues; coding: "htj2k" | "raw"; level: number; data: ArrayBuffer }
  | { op: "draw"; key: string; wish: Wish; reduction: number }
  | { op: "probe"; key: string; x: number; y: number }
  | { op: "statistics"; key: string; rect: Rect; shape: "rectangle" | "ellipse" }
  | { op: "digest"; key: string }
  | { op: "drop"; keys: readonly string[] };

export interface Kept {
  /** SHA-256 of the typed array; "" for a reduced one. */
  readonly sha256: string;
  readonly bytes: number;
  readonly decodeMs: number;
  readonly hashMs: number;
  readonly heapBytes: number;
}

export interface Drawn {
  readonly width: number;
  readonly height: number;
  readonly applied: Applied;
  readonly rgba: Uint8ClampedArray<ArrayBuffer>;
  readonly drawMs: number;
}

export interface Answers {
  /** False: no WebAssembly here, raw bytes are wanted. */
  start: boolean;
  keep: Kept;
  draw: Drawn;
  probe: Probe | null;
  statistics: Statistics | null;
  digest: string;
  drop: null;
}

export type Envelope = { readonly id: number } & Question;
export type Reply = { readonly id: number } & ({ readonly value: unknown } | { readonly error: string });
