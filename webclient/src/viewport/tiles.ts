// Which tiles of a large image are needed: level, what is visible, the ring around it, nearest first. No drawing here.

import { type ImageSize, inverted, type Matrix, multiply, type Size, through } from "./placement";
import type { ViewState } from "./state";

/** Images with a longer side are shown by tiles when they are zoomed (render/frame.py has the same number). */
export const LARGE_SIDE = 1500;
/** Most tiles of one request (docs/stream-protocol.md, rule 21). */
export const MOST_TILES = 128;
const HIGHEST_LEVEL = 12;

/** x, y, width, height in image pixels. */
export type Rect = readonly [number, number, number, number];

export interface TileAddress {
  readonly level: number;
  readonly column: number;
  readonly row: number;
}

/** Whether tiles are drawn over the picture of the whole image: it fits the screen as one picture at zoom 1. */
export function wantsTiles(view: ViewState, image: ImageSize): boolean {
  return Math.max(image.columns, image.rows) > LARGE_SIDE && view.zoom > 1.001;
}

/** The view whose picture lies beneath the tiles: the whole image. */
export function baseView(view: ViewState, image: ImageSize): ViewState {
  return wantsTiles(view, image) ? { ...view, zoom: 1, centerX: 0.5, centerY: 0.5 } : view;
}

/** Bytes of a tile are few on a phone's screen and requests few on a large one. */
export function tileSize(stage: Size, pixelRatio: number): 256 | 512 {
  return Math.max(stage.width, stage.height) * pixelRatio > 1000 ? 512 : 256;
}

/** The smallest level that still has a pixel for each of the screen's; 0 at 1:1 and beyond. */
export function levelFor(toScreen: Matrix, pixelRatio: number): number {
  const perColumn = Math.hypot(toScreen[0], toScreen[1]) * pixelRatio;
  const perRow = Math.hypot(toScreen[2], toScreen[3]) * pixelRatio;
  const shrink = 1 / Math.max(perColumn, perRow);
  return Math.min(HIGHEST_LEVEL, Math.max(0, Math.floor(Math.log2(shrink) + 1e-6)));
}

/** The part of the image that the stage shows; null when it shows none. */
export function visibleRect(toScreen: Matrix, stage: Size, image: ImageSize): Rect | null {
  const back = inverted(toScreen);
  const [ax, ay] = through(back, 0, 0);
  const [bx, by] = through(back, stage.width, stage.height);
  const left = Math.max(0, Math.min(ax, bx));
  const top = Math.max(0, Math.min(ay, by));
  const right = Math.min(image.columns, Math.max(ax, bx));
  const bottom = Math.min(image.rows, Math.max(ay, by));
  return right > left && bottom > top ? [left, top, right - left, bottom - top] : null;
}

/** The image's part that a tile shows, cut at the edge. */
export function tileRect(tile: TileAddress, size: number, image: ImageSize): Rect {
  const side = size * 2 ** tile.level;
  const [x, y] = [tile.column * side, tile.row * side];
  return [x, y, Math.min(side, image.columns - x), Math.min(side, image.rows - y)];
}

/** Tiles that touch a part of the image, widened by `ring` tiles, nearest to its middle first. */
export function tilesOf(
  rect: Rect,
  level: number,
  size: number,
  image: ImageSize,
  ring: number,
): TileAddress[] {
  const side = size * 2 ** level;
  const most = (length: number) => Math.ceil(length / side) - 1;
  const from = (begin: number) => Math.max(0, Math.floor(begin / side + 1e-9) - ring);
  const to = (end: number, length: number) => Math.min(most(length), Math.ceil(end / side - 1e-9) - 1 + ring);
  const found: TileAddress[] = [];
  for (let row = from(rect[1]); row <= to(rect[1] + rect[3], image.rows); row += 1) {
    for (let column = from(rect[0]); column <= to(rect[0] + rect[2], image.columns); column += 1)
      found.push({ level, column, row });
  }
  const [middleX, middleY] = [(rect[0] + rect[2] / 2) / side - 0.5, (rect[1] + rect[3] / 2) / side - 0.5];
  const distance = (tile: TileAddress) => Math.hypot(tile.column - middleX, tile.row - middleY);
  return found.sort((one, other) => distance(one) - distance(other));
}

/** What is visible first, then the ring around it. */
export function visibleThenRing(
  rect: Rect,
  level: number,
  size: number,
  image: ImageSize,
): { visible: TileAddress[]; ring: TileAddress[] } {
  const visible = tilesOf(rect, level, size, image, 0);
  const here = new Set(visible.map((tile) => `${tile.column},${tile.row}`));
  const ring = tilesOf(rect, level, size, image, 1).filter((tile) => !here.has(`${tile.column},${tile.row}`));
  return { visible, ring };
}

/**
 * Image pixels to device pixels such that the tile's corners fall on whole device pixels: neighbours meet without a
 * line between them. `toDevice` turns by quarter turns only.
 */
export function snapped(toDevice: Matrix, rect: Rect): Matrix {
  const [x, y, width, height] = rect;
  const [fromX, fromY] = through(toDevice, x, y).map(Math.round) as [number, number];
  const [toX, toY] = through(toDevice, x + width, y + height).map(Math.round) as [number, number];
  const upright = Math.abs(toDevice[0]) > Math.abs(toDevice[1]);
  const linear: Matrix = upright
    ? [(toX - fromX) / width, 0, 0, (toY - fromY) / height, 0, 0]
    : [0, (toY - fromY) / width, (toX - fromX) / height, 0, 0, 0];
  return multiply([1, 0, 0, 1, fromX, fromY], multiply(linear, [1, 0, 0, 1, -x, -y]));
}
