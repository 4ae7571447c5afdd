// The viewer: holds the view, tells the layers what to show, keeps bars and texts true to what is shown.

import { type PictureHeader, Stream } from "../net/stream";
import { translator } from "../ui/words";
import type { DisplayState, LayerHost, PictureLayer, Quality, ShownPicture } from "../viewport/layer";
import { clampCenter, type ImageSize, imageToScreen, type Size } from "../viewport/placement";
import { screenFragment, screenFromFragment } from "../viewport/serial";
import {
  clamp,
  flipped,
  initialState,
  resetDisplay,
  screenOf,
  turned,
  type ViewState,
} from "../viewport/state";
import { Undo } from "../viewport/undo";
import { Back, cameFromList, listAddress } from "./back";
import { Cine } from "./cine";
import { build, type Elements } from "./dom";
import { changedSeries, imagesMore, sameImage } from "./growth";
import { ViewerHands } from "./hands";
import { type Boot, frameInfo, type Manifest, type SeriesEntry } from "./manifest";
import { refreshOverlay, showQuality } from "./overlay";
import { PreviewLayer } from "./previews";
import { Sheet } from "./sheet";
import { Strip } from "./strip";
import { type Tool, Toolbar } from "./toolbar";

const SLOW_MS = 10_000;
const SAVE_MS = 300;
const TOLD_MS = 3_000;
const REOPEN_MS = 2_000;
const MIDDLE_FIRST = ["CT", "MR", "PT", "NM"];

export class Viewer implements LayerHost {
  private readonly t;
  readonly ui: Elements;
  readonly stage: HTMLElement;
  readonly sheet: Sheet;
  readonly toolbar: Toolbar;
  private readonly strip: Strip;
  private readonly hands: ViewerHands;
  private readonly stream: Stream;
  private readonly cine: Cine;
  private readonly layers: PictureLayer[] = [];
  private readonly manifests = new Map<number, Manifest>();
  private listeners: ((state: DisplayState) => void)[] = [];
  view: ViewState;
  tool: Tool = "page";
  readonly back = new Back();
  private readonly undoing = new Undo();
  private readonly fromList: boolean;
  private frameRequest = 0;
  private saveTimer = 0;
  private toldTimer = 0;
  private slowTimer = 0;
  private reopened = Number.NEGATIVE_INFINITY;
  /** A series that grew: its manifest as it was, until the new one tells where its images are now. */
  private outdated: Manifest | null = null;
  private moving = false;
  private online = true;
  private over = false;

  constructor(readonly boot: Boot) {
    this.t = translator(boot.language);
    this.ui = build(this.t);
    this.stage = this.ui.stage;
    this.fromList = cameFromList(boot.study);
    this.view = this.linkedView() ?? initialState(boot.first.series, boot.first.frame);
    this.strip = new Strip(this.ui.strip, (entry) => this.openSeries(entry));
    this.cine = new Cine({
      settled: () => this.shown()?.view.frame === this.view.frame,
      next: () => this.scrollTo((this.view.frame + 1) % this.series.frame_count),
      playing: (on) => this.toolbar.playing(on),
    });
    this.toolbar = new Toolbar(this.ui.tools, this.ui.chips, this.t, boot.language, this);
    this.sheet = new Sheet(this.ui.sheet, this.ui.more, this.back);
    this.fillSheet();
    this.stream = new Stream(boot.study, true, {
      picture: (header, bytes) => this.receive(header, bytes),
      message: (message) => this.hear(message),
      online: (connected) => this.setOnline(connected),
      ended: (code) => this.end(code),
    });
    this.add((host) => new PreviewLayer(this.ui.canvas, host));
    this.hands = new ViewerHands(this);
    this.hands.listen();
    this.strip.fill(boot.series);
    showQuality(this.ui, this.t, "preview");
    // UX section 6: a finger pages first, a mouse windows first (it pages by its wheel).
    this.choose(window.matchMedia("(pointer: coarse)").matches ? "page" : "window");
    this.refresh();
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
    const found = this.boot.series.find((entry) => entry.series === this.view.series) ?? this.boot.series[0];
    if (!found) throw new Error("viewer: no series");
    return found;
  }

