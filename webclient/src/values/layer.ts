// The layer of exact values: above the previews, drawn here from the file's own numbers. What is shown is called
// lossless only when the SHA-256 of the array in memory is the one that the server named.

import type { DisplayState, LayerHost, PictureLayer, Quality, ShownPicture } from "../viewport/layer";
import { inverted, through } from "../viewport/placement";
import type { ViewState } from "../viewport/state";
import { hasValues } from "./describe";
import { type Arrival, keyOf, type Loading } from "./loading";
import type { Drawn } from "./messages";
import type { Pool } from "./pool";
import type { Probe, Rect, Statistics } from "./statistics";
import type { ValueStore } from "./store";
import type { Wish } from "./window";
import type { ValueWords } from "./words";

/** A frame that stays this long on screen is worth its values; the refined preview comes before (rule 7). */
const REST_MS = 250;

/** One frame of a series. */
interface Place {
  readonly series: number;
  readonly frame: number;
}

interface Source {
  readonly key: string;
  readonly signature: string;
  readonly view: ViewState;
  readonly drawn: Drawn;
  /** Image pixels per drawn pixel. */
  readonly step: number;
  readonly level: number;
}

const wishOf = (view: ViewState): Wish => ({
  voi: view.voi,
  center: view.windowCenter,
  width: view.windowWidth,
  invert: view.invert,
});

export class ValuesLayer implements PictureLayer {
  readonly name = "values";
  readonly canvas = document.createElement("canvas");
  private readonly matrix = document.createElement("canvas");
  private readonly levels = new Map<string, number>();
  private wish: DisplayState | null = null;
  private source: Source | null = null;
  private picture: ShownPicture | null = null;
  private drawing = false;
  private timer = 0;
  private direction = 1;
  private over = false;
  drawMs = 0;

  constructor(
    private readonly host: LayerHost,
    private readonly pool: Pool,
    private readonly store: ValueStore,
    readonly loading: Loading,
    private readonly words: ValueWords,
  ) {
    this.canvas.className = "values";
    this.canvas.style.cssText = "position:absolute;left:0;top:0;width:100%;height:100%;pointer-events:none";
    this.canvas.hidden = true;
  }

  get shown(): ShownPicture | null {
    return this.picture;
  }

  /** Frames whose exact values are in memory. */
  get heldFrames(): number {
    return this.store.size;
  }

  covers(view: ViewState): boolean {
    const key = keyOf(view.series, view.frame);
    return !this.over && this.levels.get(key) === 0 && this.store.has(key);
  }

  display(state: DisplayState): void {
    if (this.over) return;
    const before = this.wish?.view;
    this.wish = state;
    const { view } = state;
    const moved = before?.series !== view.series || before.frame !== view.frame;
    if (moved) {
      if (before?.series === view.series) this.direction = view.frame > before.frame ? 1 : -1;
      window.clearTimeout(this.timer);
      this.timer = window.setTimeout(() => this.fetch(), before ? REST_MS : 0);
    }
    const key = keyOf(view.series, view.frame);
    if (!this.levels.has(key)) this.leave(view);
    else if (this.source?.signature === this.signature(key, state)) this.compose();
    else {
      if (this.source?.key === key) this.compose();
      void this.pump();
    }
  }

  /** The picture of a frame that was left stays, under its own number, until something nearer is painted beneath. */
  private leave(view: ViewState): void {
    if (this.picture?.view.series !== view.series || this.picture.view.frame === view.frame) this.hide();
  }

  giveWay(beneath: ShownPicture): void {
    const [own, wanted] = [this.picture?.view, this.wish?.view];
    if (!own || !wanted || own.frame === wanted.frame || beneath.view.series !== wanted.series) return;
    if (Math.abs(beneath.view.frame - wanted.frame) < Math.abs(own.frame - wanted.frame)) this.hide();
  }

  private fetch(): void {
    if (!this.wish || this.over) return;
    const { view, series } = this.wish;
    const { direction } = this;
    this.loading.want({ series: view.series, frame: view.frame, count: series.frame_count, direction });
  }

