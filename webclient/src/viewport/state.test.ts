import { describe, expect, it } from "vitest";
import { dragWindow, pixelsPerFrame } from "./state";

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