  get manifest(): Manifest | undefined {
    return this.manifests.get(this.view.series);
  }

  image(): ImageSize {
    const info = this.manifest ? frameInfo(this.manifest, this.view.frame) : null;
    const { width, height } = this.boot.first;
    if (!info) return { columns: width, rows: height, aspect: 1 };
    const aspect = info.spacing_mm ? info.spacing_mm[0] / info.spacing_mm[1] : 1;
    return { columns: info.columns, rows: info.rows, aspect };
  }

  box(): Size {
    return { width: this.stage.clientWidth, height: this.stage.clientHeight };
  }

  private display(): DisplayState {
    const { view, series, manifest } = this;
    const [image, stage] = [this.image(), this.box()];
    return {
      view,
      series,
      manifest,
      info: manifest ? frameInfo(manifest, view.frame) : null,
      image,
      stage,
      pixelRatio: window.devicePixelRatio || 1,
      toScreen: imageToScreen(view, image, stage),
      moving: this.moving,
    };
  }

  /** Another view, or another place for it: every layer is told. */
  refresh(): void {
    // Until a grown series' manifest is here its indices mean nobody knows which images.
    if (this.over || this.outdated) return;
    const state = this.display();
    for (const layer of this.layers) layer.display(state);
    for (const listener of this.listeners) listener(state);
    this.refreshTexts();
  }

  /** At most once for each frame of the screen, however fast the hand is. */
  private refreshSoon(): void {
    if (this.frameRequest) return;
    this.frameRequest = window.requestAnimationFrame(() => {
      this.frameRequest = 0;
      this.refresh();
    });
  }

  change(next: ViewState): void {
    const before = this.view;
    this.view = clampCenter(next, this.image(), this.box());
    this.undoing.note(before, this.view);
    if (!this.moving) this.undoing.rest();
    this.refreshSoon();
    this.save();
  }

  /** A hand is on the picture, or has left it. */
  hold(moving: boolean): void {
    this.moving = moving;
    if (moving) return;
    this.undoing.rest();
    this.refreshSoon();
  }

  undo(again = false): void {
    const next = again ? this.undoing.redo(this.view) : this.undoing.undo(this.view);
    if (!next) return;
    this.view = next;
    this.askManifest();
    this.refreshSoon();
    this.refreshChips();
    this.save();
  }

  // The view in the address: a page that is opened again shows what it showed ----------------------------------

  private save(): void {
    window.clearTimeout(this.saveTimer);
    this.saveTimer = window.setTimeout(() => {
      const fragment = screenFragment(screenOf(this.boot.study, this.view));
      history.replaceState(history.state, "", `${location.pathname}${location.search}${fragment}`);
    }, SAVE_MS);
  }

  private linkedView(): ViewState | null {
    const screen = screenFromFragment(location.hash);
    const view = screen?.study === this.boot.study ? screen.views[screen.active] : null;
    if (view?.kind !== "stack") return null;
    const entry = this.boot.series.find((one) => one.series === view.series);
    return entry && view.frame < entry.frame_count ? view : null;
  }

  // What is shown -----------------------------------------------------------------------------------------------

  /** The picture that is seen: of the uppermost layer that shows the wanted image, else of any that shows one. */
  private shown(): ShownPicture | null {
    const here = this.layers.map((layer) => layer.shown).filter((picture) => picture !== null);
    here.reverse();
    const fits = (picture: ShownPicture) =>
      picture.view.series === this.view.series && picture.view.frame === this.view.frame;
    return (
      here.find(fits) ?? here.find((picture) => picture.view.series === this.view.series) ?? here[0] ?? null
    );
  }

  changed(_layer: PictureLayer): void {
    if (!this.stage.classList.contains("live")) {
      this.stage.classList.add("live");
      for (const first of this.stage.querySelectorAll("img")) first.remove();
    }
    if (JSON.stringify(this.shown()?.view) === JSON.stringify(this.view)) {
      window.clearTimeout(this.slowTimer);
      this.slowTimer = 0;
      this.tell("");
    }
    this.refreshTexts();
  }

