import { describe, expect, it } from "vitest";
import type { Manifest, SeriesEntry } from "../viewer/manifest";
import {
  densityOf,
  laid,
  nameOf,
  overlayFields,
  overlaysOf,
  spanOf,
  spanText,
  suvRefused,
  usual,
  withSpan,
} from "./fusion";
import { volumeWords } from "./words";

const entry = (series: number, modality: string, frame_count = 100): SeriesEntry => ({
  series,
  version: 1,
  modality,
  number: series,
  frame_count,
  body_part: "",
  description: "",
});
const [CT, PT, MR] = [entry(1, "CT"), entry(2, "PT"), entry(3, "MR")];

describe("the second series", () => {
  it("is shown from SUV 0 to 5 where its file has no window and its SUV is known", () => {
    const fused = laid(null, 2);
    const auto = { window_center: 900, window_width: 1800, voi: "auto" };
    const pet = { suv: { factor: 0.001, reason: "" } } as Manifest;
    expect(usual(fused, auto, pet)).toEqual({ ...fused, windowCenter: 2500, windowWidth: 5000 });
    expect(usual(fused, { ...auto, voi: "window" }, pet)).toBeNull();
    expect(usual(withSpan(fused, { low: 0, high: 9 }), auto, pet)).toBeNull();
    expect(usual(fused, auto, { suv: { factor: null, reason: "dose" } } as Manifest)).toBeNull();
    expect(usual(fused, auto, undefined)).toBeNull();
    expect(usual(fused, null, pet)).toBeNull();
  });
  it("is told as fields of a view, with its own window where one was chosen", () => {
    const fused = laid(null, 2);
    expect(overlayFields(fused)).toEqual({ overlay: 2, colour_map: "hot" });
    expect(overlayFields({ ...fused, windowCenter: 5, windowWidth: 10 })).toEqual({
      overlay: 2,
      colour_map: "hot",
      overlay_voi: "window",
      overlay_window_center: 5,
      overlay_window_width: 10,
    });
    expect([densityOf(0), densityOf(0.6), densityOf(1)]).toEqual([0, 0.18, 0.5]);
  });
  it("is of another kind, a PET first, and nothing lies over a PET", () => {
    expect(overlaysOf(CT, [CT, MR, entry(4, "CT"), entry(5, "PT", 3), PT])).toEqual([PT, MR]);
    expect(overlaysOf(PT, [CT, PT])).toEqual([]);
  });
  it("keeps colours and opacity of the one before, not its window", () => {
    const before = { series: 9, colourMap: "cool", opacity: 0.3, windowCenter: 5, windowWidth: 10 };
    expect(laid(before, 2)).toEqual({
      series: 2,
      colourMap: "cool",
      opacity: 0.3,
      windowCenter: null,
      windowWidth: null,
    });
  });
  it("has a name that fits a button", () => {
    expect(nameOf({ ...PT, description: "FDG" })).toBe("PT 2 · FDG");
    expect(nameOf({ ...PT, description: "x".repeat(50) })).toHaveLength(24);
  });
});

describe("its window", () => {
  const fused = laid(null, 2);
  it("is the server's until one is chosen", () => {
    expect(spanOf(fused, null)).toBeNull();
    expect(spanOf(fused, { window_center: 5000, window_width: 10_000 })).toEqual({ low: 0, high: 10_000 });
    expect(spanOf(withSpan(fused, { low: 0, high: 20_000 }), { window_center: 1, window_width: 2 })).toEqual({
      low: 0,
      high: 20_000,
    });
  });
  it("is told as SUV where there is a factor, else in the values' unit", () => {
    expect(spanText({ low: 0, high: 18_094 }, 2.7634e-4)).toBe("SUV 0–5");
    expect(spanText({ low: 0, high: 18_094 }, null, "BQML")).toBe("0–18090 BQML");
    expect(spanText({ low: -0.02, high: 21_700 }, 2.7634e-4)).toBe("SUV 0–6");
  });
  it("says why there is no SUV", () => {
    const manifest = { suv: { factor: null, reason: "weight" } } as Manifest;
    expect(suvRefused(manifest, volumeWords("zh"))).toBe("无法计算 SUV：缺少体重");
    expect(suvRefused({ suv: { factor: 1, reason: "" } } as Manifest, volumeWords("en"))).toBe("");
    expect(suvRefused(undefined, volumeWords("en"))).toBe("");
  });
});
