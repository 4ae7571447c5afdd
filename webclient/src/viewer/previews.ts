// The layer of pictures that the server renders: what is shown first, and always beneath the others.

import { accounts, ownMemoryBudget } from "../net/memory";
import { ReadAhead } from "../net/readahead";
import { type PictureHeader, viewMessage } from "../net/stream";
import { framesAhead, isNearer } from "../viewport/ahead";
import type { DisplayState, LayerHost, PictureLayer, ShownPicture } from "../viewport/layer";
import { budgets, type Decoded, Pictures, type Received } from "../viewport/pictures";
import { cssMatrix, multiply, pictureToImage, type Size } from "../viewport/placement";
import type { ViewState } from "../viewport/state";
import { baseView } from "../viewport/tiles";
import { toneFilter, toneLine } from "../viewport/tone";

const LARGEST_SIDE = 1600;
const SMALLEST_SIDE = 512;
const MOST_ASKED = 400;
const NEAR = 64;
const DECODED_AHEAD = 12;
/** As long as the server waits for stillness (rule 7). */
const STILL_MS = 150;

interface Asked {
  readonly key: string;
  readonly view: ViewState;
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

function deviceBudgets() {
  const device = navigator as { connection?: { saveData?: boolean } };
  return budgets(ownMemoryBudget().previews, device.connection?.saveData === true);
}

export class PreviewLayer implements PictureLayer {
  readonly name = "main";
  readonly pictures = new Pictures(deviceBudgets());
  private readonly ahead = new ReadAhead({
    ask: (frame, viewport) => this.ask({ ...this.need.view, frame }, viewport, "preview"),
    has: (frame) =>
      this.refused.has(frame) ||
      this.pictures.received.has(this.keyOf({ ...this.need.view, frame })) ||
      this.host.isCovered(this, { ...this.need.view, frame }),
  });
  private readonly asked = new Map<number, Asked>();
  private refused = new Set<number>();
  private generation = 0;
  private painted: Received | null = null;
  private wish: DisplayState | null = null;
  private size: Size = { width: 0, height: 0 };
  private key = "";
  private covered = false;
  private direction = 1;
  private restTimer = 0;
  private decoding = false;
  private over = false;

  constructor(
    readonly canvas: HTMLCanvasElement,
    private readonly host: LayerHost,
  ) {
    const { received, decoded } = this.pictures;
    accounts.set("previews", () => ({
      used: received.usedBytes + decoded.usedBytes,
      budget: ownMemoryBudget().previews,
    }));
  }

  get shown(): ShownPicture | null {
    if (!this.painted) return null;
    const { header, view } = this.painted;
    return {
      view,
      version: header.version,
      quality: header.quality === "refined" ? "refined" : "preview",
      sourceRect: header.source_rect,
      windowCenter: header.window_center,
      windowWidth: header.window_width,
    };
  }

  private get need(): DisplayState {
    if (!this.wish) throw new Error("previews: nothing is wanted yet");
    return this.wish;
  }

  private keyOf(view: ViewState): string {
    return `${view.series}|${this.size.width}x${this.size.height}|${JSON.stringify(view)}`;
  }

  // Asking ------------------------------------------------------------------------------------------------------

  display(state: DisplayState): void {
    const before = this.wish?.view;
    // Where tiles lie above, the picture beneath is of the whole image, however it is zoomed.
    const view = baseView(state.view, state.image);
    this.wish = { ...state, view };
    this.size = requestSize(this.wish);
    this.place();
    const key = this.keyOf(view);
    const covered = this.host.isCovered(this, view);
    if (key === this.key && covered === this.covered) return;
    this.key = key;
    this.covered = covered;
    if (before && before.frame !== view.frame) this.direction = view.frame - before.frame;
    const { frame: _, ...look } = view;
    const { frame: __, ...lookBefore } = before ?? view;
    const isOther = JSON.stringify(look) !== JSON.stringify(lookBefore);
    if (isOther) {
      this.ahead.reset();
      this.refused.clear();
    }
    if (covered) this.rest(isOther);
    else this.demand();
  }

  /** Exact values lie above: nothing is asked for this frame. A window that is dragged is read ahead when it rests. */
  private rest(isOther: boolean): void {
    window.clearTimeout(this.restTimer);
    this.host.want("main", null);
    this.ahead.pause(isOther);
    if (!isOther) this.plan();
    else
      this.restTimer = window.setTimeout(() => {
        this.ahead.pause(false);
        this.plan();
      }, STILL_MS);
  }

  /** Show the best that is here and ask for what is missing. */
  private demand(): void {
    window.clearTimeout(this.restTimer);
    const quality = this.pictures.received.get(this.key)?.header.quality;
    this.ahead.pause(quality === undefined);
    if (quality === undefined) {
      this.paintNearest();
      this.ask(this.need.view, "main");
      return;
    }
    this.host.want("main", null);
    void this.paintKept();
    this.plan();
    if (quality === "preview")
      this.restTimer = window.setTimeout(() => this.ask(this.need.view, "main", "refined"), STILL_MS);
  }

  private ask(view: ViewState, viewport: string, answer?: "preview" | "refined"): void {
    this.generation += 1;
    this.asked.set(this.generation, { key: this.keyOf(view), view });
    this.asked.delete(this.generation - MOST_ASKED);
    const message = viewMessage(view, this.generation, this.size.width, this.size.height, viewport);
    if (answer) message["answer"] = answer;
    if (viewport === "main") this.host.want("main", message);
    else this.host.send(message);
  }

  private plan(): void {
    const { view, series } = this.need;
    if (series.frame_count < 2) return;
    const frames = framesAhead(view.frame, series.frame_count, this.direction, this.pictures.reach);
    this.ahead.plan(frames);
    void this.decodeAhead(frames.slice(0, DECODED_AHEAD));
  }