  private refreshTexts(): void {
    const picture = this.shown();
    const sameSeries = picture?.view.series === this.view.series;
    const of = sameSeries && picture ? picture.view : this.view;
    const settled = picture !== null && JSON.stringify(picture.view) === JSON.stringify(this.view);
    const quality: Quality = settled ? picture.quality : "loading";
    if (picture) showQuality(this.ui, this.t, quality);
    this.refreshBars(of);
    const { ui, view, boot, manifest, series } = this;
    const scale = Math.hypot(
      ...(imageToScreen(of, this.image(), this.box()).slice(0, 2) as [number, number]),
    );
    refreshOverlay(ui, { boot, manifest, series, state: of, wanted: view, picture, scale });
  }

  private refreshBars(of: ViewState): void {
    const { series, view, ui } = this;
    const part = series.body_part || series.description;
    const place = `${of.frame + 1}/${series.frame_count}`;
    ui.title.textContent = `${series.modality} ${part} ${place}`.replace(/ +/g, " ");
    ui.slider.max = String(series.frame_count - 1);
    ui.slider.value = String(view.frame);
    ui.slider.hidden = series.frame_count < 2;
    ui.bubble.textContent = String(view.frame + 1);
    this.strip.mark(view.series);
    this.toolbar.single(series.frame_count < 2);
  }

  // The stream --------------------------------------------------------------------------------------------------

  send(message: Record<string, unknown>): void {
    this.stream.send(message);
  }

  versionOf(series: number): number {
    return this.boot.series.find((entry) => entry.series === series)?.version ?? 0;
  }

  want(viewport: string, message: Record<string, unknown> | null): void {
    this.stream.want(viewport, message);
    if (viewport !== "main") return;
    window.clearTimeout(this.slowTimer);
    if (!message) return;
    this.slowTimer = window.setTimeout(() => this.tell(this.t("slow")), SLOW_MS);
  }

  private receive(header: PictureHeader, bytes: ArrayBuffer): void {
    if (this.over) return;
    if (header.version > this.versionOf(header.series)) this.reopen();
    for (const layer of this.layers) if (layer.receive?.(header, bytes)) return;
  }

  private hear(message: Record<string, unknown>): void {
    for (const layer of this.layers) if (layer.message?.(message)) return;
    if (message["t"] === "manifest") this.learn(message["manifest"] as Manifest);
    else if (message["t"] === "error") this.complain(message);
    else if (message["t"] === "opened") this.grow(message["series"] as SeriesEntry[]);
    else if (message["t"] === "changed") this.reopen(0);
  }

  private askManifest(): void {
    if (!this.manifest) this.stream.send({ t: "manifest", series: this.view.series });
  }

  private learn(manifest: Manifest): void {
    this.manifests.set(manifest.series, manifest);
    if (manifest.series !== this.view.series) return;
    if (this.outdated?.series === manifest.series)
      this.view = { ...this.view, frame: sameImage(this.outdated, manifest, this.view.frame) };
    this.outdated = null;
    this.view = clampCenter(this.view, this.image(), this.box());
    this.refresh();
  }

  /** Rule 19: the study is opened again; not more often than needed when each picture says so. */
  private reopen(pauseMs = REOPEN_MS): void {
    const now = performance.now();
    if (now - this.reopened < pauseMs) return;
    this.reopened = now;
    this.stream.send({ t: "open", study: this.boot.study });
  }

  private grow(series: SeriesEntry[]): void {
    const changed = changedSeries(this.boot.series, series);
    if (series.length === 0 || (changed.length === 0 && series.length === this.boot.series.length)) return;
    const more = imagesMore(this.boot.series, series);
    this.boot.series = series;
    this.strip.fill(series);
    for (const entry of changed) {
      for (const layer of this.layers) layer.forget?.(entry.series);
      if (entry.series === this.view.series) this.outdated = this.manifest ?? null;
      this.manifests.delete(entry.series);
    }
    if (!series.some((entry) => entry.series === this.view.series)) this.openSeries(this.series);
    this.askManifest();
    if (more) this.tell(`${this.t("arrived")} ${more}`, TOLD_MS);
    this.refresh();
  }

