import { describe, expect, it, test } from "vitest";
import {
  clampCenter,
  imageToScreen,
  inverted,
  type Matrix,
  multiply,
  panBy,
  pictureToImage,
  through,
  toImageAxes,
  toScreenAxes,
  zoomAt,
} from "./placement";
import { flipped, initialState, type ViewState } from "./state";

const start = initialState(1, 0);
const IMAGE = { columns: 400, rows: 300, aspect: 1 };
const BOX = { width: 390, height: 600 };

/** All sixteen ways to lay an image. */
function* layouts(): Generator<ViewState> {
  for (const rotation of [0, 90, 180, 270] as const)
    for (const flipHorizontal of [false, true])
      for (const flipVertical of [false, true]) yield { ...start, rotation, flipHorizontal, flipVertical };
}

function expectClose(actual: Matrix, wanted: Matrix): void {
  actual.forEach((value, index) => {
    expect(value).toBeCloseTo(wanted[index] ?? 0, 6);
  });
}

test("screen axes undo image axes for every rotation and flip", () => {
  for (const view of layouts()) expect(toScreenAxes(view, ...toImageAxes(view, 3, -5))).toEqual([3, -5]);
});

test("a flip is of what is seen: on a turned picture of the other image axis", () => {
  expect(flipped(start, "horizontal").flipHorizontal).toBe(true);
  const turned = flipped({ ...start, rotation: 90 }, "horizontal");
  expect([turned.flipHorizontal, turned.flipVertical]).toEqual([false, true]);
});

test("a matrix times its inverse moves nothing", () => {
  const matrix: Matrix = [2, 0.5, -1, 3, 7, -4];
  expectClose(multiply(matrix, inverted(matrix)), [1, 0, 0, 1, 0, 0]);
});

describe("image to screen", () => {
  it("fits the image and centres it", () => {
    const matrix = imageToScreen(start, IMAGE, BOX);
    expect(through(matrix, 0, 0)[0]).toBeCloseTo(0);
    expect(through(matrix, 400, 300)[0]).toBeCloseTo(390);
    expect(through(matrix, 200, 150)).toEqual([195, 300]);
  });
  it("turns clockwise: what was at the top is at the right", () => {
    const matrix = imageToScreen({ ...start, rotation: 90 }, IMAGE, BOX);
    const [x, y] = through(matrix, 200, 0);
    expect(x).toBeGreaterThan(195);
    expect(y).toBeCloseTo(300);
  });
  it("stretches pixels that are not square", () => {
    const matrix = imageToScreen(
      start,
      { columns: 100, rows: 100, aspect: 2 },
      { width: 1000, height: 1000 },
    );
    expect([matrix[0], matrix[3]]).toEqual([5, 10]);
  });
  it("lies where the server's picture lies, for every turn and flip", () => {
    for (const view of layouts()) {
      const turned = view.rotation % 180 !== 0;
      const [width, height] = turned ? [300, 400] : [400, 300];
      // The whole image as a picture of its own size: placed, it covers exactly what the image covers.
      const placed = multiply(
        imageToScreen(view, IMAGE, BOX),
        pictureToImage(view, [0, 0, 400, 300], width, height),
      );
      const scale = Math.min(BOX.width / width, BOX.height / height);
      expectClose(placed, [
        scale,
        0,
        0,
        scale,
        BOX.width / 2 - (width * scale) / 2,
        BOX.height / 2 - (height * scale) / 2,
      ]);
    }
  });
});

describe("zoom and pan", () => {
  it("keeps the point under the finger, for every turn and flip", () => {
    for (const laid of layouts()) {
      const before = zoomAt(laid, 4, 195, 300, IMAGE, BOX);
      const point = through(inverted(imageToScreen(before, IMAGE, BOX)), 150, 320);
      const after = zoomAt(before, 2, 150, 320, IMAGE, BOX);
      const [x, y] = through(imageToScreen(after, IMAGE, BOX), ...point);
      expect(x).toBeCloseTo(150);
      expect(y).toBeCloseTo(320);
    }
  });
  it("moves the image with the finger, for every turn and flip", () => {
    for (const laid of layouts()) {
      const before = zoomAt(laid, 8, 195, 300, IMAGE, BOX);
      const point = through(inverted(imageToScreen(before, IMAGE, BOX)), 195, 300);
      const [x, y] = through(imageToScreen(panBy(before, 20, -30, IMAGE, BOX), IMAGE, BOX), ...point);
      expect(x).toBeCloseTo(215);
      expect(y).toBeCloseTo(270);
    }
  });
  it("returns to the middle at zoom 1", () => {
    const zoomed = panBy(zoomAt(start, 3, 100, 100, IMAGE, BOX), 9, 9, IMAGE, BOX);
    expect(zoomed.centerX).not.toBe(0.5);
    expect(zoomAt(zoomed, 0.01, 0, 0, IMAGE, BOX)).toMatchObject({ zoom: 1, centerX: 0.5, centerY: 0.5 });
  });
  it("keeps the image's edge out of the viewport, as the server does", () => {
    const view = clampCenter({ ...start, zoom: 2, centerX: 0, centerY: 5 }, IMAGE, BOX);
    expect(view.centerX).toBeCloseTo(0.25);
    // 300 rows are shown 585 px high: smaller than the viewport, so centred.
    expect(view.centerY).toBe(0.5);
  });
});