  /** Values came; drawn when they are those of the shown frame. */
  arrived(arrival: Arrival): void {
    this.levels.set(arrival.key, arrival.level);
    for (const key of this.levels.keys())
      if (key !== arrival.key && this.levels.get(key) === 0 && !this.store.has(key)) this.levels.delete(key);
    const view = this.wish?.view;
    if (view?.series === arrival.series && view.frame === arrival.frame) void this.pump();
  }

  // Drawing -----------------------------------------------------------------------------------------------------

  /** Stored pixels per screen pixel, as a power of two: what the screen cannot show need not be painted. */
  private reduction(state: DisplayState, level: number): number {
    const [a, b] = state.toScreen;
    const scale = Math.hypot(a, b) * state.pixelRatio * 2 ** level;
    return scale >= 0.5 ? 1 : 2 ** Math.floor(Math.log2(1 / scale));
  }

  private signature(key: string, state: DisplayState): string {
    const level = this.levels.get(key) ?? 0;
    return JSON.stringify([key, level, wishOf(state.view), this.reduction(state, level)]);
  }

  /** Draw the newest wish until it is drawn; wishes in between are passed over. */
  private async pump(): Promise<void> {
    if (this.drawing) return;
    this.drawing = true;
    try {
      for (;;) {
        const state = this.wish;
        if (!state || this.over) return;
        const { view } = state;
        const key = keyOf(view.series, view.frame);
        const signature = this.signature(key, state);
        const level = this.levels.get(key);
        if (level === undefined || signature === this.source?.signature) return;
        const reduction = this.reduction(state, level);
        const drawn = await this.pool.ask(this.pool.home(view.frame), {
          op: "draw",
          key,
          wish: wishOf(view),
          reduction,
        });
        if (this.over) return;
        this.drawMs = drawn.drawMs;
        // Colour is always drawn whole; what was drawn says how many pixels it has.
        const columns = Math.ceil(this.columnsOf(key, state) / 2 ** level);
        const step = (drawn.width < columns ? reduction : 1) * 2 ** level;
        this.take({ key, signature, view, drawn, step, level });
      }
    } catch {
      this.levels.delete(this.wish ? keyOf(this.wish.view.series, this.wish.view.frame) : "");
      this.hide(); // the previews beneath stay
      this.host.changed(this);
    } finally {
      this.drawing = false;
    }
  }

  private columnsOf(key: string, state: DisplayState): number {
    const frame = this.loading.description(key)?.frame;
    return hasValues(frame) ? (frame.shape[1] ?? 1) : state.image.columns;
  }

  private take(source: Source): void {
    const { matrix } = this;
    const { drawn } = source;
    const now = this.wish?.view;
    if (now?.series !== source.view.series || now.frame !== source.view.frame) return;
    matrix.width = drawn.width;
    matrix.height = drawn.height;
    matrix.getContext("2d")?.putImageData(new ImageData(drawn.rgba, drawn.width, drawn.height), 0, 0);
    this.source = source;
    this.compose();
    this.host.changed(this);
  }

  /** The drawn pixels where the view wants them: zoom, pan, flips and turns need no new drawing. */
  private compose(): void {
    const { wish, source, canvas } = this;
    const context = canvas.getContext("2d");
    if (!wish || !source || !context) return;
    const { stage, pixelRatio, toScreen, view, image } = wish;
    const [width, height] = [Math.round(stage.width * pixelRatio), Math.round(stage.height * pixelRatio)];
    if (canvas.width !== width || canvas.height !== height) [canvas.width, canvas.height] = [width, height];
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.fillStyle = "#000";
    context.fillRect(0, 0, width, height);
    const [a, b, c, d, e, f] = toScreen;
    const r = pixelRatio;
    context.setTransform(a * r, b * r, c * r, d * r, e * r, f * r);
    context.imageSmoothingEnabled = true;
    context.imageSmoothingQuality = "high";
    context.beginPath();
    context.rect(0, 0, image.columns, image.rows);
    context.save();
    context.clip();
    context.drawImage(this.matrix, 0, 0, source.drawn.width * source.step, source.drawn.height * source.step);
    context.restore();
    canvas.hidden = false;
    const { applied } = source.drawn;
    const described = this.loading.description(source.key);
    const asked = view.voi === "window";
    this.picture = {
      view,
      version: described?.version ?? 0,
      quality: this.qualityOf(source),
      sourceRect: [0, 0, image.columns, image.rows],
      windowCenter: asked ? view.windowCenter : applied.center,
      windowWidth: asked ? view.windowWidth : applied.width,
      ...this.told(source),
    };
  }

