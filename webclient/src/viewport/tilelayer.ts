// Tiles of a large image over the picture of the whole: asked for by what is visible, drawn as they come.

import { PictureCache } from "../net/cache";
import { accounts, ownMemoryBudget } from "../net/memory";
import type { PictureHeader } from "../net/stream";
import type { DisplayState, LayerHost, PictureLayer, ShownPicture } from "./layer";
import { multiply } from "./placement";
import type { ViewState } from "./state";
import {
  levelFor,
  MOST_TILES,
  type Rect,
  snapped,
  type TileAddress,
  tileSize,
  visibleRect,
  visibleThenRing,
  wantsTiles,
} from "./tiles";

const VIEWPORT = "tiles";
const MOST_ASKED = 200;
/** A window that a hand is dragging asks when it rests for so long: tiles of windows gone by help nobody. */
const LOOK_RESTS_MS = 60;

interface Tile {
  readonly image: ImageBitmap;
  readonly look: string;
  readonly level: number;
  readonly rect: Rect;
  readonly header: PictureHeader;
  readonly bytes: number;
  close(): void;
}

/** What is needed now of one image with one window. */
interface Wish {
  readonly state: DisplayState;
  readonly look: string;
  readonly level: number;
  readonly size: 256 | 512;
  readonly part: Rect;
  readonly visible: readonly TileAddress[];
  readonly ring: readonly TileAddress[];
}

function lookOf(view: ViewState, version: number, size: number): string {
  return JSON.stringify([
    view.series,
    version,
    view.frame,
    view.voi,
    view.windowCenter,
    view.windowWidth,
    view.invert,
    size,
  ]);
}

function keyOf(look: string, tile: TileAddress): string {
  return `${look}|${tile.level}|${tile.column}|${tile.row}`;
}

export class TileLayer implements PictureLayer {
  readonly name = "tiles";
  readonly canvas: HTMLCanvasElement;
  private readonly tiles = new PictureCache<Tile>(ownMemoryBudget().tiles);
  private drawn = new Map<string, Tile>();
  /** Here and acknowledged, but not decoded yet: asked for again the server would send them again. */
  private readonly decoding = new Set<string>();
  private readonly looks = new Map<number, string>();
  private generation = 0;
  /** Asked for and not here yet, in the server's hands. */
  private asked = new Set<string>();
  private failed = "";
  private look = "";
  private timer = 0;
  private wish: Wish | null = null;
  private complete = false;
  private over = false;

  constructor(
    private readonly host: LayerHost,
    canvas: HTMLCanvasElement = document.createElement("canvas"),
  ) {
    const budget = ownMemoryBudget().tiles;
    accounts.set("tiles", () => ({ used: this.tiles.usedBytes, budget }));
    this.canvas = canvas;
    canvas.className = "tiles";
    canvas.hidden = true;
  }

  get shown(): ShownPicture | null {
    const wish = this.wish;
    const first = wish?.visible[0];
    if (!wish || !first || !this.complete) return null;
    const header = this.drawn.get(keyOf(wish.look, first))?.header;
    if (!header) return null;
    return {
      view: wish.state.view,
      version: header.version,
      quality: "refined",
      sourceRect: wish.part,
      windowCenter: header.window_center,
      windowWidth: header.window_width,
    };
  }

  display(state: DisplayState): void {
    if (this.over) return;
    this.wish = this.wishOf(state);
    if (!this.wish) {
      this.rest();
      return;
    }
    this.draw();
    const changing = state.moving && this.look !== "" && this.look !== this.wish.look;
    this.look = this.wish.look;
    window.clearTimeout(this.timer);
    if (changing) this.timer = window.setTimeout(() => this.demand(), LOOK_RESTS_MS);
    else this.demand();
  }

  private wishOf(state: DisplayState): Wish | null {
    const { view, image, stage, toScreen, pixelRatio, manifest } = state;
    if (!manifest || !wantsTiles(view, image)) return null;
    const part = visibleRect(toScreen, stage, image);
    if (!part) return null;
    const level = levelFor(toScreen, pixelRatio);
    const size = tileSize(stage, pixelRatio);
    const look = lookOf(view, this.host.versionOf(view.series), size);
    return { state, look, level, size, part, ...visibleThenRing(part, level, size, image) };
  }

  /** Nothing is wanted: what waits at the server is dropped, what is here is kept for the next time. */
  private rest(): void {
    window.clearTimeout(this.timer);
    this.look = "";
    this.complete = false;
    if (!this.canvas.hidden) {
      this.canvas.hidden = true;
      this.host.changed(this);
    }
    this.drop();
  }

  private drop(): void {
    if (this.asked.size) this.host.send({ t: "cancel", viewport: VIEWPORT });
    this.asked.clear();
  }

  // Asking ------------------------------------------------------------------------------------------------------

