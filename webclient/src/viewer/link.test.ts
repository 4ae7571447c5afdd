import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { screenFragment } from "../viewport/serial";
import { initialState, screenOf } from "../viewport/state";
import { Link, linkedView } from "./link";
import type { Boot } from "./manifest";

const boot = { study: 7, series: [{ series: 3, frame_count: 10 }] } as unknown as Boot;
let written: string[];

beforeEach(() => {
  vi.useFakeTimers();
  written = [];
  vi.stubGlobal("window", { setTimeout, clearTimeout });
  vi.stubGlobal("location", { pathname: "/s/token", search: "?lang=zh" });
  vi.stubGlobal("history", {
    state: { fromList: true },
    replaceState: (_state: unknown, _title: string, address: string) => written.push(address),
  });
});
afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

test("the address gets the view that rests, once", () => {
  const link = new Link(7);
  for (const frame of [1, 2, 3]) link.save(initialState(3, frame));
  vi.advanceTimersByTime(1000);
  const wanted = screenFragment(screenOf(7, initialState(3, 3)));
  expect(written).toEqual([`/s/token?lang=zh${wanted}`]);
});

test("the view of an address is shown when it is of this study", () => {
  const view = { ...initialState(3, 9), rotation: 90 as const };
  expect(linkedView(boot, screenFragment(screenOf(7, view)))).toEqual(view);
});

test("another study's, another series' or a missing image's view is not", () => {
  expect(linkedView(boot, screenFragment(screenOf(8, initialState(3, 1))))).toBeNull();
  expect(linkedView(boot, screenFragment(screenOf(7, initialState(4, 1))))).toBeNull();
  expect(linkedView(boot, screenFragment(screenOf(7, initialState(3, 10))))).toBeNull();
  expect(linkedView(boot, "")).toBeNull();
});
