// Figures by hand: small frames whose sums fit into a comment.
import { describe, expect, it } from "vitest";
import type { FrameValues } from "./describe";
import { probeOf, statisticsOf } from "./statistics";

function frame(changes: Partial<FrameValues> = {}): FrameValues {
  return {
    sha256: "",
    dtype: "i16",
    shape: [4, 5],
    photometric_interpretation: "MONOCHROME2",
    htj2k: true,
    bytes: null,
    ends: [],
    fidelity: "stored",
    bits_stored: 16,
    modality: "CT",
    rescale_slope: 1,
    rescale_intercept: 0,
    unit: "HU",
    modality_lut: null,
    windows: [],
    voi_lut_function: "LINEAR",
    voi_lut: null,
    palette: null,
    padding_value: null,
    padding_range_limit: null,
    inverse: false,
    pixel_aspect: 1,
    ...changes,
  };
}

// 0 1 2 3 4 / 10 11 12 13 14 / 20 … / 30 …
const GRID = Int16Array.from(Array.from({ length: 20 }, (_, at) => Math.floor(at / 5) * 10 + (at % 5)));

describe("a rectangle", () => {
  it("has the pixels whose centres lie in it", () => {
    // Columns 1 and 2 of rows 1 and 2: 11, 12, 21, 22. Mean 66 / 4; deviations -5.5, -4.5, 4.5, 5.5.
    expect(statisticsOf(frame(), GRID, [1, 1, 2, 2])).toEqual({
      count: 4,
      mean: 16.5,
      standardDeviation: Math.sqrt((2 * 5.5 ** 2 + 2 * 4.5 ** 2) / 4),
      minimum: 11,
      maximum: 22,
      unit: "HU",
    });
  });
  it("counts a centre on its edge, and none a hair beyond", () => {
    expect(statisticsOf(frame(), GRID, [0.5, 0.5, 1, 1])?.count).toBe(4);
    expect(statisticsOf(frame(), GRID, [0.501, 0.501, 0.998, 0.998])).toBeNull();
    expect(statisticsOf(frame(), GRID, [0.5, 0.5, 0.9, 0.9])).toMatchObject({ count: 1, mean: 0 });
  });
  it("is cut at the image's edges", () => {
    expect(statisticsOf(frame(), GRID, [-10, -10, 100, 100])).toMatchObject({ count: 20, mean: 17 });
    // The last row's last two: 33, 34.
    expect(statisticsOf(frame(), GRID, [3, 3, 50, 50])).toMatchObject({ count: 2, mean: 33.5, maximum: 34 });
    expect(statisticsOf(frame(), GRID, [5, 0, 3, 3])).toBeNull();
  });
});

describe("an ellipse", () => {
  it("has the pixels whose centres lie in it", () => {
    // Around (2.5, 2), half axes 1.5 and 1: of column 2 rows 1 and 2 (0.5 from the middle), of columns 1 and 3 the same
    // rows: (1 / 1.5)² + 0.5² = 0.694. Nothing of rows 0 and 3: 1.5² > 1.
    expect(statisticsOf(frame(), GRID, [1, 1, 3, 2], "ellipse")).toMatchObject({
      count: 6,
      mean: 17,
      minimum: 11,
      maximum: 23,
    });
  });
  it("leaves the corners of its rectangle out", () => {
    // 4 x 4 about (2, 2): the corners' centres are at 1.5² + 1.5² = 4.5 > 2².
    const inside = statisticsOf(
      frame({ shape: [4, 4] }),
      new Int16Array(16).fill(7),
      [0, 0, 4, 4],
      "ellipse",
    );
    expect(inside).toMatchObject({ count: 12, mean: 7, standardDeviation: 0 });
  });
  it("between pixel centres has none", () => {
    expect(statisticsOf(frame(), GRID, [1.6, 1.6, 0.8, 0.8], "ellipse")).toBeNull();
  });
});

describe("values", () => {
  it("are modality values: slope and intercept", () => {
    // 2 x (10, 11, 12, 13, 14) - 100: mean -76, variance 4 x 2.
    const scaled = frame({ rescale_slope: 2, rescale_intercept: -100 });
    expect(statisticsOf(scaled, GRID, [0, 1, 5, 1])).toMatchObject({
      mean: -76,
      standardDeviation: Math.sqrt(8),
      minimum: -80,
      maximum: -72,
    });
  });
  it("that are padding are none: one value, or a range in either order", () => {
    const row = [0, 0, 5, 1] as const;
    expect(statisticsOf(frame({ padding_value: 4 }), GRID, row)).toMatchObject({
      count: 4,
      mean: 1.5,
      maximum: 3,
    });
    const range = frame({ padding_value: 3, padding_range_limit: 1 });
    expect(statisticsOf(range, GRID, row)).toMatchObject({ count: 2, mean: 2, minimum: 0, maximum: 4 });
    expect(statisticsOf(frame({ padding_value: 0, padding_range_limit: 99 }), GRID, row)).toBeNull();
  });
  it("that are not finite are none", () => {
    const floats = Float32Array.from([1, Number.NaN, 3, Number.POSITIVE_INFINITY, 5]);
    const pet = frame({ dtype: "f32", shape: [1, 5], unit: "BQML" });
    expect(statisticsOf(pet, floats, [0, 0, 5, 1])).toMatchObject({
      count: 3,
      mean: 3,
      minimum: 1,
      maximum: 5,
    });
  });
  it("of colours have no figures", () => {
    expect(
      statisticsOf(frame({ dtype: "u8", shape: [1, 1, 3] }), new Uint8Array(3), [0, 0, 1, 1]),
    ).toBeNull();
    const none = { first_mapped: 0, bits: 16, data: "" };
    expect(statisticsOf(frame({ palette: [none, none, none] }), GRID, [0, 0, 5, 4])).toBeNull();
  });
});

describe("a point", () => {
  it("is the pixel that it lies in, on its upper and left edge too", () => {
    expect(probeOf(frame(), GRID, 2, 1)).toMatchObject({ x: 2, y: 1, value: 12 });
    expect(probeOf(frame(), GRID, 2.999, 1.999)).toMatchObject({ x: 2, y: 1, value: 12 });
  });
  it("outside is none", () => {
    for (const [x, y] of [
      [-0.1, 0],
      [0, -0.1],
      [5, 0],
      [0, 4],
    ] as const)
      expect(probeOf(frame(), GRID, x, y)).toBeNull();
  });
  it("of padding and of colour has stored values, and no value", () => {
    expect(probeOf(frame({ padding_value: 12 }), GRID, 2, 1)).toMatchObject({ stored: [12], value: null });
    const colour = frame({ dtype: "u8", shape: [1, 2, 3], unit: "" });
    expect(probeOf(colour, Uint8Array.from([1, 2, 3, 4, 5, 6]), 1.5, 0.5)).toMatchObject({
      stored: [4, 5, 6],
      value: null,
    });
  });
});
