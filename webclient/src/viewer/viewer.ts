// The viewer: holds the view, tells the layers what to show, keeps bars and texts true to what is shown.

import { isMeasuring, loadMeasuring, type Measuring } from "../measure/load";
import { type PictureHeader, Stream } from "../net/stream";
import { translator, type Word } from "../ui/words";
import type { DisplayState, LayerHost, PictureLayer, ShownPicture } from "../viewport/layer";
import { clampCenter, type ImageSize, imageToScreen, type Size, scaleOf } from "../viewport/placement";
import {
  clamp,
  flipped,
  initialState,
  type Measurement,
  resetDisplay,
  turned,
  type ViewState,
} from "../viewport/state";
import { Undo } from "../viewport/undo";
import { Back, cameFromList, leavePage } from "./back";
import { Card } from "./card";
import { Cine } from "./cine";
import { build, type Elements } from "./dom";
import { ViewerHands } from "./hands";
import { KeyImages } from "./keyimages";
import { listenToKeys } from "./keys";
import { Link, linkedMeasurements, linkedView } from "./link";
import { type Boot, frameInfo, type Manifest, type SeriesEntry } from "./manifest";
import { fillSheet, isElder } from "./menu";
import { Notice } from "./notice";
import { refreshOverlay, showQuality } from "./overlay";
import { restorePanel } from "./panel";
import { PreviewLayer } from "./previews";
import { Sheet } from "./sheet";
import { Slider } from "./slider";
import { Strip } from "./strip";
import { Study } from "./study";
import { type Tool, Toolbar } from "./toolbar";

const MIDDLE_FIRST = ["CT", "MR", "PT", "NM"];

/** What an undo brings back. */
interface Seen {
  readonly view: ViewState;
  readonly measurements: readonly Measurement[];
}

/** Paging alone is no step. */
const kept = ({ view, measurements }: Seen) => JSON.stringify([{ ...view, frame: 0 }, measurements]);

export class Viewer implements LayerHost {
  readonly t: (word: Word) => string;
  readonly ui: Elements;
  readonly stage: HTMLElement;
  readonly back = new Back();
  readonly sheet: Sheet;
  readonly toolbar: Toolbar;
  readonly cine: Cine;
  readonly study: Study;
  readonly card: Card;
  readonly keyImages: KeyImages;
  private readonly slider: Slider;
  readonly strip: Strip;
  readonly notice: Notice;
  readonly hands: ViewerHands;
  private readonly stream: Stream;
  private readonly link: Link;
  private readonly undoing = new Undo<Seen>(kept);
  private readonly fromList: boolean;
  private readonly layers: PictureLayer[] = [];
  private readonly covering = new Set<PictureLayer>();
  private readonly listeners: ((state: DisplayState) => void)[] = [];
  view: ViewState;
  /** Of all the study's images. */
  measurements: readonly Measurement[];
  measurementsHidden = false;
  /** The tools that measure, once their script is here. */
  measuring: Measuring | null = null;
  tool: Tool = "page";
  private frameRequest = 0;
  private moving = false;
  private online = true;
  private over = false;

  constructor(readonly boot: Boot) {
    this.t = translator(boot.language);
    this.ui = build(this.t);
    this.stage = this.ui.stage;
    this.ui.root.classList.toggle("elder", isElder());
    restorePanel(this.ui.root);
    this.fromList = cameFromList(boot.study);
    this.link = new Link(boot.study);
    this.view = linkedView(boot, location.hash) ?? initialState(boot.first.series, boot.first.frame);
    this.measurements = linkedMeasurements(boot, location.hash);
    this.notice = new Notice(this.ui.message, this.t("slow"));
    this.strip = new Strip(this.ui.strip, (entry) => this.openSeries(entry));
    this.cine = new Cine({
      frame: () => this.view.frame,
      count: () => this.series.frame_count,
      settled: () => this.shown()?.view.frame === this.view.frame,
      show: (frame) => this.scrollTo(frame),
      changed: () => this.refreshChips(),
    });
    this.toolbar = new Toolbar(this.ui.tools, this.ui.chips, this.t, boot.language, this);
    this.slider = new Slider(this.ui.slider, this.ui.thumb, this.ui.bubble, (frame) => {
      this.hands.rest();
      this.scrollTo(frame);
    });
    this.sheet = new Sheet(this.ui.sheet, this.ui.more, this.back);
    this.study = new Study(boot, this);
    this.keyImages = new KeyImages(this);
    fillSheet(this);
    this.stream = new Stream(boot.study, true, {
      picture: (header, bytes) => this.receive(header, bytes),
      message: (message) => this.hear(message),
      online: (connected) => this.setOnline(connected),
      ended: (code) => this.end(code),
    });
    this.add((host) => new PreviewLayer(this.ui.canvas, host));
    this.hands = new ViewerHands(this);
    this.hands.listen();
    this.card = new Card(listenToKeys(this, this.hands), this.t, this.back);
    this.ui.root.append(this.card.element);
    // An entry of the history that Back comes to holds an older view in its address.
    window.addEventListener("popstate", () => this.saveLink());
    this.strip.fill(boot.series);
    showQuality(this.ui, this.t, "preview");
    // UX section 6: a finger pages first, a mouse windows first (it pages by its wheel).
    this.choose(window.matchMedia("(pointer: coarse)").matches ? "page" : "window");
    this.refresh();
    if (this.measurements.length) loadMeasuring(this);
  }