  /** Ask for what is missing: the visible part, and around it when no hand is on the picture. */
  private demand(): void {
    const wish = this.wish;
    if (!wish || wish.look === this.failed) return;
    if (this.host.isCovered(this, wish.state.view)) {
      this.drop();
      return;
    }
    const near = wish.state.moving ? wish.visible : [...wish.visible, ...wish.ring];
    const here = (key: string) => this.tiles.has(key) || this.decoding.has(key);
    const missing = near.filter((tile) => !here(keyOf(wish.look, tile))).slice(0, MOST_TILES);
    const keys = missing.map((tile) => keyOf(wish.look, tile));
    if (keys.length === this.asked.size && keys.every((key) => this.asked.has(key))) return;
    this.asked = new Set(keys);
    this.generation += 1;
    this.looks.set(this.generation, wish.look);
    this.looks.delete(this.generation - MOST_ASKED);
    const { view } = wish.state;
    this.host.send({
      t: "tiles",
      viewport: VIEWPORT,
      generation: this.generation,
      series: view.series,
      frame: view.frame,
      level: wish.level,
      size: wish.size,
      tiles: missing.map((tile) => [tile.column, tile.row]),
      voi: view.voi,
      window_center: view.windowCenter,
      window_width: view.windowWidth,
      invert: view.invert,
    });
  }

  online(connected: boolean): void {
    this.asked.clear();
    if (connected) this.demand();
  }

  message(message: Record<string, unknown>): boolean {
    if (message["t"] !== "error" || message["of"] !== "tiles") return false;
    // The picture beneath stays and says itself what is wrong with the image.
    if (message["generation"] === this.generation && message["retryable"] !== true)
      this.failed = this.wish?.look ?? "";
    this.asked.clear();
    return true;
  }

  // Receiving and drawing ---------------------------------------------------------------------------------------

  receive(header: PictureHeader, bytes: ArrayBuffer): boolean {
    if (header.viewport !== VIEWPORT) return false;
    void this.take(header, bytes);
    return true;
  }

  private async take(header: PictureHeader, bytes: ArrayBuffer): Promise<void> {
    const look = this.looks.get(header.generation);
    if (!look || this.over || !header.tile || header.level === undefined) return;
    const [column, row] = header.tile;
    const key = keyOf(look, { level: header.level, column, row });
    this.asked.delete(key);
    this.decoding.add(key);
    const blob = new Blob([bytes], { type: header.media_type });
    const image = await createImageBitmap(blob).catch(() => null);
    this.decoding.delete(key);
    if (!image || this.over) {
      image?.close();
      return;
    }
    this.tiles.put(key, {
      image,
      look,
      level: header.level,
      rect: header.source_rect,
      header,
      bytes: image.width * image.height * 4,
      close: () => image.close(),
    });
    if (this.wish?.look === look) this.draw();
  }

  /** Coarser tiles of the same picture first, so that a new level appears over the old one. */
  private draw(): void {
    const wish = this.wish;
    const context = this.canvas.getContext("2d");
    if (!wish || !context) return;
    const { stage, pixelRatio, toScreen } = wish.state;
    const [width, height] = [Math.round(stage.width * pixelRatio), Math.round(stage.height * pixelRatio)];
    if (this.canvas.width !== width || this.canvas.height !== height) {
      this.canvas.width = width;
      this.canvas.height = height;
      this.canvas.style.width = `${stage.width}px`;
      this.canvas.style.height = `${stage.height}px`;
    }
    const toDevice = multiply([pixelRatio, 0, 0, pixelRatio, 0, 0], toScreen);
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, width, height);
    this.drawn = this.drawable(wish);
    for (const tile of [...this.drawn.values()].sort((one, other) => other.level - one.level)) {
      context.setTransform(
        ...(snapped(toDevice, tile.rect) as [number, number, number, number, number, number]),
      );
      context.drawImage(tile.image, ...tile.rect);
    }
    const before = this.complete;
    this.complete = wish.visible.every((tile) => this.drawn.has(keyOf(wish.look, tile)));
    const wasHidden = this.canvas.hidden;
    this.canvas.hidden = this.drawn.size === 0;
    if (this.complete || before !== this.complete || wasHidden !== this.canvas.hidden)
      this.host.changed(this);
  }

  private drawable(wish: Wish): Map<string, Tile> {
    const found = new Map<string, Tile>();
    const { image } = wish.state;
    for (const level of [wish.level, wish.level + 1, wish.level + 2, wish.level - 1]) {
      if (level < 0) continue;
      for (const tile of visibleThenRing(wish.part, level, wish.size, image).visible.slice(0, MOST_TILES)) {
        const key = keyOf(wish.look, tile);
        const kept = this.tiles.get(key);
        if (kept) found.set(key, kept);
      }
    }
    return found;
  }

  forget(series: number): void {
    if (this.wish?.state.view.series !== series) return;
    this.tiles.clear();
    this.drawn.clear();
    this.asked.clear();
    this.failed = "";
    this.complete = false;
    this.canvas.hidden = true;
  }

  clear(): void {
    this.over = true;
    window.clearTimeout(this.timer);
    this.tiles.clear();
    this.drawn.clear();
    this.wish = null;
    this.complete = false;
    this.canvas.width = this.canvas.height = 1;
    this.canvas.hidden = true;
  }
}
