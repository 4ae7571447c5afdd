import { describe, expect, it } from "vitest";
import { parseScreen, screenText } from "../viewport/serial";
import { initialState, screenOf } from "../viewport/state";
import { cuts, FACES, faceAt, trimmed } from "./box";
import { CrossLines, crossAt } from "./cross";
import { type Bounds, dot, normalOf, turnedPlane } from "./geometry";
import { History } from "./history";
import {
  centerOf,
  fusedWithin,
  initialPage,
  isWhole,
  lineOf,
  type PageState,
  PLANES,
  pageOfScreen,
  resetPage,
  screenOfPage,
  settled,
  withPlane,
} from "./state";

const BOUNDS: Bounds = { low: [-100, -50, 0], high: [100, 150, 60] };
const PAGE = settled(initialPage(7, "all", "bone"), BOUNDS);
const FIELDS = { axial: 200, coronal: 201, sagittal: 202, volume: 203 };

function turnedAbout(page: PageState, plane: "axial" | "coronal" | "sagittal", angle: number): PageState {
  const axis = normalOf(page.planes[plane]);
  return PLANES.filter((other) => other !== plane).reduce(
    (next, other) => withPlane(next, other, turnedPlane(next.planes[other], axis, angle)),
    page,
  );
}

describe("page", () => {
  it("is in the middle of the volume when its place is known, and keeps what it has", () => {
    expect(PAGE.crossMm).toEqual([0, 50, 30]);
    expect(PAGE.camera?.focal_point).toEqual([0, 50, 30]);
    const moved = { ...PAGE, crossMm: [1, 2, 3] as const };
    expect(settled(moved, BOUNDS)).toEqual(moved);
  });

  it("moves the middle of a picture with the depth of the crossing point only", () => {
    const moved: PageState = { ...PAGE, crossMm: [40, 60, 12] };
    expect(centerOf(moved, "axial")).toEqual([0, 50, 12]);
    expect(centerOf(moved, "coronal")).toEqual([0, 60, 30]);
    expect(centerOf(moved, "sagittal")).toEqual([40, 50, 30]);
    expect(centerOf(initialPage(7, "all", "bone"), "axial")).toBeNull();
  });

  it("keeps preset and what is on screen at a reset, nothing else", () => {
    const changed: PageState = {
      ...PAGE,
      thicknessMm: 10,
      box: BOUNDS,
      crossMm: [1, 2, 3],
      transfer: "lung",
    };
    expect(settled(resetPage(changed), BOUNDS)).toEqual({ ...PAGE, transfer: "lung" });
    expect(resetPage({ ...changed, stack: 1, points: [] })).toMatchObject({ stack: 1, points: null });
  });
});

