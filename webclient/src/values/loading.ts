// Which frames' values are fetched: the shown one, then its neighbours, a few at once, within the memory budget.

import type { MemoryBudget } from "../net/memory";
import { byteLength, hasValues } from "./describe";
import type { Pool } from "./pool";
import { type Coding, type Described, SourceError, type Transfer, type ValueSource } from "./source";
import { around, type ValueStore } from "./store";

const AT_ONCE = 2;
const RETRY_MS = 2000;
const MOST_FAILURES = 3;

export interface Place {
  readonly series: number;
  readonly frame: number;
  readonly count: number;
  readonly direction: number;
}

export interface Timing {
  readonly key: string;
  readonly coding: Coding;
  readonly bytes: number;
  readonly fetchMs: number;
  readonly decodeMs: number;
  readonly hashMs: number;
  readonly sha256: string;
}

/** `level` 0: the array is whole and its hash is the server's; n: 1/2^n of the size, to be looked at meanwhile. */
export interface Arrival {
  readonly series: number;
  readonly frame: number;
  readonly key: string;
  readonly level: number;
}

export const keyOf = (series: number, frame: number) => `${series}/${frame}`;

export class Loading {
  private place: Place | null = null;
  private readonly running = new Map<number, AbortController>();
  private readonly failures = new Map<string, number>();
  /** Codestreams that did not decode to the server's hash: raw bytes are wanted then. */
  private readonly distrusted = new Set<string>();
  /** Failed a moment ago. */
  private readonly resting = new Set<string>();
  private readonly descriptions = new Map<string, Described>();
  /** The decoder could not be had: its file is missing or forbidden. */
  private undecodable = false;
  private timer = 0;
  private over = false;
  heapBytes = 0;
  last: Timing | null = null;
  /** Frames whose array or codestream was not what the server had named. */
  refused = 0;

  constructor(
    private readonly source: ValueSource,
    private readonly pool: Pool,
    private readonly store: ValueStore,
    private readonly budget: MemoryBudget,
    private readonly transfer: () => Transfer,
    private readonly arrived: (arrival: Arrival) => void,
  ) {}

  /** The person chose the uncompressed mode. */
  get isUncompressed(): boolean {
    return !this.transfer().packed;
  }

  description(key: string): Described | undefined {
    return this.descriptions.get(key);
  }

  /** Fetch around this place from now on; what is on its way for elsewhere is dropped. */
  want(place: Place): void {
    if (this.place && this.place.series !== place.series) this.stopAll();
    this.place = place;
    const wanted = new Set(around(place.frame, place.count, place.direction, 2));
    for (const [frame, stop] of this.running) if (!wanted.has(frame)) stop.abort();
    this.pump();
  }

  /** Other images stand behind the frame numbers now. */
  forget(series: number): void {
    if (this.place?.series === series) this.stopAll();
    for (const one of [this.descriptions, this.failures])
      for (const key of [...one.keys()]) if (key.startsWith(`${series}/`)) one.delete(key);
    this.source.forget(series);
  }

  end(): void {
    this.over = true;
    window.clearTimeout(this.timer);
    this.stopAll();
  }

  private stopAll(): void {
    for (const stop of this.running.values()) stop.abort();
    this.running.clear();
  }

  private pump(): void {
    const { place } = this;
    if (!place || this.over) return;
    for (const frame of this.plan(place)) {
      if (this.running.size >= AT_ONCE) return;
      if (!this.running.has(frame)) void this.load(place.series, frame);
    }
  }

  /** Nearest first, as many as the budget holds; with data saving only the shown frame. */
  private plan(place: Place): number[] {
    const connection = (navigator as Navigator & { connection?: { saveData?: boolean } }).connection;
    const radius = connection?.saveData ? 0 : this.budget.workers > 1 ? 16 : 4;
    const shown = this.descriptions.get(keyOf(place.series, place.frame))?.frame;
    // Neighbours follow when the shown frame is there: it tells how large they may be.
    if (!shown || !this.store.has(keyOf(place.series, place.frame)))
      return this.open(place.series, place.frame) ? [place.frame] : [];
    const room = hasValues(shown) ? Math.floor((this.budget.values * 0.8) / byteLength(shown)) : 0;
    return around(place.frame, place.count, place.direction, radius)
      .slice(0, Math.max(1, room))
      .filter((frame) => this.open(place.series, frame));
  }

