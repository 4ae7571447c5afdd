import { describe, expect, it } from "vitest";
import { type Stack, stackStepMm } from "./facts";
import type { Bounds } from "./geometry";
import { phaseText, withStack } from "./phases";
import { initialPage, settled } from "./state";
import { volumeWords } from "./words";

const WORDS = volumeWords("zh");
const STACK: Stack = {
  slices: 40,
  spacing_mm: [0.8, 0.8, 5],
  bounds_mm: [
    [0, 0, 0],
    [100, 100, 200],
  ],
  normal: [0, 0, 1],
  time_s: null,
};

describe("phases", () => {
  it("are named by number and time, by slices where no time is known, by plane where they lie across", () => {
    const timed = [
      { ...STACK, time_s: 0 },
      { ...STACK, time_s: 25.04 },
    ];
    expect(phaseText(timed, 1, WORDS)).toBe("期相 2/2 · +25 s");
    expect(phaseText([STACK, STACK], 0, WORDS)).toBe("期相 1/2 · 40 层");
    const across: Stack[] = [STACK, { ...STACK, slices: 9, normal: [0, 1, 0] }];
    expect(phaseText(across, 0, WORDS)).toBe("期相 1/2 · 40 层 · 轴位");
    expect(phaseText(across, 1, WORDS)).toBe("期相 2/2 · 9 层 · 冠状");
  });

  it("keep what is seen where they lie in the same place, and begin anew elsewhere", () => {
    const here: Bounds = { low: [0, 0, 0], high: [100, 100, 200] };
    const there: Bounds = { low: [300, 0, 0], high: [400, 100, 200] };
    const page = { ...settled(initialPage(3, "all", "bone"), here), box: here, thicknessMm: 5 };
    expect(withStack(page, 1, here, { low: [0, 0, 0.4], high: [100, 100, 200.4] })).toEqual({
      ...page,
      stack: 1,
    });
    expect(withStack(page, 1, here, null)).toEqual({ ...page, stack: 1 });
    const moved = settled(withStack(page, 1, here, there), there);
    expect(moved.crossMm).toEqual([350, 50, 100]);
    expect(moved.planes.axial.middleMm).toEqual([350, 50, 100]);
    expect(moved.camera?.focal_point).toEqual([350, 50, 100]);
    expect([moved.box, moved.thicknessMm, moved.stack]).toEqual([null, 5, 1]);
  });

  it("step by their own voxels", () => {
    expect(stackStepMm(STACK, [0, 0, -1])).toBe(5);
    expect(stackStepMm(STACK, [1, 0, 0])).toBe(0.8);
    expect(stackStepMm({ ...STACK, spacing_mm: [0.1, 0.1, 5] }, [1, 0, 0])).toBe(0.3);
  });
});