describe("a screen of the page", () => {
  const page: PageState = {
    ...turnedAbout(turnedAbout(PAGE, "axial", 0.3), "coronal", -0.2),
    shown: "sagittal",
    crossMm: [12.25, 40.5, 20],
    thicknessMm: 10,
    projection: "minimum",
    window: { center: -600, width: 1500 },
    invert: true,
    cameraFieldMm: 321.5,
    transfer: "airway",
    box: { low: [-50, -20, 10], high: [60, 100, 50] },
    cuts: [{ kind: "brush", centersMm: [1, 2, 3], radiusMm: 5 }],
    slices: true,
  };

  it("brings back the same page through the text of a link", () => {
    const screen = screenOfPage(3, page, FIELDS);
    const back = pageOfScreen(
      parseScreen(screenText(screen as NonNullable<typeof screen>)) as never,
    ) as PageState;
    expect(back).toMatchObject({
      series: 7,
      shown: "sagittal",
      thicknessMm: 10,
      projection: "minimum",
      window: page.window,
      invert: true,
      cameraFieldMm: 321.5,
      transfer: "airway",
      box: page.box,
      cuts: page.cuts,
      slices: true,
    });
    for (const axis of [0, 1, 2] as const)
      expect(back.crossMm?.[axis]).toBeCloseTo(page.crossMm?.[axis] ?? 0, 5);
    for (const plane of PLANES) {
      expect(dot(back.planes[plane].right, page.planes[plane].right)).toBeCloseTo(1, 7);
      const [one, other] = [centerOf(back, plane), centerOf(page, plane)];
      for (const axis of [0, 1, 2] as const) expect(one?.[axis]).toBeCloseTo(other?.[axis] ?? 0, 5);
    }
  });

  it("carries phase, own transfer function, what is fused within, and the images' measurements", () => {
    const points = [
      { value: -500.5, opacity: 0.01, colour: [10, 20, 30] },
      { value: 250, opacity: 0.75, colour: [255, 128, 0] },
    ] as const;
    const fused = { series: 9, colourMap: "hot", opacity: 0.6, windowCenter: null, windowWidth: null };
    const own: PageState = { ...page, stack: 2, points, transfer: "lung", fused, fusedWithin: true };
    const note = {
      kind: "probe",
      sopInstanceUid: "1.2.3",
      frameNumber: 1,
      points: [[4, 5]],
      text: "",
    } as const;
    const through = (state: PageState) => {
      const screen = screenOfPage(3, state, FIELDS, [note]) as NonNullable<ReturnType<typeof screenOfPage>>;
      const parsed = parseScreen(screenText(screen)) as typeof screen;
      expect(parsed.measurements).toEqual([note]);
      return pageOfScreen(parsed);
    };
    expect(through(own)).toMatchObject({ stack: 2, points, transfer: "lung", fused, fusedWithin: true });
    expect(through({ ...own, fusedWithin: false })).toMatchObject({ fused, fusedWithin: false });
    expect(through({ ...own, points: null })).toMatchObject({ points: null, transfer: "lung" });
    expect(screenOfPage(3, PAGE, FIELDS)).not.toHaveProperty("measurements");
  });

  it("shows nothing within the largest values, but within points that began as theirs", () => {
    const fused = { series: 9, colourMap: "hot", opacity: 0.6, windowCenter: null, windowWidth: null };
    const whole: PageState = { ...PAGE, transfer: "mip", fused };
    expect([isWhole(whole), fusedWithin(whole)]).toEqual([true, null]);
    expect(isWhole({ ...whole, points: [] })).toBe(false);
    expect(fusedWithin({ ...whole, transfer: "bone" })).toEqual(fused);
    expect(fusedWithin({ ...whole, transfer: "bone", fusedWithin: false })).toBeNull();
  });

  it("tells four pictures from one, and there is none before the volume's place is known", () => {
    const all = screenOfPage(3, PAGE, FIELDS);
    expect(all?.layout).toEqual({ rows: 2, columns: 2 });
    expect(pageOfScreen(all as NonNullable<typeof all>)?.shown).toBe("all");
    expect(screenOfPage(3, initialPage(7, "all", "bone"), FIELDS)).toBeNull();
  });

  it("is refused where it is another screen, of two series, or of planes that are not across each other", () => {
    expect(pageOfScreen(screenOf(3, initialState(7, 0)))).toBeNull();
    const screen = screenOfPage(3, PAGE, FIELDS) as NonNullable<ReturnType<typeof screenOfPage>>;
    const [axial, coronal, sagittal, volume] = screen.views;
    const other = { ...screen, views: [axial, coronal, sagittal, { ...volume, series: 8 }] };
    expect(pageOfScreen(other as typeof screen)).toBeNull();
    expect(pageOfScreen({ ...screen, views: [axial, coronal, coronal, volume] } as typeof screen)).toBeNull();
  });
});

