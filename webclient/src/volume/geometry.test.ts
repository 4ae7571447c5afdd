import { describe, expect, it } from "vitest";
import type { Manifest } from "../viewer/manifest";
import { axesOf, boundsOf, type Camera, letterOf, rotated, stepped, zoomed } from "./geometry";

const FRONT: Camera = {
  position: [0, -100, 0],
  focal_point: [0, 0, 0],
  view_up: [0, 0, 1],
  parallel_scale_mm: 50,
};

describe("camera", () => {
  it("sees the patient's left on the right from the front", () => {
    const { right, up } = axesOf(FRONT);
    expect([letterOf(right), letterOf(up)]).toEqual(["L", "H"]);
  });

  it("turns under the finger: a quarter turn to the right shows the right side", () => {
    const turned = rotated(FRONT, 0.5, 0);
    expect(turned.position[0]).toBeCloseTo(-100);
    expect(turned.position[1]).toBeCloseTo(0);
    expect(letterOf(axesOf(turned).right)).toBe("A");
  });

  it("shows the head after a drag down, and is where it was after a whole turn", () => {
    expect(rotated(FRONT, 0, 0.5).position[2]).toBeCloseTo(100);
    const again = rotated(FRONT, 0, 2);
    for (const axis of [0, 1, 2] as const) expect(again.position[axis]).toBeCloseTo(FRONT.position[axis]);
    expect(rotated(FRONT, 0, 0)).toBe(FRONT);
  });

  it("zooms by the scale, or by the distance", () => {
    expect(zoomed(FRONT, 2).parallel_scale_mm).toBe(25);
    const { parallel_scale_mm: _, ...rest } = FRONT;
    expect(zoomed({ ...rest, view_angle_degrees: 30 }, 2).position).toEqual([0, -50, 0]);
  });
});

describe("planes", () => {
  const shared = { rows: 11, columns: 21, orientation: [1, 0, 0, 0, 1, 0], spacing_mm: [2, 0.5] };
  const frames = [{ position: [-5, -10, 0] }, { position: [-5, -10, 30] }];
  const manifest = { frame_count: 2, shared, frames } as unknown as Manifest;

  it("knows how far the volume reaches", () => {
    expect(boundsOf(manifest)).toEqual({ low: [-5, -10, 0], high: [5, 10, 30] });
    expect(boundsOf({ ...manifest, frames: [{ position: null }, {}] } as unknown as Manifest)).toBeNull();
  });

  it("steps along the normal and stays inside", () => {
    const bounds = boundsOf(manifest);
    expect(stepped([0, 0, 15], [0, 0, 1], 5, bounds)).toEqual([0, 0, 20]);
    expect(stepped([0, 0, 15], [0, 0, 1], 500, bounds)).toEqual([0, 0, 30]);
    expect(stepped([0, 0, 15], [0, 0, 1], -500, null)).toEqual([0, 0, -485]);
  });
});
