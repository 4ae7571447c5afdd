// Where an image lies in a viewport: the server's own layout (render/engine.py), so that every layer falls on the next.

import { clamp, type ViewState } from "./state";

/** CSS px of the stage. */
export interface Size {
  readonly width: number;
  readonly height: number;
}

/** Image pixels; `aspect`: height of a pixel over its width. */
export interface ImageSize {
  readonly columns: number;
  readonly rows: number;
  readonly aspect: number;
}

/** CSS matrix(a, b, c, d, e, f): x' = a x + c y + e, y' = b x + d y + f. */
export type Matrix = readonly [number, number, number, number, number, number];

export const LARGEST_ZOOM = 16;

/** First `second`, then `first`, as CSS writes products. */
export function multiply(first: Matrix, second: Matrix): Matrix {
  const [a, b, c, d, e, f] = first;
  const [g, h, i, j, k, l] = second;
  return [a * g + c * h, b * g + d * h, a * i + c * j, b * i + d * j, a * k + c * l + e, b * k + d * l + f];
}

/** The inverse; a matrix without one gives not-a-number entries. */
export function inverted([a, b, c, d, e, f]: Matrix): Matrix {
  const det = a * d - b * c;
  return [d / det, -b / det, -c / det, a / det, (c * f - d * e) / det, (b * e - a * f) / det];
}

/** A point through a matrix. */
export function through(matrix: Matrix, x: number, y: number): [number, number] {
  const [a, b, c, d, e, f] = matrix;
  return [a * x + c * y + e, b * x + d * y + f];
}

/** For `style.transform`, with the origin at the upper left corner. */
export function cssMatrix(matrix: Matrix): string {
  return `matrix(${matrix.map((value) => Number(value.toFixed(6))).join(",")})`;
}

/** The axes of the screen: flips, then the clockwise rotation. Columns are where image x and y point. */
function turn(view: ViewState): Matrix {
  const [xx, xy] = toScreenAxes(view, 1, 0);
  const [yx, yy] = toScreenAxes(view, 0, 1);
  return [xx, xy, yx, yy, 0, 0];
}

/** CSS px per image column. */
export function scaleOf(view: ViewState, image: ImageSize, box: Size): number {
  const turned = view.rotation % 180 !== 0;
  const [width, height] = turned ? [box.height, box.width] : [box.width, box.height];
  return Math.min(width / image.columns, height / (image.rows * image.aspect)) * view.zoom;
}

/** Image pixels to CSS px of the stage. */
export function imageToScreen(view: ViewState, image: ImageSize, box: Size): Matrix {
  const { centerX, centerY } = clampCenter(view, image, box);
  const scale = scaleOf(view, image, box);
  const scaled: Matrix = [
    scale,
    0,
    0,
    scale * image.aspect,
    -centerX * image.columns * scale,
    -centerY * image.rows * scale * image.aspect,
  ];
  return multiply([1, 0, 0, 1, box.width / 2, box.height / 2], multiply(turn(view), scaled));
}

/** Pixels of a rendered picture of `width` x `height` that shows `rect` (x, y, w, h) of the image, to image pixels. */
export function pictureToImage(
  view: ViewState,
  rect: readonly [number, number, number, number],
  width: number,
  height: number,
): Matrix {
  const turned = view.rotation % 180 !== 0;
  const [across, down] = turned ? [height, width] : [width, height];
  const unturned = inverted(turn(view));
  const middle: Matrix = [1, 0, 0, 1, -width / 2, -height / 2];
  const onto: Matrix = [rect[2] / across, 0, 0, rect[3] / down, rect[0] + rect[2] / 2, rect[1] + rect[3] / 2];
  return multiply(onto, multiply(unturned, middle));
}

/** Zoom by `factor`; the image point under (x, y), CSS px of the stage, stays where it is. */
export function zoomAt(
  view: ViewState,
  factor: number,
  x: number,
  y: number,
  image: ImageSize,
  box: Size,
): ViewState {
  const zoom = clamp(view.zoom * factor, 1, LARGEST_ZOOM);
  const before = scaleOf(view, image, box);
  const after = (before * zoom) / view.zoom;
  const [ix, iy] = toImageAxes(view, x - box.width / 2, y - box.height / 2);
  const gain = 1 / before - 1 / after;
  const moved = {
    ...view,
    zoom,
    centerX: view.centerX + (ix * gain) / image.columns,
    centerY: view.centerY + (iy * gain) / (image.rows * image.aspect),
  };
  return clampCenter(moved, image, box);
}

/** The image follows a drag of `dx`, `dy` CSS px. */
export function panBy(view: ViewState, dx: number, dy: number, image: ImageSize, box: Size): ViewState {
  const scale = scaleOf(view, image, box);
  const [ix, iy] = toImageAxes(view, dx, dy);
  const moved = {
    ...view,
    centerX: view.centerX - ix / scale / image.columns,
    centerY: view.centerY - iy / scale / (image.rows * image.aspect),
  };
  return clampCenter(moved, image, box);
}

/** The image's edge comes no further than the viewport's edge; where the image is smaller it is centred. */
export function clampCenter(view: ViewState, image: ImageSize, box: Size): ViewState {
  const scale = scaleOf(view, image, box);
  const turned = view.rotation % 180 !== 0;
  const [width, height] = turned ? [box.height, box.width] : [box.width, box.height];
  const within = (center: number, length: number, visible: number) => {
    const half = Math.min(0.5, visible / length / 2);
    return clamp(center, half, 1 - half);
  };
  const centerX = within(view.centerX, image.columns * scale, width);
  const centerY = within(view.centerY, image.rows * image.aspect * scale, height);
  return centerX === view.centerX && centerY === view.centerY ? view : { ...view, centerX, centerY };
}

/** A displacement on the screen as one along the image's columns and rows: rotation undone, then flips. */
export function toImageAxes(view: ViewState, x: number, y: number): [number, number] {
  let [ix, iy] = [x, y];
  for (let turned = 0; turned < view.rotation; turned += 90) [ix, iy] = [iy, -ix];
  return [view.flipHorizontal ? -ix : ix, view.flipVertical ? -iy : iy];
}

/** The inverse of `toImageAxes`: flips, then the clockwise rotation. */
export function toScreenAxes(view: ViewState, x: number, y: number): [number, number] {
  let [sx, sy] = [view.flipHorizontal ? -x : x, view.flipVertical ? -y : y];
  for (let turned = 0; turned < view.rotation; turned += 90) [sx, sy] = [-sy, sx];
  return [sx, sy];
}
