import { createHash } from "node:crypto";
import { describe, expect, it } from "vitest";
import { accounts, memoryBudget } from "../net/memory";
import { arrayOver, byteLength, type FrameValues, type Values } from "./describe";
import { paddingOf, rangeOf } from "./modality";
import { paintColour, paintGray, reduced } from "./paint";
import { probeText } from "./pointer";
import { sha256, sha256Here } from "./sha256";
import { Shelf } from "./shelf";
import { partsOf } from "./source";
import { probeOf, statisticsOf } from "./statistics";
import { around, ValueStore } from "./store";
import { automaticWindow, choose, grayOf, windowed } from "./window";

function frame(changes: Partial<FrameValues> = {}): FrameValues {
  return {
    sha256: "",
    dtype: "i16",
    shape: [2, 3],
    photometric_interpretation: "MONOCHROME2",
    htj2k: true,
    bytes: null,
    ends: [],
    fidelity: "stored",
    bits_stored: 16,
    modality: "CT",
    rescale_slope: 1,
    rescale_intercept: -1024,
    unit: "HU",
    modality_lut: null,
    windows: [[40, 400]],
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

const table = (first: number, bits: number, values: number[]) => ({
  first_mapped: first,
  bits,
  data: Buffer.from(Uint16Array.from(values).buffer).toString("base64"),
});

describe("SHA-256", () => {
  it("is the standard's, with and without the browser's help", async () => {
    for (const length of [0, 1, 55, 56, 63, 64, 65, 1000, 4096]) {
      const data = Uint8Array.from({ length }, (_, i) => (i * 31 + length) & 255);
      const wanted = createHash("sha256").update(data).digest("hex");
      expect(Buffer.from(sha256Here(data)).toString("hex")).toBe(wanted);
      expect(await sha256(data.buffer)).toBe(wanted);
    }
  });
});

describe("windows", () => {
  it("follow PS3.3 C.11.2.1.2", () => {
    expect(windowed(40.5 - 0.5 - 199.5, 40, 400, "LINEAR")).toBeCloseTo(0);
    expect(windowed(39.5 + 199.5, 40, 400, "LINEAR")).toBeCloseTo(1);
    expect(windowed(40, 40, 400, "LINEAR_EXACT")).toBe(0.5);
    expect(windowed(40, 40, 400, "SIGMOID")).toBe(0.5);
    expect(windowed(0, 0, 1, "LINEAR")).toBe(1);
    expect(windowed(-1, 0, 1, "LINEAR")).toBe(0);
  });

  it("are chosen as the server does", () => {
    const auto = () => ({ kind: "auto", center: 1, width: 2 }) as const;
    const wish = { voi: "file", center: null, width: null, invert: false } as const;
    expect(choose(frame(), wish, auto)).toEqual({ kind: "window", center: 40, width: 400 });
    expect(choose(frame({ windows: [] }), wish, auto).kind).toBe("auto");
    expect(choose(frame({ windows: [], voi_lut: table(0, 8, [0, 255]) }), wish, auto).kind).toBe("lut");
    expect(choose(frame(), { ...wish, voi: "auto" }, auto).kind).toBe("auto");
    expect(choose(frame(), { ...wish, voi: "window", center: 5, width: 9 }, auto).center).toBe(5);
  });

  it("automatic: between the 1st and the 99th percentile, without padding", () => {
    const values = Int16Array.from({ length: 1001 }, (_, i) => i);
    const flat = frame({ shape: [1, 1001], rescale_intercept: 0, padding_value: 5000 });
    expect(automaticWindow(flat, values, rangeOf(values, null))).toEqual({
      kind: "auto",
      center: 500,
      width: 980,
    });
  });

  it("invert for MONOCHROME1, for the presentation, and for the person", () => {
    const applied = { kind: "window", center: 128, width: 256 } as const;
    const gray = (changes: Partial<FrameValues>, invert = false) =>
      grayOf(frame({ rescale_intercept: 0, ...changes }), applied, invert)(0);
    expect(gray({})).toBe(0);
    expect(gray({}, true)).toBe(255);
    expect(gray({ photometric_interpretation: "MONOCHROME1" })).toBe(255);
    expect(gray({ photometric_interpretation: "MONOCHROME1", inverse: true })).toBe(0);
    expect(gray({ inverse: true }, true)).toBe(0);
  });

  it("use the file's tables", () => {
    const meaning = frame({
      windows: [],
      modality_lut: table(10, 16, [100, 200]),
      voi_lut: table(
        100,
        8,
        Array.from({ length: 101 }, (_, i) => (i === 100 ? 255 : 0)),
      ),
    });
    const gray = grayOf(meaning, { kind: "lut", center: null, width: null }, false);
    expect([gray(10), gray(11), gray(99)]).toEqual([0, 255, 255]);
  });
});

describe("padding", () => {
  it("is read in the stored type and is no value", () => {
    const padded = frame({ padding_value: 63536 });
    expect(paddingOf(padded, "i16")).toEqual([-2000, -2000]);
    expect(paddingOf(frame({ padding_value: -1 }), "u8")).toEqual([255, 255]);
    const values = Int16Array.from([-2000, 0, 100, 200, -2000, 50]);
    expect(rangeOf(values, [-2000, -2000])).toEqual({ low: 0, high: 200, padded: true });
    const whole = statisticsOf(padded, values, [0, 0, 3, 2]);
    expect(whole?.count).toBe(4);
    expect(whole?.minimum).toBe(-1024);
    expect(probeOf(padded, values, 0, 0)?.value).toBeNull();
    const pixels = paintGray(
      padded,
      values,
      3,
      2,
      rangeOf(values, [-2000, -2000]),
      { kind: "window", center: -924, width: 200 },
      false,
    );
    expect(pixels.rgba[0]).toBe(0);
    expect([...reduced(padded, values, rangeOf(values, [-2000, -2000]), 2)]).toEqual([50, 75]);
  });

  it("of a frame that has nothing else is shown", () => {
    expect(rangeOf(Int16Array.from([7, 7]), [7, 7])).toEqual({ low: 7, high: 7, padded: false });
  });
});

describe("pictures", () => {
  it("of wide and float values keep their order", () => {
    for (const values of [
      Float32Array.from([Number.NaN, -1e6, 0, 1e6, 5e5, 2]),
      Int32Array.from([-1e6, -1e6, 0, 1e6, 5e5, 2]),
    ] as Values[]) {
      const wide = frame({ dtype: values instanceof Int32Array ? "i32" : "f32", rescale_intercept: 0 });
      const range = rangeOf(values, null);
      expect(range).toEqual({ low: -1e6, high: 1e6, padded: false });
      const { rgba } = paintGray(wide, values, 3, 2, range, { kind: "window", center: 0, width: 2e6 }, false);
      expect([rgba[4], rgba[12], rgba[16]]).toEqual([0, 255, 191]);
    }
  });

  it("of colours: RGB, stored YBR, 16 bits and palettes", () => {
    const none = { kind: "none", center: null, width: null } as const;
    const colours = (changes: Partial<FrameValues>, values: Values, invert = false) => [
      ...paintColour(
        frame({ shape: [1, 1, 3], dtype: "u8", bits_stored: 8, ...changes }),
        values,
        none,
        invert,
      ).rgba,
    ];
    expect(colours({}, Uint8Array.of(1, 2, 3))).toEqual([1, 2, 3, 255]);
    expect(colours({}, Uint8Array.of(1, 2, 3), true)).toEqual([254, 253, 252, 255]);
    expect(
      colours({ photometric_interpretation: "YBR_FULL" }, Uint8Array.of(100, 128, 228)).slice(0, 3),
    ).toEqual([240, 29, 100]);
    expect(colours({ dtype: "u16", bits_stored: 16 }, Uint16Array.of(65535, 257, 0)).slice(0, 3)).toEqual([
      255, 1, 0,
    ]);
    const ramp = table(0, 16, [0, 65535]);
    const palette = { shape: [1, 1], palette: [ramp, ramp, table(0, 8, [7, 9])] } as const;
    expect(colours(palette, Uint8Array.of(1)).slice(0, 3)).toEqual([255, 255, 9]);
  });
});

describe("figures", () => {
  const values = Int16Array.from([1024, 1034, 1044, 1054, 1064, 1074]);
  it("are those of modality values", () => {
    expect(statisticsOf(frame(), values, [0, 0, 3, 2])).toEqual({
      count: 6,
      mean: 25,
      standardDeviation: Math.sqrt(1750 / 6),
      minimum: 0,
      maximum: 50,
      unit: "HU",
    });
    expect(statisticsOf(frame(), values, [0, 0, 1, 1])?.count).toBe(1);
    const disc = statisticsOf(frame({ shape: [10, 10] }), new Int16Array(100), [0, 0, 10, 10], "ellipse");
    expect(disc?.count).toBe(80);
    expect(statisticsOf(frame(), values, [9, 9, 3, 2])).toBeNull();
  });
  it("name the pixel and its unit", () => {
    const probe = probeOf(frame(), values, 1.9, 1.2);
    expect(probe).toMatchObject({ x: 1, y: 1, stored: [1064], value: 40, unit: "HU" });
    expect(probe && probeText(probe)).toBe("(1, 1) 40 HU");
    expect(probe && probeText({ ...probe, value: 18_100, unit: "BQML" }, 2.7634e-4)).toBe(
      "(1, 1) 18100 BQML · SUV 5.00",
    );
    expect(probeOf(frame(), values, 3, 0)).toBeNull();
  });
});

describe("shelf", () => {
  it("keeps only what has the server's hash", async () => {
    const shelf = new Shelf();
    const values = Int16Array.from([1, 2, 3, 4, 5, 6]);
    const digest = createHash("sha256").update(Buffer.from(values.buffer)).digest("hex");
    const keep = (hash: string) => ({
      op: "keep" as const,
      key: "1/0",
      frame: frame({ sha256: hash }),
      coding: "raw" as const,
      level: 0,
      data: values.buffer.slice(0),
    });
    await expect(shelf.answer(keep("0".repeat(64)))).rejects.toThrow("values: hash");
    await expect(shelf.answer({ op: "digest", key: "1/0" })).rejects.toThrow("values: not kept");
    await shelf.answer(keep(digest));
    expect(await shelf.answer({ op: "digest", key: "1/0" })).toBe(digest);
    await shelf.answer({ op: "drop", keys: ["1/0"] });
    await expect(shelf.answer({ op: "digest", key: "1/0" })).rejects.toThrow("values: not kept");
  });
  it("refuses another length", () => {
    expect(() => arrayOver(frame(), new ArrayBuffer(11))).toThrow();
    expect(byteLength(frame({ dtype: "f64" }))).toBe(48);
  });
});

describe("memory", () => {
  it("stays within 300 MB, and 120 MB on a small device", () => {
    const decoder = 50 * 1024 * 1024;
    for (const [memory, coarse, most] of [
      [8, false, 300],
      [2, true, 120],
      [undefined, true, 120],
      [undefined, false, 300],
      [4, true, 300],
    ] as const) {
      const budget = memoryBudget(memory, coarse);
      const sum = budget.previews + budget.tiles + budget.values + budget.workers * decoder;
      expect(budget.total).toBe(most * 1024 * 1024);
      expect(sum).toBeLessThanOrEqual(budget.total);
    }
    expect(accounts.size).toBe(0);
  });

  it("holds the nearest of 3,000 slices within the budget", () => {
    const bytes = 512 * 512 * 2;
    const store = new ValueStore(memoryBudget(8, false).values);
    const gone = new Set<string>();
    for (let index = 0; index < 3000; index += 1) {
      const key = `1/${index}`;
      for (const one of store.put({ key, series: 1, frame: index, bytes }, 1, index)) gone.add(one);
      expect(store.usedBytes).toBeLessThanOrEqual(store.budget);
    }
    expect(store.size).toBe(192);
    expect(gone.size).toBe(3000 - 192);
    expect(store.has("1/2999") && store.has("1/2808") && !store.has("1/2807")).toBe(true);
    expect(store.put({ key: "2/0", series: 2, frame: 0, bytes }, 2, 0)).toEqual(["1/2808"]);
    expect(store.forget(1).length).toBe(191);
    expect(store.usedBytes).toBe(bytes);
  });

  it("fetches nearest first, in the direction of travel", () => {
    expect(around(5, 10, 1, 2)).toEqual([5, 6, 4, 7, 3]);
    expect(around(5, 10, -1, 2)).toEqual([5, 4, 6, 3, 7]);
    expect(around(0, 2, 1, 3)).toEqual([0, 1]);
  });

  it("shows long codestreams by their first resolutions", () => {
    const ends = [10, 20, 30, 40, 50, 60];
    expect(partsOf(frame({ shape: [3000, 3000], ends }))).toEqual([
      [40, 2],
      [50, 1],
    ]);
    expect(partsOf(frame({ ends }))).toEqual([]);
    expect(partsOf(frame({ shape: [3000, 3000] }))).toEqual([]);
  });
});
