import { describe, expect, it } from "vitest";
import { dragWindow, initialState, panBy, pixelsPerFrame, toImageAxes, zoomAt } from "./state";

const SHOWN = { w: 1, h: 1.5 };

describe("zoom and pan", () => {
  it("keeps the point under the finger", () => {
    const before = initialState(1, 0);
    const after = zoomAt(before, 2, 0.25, -0.1, SHOWN);
    const point = (s: typeof before) => [
      s.centerX + (0.25 * SHOWN.w) / s.zoom,
      s.centerY + (-0.1 * SHOWN.h) / s.zoom,
    ];
    expect(point(after)[0]).toBeCloseTo(point(before)[0] ?? 0);
    expect(point(after)[1]).toBeCloseTo(point(before)[1] ?? 0);
  });
  it("returns to the middle at zoom 1", () => {
    const zoomed = panBy(zoomAt(initialState(1, 0), 3, 0, 0, SHOWN), 0.1, 0.1, SHOWN);
    expect(zoomed.centerX).not.toBe(0.5);
    expect(zoomAt(zoomed, 0.01, 0, 0, SHOWN)).toMatchObject({ zoom: 1, centerX: 0.5, centerY: 0.5 });
  });
  it("moves with the finger on a turned and flipped image", () => {
    const turned = { ...initialState(1, 0), rotation: 90 as const };
    expect(toImageAxes(turned, 1, 0)[0]).toBeCloseTo(0);
    expect(toImageAxes(turned, 1, 0)[1]).toBeCloseTo(-1);
    expect(toImageAxes({ ...initialState(1, 0), flipHorizontal: true }, 1, 0)[0]).toBe(-1);
  });
});

describe("window by drag", () => {
  it("widens to the right and brightens upwards", () => {
    const moved = dragWindow(40, 400, 10, -10);
    expect(moved.width).toBeGreaterThan(400);
    expect(moved.center).toBeLessThan(40);
    expect(dragWindow(40, 400, -10_000, 0).width).toBe(1);
  });
});

describe("scrolling", () => {
  it("takes 12 px an image, or a whole series in one and a half screens", () => {
    expect(pixelsPerFrame(20, 800)).toBe(12);
    expect(pixelsPerFrame(300, 800)).toBe(4);
  });
});
