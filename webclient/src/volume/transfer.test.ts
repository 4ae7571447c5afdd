import { describe, expect, it } from "vitest";
import { axisOf, heightOf, opacityOf } from "./graph";
import {
  added,
  coloured,
  colourOf,
  denser,
  hexOf,
  isFunction,
  linked,
  lookAt,
  MOST_POINTS,
  moved,
  type Points,
  received,
  removed,
  sent,
  shifted,
  unlinked,
  widened,
} from "./transfer";

const BONE: Points = [
  { value: 100, opacity: 0, colour: [150, 60, 40] },
  { value: 200, opacity: 0.2, colour: [250, 160, 140] },
  { value: 400, opacity: 0.8, colour: [255, 255, 255] },
];
const values = (points: Points) => points.map((point) => point.value);

describe("points of a transfer function", () => {
  it("are moved between their neighbours only, and within 0 to 1", () => {
    expect(values(moved(BONE, 1, 150, 0.5))).toEqual([100, 150, 400]);
    expect(moved(BONE, 1, 150, 1.5)[1]?.opacity).toBe(1);
    const far = moved(BONE, 1, 900, 0.5);
    expect(far[1]?.value).toBeLessThan(400);
    expect(far[1]?.value).toBeCloseTo(400, 2);
    expect(moved(BONE, 1, -900, 0.5)[1]?.value).toBeCloseTo(100, 2);
    // The ends go where they like, but not past the others.
    expect(values(moved(BONE, 0, -1000, 0))).toEqual([-1000, 200, 400]);
    expect(isFunction(moved(BONE.slice(1), 0, 5000, 0))).toBe(true);
    expect(isFunction(moved(BONE, 2, 1e12, 0))).toBe(true);
  });

  it("are added with the colour that was there, in order, up to a limit", () => {
    const made = added(BONE, 150, 0.3);
    expect(made?.[1]).toBe(1);
    expect(made?.[0][1]).toEqual({ value: 150, opacity: 0.3, colour: [200, 110, 90] });
    expect(added(BONE, 900, 0.5)?.[0].map((point) => point.value)).toEqual([100, 200, 400, 900]);
    expect(added(BONE, -900, 0.5)?.[1]).toBe(0);
    expect(added(BONE, 200, 0.5)).toBeNull();
    const many = Array.from({ length: MOST_POINTS }, (_, index) => ({ ...BONE[0], value: index })) as Points;
    expect(added(many, 0.5, 0.5)).toBeNull();
  });

  it("are taken away down to two", () => {
    const two = removed(BONE, 1);
    expect(values(two)).toEqual([100, 400]);
    expect(removed(two, 0)).toBe(two);
  });

  it("are shifted, widened and made denser together", () => {
    expect(values(shifted(BONE, -30))).toEqual([70, 170, 370]);
    expect(values(widened(BONE, 2))).toEqual([-50, 150, 550]);
    expect(denser(BONE, 2).map((point) => point.opacity)).toEqual([0, 0.4, 1]);
    // Whatever a hand does, the server takes it.
    for (const by of [1e9, -1e9, 1e-9, 0]) {
      expect(isFunction(shifted(BONE, by))).toBe(true);
      expect(isFunction(widened(BONE, Math.abs(by)))).toBe(true);
    }
  });

  it("are looked up between and beyond", () => {
    expect(lookAt(BONE, 150)).toEqual({ value: 150, opacity: 0.1, colour: [200, 110, 90] });
    expect(lookAt(BONE, 0).opacity).toBe(0);
    expect(lookAt(BONE, 9999).opacity).toBe(0.8);
  });

  it("come back from the stream's form and from a link's", () => {
    expect(received(sent(BONE))).toEqual(BONE);
    expect(sent(BONE)[1]).toEqual([200, 0.2, [250, 160, 140]]);
    expect(unlinked(linked(BONE))).toEqual(BONE);
    expect(linked(BONE)[2]).toEqual([400, 1, 1, 1, 0.8]);
  });

  it("have colours as inputs have them", () => {
    expect(hexOf([150, 60, 4])).toBe("#963c04");
    expect(colourOf("#963c04")).toEqual([150, 60, 4]);
    expect(colourOf("red")).toEqual([0, 0, 0]);
    expect(coloured(BONE, 0, [1, 2, 3])[0]?.colour).toEqual([1, 2, 3]);
  });

  it("are no function unsorted, too few, too many or all at one place", () => {
    expect(isFunction(BONE)).toBe(true);
    expect(isFunction([...BONE].reverse())).toBe(false);
    expect(isFunction(BONE.slice(0, 1))).toBe(false);
    expect(isFunction([])).toBe(false);
    expect(isFunction(BONE.map((point) => ({ ...point, value: 5 })))).toBe(false);
  });
});

describe("the graph", () => {
  it("shows all values and all points", () => {
    const axis = axisOf({ low: -1000, high: 300 }, BONE);
    expect(axis.low).toBeCloseTo(-1042);
    expect(axis.high).toBeCloseTo(442);
    expect(axisOf({ low: 5, high: 5 }, BONE.slice(0, 1)).high).toBeGreaterThan(100);
  });

  it("gives small opacities more room", () => {
    for (const opacity of [0, 0.01, 0.25, 1]) expect(opacityOf(heightOf(opacity))).toBeCloseTo(opacity);
    expect(heightOf(0.01)).toBeCloseTo(0.1);
    expect(opacityOf(-3)).toBe(0);
    expect(opacityOf(3)).toBe(1);
  });
});
