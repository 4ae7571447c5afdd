import { describe, expect, it } from "vitest";
import { imageToScreen, multiply, through } from "./placement";
import { initialState, type ViewState } from "./state";
import {
  baseView,
  levelFor,
  type Rect,
  snapped,
  tileRect,
  tileSize,
  tilesOf,
  visibleRect,
  visibleThenRing,
  wantsTiles,
} from "./tiles";

const DX = { columns: 3000, rows: 2400, aspect: 1 };
const PHONE = { width: 390, height: 780 };
const start = initialState(1, 0);

function at(zoom: number, more: Partial<ViewState> = {}): ViewState {
  return { ...start, zoom, ...more };
}

describe("which tiles", () => {
  it("wants them of large images that are zoomed", () => {
    expect(wantsTiles(at(1), DX)).toBe(false);
    expect(wantsTiles(at(2), DX)).toBe(true);
    expect(wantsTiles(at(2), { columns: 1500, rows: 1500, aspect: 1 })).toBe(false);
    expect(baseView(at(3, { centerX: 0.2 }), DX)).toEqual(at(1));
    const small = { columns: 512, rows: 512, aspect: 1 };
    expect(baseView(at(3), small)).toEqual(at(3));
  });

  it("takes the level that has a pixel for each of the screen's", () => {
    const level = (zoom: number, ratio: number) => levelFor(imageToScreen(at(zoom), DX, PHONE), ratio);
    // 3000 columns on 390 CSS px: 7.7 image pixels for each.
    expect(level(1, 1)).toBe(2);
    expect(level(1, 3)).toBe(1);
    expect(level(3000 / 390, 1)).toBe(0);
    expect(level(3000 / 390 / 2, 1)).toBe(1);
    expect(level(16, 3)).toBe(0);
  });

  it("sees what the stage shows, cut at the image's edge", () => {
    const whole = visibleRect(imageToScreen(at(1), DX, PHONE), PHONE, DX) as Rect;
    for (const [index, value] of [0, 0, 3000, 2400].entries()) expect(whole[index]).toBeCloseTo(value);
    const rect = visibleRect(imageToScreen(at(3000 / 390), DX, PHONE), PHONE, DX) as Rect;
    for (const [index, value] of [1500 - 195, 1200 - 390, 390, 780].entries())
      expect(rect[index]).toBeCloseTo(value);
    const turned = visibleRect(imageToScreen(at(8, { rotation: 90 }), DX, PHONE), PHONE, DX) as Rect;
    expect(turned[2]).toBeGreaterThan(turned[3]);
  });

  it("has every visible tile once, the middle first, then the ring, and nothing outside the image", () => {
    const rect: Rect = [1305, 810, 390, 780];
    const { visible, ring } = visibleThenRing(rect, 0, 512, DX);
    expect(visible.map((tile) => [tile.column, tile.row]).sort()).toEqual(
      [2, 3].flatMap((column) => [1, 2, 3].map((row) => [column, row])).sort(),
    );
    expect([visible[0]?.column, visible[0]?.row]).toEqual([2, 2]);
    expect(visible.length + ring.length).toBe(4 * 5);
    const corner = visibleThenRing([0, 0, 100, 100], 0, 512, DX);
    expect(corner.visible).toEqual([{ level: 0, column: 0, row: 0 }]);
    expect(corner.ring.length).toBe(3);
    expect(tilesOf([2900, 2300, 100, 100], 1, 512, DX, 1).every((t) => t.column <= 2 && t.row <= 2)).toBe(
      true,
    );
  });

  it("cuts the last ones at the edge and joins without gap", () => {
    expect(tileRect({ level: 0, column: 5, row: 4 }, 512, DX)).toEqual([2560, 2048, 440, 352]);
    expect(tileRect({ level: 2, column: 1, row: 1 }, 512, DX)).toEqual([2048, 2048, 952, 352]);
  });

  it("takes small tiles on small screens", () => {
    expect(tileSize(PHONE, 1)).toBe(256);
    expect(tileSize(PHONE, 2.77)).toBe(512);
  });
});

describe("drawing", () => {
  it("meets at whole device pixels in every orientation", () => {
    for (const rotation of [0, 90, 180, 270] as const) {
      for (const flipHorizontal of [false, true]) {
        const view = at(2.37, { rotation, flipHorizontal, centerX: 0.41 });
        const toDevice = multiply([2.77, 0, 0, 2.77, 0, 0], imageToScreen(view, DX, PHONE));
        const left = tileRect({ level: 0, column: 1, row: 1 }, 512, DX);
        const right = tileRect({ level: 0, column: 2, row: 1 }, 512, DX);
        const edge = through(snapped(toDevice, left), left[0] + left[2], left[1]);
        const next = through(snapped(toDevice, right), right[0], right[1]);
        for (const axis of [0, 1] as const) {
          expect(edge[axis]).toBeCloseTo(next[axis], 6);
          expect(edge[axis]).toBeCloseTo(Math.round(edge[axis] ?? 0), 6);
          expect(
            Math.abs((edge[axis] ?? 0) - (through(toDevice, right[0], right[1])[axis] ?? 0)),
          ).toBeLessThan(0.51);
        }
      }
    }
  });
});
