// How much memory the page may take for pictures and values, and who takes it (shown by ?debug=1).

const MB = 1024 * 1024;

export interface MemoryBudget {
  /** Pictures that the server rendered, as bitmaps. */
  readonly previews: number;
  /** Tiles of large images. */
  readonly tiles: number;
  /** Arrays of exact values. */
  readonly values: number;
  /** Value workers; the decoder of each reserves about 50 MB. */
  readonly workers: number;
  readonly total: number;
}

/** 300 MB, or 120 MB on a device of at most 2 GB; a phone that does not say counts as small. */
export function memoryBudget(deviceMemoryGb: number | undefined, coarsePointer: boolean): MemoryBudget {
  const small = deviceMemoryGb === undefined ? coarsePointer : deviceMemoryGb <= 2;
  return small
    ? { previews: 24 * MB, tiles: 12 * MB, values: 30 * MB, workers: 1, total: 120 * MB }
    : { previews: 64 * MB, tiles: 32 * MB, values: 96 * MB, workers: 2, total: 300 * MB };
}

export function ownMemoryBudget(): MemoryBudget {
  const { deviceMemory } = navigator as Navigator & { deviceMemory?: number };
  return memoryBudget(deviceMemory, globalThis.matchMedia?.("(pointer: coarse)").matches ?? false);
}

export interface Account {
  readonly used: number;
  readonly budget: number;
}

/** Each holder of memory tells what it uses, by name, bytes. */
export const accounts = new Map<string, () => Account>();