describe("lines", () => {
  const SIZE = { width: 200, height: 400 };
  const placed = (page: PageState) => ({
    ...page.planes.axial,
    middle: centerOf(page, "axial") as [number, number, number],
    heightMm: 200,
  });

  it("cross where the point is: half a millimetre a px", () => {
    const page: PageState = { ...PAGE, crossMm: [10, 40, 30] };
    expect(crossAt(page, SIZE, placed(page))).toEqual([120, 180]);
  });

  it("lie along the picture until they are turned, then by the same angle and across each other", () => {
    expect(lineOf(PAGE, "sagittal", "axial").map(Math.abs)).toEqual([0, 1]);
    expect(lineOf(PAGE, "coronal", "axial").map(Math.abs)).toEqual([1, 0]);
    const page = turnedAbout(PAGE, "axial", 0.25);
    const [x, y] = lineOf(page, "coronal", "axial");
    expect(Math.abs(Math.atan(y / x))).toBeCloseTo(0.25);
    const [u, v] = lineOf(page, "sagittal", "axial");
    expect(x * u + y * v).toBeCloseTo(0);
    // The axial picture itself stays; the three planes are still across each other.
    expect(page.planes.axial).toEqual(PAGE.planes.axial);
    expect(dot(normalOf(page.planes.coronal), normalOf(page.planes.sagittal))).toBeCloseTo(0);
  });

  it("are found under a pointer: the point, a line, its end", () => {
    const lines = Object.create(CrossLines.prototype) as CrossLines;
    Object.assign(lines, { plane: "axial", others: ["coronal", "sagittal"] });
    const find = (x: number, y: number) => lines.grab(PAGE, SIZE, placed(PAGE), x, y, 8);
    expect(find(103, 202)).toEqual({ what: "cross" });
    expect(find(135, 204)).toEqual({ what: "line", plane: "coronal" });
    expect(find(97, 240)).toEqual({ what: "line", plane: "sagittal" });
    expect(find(100, 200 - 72)).toEqual({ what: "turn" });
    expect(find(150, 250)).toBeNull();
    expect(lines.angle(PAGE, SIZE, placed(PAGE), 150, 200, 100, 250)).toBeCloseTo(Math.PI / 2);
  });
});

describe("box", () => {
  it("is cut by a tenth at each side, and whole again", () => {
    const low = trimmed(BOUNDS, FACES[0]?.[1] as never, 0.1, BOUNDS);
    expect(low).toEqual({ low: [-80, -50, 0], high: [100, 150, 60] });
    expect(cuts(low, BOUNDS)).toBe(true);
    expect(trimmed(low, FACES[0]?.[1] as never, -0.1, BOUNDS)).toEqual(BOUNDS);
    expect(cuts(BOUNDS, BOUNDS)).toBe(false);
  });

  it("stays in the volume and at least 5 mm thick", () => {
    expect(faceAt(BOUNDS, { axis: 2, end: "high" }, -500, BOUNDS).high[2]).toBe(5);
    expect(faceAt(BOUNDS, { axis: 2, end: "high" }, 500, BOUNDS).high[2]).toBe(60);
    expect(faceAt(BOUNDS, { axis: 1, end: "low" }, 500, BOUNDS).low[1]).toBe(145);
  });
});

describe("history", () => {
  it("takes back a gesture as one step, and does it again", () => {
    const history = new History();
    const steps = [0, 5, 10].map((thicknessMm): PageState => ({ ...PAGE, thicknessMm }));
    history.note(steps[0] as PageState, steps[1] as PageState);
    history.note(steps[1] as PageState, steps[2] as PageState);
    history.rest();
    const shown: PageState = { ...(steps[2] as PageState), shown: "volume" };
    expect(history.undo(shown)).toEqual({ ...steps[0], shown: "volume" });
    expect(history.canUndo).toBe(false);
    expect(history.redo(steps[0] as PageState)?.thicknessMm).toBe(10);
  });

  it("does not know of moving through the volume or of another picture on screen", () => {
    const history = new History();
    history.note(PAGE, { ...PAGE, crossMm: [1, 2, 3], shown: "axial" });
    expect(history.canUndo).toBe(false);
  });
});
