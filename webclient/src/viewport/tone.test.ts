import { describe, expect, it } from "vitest";
import { toneFilter, toneLine } from "./tone";

/** What the CSS functions do to a grey level (Filter Effects, 9.3 and 9.5), without the clamping between. */
function drawn(filter: string, grey: number): number {
  let value = grey;
  for (const [, name, amount] of filter.matchAll(/(brightness|contrast)\(([\d.]+)\)/g)) {
    const k = Number(amount);
    value = name === "brightness" ? value * k : (value - 0.5) * k + 0.5;
  }
  return value;
}

function windowed(value: number, center: number, width: number, inverse: boolean): number {
  const u = (value - (center - width / 2)) / width;
  return inverse ? 1 - u : u;
}

describe("another window on the picture that is here", () => {
  const from = { center: 40, width: 400 };
  const targets = [
    { center: 40, width: 400 },
    { center: 40, width: 800 },
    { center: 60, width: 200 },
    { center: -200, width: 500 },
    { center: 300, width: 350 },
  ];
  for (const inverse of [false, true])
    for (const to of targets)
      it(`is the line between both windows: L${to.center} W${to.width}${inverse ? ", inverse" : ""}`, () => {
        const filter = toneFilter(toneLine(from, to, inverse));
        for (const value of [-100, 0, 40, 120, 240]) {
          const before = windowed(value, from.center, from.width, inverse);
          expect(drawn(filter, before)).toBeCloseTo(windowed(value, to.center, to.width, inverse), 2);
        }
      });
  it("is nothing for the same window", () => {
    expect(toneFilter(toneLine(from, from, false))).toBe("");
  });
});
