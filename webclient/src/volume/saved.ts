// Transfer functions that were given a name, kept by this browser.

import { isFunction, type LinkPoint, linked, type TransferPoint, unlinked } from "./transfer";

export interface SavedTransfer {
  readonly name: string;
  /** Values mean something else in another kind of image. */
  readonly modality: string;
  /** The preset it is lit like. */
  readonly light: string;
  readonly points: readonly TransferPoint[];
}

export const KEY = "cloudfilm_transfers";
const VERSION = 1;
export const MOST_SAVED = 24;
export const LONGEST_NAME = 16;

const isNumber = (value: unknown): value is number => typeof value === "number" && Number.isFinite(value);

function pointsOf(value: unknown): TransferPoint[] | null {
  if (!Array.isArray(value)) return null;
  const isPoint = (point: unknown): point is LinkPoint =>
    Array.isArray(point) &&
    point.length === 5 &&
    point.every(isNumber) &&
    point.slice(1).every((part) => part >= 0 && part <= 1);
  const points = value.every(isPoint) ? unlinked(value) : [];
  return isFunction(points) ? points : null;
}

function entryOf(value: unknown): SavedTransfer | null {
  if (typeof value !== "object" || value === null) return null;
  const { name, modality, light, points } = value as Record<string, unknown>;
  const found = pointsOf(points);
  const isNamed = typeof name === "string" && name.length > 0 && name.length <= LONGEST_NAME;
  if (!isNamed || typeof modality !== "string" || typeof light !== "string" || !found) return null;
  return /^[a-z0-9_-]{1,32}$/.test(light) ? { name, modality, light, points: found } : null;
}

/** What is kept; entries that make no sense (another version's, damaged ones) are left out. */
export function savedTransfers(store: Pick<Storage, "getItem"> = localStorage): SavedTransfer[] {
  try {
    const found: unknown = JSON.parse(store.getItem(KEY) ?? "null");
    const { version, list } = (found ?? {}) as { version?: unknown; list?: unknown };
    if (version !== VERSION || !Array.isArray(list)) return [];
    return list
      .slice(0, MOST_SAVED)
      .map(entryOf)
      .filter((entry) => entry !== null);
  } catch {
    // No JSON, or a browser that keeps nothing.
    return [];
  }
}

function write(list: readonly SavedTransfer[], store: Pick<Storage, "setItem">): boolean {
  const entries = list.map((entry) => ({ ...entry, points: linked(entry.points) }));
  try {
    store.setItem(KEY, JSON.stringify({ version: VERSION, list: entries }));
    return true;
  } catch {
    // Full, or forbidden.
    return false;
  }
}

/** Keeps it in place of one of the same name; the oldest goes when there are too many. False where nothing is kept. */
export function save(
  entry: SavedTransfer,
  store: Pick<Storage, "getItem" | "setItem"> = localStorage,
): boolean {
  const name = entry.name.trim().slice(0, LONGEST_NAME);
  if (!name || !isFunction(entry.points)) return false;
  const others = savedTransfers(store).filter((one) => one.name !== name || one.modality !== entry.modality);
  return write([...others, { ...entry, name }].slice(-MOST_SAVED), store);
}

export function forget(
  name: string,
  modality: string,
  store: Pick<Storage, "getItem" | "setItem"> = localStorage,
): boolean {
  const left = savedTransfers(store).filter((one) => one.name !== name || one.modality !== modality);
  return write(left, store);
}