  private complain(error: Record<string, unknown>): void {
    if (error["of"] === "manifest" && this.outdated) {
      this.outdated = null;
      this.refresh();
    }
    if (error["of"] === "prefetch" || error["of"] === "manifest") return;
    window.clearTimeout(this.slowTimer);
    const message = error["message"] as Record<string, string> | undefined;
    this.tell(`${message?.[this.boot.language] ?? this.t("failed")}（${String(error["code"])}）`);
  }

  private setOnline(connected: boolean): void {
    if (connected && !this.online) this.tell("");
    if (connected) this.askManifest();
    if (!connected) this.tell(this.t("offline"));
    this.online = connected;
    for (const layer of this.layers) layer.online?.(connected);
  }

  /** The right is gone: nothing of the pictures stays, neither on screen nor in memory. */
  private end(code: string): void {
    window.clearTimeout(this.slowTimer);
    this.hands.rest();
    this.cine.stop();
    this.over = true;
    for (const layer of this.layers) layer.clear();
    this.ui.strip.replaceChildren();
    this.stage.classList.remove("live");
    for (const first of this.stage.querySelectorAll("img")) first.remove();
    this.ui.root.classList.add("ended");
    this.tell(
      this.boot.patient_facing && code !== "identity.session_over" ? this.t("stopped") : this.t("over"),
    );
  }

  private tell(text: string, forMs = 0): void {
    this.ui.message.hidden = text === "";
    this.ui.message.textContent = text;
    window.clearTimeout(this.toldTimer);
    if (forMs) this.toldTimer = window.setTimeout(() => this.tell(""), forMs);
  }

  // Acts --------------------------------------------------------------------------------------------------------

  openSeries(entry: SeriesEntry): void {
    this.cine.stop();
    const middle = entry.frame_count >= 3 && MIDDLE_FIRST.includes(entry.modality);
    const before = this.view;
    this.view = initialState(entry.series, middle ? Math.floor(entry.frame_count / 2) : 0);
    this.undoing.note(before, this.view);
    this.undoing.rest();
    this.askManifest();
    this.refreshSoon();
    this.save();
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
    this.toolbar.mark(tool);
    this.refreshChips();
  }

  private refreshChips(): void {
    this.toolbar.showChips(this.tool, this.view, this.series.modality);
  }

  setVoi(voi: "file" | "auto"): void {
    this.change({ ...this.view, voi, windowCenter: null, windowWidth: null });
    this.refreshChips();
  }

  setWindow(center: number, width: number): void {
    this.change({ ...this.view, voi: "window", windowCenter: center, windowWidth: width });
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

  reset(): void {
    this.change(resetDisplay(this.view));
    this.refreshChips();
  }

  private fillSheet(): void {
    const { sheet, t } = this;
    sheet.add("rotate", t("rotate"), () => this.rotate(90));
    sheet.add("flip", t("flip"), () => this.flip("horizontal"));
    sheet.add("invert", t("invert"), () => this.invert());
    sheet.add("info", t("info"), () => this.ui.root.classList.toggle("informed"));
    sheet.add("reset", t("reset"), () => this.reset());
    sheet.add("", t("language"), () => {
      const other = this.boot.language === "zh" ? "en" : "zh";
      // biome-ignore lint/suspicious/noDocumentCookie: cookieStore is not in the browsers this must serve
      document.cookie = `cloudfilm_lang=${other};path=/;max-age=31536000;samesite=lax`;
      location.replace(`${location.pathname}?lang=${other}${location.hash}`);
    });
  }

  leave(): void {
    if (this.fromList) history.back();
    else if (this.boot.close_url) location.assign(listAddress(this.boot.close_url));
    else if (history.length > 1) history.back();
    else window.close();
  }

  togglePlay(): void {
    if (this.cine.playing) this.cine.stop();
    else if (this.series.frame_count > 1) this.cine.start(this.manifest?.cine_rate_hz ?? null);
  }
}
