import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { Back } from "./back";

let depth: number;
let gone: boolean;
let popped: () => void;

/** As a browser does: `go` moves in the history and tells of it; below the page's own entries the page is left. */
function go(by: number): void {
  depth += by;
  if (depth < 0) gone = true;
  else popped();
}

beforeEach(() => {
  [depth, gone] = [0, false];
  vi.stubGlobal("window", {
    addEventListener: (_kind: string, listener: () => void) => {
      popped = listener;
    },
  });
  vi.stubGlobal("history", {
    state: null,
    pushState: () => {
      depth += 1;
    },
    go,
  });
});
afterEach(() => vi.unstubAllGlobals());

test("Back closes what lies on top, then the page", () => {
  const [back, closed] = [new Back(), [] as string[]];
  back.push(() => closed.push("sheet"));
  back.push(() => closed.push("card"));
  go(-1);
  expect(closed).toEqual(["card"]);
  go(-1);
  expect(closed).toEqual(["card", "sheet"]);
  expect(gone).toBe(false);
  go(-1);
  expect(gone).toBe(true);
});

test("what was closed by its own button takes no second Back", () => {
  const back = new Back();
  const close = () => undefined;
  back.push(close);
  back.drop(close);
  go(-1);
  expect(gone).toBe(true);
});

test("opened and closed many times, the history does not grow", () => {
  const back = new Back();
  const close = () => undefined;
  for (let time = 0; time < 5; time += 1) {
    back.push(close);
    back.drop(close);
  }
  expect(depth).toBe(1);
});

test("leaving goes past everything of the page", () => {
  const back = new Back();
  const close = () => undefined;
  back.push(close);
  back.drop(close);
  back.push(close);
  back.leave();
  expect(gone).toBe(true);
});
