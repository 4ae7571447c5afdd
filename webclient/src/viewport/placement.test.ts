import { expect, test } from "vitest";
import { flipped, initialState, placementOf, toImageAxes, toScreenAxes, type ViewState } from "./state";

const start = initialState(1, 0);
const square = { w: 1, h: 1 };

test("screen axes undo image axes for every rotation and flip", () => {
  for (const rotation of [0, 90, 180, 270] as const) {
    for (const flips of [0, 1, 2, 3]) {
      const state: ViewState = {
        ...start,
        rotation,
        flipHorizontal: flips % 2 === 1,
        flipVertical: flips > 1,
      };
      const [x, y] = toScreenAxes(state, ...toImageAxes(state, 3, -5));
      expect([x, y], `${rotation} ${flips}`).toEqual([3, -5]);
    }
  }
});

test("a flip is of what is seen: on a turned picture of the other image axis", () => {
  expect(flipped(start, "horizontal").flipHorizontal).toBe(true);
  const turned = flipped({ ...start, rotation: 90 }, "horizontal");
  expect([turned.flipHorizontal, turned.flipVertical]).toEqual([false, true]);
});

test("a picture that is where it should be is not moved", () => {
  expect(placementOf(start, start, square)).toBe("");
});

test("zoom about the middle only scales; a pan moves against the image's centre", () => {
  expect(placementOf(start, { ...start, zoom: 2 }, square)).toBe("translate(0.00%, 0.00%) scale(2.0000)");
  const zoomed = { ...start, zoom: 2 };
  // The centre moves right by a quarter of the image: at zoom 2 the picture moves left by half the viewport.
  expect(placementOf(zoomed, { ...zoomed, centerX: 0.75 }, square)).toBe(
    "translate(-50.00%, 0.00%) scale(1.0000)",
  );
});

test("a picture of another series, turn or flip is never moved into place", () => {
  expect(placementOf(start, { ...start, series: 2, zoom: 2 }, square)).toBe("");
  expect(placementOf(start, { ...start, rotation: 90, zoom: 2 }, square)).toBe("");
  expect(placementOf(start, flipped({ ...start, zoom: 2 }, "vertical"), square)).toBe("");
});
