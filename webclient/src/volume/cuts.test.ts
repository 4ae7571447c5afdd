import { describe, expect, it, vi } from "vitest";
import type { VolumeCut } from "../viewport/state";
import {
  areaOf,
  brushCut,
  corners,
  curveCut,
  cutMessage,
  type Drawn,
  fits,
  KeptCuts,
  planeCut,
} from "./cuts";
import { facing } from "./geometry";

vi.stubGlobal("window", { devicePixelRatio: 1 });

// From the front: the patient's right (-x) is at the picture's left, the head is above. Half a millimetre a px.
const DRAWN: Drawn = {
  camera: facing("A", { low: [-100, -100, 0], high: [100, 100, 200] }),
  size: { width: 400, height: 300 },
  mm: 0.5,
};
const BRUSH = (x: number): VolumeCut => brushCut([[x, 0, 0]], 5);

describe("a drawn line", () => {
  it("becomes a plane along the view whose normal shows to the side that goes", () => {
    // Downwards through the middle: to the right of the way is the picture's left, the patient's right.
    const cut = planeCut([200, 0], [200, 300], DRAWN, true);
    expect(cut).toMatchObject({ kind: "plane", pointMm: [0, 0, 100] });
    const { normal } = cut as Extract<VolumeCut, { kind: "plane" }>;
    expect(normal[0]).toBeCloseTo(-1);
    expect(normal[1]).toBeCloseTo(0);
    expect(normal[2]).toBeCloseTo(0);
    const above = planeCut([0, 100], [400, 100], DRAWN, false) as Extract<VolumeCut, { kind: "plane" }>;
    expect(above.normal[2]).toBeCloseTo(1);
    expect(above.pointMm[2]).toBeCloseTo(125);
  });
});

describe("a drawn curve", () => {
  it("keeps its corners only, and few of them whatever the hand does", () => {
    const side = Array.from({ length: 50 }, (_, at) => [at, 0] as const);
    expect(corners([...side, [49, 40], [0, 40]])).toEqual([
      [0, 0],
      [49, 0],
      [49, 40],
      [0, 40],
    ]);
    const wild = Array.from(
      { length: 3000 },
      (_, at) => [200 + (at % 2 ? 150 : 90) * Math.cos(at / 9), at % 300] as const,
    );
    expect(corners(wild).length).toBeLessThanOrEqual(150);
    expect(
      areaOf([
        [0, 0],
        [10, 0],
        [10, 5],
        [0, 5],
      ]),
    ).toBe(50);
  });

  it("is told with the camera that it was drawn for", () => {
    const cut = curveCut(
      [
        [10, 20],
        [110, 20],
        [60, 90],
      ],
      DRAWN,
      "outside",
    );
    expect(cutMessage(cut)).toEqual({
      kind: "curve",
      camera: {
        position: DRAWN.camera.position,
        focal_point: [0, 0, 100],
        view_up: [0, 0, 1],
        parallel_scale_mm: 75,
      },
      width: 400,
      height: 300,
      points: [
        [9.5, 19.5],
        [109.5, 19.5],
        [59.5, 89.5],
      ],
      remove: "outside",
    });
  });
});

describe("a stroke", () => {
  it("stays below the stream's 8 KiB", () => {
    const far = Array.from({ length: 500 }, () => [-1234.56, 1234.56, -1234.56] as const);
    const text = JSON.stringify({
      t: "cuts",
      viewport: "volume-volume",
      do: "add",
      cuts: [cutMessage(brushCut(far, 20))],
    });
    expect(text.length).toBeLessThan(8192);
    expect(fits(Array(64).fill(BRUSH(1)))).toBe(true);
    expect(fits(Array(65).fill(BRUSH(1)))).toBe(false);
    expect(fits(Array(20).fill(brushCut(far, 20)))).toBe(false);
  });
});

describe("what the server keeps", () => {
  const follow = () => {
    const told: string[] = [];
    const kept = new KeptCuts("volume-volume", (message) => told.push(message["do"] as string));
    return { kept, told };
  };
  const [a, b, c] = [BRUSH(1), BRUSH(2), BRUSH(3)];

  it("is told nothing where nothing is cut", () => {
    const { kept, told } = follow();
    kept.bring([]);
    expect(told).toEqual([]);
  });

  it("follows by additions, undo and redo", () => {
    const { kept, told } = follow();
    kept.bring([a]);
    kept.bring([a, b]);
    kept.bring([a, b]);
    kept.bring([a]);
    kept.bring([a, b]);
    kept.bring([a, c]);
    expect(told).toEqual(["clear", "add", "add", "undo", "redo", "undo", "add"]);
  });

  it("is told all again over a new line", () => {
    const { kept, told } = follow();
    kept.bring([a, b]);
    kept.forget();
    kept.bring([a, b]);
    expect(told).toEqual(["clear", "add", "add", "clear", "add", "add"]);
    kept.forget();
    kept.bring([]);
    expect(told.slice(6)).toEqual(["clear"]);
  });
});
