// Pictures that were shown, by what was shown; a budget in bytes, the least used goes first.

export interface Sized {
  readonly bytes: number;
  close(): void;
}

export class PictureCache<T extends Sized> {
  private readonly entries = new Map<string, T>();
  private used = 0;

  constructor(private readonly budget: number) {}

  get(key: string): T | undefined {
    const found = this.entries.get(key);
    if (found) {
      this.entries.delete(key);
      this.entries.set(key, found);
    }
    return found;
  }

  has(key: string): boolean {
    return this.entries.has(key);
  }

  put(key: string, value: T): void {
    const before = this.entries.get(key);
    if (before) {
      this.used -= before.bytes;
      this.entries.delete(key);
      if (before !== value) before.close();
    }
    this.entries.set(key, value);
    this.used += value.bytes;
    for (const [oldest, entry] of this.entries) {
      if (this.used <= this.budget || oldest === key) break;
      this.entries.delete(oldest);
      this.used -= entry.bytes;
      entry.close();
    }
  }

  /** Everything goes. */
  clear(): void {
    for (const entry of this.entries.values()) entry.close();
    this.entries.clear();
    this.used = 0;
  }

  get usedBytes(): number {
    return this.used;
  }

  get size(): number {
    return this.entries.size;
  }
}
