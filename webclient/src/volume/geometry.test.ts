import { describe, expect, it } from "vitest";
import type { Manifest } from "../viewer/manifest";
import { letters } from "../viewport/geometry";
import {
  axesOf,
  type Bounds,
  boundsOf,
  type Camera,
  depthMm,
  dot,
  facing,
  fitMm,
  inside,
  normalOf,
  panned,
  placeText,
  rotated,
  sideOf,
  stepMm,
  turnedPlane,
} from "./geometry";

const FRONT: Camera = { position: [0, -100, 0], focal_point: [0, 0, 0], view_up: [0, 0, 1] };
const BOUNDS: Bounds = { low: [-100, -50, 0], high: [100, 150, 60] };

describe("camera", () => {
  it("sees the patient's left on the right from the front", () => {
    const { right, up } = axesOf(FRONT);
    expect([letters(right), letters(up)]).toEqual(["L", "H"]);
  });

  it("turns under the finger: a quarter turn to the right shows the right side", () => {
    const turned = rotated(FRONT, 0.5, 0);
    expect(turned.position[0]).toBeCloseTo(-100);
    expect(turned.position[1]).toBeCloseTo(0);
    expect(letters(axesOf(turned).right)).toBe("A");
  });

  it("shows the head after a drag down, and is where it was after a whole turn", () => {
    expect(rotated(FRONT, 0, 0.5).position[2]).toBeCloseTo(100);
    const again = rotated(FRONT, 0, 2);
    for (const axis of [0, 1, 2] as const) expect(again.position[axis]).toBeCloseTo(FRONT.position[axis]);
    expect(rotated(FRONT, 0, 0)).toBe(FRONT);
  });

  it("keeps distance and upright axes over hundreds of small turns", () => {
    let camera = FRONT;
    for (let turn = 0; turn < 500; turn += 1) camera = rotated(camera, 0.013, -0.007);
    expect(Math.hypot(...camera.position)).toBeCloseTo(100, 6);
    const { right, up } = axesOf(camera);
    expect(dot(right, up)).toBeCloseTo(0, 9);
  });

  it("lets the object follow a hand: to the right, the camera goes to the left of the picture", () => {
    const moved = panned(FRONT, 10, 4);
    expect(moved.focal_point).toEqual([-10, 0, 4]);
    expect(moved.position).toEqual([-10, -100, 4]);
  });

  it.each([..."APLRHF"])("looks from %s and is known by it", (side) => {
    const camera = facing(side, BOUNDS);
    expect(camera.focal_point).toEqual([0, 50, 30]);
    expect(sideOf(camera)).toBe(side);
    expect(sideOf(rotated(camera, 0.1, 0))).toBe("");
    // Outside of all that it looks at.
    expect(
      Math.hypot(...camera.position.map((at, axis) => at - (camera.focal_point[axis] ?? 0))),
    ).toBeGreaterThan(Math.hypot(200, 200, 60));
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

  it("steps by the voxels' distance along a direction", () => {
    expect(stepMm(manifest, [0, 0, 1])).toBe(30);
    expect(stepMm(manifest, [0, 1, 0])).toBe(2);
    expect(stepMm(manifest, [1, 0, 0])).toBe(0.5);
    expect(stepMm(manifest, [0, 0.6, 0.8])).toBeCloseTo(Math.hypot(1.2, 24));
  });

  it("shows all of the volume: the longer of its sides decides", () => {
    const coronal = { right: [1, 0, 0], down: [0, 0, -1] } as const;
    // 200 x 60 mm in a square of 100 px: 2 mm a px.
    expect(fitMm(BOUNDS, coronal, { width: 100, height: 100 })).toBe(200);
    // On a tall phone the width decides, which is the shorter side.
    expect(fitMm(BOUNDS, coronal, { width: 100, height: 400 })).toBe(200);
    // On a wide screen, 400 x 100 px: 0.6 mm a px by the height.
    expect(fitMm(BOUNDS, coronal, { width: 400, height: 100 })).toBe(60);
    expect(depthMm(BOUNDS, [0, 1, 0])).toBe(200);
  });

  it("stays across itself when it is turned, and comes back after a whole turn", () => {
    let plane = { right: [1, 0, 0], down: [0, 1, 0] } as ReturnType<typeof turnedPlane>;
    for (let turn = 0; turn < 360; turn += 1) {
      plane = turnedPlane(plane, [0.6, 0, 0.8], Math.PI / 180);
      expect(dot(plane.right, plane.down)).toBeCloseTo(0, 9);
    }
    expect(normalOf(plane)[2]).toBeCloseTo(1, 6);
  });

  it("turns to the right from the top as the hand does: right goes down", () => {
    const plane = { right: [1, 0, 0], down: [0, 1, 0] } as const;
    expect(turnedPlane(plane, normalOf(plane), Math.PI / 2).right[1]).toBeCloseTo(1);
  });

  it("stays in the volume", () => {
    expect(inside([500, 0, -3], BOUNDS)).toEqual([100, 0, 0]);
    expect(inside([500, 0, -3], null)).toEqual([500, 0, -3]);
  });

  it("names a place by the patient's side", () => {
    expect(placeText([1, -20.44, 3], [0, 1, 0])).toBe("A 20.4");
    expect(placeText([1, -20, 3], [0, 0, -1])).toBe("H 3.0");
    expect(placeText([-1, -20, 3], [0.8, 0.6, 0])).toBe("R 1.0");
  });
});