  /** The next few are decoded before they are needed; a newer wish ends the round. */
  private async decodeAhead(frames: readonly number[]): Promise<void> {
    const begun = this.key;
    for (const frame of frames) {
      if (this.key !== begun) return;
      await this.pictures.bitmap(this.keyOf({ ...this.need.view, frame }));
    }
  }

  // What comes --------------------------------------------------------------------------------------------------

  receive(header: PictureHeader, bytes: ArrayBuffer): boolean {
    const isAhead = header.viewport.startsWith("ahead");
    if (header.viewport !== "main" && !isAhead) return false;
    const asked = this.asked.get(header.generation);
    const isStale = header.version < this.host.versionOf(header.series);
    if (asked && !this.over && !isStale) this.take(asked, header, bytes);
    if (isAhead) this.ahead.done(header.viewport);
    return true;
  }

  private take({ key, view }: Asked, header: PictureHeader, bytes: ArrayBuffer): void {
    const blob = new Blob([bytes], { type: header.media_type });
    const picture = { header, view, blob, bytes: bytes.byteLength, close: () => undefined };
    if (!this.pictures.keep(key, picture)) return;
    if (key === this.key) {
      if (header.quality === "refined") this.host.want("main", null);
      this.ahead.pause(false);
      this.plan();
    }
    // An older picture is better than a frozen one while the newest is on its way, but never one of another series.
    if (header.viewport === "main" && this.isBetter(picture)) void this.paintNewest(key);
    else if (key === this.key) void this.paintKept();
  }

  message(message: Record<string, unknown>): boolean {
    const viewport = message["viewport"];
    if (message["t"] !== "error" || typeof viewport !== "string") return false;
    if (!viewport.startsWith("ahead")) return false;
    const asked = this.asked.get(Number(message["generation"]));
    if (asked) this.refused.add(asked.view.frame);
    return this.ahead.done(viewport);
  }

  // Painting ----------------------------------------------------------------------------------------------------

  private isBetter(picture: Received): boolean {
    const wanted = this.need.view;
    if (picture.view.series !== wanted.series) return false;
    const now = this.painted;
    if (!now || now.view.series !== wanted.series) return true;
    if (!isNearer(picture.view.frame, now.view.frame, wanted.frame)) return false;
    if (picture.view.frame !== now.view.frame) return true;
    if (this.keyOf(picture.view) === this.key) return true;
    return this.keyOf(now.view) !== this.key && picture.header.generation >= now.header.generation;
  }

  private async paintKept(): Promise<void> {
    const key = this.key;
    const ready = this.pictures.ready(key) ?? (await this.pictures.bitmap(key));
    if (ready && key === this.key) this.paint(ready);
  }

  /** Decodes one at a time; of those that came meanwhile only the one that is still better is painted. */
  private async paintNewest(key: string): Promise<void> {
    if (this.decoding && key !== this.key) return;
    this.decoding = true;
    const made = await this.pictures.bitmap(key);
    this.decoding = false;
    if (made && !this.over && this.isBetter(made.from)) this.paint(made);
  }

  /** A neighbour that is decoded already, when it is nearer than what is on screen. */
  private paintNearest(): void {
    const { view } = this.need;
    for (let step = 1; step <= NEAR; step += 1)
      for (const frame of [
        view.frame - Math.sign(this.direction) * step,
        view.frame + Math.sign(this.direction) * step,
      ]) {
        const found = this.pictures.ready(this.keyOf({ ...view, frame }));
        if (!found) continue;
        if (this.isBetter(found.from)) this.paint(found);
        return;
      }
  }

  private paint(made: Decoded): void {
    if (this.over) return;
    const { canvas } = this;
    const { bitmap, from } = made;
    if (canvas.width !== bitmap.width || canvas.height !== bitmap.height) {
      canvas.width = bitmap.width;
      canvas.height = bitmap.height;
    }
    canvas.getContext("2d", { alpha: false })?.drawImage(bitmap, 0, 0);
    this.painted = from;
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
    this.canvas.style.filter = this.tone(this.painted);
  }

  /** The picture in the window that is wanted, until the server's comes: a drag is followed at the screen's own rate. */
  private tone({ header, view }: Received): string {
    const { view: wanted, manifest } = this.need;
    const [center, width] = [header.window_center, header.window_width];
    const isKnown =
      center !== null && width !== null && width > 0 && manifest !== undefined && !manifest.colour;
    const inverse = (manifest?.inverse ?? false) !== view.invert;
    const target = wanted.windowCenter !== null && wanted.windowWidth !== null;
    const line =
      isKnown && target && wanted.voi === "window"
        ? toneLine(
            { center, width },
            { center: wanted.windowCenter ?? center, width: wanted.windowWidth ?? width },
            inverse,
          )
        : { a: 1, b: 0 };
    return [toneFilter(line), view.invert === wanted.invert ? "" : "invert(1)"].filter(Boolean).join(" ");
  }

  // Ends --------------------------------------------------------------------------------------------------------

  /** A line that was lost brings nothing of what was asked on it. */
  online(connected: boolean): void {
    if (!connected) this.ahead.reset();
    else if (this.wish && (this.covered || this.pictures.received.has(this.key))) this.plan();
  }

  /** The series' images are other ones now: nothing that is kept of it is true. What is on screen stays until then. */
  forget(series: number): void {
    this.asked.clear();
    this.ahead.reset();
    this.refused.clear();
    this.pictures.clear();
    if (this.wish?.view.series === series) this.key = "";
  }

  clear(): void {
    this.over = true;
    window.clearTimeout(this.restTimer);
    this.ahead.reset();
    this.pictures.clear();
    this.painted = null;
    this.canvas.width = this.canvas.height = 1;
  }
}