  /** Whether a frame's values are not tried again. */
  isRefused(series: number, frame: number): boolean {
    return (this.failures.get(keyOf(series, frame)) ?? 0) >= MOST_FAILURES;
  }

  private open(series: number, frame: number): boolean {
    const key = keyOf(series, frame);
    return !this.store.has(key) && !this.resting.has(key) && (this.failures.get(key) ?? 0) < MOST_FAILURES;
  }

  private async load(series: number, frame: number): Promise<void> {
    const stop = new AbortController();
    const key = keyOf(series, frame);
    this.running.set(frame, stop);
    try {
      await this.fetch(series, frame, key, stop.signal);
    } catch (error) {
      if (!stop.signal.aborted) this.failed(series, key, error);
    } finally {
      if (this.running.get(frame) === stop) this.running.delete(frame);
      this.pump();
    }
  }

  private failed(series: number, key: string, error: unknown): void {
    this.failures.set(key, (this.failures.get(key) ?? 0) + 1);
    const status = error instanceof SourceError ? error.status : -1;
    if (status === -1) {
      this.refused += 1;
      this.distrusted.add(key);
    }
    if (status === 401 || status === 403) this.end();
    else if (status === 409) {
      this.descriptions.delete(key);
      this.source.forget(series);
    } else if (status >= 400 && status < 500) this.failures.set(key, MOST_FAILURES);
    this.resting.add(key);
    window.clearTimeout(this.timer);
    this.timer = window.setTimeout(() => {
      this.resting.clear();
      this.pump();
    }, RETRY_MS);
  }

  private async fetch(series: number, index: number, key: string, signal: AbortSignal): Promise<void> {
    const described = this.descriptions.get(key) ?? (await this.source.describe(series, index));
    if (signal.aborted) return;
    this.descriptions.set(key, described);
    const { frame } = described;
    if (!hasValues(frame) || byteLength(frame) > this.budget.values) {
      this.failures.set(key, MOST_FAILURES);
      return;
    }
    const wished = this.transfer();
    const coded = wished.coding === "htj2k" && frame.htj2k && !this.distrusted.has(key);
    // The decoder comes beside the codestream, not before it: that is two round trips of a first frame.
    const coding = coded && this.pool.mayDecode && !this.undecodable ? "htj2k" : "raw";
    const home = this.pool.home(index);
    const keep = async (level: number, data: ArrayBuffer) => {
      const kept = await this.pool.ask(home, { op: "keep", key, frame, coding, level, data }, [data]);
      this.heapBytes = Math.max(this.heapBytes, kept.heapBytes);
      return kept;
    };
    const began = performance.now();
    let early: Promise<unknown> = Promise.resolve();
    const data = await this.source.bytes(
      series,
      index,
      described,
      { ...wished, coding },
      signal,
      (level, part) => {
        early = keep(level, part).then(
          () => signal.aborted || this.arrived({ series, frame: index, key, level }),
          () => undefined, // the whole codestream follows
        );
      },
    );
    const fetchMs = performance.now() - began;
    if (coding === "htj2k" && !(await this.pool.decodes(home))) {
      this.undecodable = true;
      return this.fetch(series, index, key, signal);
    }
    const bytes = data.byteLength;
    const kept = await keep(0, data);
    await early;
    if (this.over) return;
    const { decodeMs, hashMs, sha256 } = kept;
    this.last = { key, coding, bytes, fetchMs, decodeMs, hashMs, sha256 };
    const at = this.place ?? { series, frame: index };
    const gone = this.store.put({ key, series, frame: index, bytes: kept.bytes }, at.series, at.frame);
    this.drop(gone);
    this.arrived({ series, frame: index, key, level: 0 });
  }

  /** Tell every worker; each forgets what it has of these. */
  drop(keys: readonly string[]): void {
    if (!keys.length) return;
    for (let home = 0; home < this.pool.size; home += 1)
      this.pool.ask(home, { op: "drop", keys }).catch(() => undefined);
  }
}