  /** A layer above those that are there. */
  add(make: (host: LayerHost) => PictureLayer): void {
    const layer = make(this);
    const above = this.layers[this.layers.length - 1];
    if (above) above.canvas.after(layer.canvas);
    this.layers.push(layer);
    if (above && !this.over) layer.display(this.display());
  }

  /** Told each time that anything of what should be shown changed. */
  onDisplay(listener: (state: DisplayState) => void): void {
    this.listeners.push(listener);
  }

  // What should be shown ----------------------------------------------------------------------------------------

  get series(): SeriesEntry {
    return this.study.entry(this.view.series);
  }

  get manifest(): Manifest | undefined {
    return this.study.manifest(this.view.series);
  }

  image(): ImageSize {
    const info = this.manifest ? frameInfo(this.manifest, this.view.frame) : null;
    const { width, height } = this.boot.first;
    if (!info) return { columns: width, rows: height, aspect: 1 };
    return { columns: info.columns, rows: info.rows, aspect: info.pixel_aspect ?? 1 };
  }

  box(): Size {
    return { width: this.stage.clientWidth, height: this.stage.clientHeight };
  }

  private display(): DisplayState {
    const { view, series, manifest, moving } = this;
    const [image, stage] = [this.image(), this.box()];
    const info = manifest ? frameInfo(manifest, view.frame) : null;
    const pixelRatio = window.devicePixelRatio || 1;
    const toScreen = imageToScreen(view, image, stage);
    return { view, series, manifest, info, image, stage, pixelRatio, toScreen, moving };
  }

  /** Another view, or another place for it: every layer is told. */
  refresh(): void {
    // Until a grown series' manifest is here its indices mean nobody knows which images.
    if (this.over || this.study.isUncertain(this.view.series)) return;
    const state = this.display();
    for (const layer of this.layers) layer.display(state);
    for (const listener of this.listeners) listener(state);
    this.refreshTexts();
  }

  /** At most once for each frame of the screen, however fast the hand is. */
  refreshSoon(): void {
    if (this.frameRequest) return;
    this.frameRequest = window.requestAnimationFrame(() => {
      this.frameRequest = 0;
      this.refresh();
    });
  }

  /** What waits for the screen's next frame is asked for now: a picture from afar is there half a frame sooner. */
  refreshEarly(): void {
    if (!this.frameRequest) return;
    window.cancelAnimationFrame(this.frameRequest);
    this.frameRequest = 0;
    this.refresh();
  }

  change(next: ViewState): void {
    const { view: before, measurements } = this;
    this.view = clampCenter(next, this.image(), this.box());
    this.undoing.note({ view: before, measurements }, { view: this.view, measurements });
    if (!this.moving) this.undoing.rest();
    if (before.series !== this.view.series) this.study.ask(this.view.series);
    this.refreshSoon();
    this.saveLink();
  }

  /** Other measurements: one step of undo. */
  measure(next: readonly Measurement[]): void {
    const { view, measurements } = this;
    this.measurements = next;
    this.undoing.note({ view, measurements }, { view, measurements: next });
    this.undoing.rest();
    this.refreshSoon();
    this.saveLink();
  }

  private saveLink(): void {
    this.link.save(this.view, this.measurements);
  }

  /** A hand is on the picture, or has left it. */
  hold(moving: boolean): void {
    this.moving = moving;
    if (moving) return;
    this.undoing.rest();
    this.refreshSoon();
    this.refreshChips();
  }

  // What is shown -----------------------------------------------------------------------------------------------

  /** The picture that is seen: of the uppermost layer that shows the wanted image, else of any that shows one. */
  private shown(): ShownPicture | null {
    const here = this.layers.map((layer) => layer.shown).filter((picture) => picture !== null);
    here.reverse();
    const sameSeries = here.filter((picture) => picture.view.series === this.view.series);
    return sameSeries.find((one) => one.view.frame === this.view.frame) ?? sameSeries[0] ?? here[0] ?? null;
  }

