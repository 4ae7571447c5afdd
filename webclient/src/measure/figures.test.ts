import { afterEach, describe, expect, it, vi } from "vitest";
import type { Measurement } from "../viewport/state";
import { FiguresOf, type Place } from "./figures";
import { angleOf, ellipseArea, lengthOf, rectOf, type Scale } from "./geometry";
import { figure, quantityText } from "./texts";

const PLACE: Place = { series: 3, frame: 7 };
const measured = (kind: Measurement["kind"], ...points: [number, number][]): Measurement => ({
  kind,
  points,
  sopInstanceUid: "1.2",
  frameNumber: 1,
  text: "",
});
const STATISTICS = { count: 4, mean: 2, standardDeviation: 1, minimum: 0, maximum: 4, unit: "HU" };

/** What values.js puts on the page, answering as told. */
function page(layer: Record<string, unknown> | null): void {
  vi.stubGlobal("window", { cloudfilmValues: { layer } });
}
const described = (frame: unknown) => ({ description: () => ({ frame }), isRefused: () => false });
const GRAY = described({ sha256: "", shape: [4, 4], palette: null });

afterEach(() => vi.unstubAllGlobals());

describe("figures of a measurement", () => {
  it("come from the exact values once they are there, and are asked for once", async () => {
    const statistics = vi.fn(async () => STATISTICS);
    page({ loading: GRAY, holds: () => true, statistics });
    const changed = vi.fn();
    const figures = new FiguresOf(true, changed);
    const ellipse = measured("ellipse", [9, 8], [1, 2]);
    expect(figures.of(ellipse, PLACE)).toEqual({ state: "loading" });
    expect(figures.of(ellipse, PLACE)).toEqual({ state: "loading" });
    await vi.waitFor(() => expect(changed).toHaveBeenCalledTimes(1));
    expect(figures.of(ellipse, PLACE)).toEqual({ state: "statistics", statistics: STATISTICS });
    expect(statistics.mock.calls).toEqual([[[1, 2, 8, 6], "ellipse", PLACE]]);
    // Elsewhere it is another region.
    expect(figures.of(measured("ellipse", [9, 8], [1, 3]), PLACE)).toEqual({ state: "loading" });
  });

  it("of a point are the pixel's", async () => {
    const probe = { x: 4, y: 5, stored: [7], value: 7, unit: "HU" };
    page({ loading: GRAY, holds: () => true, valueAt: async (x: number, y: number) => ({ ...probe, x, y }) });
    const changed = vi.fn();
    const figures = new FiguresOf(true, changed);
    figures.of(measured("probe", [4, 5]), PLACE);
    await vi.waitFor(() => expect(changed).toHaveBeenCalled());
    expect(figures.of(measured("probe", [4, 5]), PLACE)).toEqual({ state: "probe", probe });
  });

  it("are on their way while the page has not the values yet", () => {
    page(null);
    expect(new FiguresOf(true, vi.fn()).of(measured("probe", [1, 1]), PLACE)).toEqual({ state: "loading" });
    page({ loading: GRAY, holds: () => false });
    expect(new FiguresOf(true, vi.fn()).of(measured("probe", [1, 1]), PLACE)).toEqual({ state: "loading" });
  });

  it("are never made of previews: where there are no values, it says so", () => {
    page(null);
    const ellipse = measured("ellipse", [0, 0], [2, 2]);
    expect(new FiguresOf(false, vi.fn()).of(ellipse, PLACE)).toEqual({ state: "none", why: "noValues" });
    page({ loading: described({ problem: "codec.unsupported" }) });
    expect(new FiguresOf(true, vi.fn()).of(ellipse, PLACE)).toEqual({ state: "none", why: "noValues" });
    page({ loading: { ...GRAY, isRefused: () => true } });
    expect(new FiguresOf(true, vi.fn()).of(ellipse, PLACE)).toEqual({ state: "none", why: "noValues" });
    page({ loading: described({ sha256: "", shape: [4, 4, 3], palette: null }) });
    expect(new FiguresOf(true, vi.fn()).of(ellipse, PLACE)).toEqual({ state: "none", why: "colour" });
  });

  it("of a region without values are none; that values failed is asked again", async () => {
    let fails = true;
    const statistics = vi.fn(async () => {
      if (fails) throw new Error("gone");
      return null;
    });
    page({ loading: GRAY, holds: () => true, statistics });
    const changed = vi.fn();
    const figures = new FiguresOf(true, changed);
    const ellipse = measured("ellipse", [0, 0], [2, 2]);
    figures.of(ellipse, PLACE);
    await vi.waitFor(() => expect(statistics).toHaveBeenCalledTimes(1));
    fails = false;
    await vi.waitFor(() => {
      figures.of(ellipse, PLACE);
      expect(changed).toHaveBeenCalled();
    });
    expect(figures.of(ellipse, PLACE)).toEqual({ state: "none", why: "empty" });
  });
});

describe("quantities by hand", () => {
  const scale: Scale = { across: 0.5, down: 2, unit: "mm", calibration: "patient" };
  it("a length, an angle and an area on pixels four times as high as wide", () => {
    // (12 x 0.5, 4 x 2) = (6, 8)
    expect(lengthOf([1, 1], [13, 5], scale).value).toBe(10);
    // Arms (4, 0) and (-3, 4) mm: cos = -12 / 20.
    expect(angleOf([8, 0], [0, 0], [-6, 2], scale).value).toBeCloseTo((Math.acos(-0.6) * 180) / Math.PI, 10);
    expect(angleOf([0, 3], [0, 0], [5, 0], scale).value).toBe(90);
    // Axes 4 and 6 mm.
    expect(ellipseArea([9, 1], [1, 4], scale).value).toBeCloseTo(6 * Math.PI, 10);
  });
  it("of points that fall together are 0", () => {
    expect(lengthOf([3, 3], [3, 3], scale).value).toBe(0);
    expect(angleOf([3, 3], [3, 3], [5, 3], scale).value).toBe(0);
    expect(ellipseArea([3, 3], [3, 9], scale).value).toBe(0);
  });
  it("a rectangle is the same from each of its corners", () => {
    for (const [a, b] of [
      [
        [1, 2],
        [4, 8],
      ],
      [
        [4, 2],
        [1, 8],
      ],
      [
        [4, 8],
        [1, 2],
      ],
    ] as [[number, number], [number, number]][])
      expect(rectOf(a, b)).toEqual([1, 2, 3, 6]);
  });
  it("are written with a digit, figures as they are", () => {
    expect(quantityText({ kind: "length", value: 50, unit: "mm", calibration: "" })).toBe("50.0 mm");
    expect(quantityText({ kind: "angle", value: 89.96, unit: "°", calibration: "" })).toBe("90.0°");
    expect([0, -1024, 12.34, 0.456, 0.0012, -0.5].map(figure)).toEqual([
      "0",
      "-1024",
      "12.3",
      "0.46",
      "0.0012",
      "-0.50",
    ]);
  });
});
