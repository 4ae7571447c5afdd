import { expect, test } from "vitest";
import { ReadAhead } from "../net/readahead";
import { framesAhead, isNearer } from "./ahead";

test("nearest first, two in the direction of scrolling for each one behind", () => {
  expect(framesAhead(10, 100, 1, 6)).toEqual([11, 12, 9, 13, 14, 8]);
  expect(framesAhead(10, 100, -1, 6)).toEqual([9, 8, 11, 7, 6, 12]);
});

test("stays in the series and takes what is left of it", () => {
  expect(framesAhead(2, 4, 1, 50)).toEqual([3, 1, 0]);
  expect(framesAhead(0, 1, 1, 50)).toEqual([]);
});

test("a nearer picture replaces the one on screen, a farther one never", () => {
  expect(isNearer(45, 40, 50)).toBe(true);
  expect(isNearer(46, 45, 30)).toBe(false);
});

function reader(have = new Set<number>()) {
  const asked: [number, string][] = [];
  let now = 0;
  const ahead = new ReadAhead(
    { ask: (frame, viewport) => asked.push([frame, viewport]), has: (frame) => have.has(frame) },
    () => now,
  );
  return { ahead, asked, have, pass: (ms: number) => (now += ms) };
}

test("reads ahead one at a time on a slow line, more on a quick one", () => {
  const { ahead, asked, pass } = reader();
  ahead.plan([1, 2, 3, 4, 5, 6, 7, 8]);
  expect(ahead.pending).toBe(1);
  pass(20);
  ahead.done("ahead0");
  expect(ahead.pending).toBe(2);
  pass(2000);
  ahead.done("ahead0");
  ahead.done("ahead1");
  expect(ahead.pending).toBe(1);
  expect(asked.map(([frame]) => frame)).toEqual([1, 2, 3, 4]);
});

test("waits while the wanted picture is under way", () => {
  const { ahead, asked } = reader();
  ahead.pause(true);
  ahead.plan([1, 2]);
  expect(asked).toEqual([]);
  ahead.pause(false);
  expect(asked).toEqual([[1, "ahead0"]]);
});

test("a new plan replaces the old one and asks for nothing twice", () => {
  const { ahead, asked, have } = reader(new Set([12]));
  ahead.plan([1, 2, 3]);
  ahead.plan([11, 12, 13]);
  have.add(1);
  ahead.done("ahead0");
  expect(asked.map(([frame]) => frame)).toEqual([1, 11, 13]);
});

test("a lost line leaves nothing under way", () => {
  const { ahead, asked } = reader();
  ahead.plan([1, 2]);
  ahead.reset();
  expect(ahead.pending).toBe(0);
  ahead.plan([2]);
  expect(asked.map(([frame]) => frame)).toEqual([1, 2]);
});