  /** The view whose picture is on screen; the wanted one while no picture of its series is. */
  seen(): ViewState {
    const picture = this.shown();
    return picture?.view.series === this.view.series ? picture.view : this.view;
  }

  private isSettled(picture: ShownPicture | null): picture is ShownPicture {
    return picture !== null && JSON.stringify(picture.view) === JSON.stringify(this.view);
  }

  isCovered(layer: PictureLayer, view: ViewState): boolean {
    return this.layers.slice(this.layers.indexOf(layer) + 1).some((above) => above.covers?.(view) ?? false);
  }

  /** A layer covers the view now, or no longer does: those beneath stop asking, or ask. */
  private tellCovered(layer: PictureLayer): void {
    const covers = layer.covers?.(this.view) ?? false;
    if (covers === this.covering.has(layer)) return;
    if (covers) this.covering.add(layer);
    else this.covering.delete(layer);
    const state = this.display();
    for (const beneath of this.layers.slice(0, this.layers.indexOf(layer))) beneath.display(state);
  }

  changed(layer: PictureLayer): void {
    if (!this.stage.classList.contains("live") && this.shown()) {
      this.stage.classList.add("live");
      for (const first of this.stage.querySelectorAll("img")) first.remove();
    }
    this.tellCovered(layer);
    const picture = layer.shown;
    if (picture)
      for (const above of this.layers.slice(this.layers.indexOf(layer) + 1)) above.giveWay?.(picture);
    if (this.isSettled(this.shown())) this.notice.settled();
    this.refreshTexts();
  }

  private refreshTexts(): void {
    const { ui, view, boot, manifest, series } = this;
    const picture = this.shown();
    const of = this.seen();
    const settled = this.isSettled(picture) ? picture : undefined;
    if (picture) showQuality(ui, this.t, settled?.quality ?? "loading", settled);
    const part = series.body_part || series.description;
    const place = `${of.frame + 1}/${series.frame_count}`;
    ui.part.textContent = `${series.modality} ${part}`.trim();
    ui.place.textContent = ` ${place}`;
    this.slider.show(view.frame, series.frame_count);
    this.strip.mark(view.series);
    this.toolbar.single(series.frame_count < 2);
    const scale = scaleOf(view, this.image(), this.box());
    refreshOverlay(ui, { boot, manifest, series, state: of, wanted: view, picture, scale });
    this.measuring?.refresh();
    this.keyImages.refresh();
  }

  // The stream --------------------------------------------------------------------------------------------------

  versionOf(series: number): number {
    return this.study.versionOf(series);
  }

  send(message: Record<string, unknown>): void {
    this.stream.send(message);
  }

  want(viewport: string, message: Record<string, unknown> | null): void {
    this.stream.want(viewport, message);
    if (viewport !== "main") return;
    if (message) this.notice.waiting();
    else this.notice.settled();
  }

  private receive(header: PictureHeader, bytes: ArrayBuffer): void {
    if (this.over) return;
    this.study.compare(header.series, header.version);
    for (const layer of this.layers) if (layer.receive?.(header, bytes)) return;
  }

  private hear(message: Record<string, unknown>): void {
    if (this.keyImages.hear(message)) return;
    for (const layer of this.layers) if (layer.message?.(message)) return;
    if (this.study.hear(message)) return;
    if (message["t"] === "error") this.complain(message);
  }

  private complain(error: Record<string, unknown>): void {
    if (error["of"] === "prefetch" || error["of"] === "manifest") return;
    this.notice.settled();
    const message = error["message"] as Record<string, string> | undefined;
    this.notice.tell(`${message?.[this.boot.language] ?? this.t("failed")}（${String(error["code"])}）`);
  }

  private setOnline(connected: boolean): void {
    if (connected && !this.online) this.notice.tell("");
    if (connected) this.study.ask(this.view.series);
    if (!connected) this.notice.tell(this.t("offline"));
    this.online = connected;
    for (const layer of this.layers) layer.online?.(connected);
  }

  /** The images of these series are other ones now. */
  forget(series: readonly SeriesEntry[]): void {
    for (const entry of series) for (const layer of this.layers) layer.forget?.(entry.series);
  }

  /** The study grew by so many images. */
  grown(more: number): void {
    this.strip.fill(this.boot.series);
    if (more) this.notice.tell(`${this.t("arrived")} ${more}`, 3000);
    if (!this.boot.series.some((entry) => entry.series === this.view.series)) this.openSeries(this.series);
    this.study.ask(this.view.series);
    this.refresh();
  }

