import { expect, it } from "vitest";
import { pinchOf } from "./gestures";

it("a pinch scales and pans together", () => {
  const result = pinchOf(
    [
      { x: 0, y: 0 },
      { x: 100, y: 0 },
    ],
    [
      { x: 0, y: 10 },
      { x: 200, y: 10 },
    ],
  );
  expect(result.scale).toBeCloseTo(2);
  expect([result.dx, result.dy]).toEqual([50, 10]);
});
