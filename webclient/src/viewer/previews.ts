// The layer of pictures that the server renders: what is shown first, and always beneath the others.

import { PictureCache } from "../net/cache";
import { type PictureHeader, viewMessage } from "../net/stream";
import type { DisplayState, LayerHost, PictureLayer, ShownPicture } from "../viewport/layer";
import { cssMatrix, multiply, pictureToImage, type Size } from "../viewport/placement";
import type { ViewState } from "../viewport/state";

const CACHE_BYTES = 96 * 1024 * 1024;
const LARGEST_SIDE = 1600;
const SMALLEST_SIDE = 512;
const MOST_ASKED = 400;

interface Picture {
  readonly bitmap: ImageBitmap;
  readonly header: PictureHeader;
  readonly view: ViewState;
  readonly bytes: number;
  close(): void;
}

/** Output pixels of a request: the screen's, but no more than the image has unless it is zoomed. */
export function requestSize(display: DisplayState): Size {
  const { stage, image, view, pixelRatio } = display;
  const native = Math.max(image.columns, image.rows, SMALLEST_SIDE);
  const limit = Math.min(LARGEST_SIDE, view.zoom > 1 ? LARGEST_SIDE : native);
  const scale = Math.min(pixelRatio, limit / Math.max(1, Math.min(stage.width, stage.height)));
  return {
    width: Math.max(16, Math.round(stage.width * scale)),
    height: Math.max(16, Math.round(stage.height * scale)),
  };
}

export class PreviewLayer implements PictureLayer {
  readonly name = "main";
  private readonly cache = new PictureCache<Picture>(CACHE_BYTES);
  private readonly asked = new Map<number, { key: string; view: ViewState }>();
  private generation = 0;
  private painted: Picture | null = null;
  private wish: DisplayState | null = null;
  private wishKey = "";
  private over = false;

  constructor(
    readonly canvas: HTMLCanvasElement,
    private readonly host: LayerHost,
  ) {}

  get shown(): ShownPicture | null {
    if (!this.painted) return null;
    const { header, view } = this.painted;
    return {
      view,
      version: header.version,
      quality: header.quality,
      sourceRect: header.source_rect,
      windowCenter: header.window_center,
      windowWidth: header.window_width,
    };
  }

  display(state: DisplayState): void {
    const size = requestSize(state);
    const key = JSON.stringify([state.view, size]);
    this.wish = state;
    this.place();
    if (key === this.wishKey) return;
    this.wishKey = key;
    const kept = this.cache.get(key);
    if (kept) this.paint(kept);
    if (kept?.header.quality === "refined") return;
    this.generation += 1;
    this.asked.set(this.generation, { key, view: state.view });
    this.asked.delete(this.generation - MOST_ASKED);
    this.host.want("main", viewMessage(state.view, this.generation, size.width, size.height));
  }

  receive(header: PictureHeader, bytes: ArrayBuffer): boolean {
    if (header.viewport !== "main") return false;
    void this.take(header, bytes);
    return true;
  }

  private async take(header: PictureHeader, bytes: ArrayBuffer): Promise<void> {
    const asked = this.asked.get(header.generation);
    if (!asked || this.over) return;
    const { key, view } = asked;
    const bitmap = await createImageBitmap(new Blob([bytes], { type: header.media_type }));
    const made: Picture = {
      bitmap,
      header,
      view,
      bytes: bitmap.width * bitmap.height * 4,
      close: () => bitmap.close(),
    };
    if (this.cache.get(key)?.header.quality === "refined" && header.quality === "preview")
      return made.close();
    this.cache.put(key, made);
    // An older picture is better than a frozen one while the newest is on its way, but never one of another series.
    if (view.series !== this.wish?.view.series) return;
    if (key === this.wishKey || (this.painted?.header.generation ?? 0) < header.generation) this.paint(made);
  }

  private paint(made: Picture): void {
    const { canvas } = this;
    if (canvas.width !== made.bitmap.width || canvas.height !== made.bitmap.height) {
      canvas.width = made.bitmap.width;
      canvas.height = made.bitmap.height;
    }
    canvas.getContext("2d", { alpha: false })?.drawImage(made.bitmap, 0, 0);
    this.painted = made;
    this.place();
    this.host.changed(this);
  }

  /** Until the server's picture of a new zoom, turn or place comes, the old one is moved there. */
  private place(): void {
    if (!this.painted || !this.wish) return;
    const { header, view } = this.painted;
    // A picture of another series stays where it was until its successor comes.
    if (view.series !== this.wish.view.series) return;
    const toImage = pictureToImage(view, header.source_rect, header.width, header.height);
    this.canvas.style.transform = cssMatrix(multiply(this.wish.toScreen, toImage));
  }

  /** Something else of the server's picture is wanted although the view is the same (its size, its series' content). */
  forget(series: number): void {
    if (this.wish?.view.series === series) this.wishKey = "";
    this.cache.clear();
  }

  clear(): void {
    this.over = true;
    this.cache.clear();
    this.painted = null;
    this.canvas.width = this.canvas.height = 1;
  }
}