  /** What the open series is has been told; `frame`: where the image that is seen is in it. */
  learned(frame: number): void {
    this.view = clampCenter({ ...this.view, frame }, this.image(), this.box());
    this.refresh();
  }

  /** The right is gone: nothing of the pictures stays, neither on screen nor in memory. */
  private end(code: string): void {
    this.notice.settled();
    this.hands.rest();
    this.cine.stop();
    this.over = true;
    for (const layer of this.layers) layer.clear();
    this.measurements = [];
    this.measuring?.refresh();
    this.keyImages.clear();
    this.ui.strip.replaceChildren();
    this.stage.classList.remove("live");
    for (const first of this.stage.querySelectorAll("img")) first.remove();
    this.ui.root.classList.add("ended");
    const isStopped = this.boot.patient_facing && code !== "identity.session_over";
    this.notice.tell(this.t(isStopped ? "stopped" : "over"));
  }

  // Acts --------------------------------------------------------------------------------------------------------

  openSeries(entry: SeriesEntry): void {
    this.cine.stop();
    this.cine.unmark();
    const middle = entry.frame_count >= 3 && MIDDLE_FIRST.includes(entry.modality);
    this.change(initialState(entry.series, middle ? Math.floor(entry.frame_count / 2) : 0));
    this.refreshChips();
  }

  neighbour(step: number): void {
    const index = this.boot.series.findIndex((entry) => entry.series === this.view.series) + step;
    const entry = this.boot.series[index];
    if (entry) this.openSeries(entry);
  }

  scrollTo(frame: number): void {
    const next = clamp(frame, 0, this.series.frame_count - 1);
    if (next !== this.view.frame) this.change({ ...this.view, frame: next });
  }

  choose(tool: Tool): void {
    this.tool = tool;
    if (isMeasuring(tool)) loadMeasuring(this);
    this.measuring?.refresh();
    this.toolbar.mark(tool);
    this.refreshChips();
  }

  hideMeasurements(): void {
    this.measurementsHidden = !this.measurementsHidden;
    this.measuring?.refresh();
    this.refreshChips();
  }

  private refreshChips(): void {
    this.toolbar.playing(this.cine.playing);
    this.toolbar.showChips(this.tool, this.view, this.series.modality, this.cine);
  }

  setVoi(voi: "file" | "auto"): void {
    this.change({ ...this.view, voi, windowCenter: null, windowWidth: null });
    this.refreshChips();
  }

  setWindow(center: number, width: number): void {
    this.change({ ...this.view, voi: "window", windowCenter: center, windowWidth: width });
  }

  chooseWindow(center: number, width: number): void {
    this.setWindow(center, width);
    this.refreshChips();
  }

  /** The window of what is shown, from which a drag starts. */
  windowNow(): { center: number; width: number } {
    const [picture, { first }] = [this.shown(), this.boot];
    return {
      center: this.view.windowCenter ?? picture?.windowCenter ?? first.window_center ?? 40,
      width: this.view.windowWidth ?? picture?.windowWidth ?? first.window_width ?? 400,
    };
  }

  rotate(degrees: number): void {
    this.change(turned(this.view, degrees));
  }

  flip(axis: "horizontal" | "vertical"): void {
    this.change(flipped(this.view, axis));
  }

  invert(): void {
    this.change({ ...this.view, invert: !this.view.invert });
  }

  fit(): void {
    this.change({ ...this.view, zoom: 1, centerX: 0.5, centerY: 0.5 });
    this.refreshChips();
  }

  natural(): void {
    const now = scaleOf(this.view, this.image(), this.box()) * (window.devicePixelRatio || 1);
    this.hands.zoomMiddle(1 / now);
    this.refreshChips();
  }

  reset(): void {
    this.change(resetDisplay(this.view));
    this.refreshChips();
  }

  undo(again = false): void {
    const now = { view: this.view, measurements: this.measurements };
    const next = again ? this.undoing.redo(now) : this.undoing.undo(now);
    if (!next) return;
    this.view = next.view;
    this.measurements = next.measurements;
    this.study.ask(this.view.series);
    this.refreshSoon();
    this.refreshChips();
    this.saveLink();
  }

  togglePlay(): void {
    if (this.cine.playing) this.cine.stop();
    else if (this.series.frame_count > 1) this.cine.start(this.manifest?.cine_rate_hz ?? null);
  }

  /** Esc: whatever lies on the picture. */
  dismiss(): void {
    if (this.measuring?.cancel()) return;
    this.sheet.toggle(false);
    this.card.toggle(false);
  }

  leave(): void {
    leavePage(this.back, this.fromList, this.boot.close_url);
  }
}
