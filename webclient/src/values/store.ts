// Which frames' values are held: a budget in bytes; what is furthest from the shown frame goes first.

export interface Held {
  readonly key: string;
  readonly series: number;
  readonly frame: number;
  readonly bytes: number;
}

export class ValueStore {
  private readonly held = new Map<string, Held>();
  private used = 0;

  constructor(readonly budget: number) {}

  has(key: string): boolean {
    return this.held.has(key);
  }

  get usedBytes(): number {
    return this.used;
  }

  get size(): number {
    return this.held.size;
  }

  /** Keep one; returns the keys that went for it, the furthest from (`series`, `frame`) first, never the new one. */
  put(entry: Held, series: number, frame: number): string[] {
    this.remove(entry.key);
    this.held.set(entry.key, entry);
    this.used += entry.bytes;
    const distance = (one: Held) =>
      one.series === series ? Math.abs(one.frame - frame) : Number.MAX_SAFE_INTEGER;
    const gone: string[] = [];
    const others = [...this.held.values()].filter((one) => one.key !== entry.key);
    others.sort((a, b) => distance(b) - distance(a));
    for (const one of others) {
      if (this.used <= this.budget) break;
      this.remove(one.key);
      gone.push(one.key);
    }
    return gone;
  }

  remove(key: string): void {
    const entry = this.held.get(key);
    if (!entry) return;
    this.held.delete(key);
    this.used -= entry.bytes;
  }

  /** Everything of a series, or of all. */
  forget(series?: number): string[] {
    const gone = [...this.held.values()].filter((one) => series === undefined || one.series === series);
    for (const one of gone) this.remove(one.key);
    return gone.map((one) => one.key);
  }
}

/** Frames to hold around the shown one, nearest first, the direction of travel before the other. */
export function around(frame: number, count: number, direction: number, radius: number): number[] {
  const frames = [frame];
  const step = direction < 0 ? -1 : 1;
  for (let away = 1; away <= radius; away += 1) frames.push(frame + away * step, frame - away * step);
  return frames.filter((one) => one >= 0 && one < count);
}