  private qualityOf(source: Source): Quality {
    const frame = this.loading.description(source.key)?.frame;
    const exact = source.level === 0 && this.store.has(source.key);
    return exact && hasValues(frame) && frame.fidelity === "stored" ? "lossless" : "refined";
  }

  /** The mode where it is not the usual one, what an earlier compression means, size and hash. */
  private told(source: Source): { note?: string; detail?: string } {
    const frame = this.loading.description(source.key)?.frame;
    if (!hasValues(frame)) return {};
    const notes = [
      frame.fidelity === "lossy" && source.level === 0 ? this.words.lossy : "",
      this.loading.isUncompressed && source.level === 0 ? this.words.uncompressed : "",
    ].filter(Boolean);
    const detail = `${frame.shape.join(" x ")} ${frame.dtype}, SHA-256 ${frame.sha256}`;
    return { ...(notes.length ? { note: notes.join(" · ") } : {}), ...(source.level ? {} : { detail }) };
  }

  private hide(): void {
    if (!this.picture) return;
    this.picture = null;
    this.canvas.hidden = true;
    this.host.changed(this);
  }

  // Exact figures -----------------------------------------------------------------------------------------------

  private held(of: Place | undefined = this.wish?.view): string | null {
    const key = of ? keyOf(of.series, of.frame) : "";
    return this.store.has(key) ? key : null;
  }

  /** What makes SUV of the shown series' values; null where nothing does. */
  get suvFactor(): number | null {
    return this.wish?.manifest?.suv?.factor ?? null;
  }

  /** Whether a frame's exact values are here. */
  holds(of: Place): boolean {
    return this.held(of) !== null;
  }

  /** The value under a point of the stage, CSS px; null without values or outside the image. */
  async probe(x: number, y: number): Promise<Probe | null> {
    const key = this.held();
    if (!key || !this.wish) return null;
    const [column, row] = through(inverted(this.wish.toScreen), x, y);
    const question = { op: "probe", key, x: column, y: row } as const;
    return this.pool.ask(this.pool.home(this.wish.view.frame), question);
  }

  /** The value at an image point of a frame; null without values or outside the image. */
  async valueAt(x: number, y: number, of: Place): Promise<Probe | null> {
    const key = this.held(of);
    return key ? this.pool.ask(this.pool.home(of.frame), { op: "probe", key, x, y }) : null;
  }

  /** Of a region of a frame (the shown one), image pixels; null without values. */
  async statistics(
    rect: Rect,
    shape: "rectangle" | "ellipse" = "rectangle",
    of: Place | undefined = this.wish?.view,
  ): Promise<Statistics | null> {
    const key = this.held(of);
    if (!key || !of) return null;
    return this.pool.ask(this.pool.home(of.frame), { op: "statistics", key, rect, shape });
  }

  /** SHA-256 of the array that the shown frame is drawn from; null without values. */
  async digest(): Promise<string | null> {
    const key = this.held();
    if (!key || !this.wish) return null;
    return this.pool.ask(this.pool.home(this.wish.view.frame), { op: "digest", key });
  }

  // End ---------------------------------------------------------------------------------------------------------

  forget(series: number): void {
    this.loading.forget(series);
    this.loading.drop(this.store.forget(series));
    for (const key of [...this.levels.keys()]) if (key.startsWith(`${series}/`)) this.levels.delete(key);
    if (this.wish?.view.series !== series) return;
    this.source = null;
    this.hide();
    this.timer = window.setTimeout(() => this.fetch(), REST_MS);
  }

  clear(): void {
    this.over = true;
    window.clearTimeout(this.timer);
    this.loading.end();
    this.pool.end();
    this.store.forget();
    this.levels.clear();
    this.source = null;
    this.picture = null;
    this.canvas.hidden = true;
    for (const canvas of [this.canvas, this.matrix]) canvas.width = canvas.height = 1;
  }
}
