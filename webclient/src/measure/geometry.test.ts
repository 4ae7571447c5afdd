import { describe, expect, test } from "vitest";
import type { FrameInfo } from "../viewer/manifest";
import { imageToScreen, inverted, through } from "../viewport/placement";
import { initialState, type ViewState } from "../viewport/state";
import { Draft } from "./draft";
import { angleOf, ellipseArea, lengthOf, rectOf, scaleAt } from "./geometry";
import { distanceToChain, handlesOf, moved, outlineOf, withHandle } from "./shapes";

const info = (more: Partial<FrameInfo>): FrameInfo =>
  ({ rows: 100, columns: 200, spacing_mm: null, calibration: "", ...more }) as FrameInfo;
const section = info({ spacing_mm: [2, 0.5], calibration: "patient", pixel_aspect: 4 });

test("pixels that are not square: rows and columns count by their own spacing", () => {
  const scale = scaleAt(section, []);
  expect(lengthOf([0, 0], [80, 0], scale).value).toBe(40);
  expect(lengthOf([0, 0], [0, 20], scale).value).toBe(40);
  expect(lengthOf([10, 10], [90, 25], scale)).toEqual({
    kind: "length",
    value: 50,
    unit: "mm",
    calibration: "patient",
  });
  // 45 degrees in the patient, not on the grid.
  expect(angleOf([40, 0], [0, 0], [40, 10], scale).value).toBeCloseTo(45, 10);
  expect(ellipseArea([0, 0], [20, 5], scale).value).toBeCloseTo(25 * Math.PI, 10);
});

test("angles near 0 and 180 degrees are exact", () => {
  const scale = scaleAt(section, []);
  expect(angleOf([10, 0], [0, 0], [20, 0], scale).value).toBe(0);
  expect(angleOf([-10, 0], [0, 0], [20, 0], scale).value).toBe(180);
});

test("no millimetres without a spacing", () => {
  const scale = scaleAt(info({ pixel_aspect: 1 }), []);
  expect(lengthOf([0, 0], [3, 4], scale)).toMatchObject({ value: 5, unit: "px", calibration: "" });
  expect(ellipseArea([0, 0], [2, 2], scale).unit).toBe("px²");
});

describe("ultrasound regions", () => {
  const sound = info({
    spacing_mm: [9, 9],
    calibration: "patient",
    regions: [
      [0, 0, 199, 99, 0.5, 0.25],
      [150, 0, 199, 99, null, null],
    ],
  });
  test("a length inside a plane has its millimetres", () => {
    expect(
      lengthOf(
        [0, 0],
        [100, 0],
        scaleAt(sound, [
          [0, 0],
          [100, 0],
        ]),
      ),
    ).toMatchObject({
      value: 50,
      calibration: "region",
    });
  });
  test("in a region that is no plane, and across its edge to outside, there are none", () => {
    expect(
      scaleAt(sound, [
        [160, 10],
        [170, 10],
      ]).unit,
    ).toBe("px");
    expect(
      scaleAt(sound, [
        [10, 10],
        [300, 10],
      ]).unit,
    ).toBe("px");
  });
});

test("turned, flipped and zoomed a measurement lies on the same pixels", () => {
  const image = { columns: 200, rows: 100, aspect: 4 };
  const box = { width: 390, height: 600 };
  for (const rotation of [0, 90, 180, 270] as const)
    for (const flipHorizontal of [false, true]) {
      const view: ViewState = { ...initialState(1, 0), rotation, flipHorizontal, zoom: 3, centerX: 0.4 };
      const matrix = imageToScreen(view, image, box);
      const [a, b] = [through(matrix, 10, 20), through(matrix, 90, 35)];
      const [back, other] = [through(inverted(matrix), ...a), through(inverted(matrix), ...b)];
      expect(lengthOf(back, other, scaleAt(section, [])).value).toBeCloseTo(50, 8);
    }
});

const of = { sopInstanceUid: "1.2.3", frameNumber: 1 };
const distance = (a: readonly [number, number], b: readonly [number, number]) =>
  Math.hypot(a[0] - b[0], a[1] - b[1]);

describe("making", () => {
  test("a drag is a length", () => {
    const draft = new Draft("length", distance);
    draft.begin([1, 1]);
    draft.move([11, 1]);
    expect(draft.end()).toBe("done");
    expect(draft.of(of).points).toEqual([
      [1, 1],
      [11, 1],
    ]);
  });
  test("two taps are a length; a second one within 3 px is none", () => {
    const draft = new Draft("length", distance);
    for (const [at, outcome] of [
      [[1, 1], "waiting"],
      [[2, 1], "waiting"],
      [[9, 1], "done"],
    ] as const) {
      draft.begin(at);
      expect(draft.end()).toBe(outcome);
    }
  });
  test("a drag of under 3 px is nothing", () => {
    const draft = new Draft("ellipse", distance);
    draft.begin([1, 1]);
    draft.move([3, 2]);
    expect(draft.end()).toBe("nothing");
  });
  test("an angle is a drag and a tap, its vertex in the middle", () => {
    const draft = new Draft("angle", distance);
    draft.begin([0, 0]);
    draft.move([10, 0]);
    expect(draft.end()).toBe("waiting");
    draft.begin([10, 10]);
    expect(draft.end()).toBe("done");
    expect(draft.points[1]).toEqual([10, 0]);
  });
  test("a second finger takes back what the first one began, and only that", () => {
    const draft = new Draft("angle", distance);
    draft.begin([0, 0]);
    expect(draft.abort()).toBe(true);
    const further = new Draft("angle", distance);
    further.begin([0, 0]);
    further.end();
    further.begin([9, 0]);
    expect(further.abort()).toBe(false);
    expect(further.points).toEqual([[0, 0]]);
  });
});

test("an ellipse is held at four corners; the opposite one stays", () => {
  const ellipse = {
    kind: "ellipse",
    ...of,
    points: [
      [0, 0],
      [10, 20],
    ],
    text: "",
  } as const;
  expect(handlesOf(ellipse)).toHaveLength(4);
  const larger = withHandle(ellipse, 1, [30, -5]);
  expect(rectOf(larger.points[0] ?? [0, 0], larger.points[1] ?? [0, 0])).toEqual([0, -5, 30, 25]);
  expect(distanceToChain([5, -0.5], outlineOf(ellipse, [1, 0, 0, 1, 0, 0]))).toBeCloseTo(0.5, 1);
  expect(moved(ellipse, [-50, 5], 100, 100).points).toEqual([
    [0, 5],
    [10, 25],
  ]);
});
