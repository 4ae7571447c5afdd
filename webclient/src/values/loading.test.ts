import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { memoryBudget } from "../net/memory";
import type { FrameValues } from "./describe";
import { type Arrival, Loading } from "./loading";
import type { Question } from "./messages";
import type { Pool } from "./pool";
import { SourceError, type ValueSource } from "./source";
import { ValueStore } from "./store";

const FRAME = {
  sha256: "ab",
  dtype: "u16",
  shape: [512, 512],
  htj2k: true,
  ends: [],
  fidelity: "stored",
} as unknown as FrameValues;

/** A server and workers that answer at once, unless told otherwise. */
class World {
  readonly asked: number[] = [];
  readonly codings: string[] = [];
  readonly kept: string[] = [];
  readonly dropped: string[] = [];
  readonly arrivals: Arrival[] = [];
  webAssembly = true;
  codestreams = true;
  answer: (frame: number) => Promise<ArrayBuffer> = () => Promise.resolve(new ArrayBuffer(8));
  readonly store: ValueStore;
  readonly loading: Loading;

  constructor(frame: FrameValues | { problem: string } = FRAME, budget = memoryBudget(8, false)) {
    const source = {
      describe: () => Promise.resolve({ version: 3, frame }),
      bytes: (_series: number, index: number, _described: unknown, transfer: { coding: string }) => {
        this.asked.push(index);
        this.codings.push(transfer.coding);
        return this.answer(index);
      },
      forget: () => undefined,
    } as unknown as ValueSource;
    const world = this;
    const pool = {
      size: 2,
      home: (index: number) => index % 2,
      get mayDecode() {
        return world.webAssembly;
      },
      decodes() {
        return Promise.resolve(world.codestreams);
      },
      ask: (_home: number, question: Question) => {
        if (question.op === "keep") this.kept.push(question.key);
        if (question.op === "drop") this.dropped.push(...question.keys);
        return Promise.resolve({ sha256: "ab", bytes: 524_288, decodeMs: 1, hashMs: 1, heapBytes: 1 });
      },
    } as unknown as Pool;
    this.store = new ValueStore(budget.values);
    this.loading = new Loading(
      source,
      pool,
      this.store,
      budget,
      () => ({ coding: "htj2k", packed: true }),
      (arrival) => this.arrivals.push(arrival),
    );
  }

  want(frame: number, count = 40): void {
    this.loading.want({ series: 1, frame, count, direction: 1 });
  }
}

describe("loading", () => {
  beforeEach(() => {
    vi.stubGlobal("window", globalThis);
    vi.useFakeTimers();
  });
  afterEach(() => {
    vi.useRealTimers();
    vi.unstubAllGlobals();
  });
  const rest = () => vi.advanceTimersByTimeAsync(0);

  it("begins with the shown frame, then its neighbours, nearest first", async () => {
    const world = new World();
    world.want(20);
    await rest();
    expect(world.asked.slice(0, 5)).toEqual([20, 21, 19, 22, 18]);
    expect(world.asked.length).toBe(33);
    expect(world.arrivals[0]).toEqual({ series: 1, frame: 20, key: "1/20", level: 0 });
  });

  it("takes only the shown frame where data are saved", async () => {
    vi.stubGlobal("navigator", { connection: { saveData: true } });
    const world = new World();
    world.want(20);
    await rest();
    expect(world.asked).toEqual([20]);
  });

  it("keeps to the budget", async () => {
    const world = new World(FRAME, { ...memoryBudget(8, false), values: 3 * 524_288 });
    world.want(20);
    await rest();
    expect(world.asked).toEqual([20, 21]);
    world.want(25);
    await rest();
    expect(world.store.usedBytes).toBeLessThanOrEqual(world.store.budget);
    expect(world.store.has("1/25")).toBe(true);
    expect(world.dropped).toContain("1/20");
  });

  it("asks for raw bytes without WebAssembly or without a codestream", async () => {
    const world = new World();
    world.webAssembly = world.codestreams = false;
    world.want(0, 1);
    await rest();
    const other = new World({ ...FRAME, htj2k: false });
    other.want(0, 1);
    await rest();
    expect([world.codings, other.codings]).toEqual([["raw"], ["raw"]]);
  });

  it("does not wait for the decoder; where it cannot be had the frame is asked for raw, and the next at once", async () => {
    const world = new World();
    world.codestreams = false;
    world.want(0, 2);
    await rest();
    expect(world.asked).toEqual([0, 0, 1]);
    expect(world.codings).toEqual(["htj2k", "raw", "raw"]);
  });

  it("tries again after a lost answer, but not for ever", async () => {
    const world = new World();
    world.answer = () => Promise.reject(new SourceError(0));
    world.want(0, 1);
    await vi.advanceTimersByTimeAsync(60_000);
    expect(world.asked.length).toBe(3);
    expect(world.arrivals).toEqual([]);
  });

  it("stops when the right is gone, and gives up what is refused", async () => {
    for (const [status, times] of [
      [403, 1],
      [422, 1],
      [409, 3],
    ] as const) {
      const world = new World();
      world.answer = () => Promise.reject(new SourceError(status));
      world.want(0, 1);
      await vi.advanceTimersByTimeAsync(60_000);
      expect(world.asked.length, String(status)).toBe(times);
    }
  });

  it("asks for nothing of a frame that has no values or is too large", async () => {
    for (const frame of [{ problem: "codec.failed" }, { ...FRAME, shape: [20_000, 20_000] }]) {
      const world = new World(frame);
      world.want(0, 1);
      await vi.advanceTimersByTimeAsync(60_000);
      expect(world.asked).toEqual([]);
    }
  });

  it("counts an array that is not the server's as refused", async () => {
    const world = new World();
    world.answer = () => Promise.reject(new Error("values: hash"));
    world.want(0, 1);
    await rest();
    expect(world.loading.refused).toBe(1);
    expect(world.store.size).toBe(0);
    await vi.advanceTimersByTimeAsync(60_000);
    expect(world.codings).toEqual(["htj2k", "raw", "raw"]);
  });
});
