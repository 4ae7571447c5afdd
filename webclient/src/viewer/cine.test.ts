import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { Cine, nextFrame, nextRate } from "./cine";

let frames: number[];
let pictureIsHere: boolean;
let tick: (now: number) => void;

function cineOf(count: number): Cine {
  frames = [0];
  pictureIsHere = true;
  const frame = () => frames[frames.length - 1] ?? 0;
  return new Cine({
    frame,
    count: () => count,
    settled: () => pictureIsHere,
    show: (next) => frames.push(next),
    changed: () => undefined,
  });
}

beforeEach(() => {
  vi.stubGlobal("window", {
    requestAnimationFrame: (callback: (now: number) => void) => {
      tick = callback;
      return 1;
    },
    cancelAnimationFrame: () => undefined,
  });
  vi.spyOn(performance, "now").mockReturnValue(0);
});
afterEach(() => {
  vi.unstubAllGlobals();
  vi.restoreAllMocks();
});

/** One second of a 60 Hz screen. */
function second(from = 0): void {
  for (let step = 0; step < 60; step += 1) tick(from + (step * 1000) / 60);
}

it("shows as many pictures a second as the file says", () => {
  const cine = cineOf(1000);
  for (const rate of [7.5, 15, 30, 60]) {
    frames = [0];
    cine.start(rate);
    second();
    expect(Math.abs(frames.length - 1 - rate), `${rate} Hz`).toBeLessThanOrEqual(1);
    expect(Math.abs(cine.realRateHz - rate), `${rate} Hz`).toBeLessThanOrEqual(1);
  }
});

it("waits for its pictures and makes up for nothing", () => {
  const cine = cineOf(1000);
  cine.start(15);
  pictureIsHere = false;
  second();
  expect(frames).toEqual([0]);
  pictureIsHere = true;
  tick(1000);
  tick(1001);
  tick(1002);
  expect(frames.length).toBeLessThanOrEqual(3);
});

it("takes 15 where the file says nothing, and stays within 1 to 60", () => {
  const cine = cineOf(10);
  cine.start(null);
  expect(cine.rateHz).toBe(15);
  cine.start(500);
  expect(cine.rateHz).toBe(60);
});

it("loops or swings", () => {
  expect(nextFrame(9, [0, 9], 1, false)).toEqual([0, 1]);
  expect(nextFrame(9, [0, 9], 1, true)).toEqual([8, -1]);
  expect(nextFrame(0, [0, 9], -1, true)).toEqual([1, 1]);
  expect(nextFrame(0, [0, 0], 1, true)).toEqual([0, -1]);
});

it("plays the marked range", () => {
  expect(nextFrame(6, [3, 6], 1, false)).toEqual([3, 1]);
  expect(nextFrame(1, [3, 6], 1, false)).toEqual([3, 1]);
  expect(nextFrame(8, [3, 6], 1, true)).toEqual([6, -1]);
  const cine = cineOf(10);
  frames = [3];
  cine.mark("first");
  frames = [6];
  cine.mark("last");
  expect(cine.range).toEqual([3, 6]);
  cine.start(60);
  second();
  expect(new Set(frames)).toEqual(new Set([3, 4, 5, 6]));
  frames = [8];
  cine.mark("first");
  expect(cine.range, "marked again: the series' own").toEqual([0, 6]);
  cine.mark("first");
  expect(cine.range, "beyond the end: the end goes").toEqual([8, 9]);
  cine.unmark();
  expect(cine.range).toEqual([0, 9]);
});

it("goes quicker and slower by usual rates", () => {
  expect([nextRate(15, 1), nextRate(15, -1), nextRate(60, 1), nextRate(1, -1), nextRate(7.5, 1)]).toEqual([
    20, 12, 60, 1, 8,
  ]);
});
