// The viewer: holds the view state, asks the stream, paints what comes, keeps the bars true.

import { PictureCache } from "../net/cache";
import { type PictureHeader, Stream, viewMessage } from "../net/stream";
import { translator } from "../ui/words";
import {
  CT_PRESETS,
  clamp,
  flipped,
  initialState,
  placementOf,
  resetDisplay,
  type ViewState,
} from "../viewport/state";
import { build, type Elements, element, icon, toolButton } from "./dom";
import { ViewerHands } from "./hands";
import type { Boot, Manifest, SeriesEntry } from "./manifest";
import { refreshOverlay } from "./overlay";

type Tool = "page" | "window" | "zoom";
const CACHE_BYTES = 96 * 1024 * 1024;
const LARGEST_SIDE = 1600;
const SLOW_MS = 10_000;

interface Painted {
  readonly image: ImageBitmap;
  readonly header: PictureHeader;
  readonly state: ViewState;
  readonly bytes: number;
  close(): void;
}

export class Viewer {
  private readonly t;
  readonly ui: Elements;
  private readonly hands = new ViewerHands(this);
  private readonly stream: Stream;
  private readonly cache = new PictureCache<Painted>(CACHE_BYTES);
  private readonly manifests = new Map<number, Manifest>();
  private readonly wanted = new Map<number, { key: string; state: ViewState }>();
  state: ViewState;
  painted: Painted | null = null;
  private generation = 0;
  tool: Tool = "page";
  private playing = 0;
  private direction = 1;
  private slowTimer = 0;
  private online = true;
  private over = false;

  constructor(readonly boot: Boot) {
    this.t = translator(boot.language);
    this.ui = build(this.t);
    this.state = initialState(boot.first.series, boot.first.frame);
    this.stream = new Stream(boot.study, true, {
      picture: (header, bytes) => void this.receive(header, bytes),
      manifest: (manifest) => this.learn(manifest as unknown as Manifest),
      problem: (error) => this.complain(error),
      online: (connected) => this.setOnline(connected),
      ended: (code) => this.end(code),
    });
    this.buildStrip();
    this.buildTools();
    this.buildSheet();
    this.hands.listen();
    this.refreshBars();
    this.showQuality("preview");
    this.askManifest();
    this.ask();
  }

  // Asking and painting -----------------------------------------------------------------------------------------

  get series(): SeriesEntry {
    const found = this.boot.series.find((entry) => entry.series === this.state.series) ?? this.boot.series[0];
    if (!found) throw new Error("viewer: no series");
    return found;
  }

  get manifest(): Manifest | undefined {
    return this.manifests.get(this.state.series);
  }

  private askManifest(): void {
    if (!this.manifest) this.stream.send({ t: "manifest", series: this.state.series });
  }

  private size(): { width: number; height: number } {
    const box = this.ui.stage.getBoundingClientRect();
    const ratio = window.devicePixelRatio || 1;
    const native = this.manifest
      ? Math.max(this.manifest.shared.columns, this.manifest.shared.rows, 512)
      : 512;
    const limit = Math.min(LARGEST_SIDE, this.state.zoom > 1 ? LARGEST_SIDE : native);
    const scale = Math.min(ratio, limit / Math.max(1, Math.min(box.width, box.height)));
    return {
      width: Math.max(16, Math.round(box.width * scale)),
      height: Math.max(16, Math.round(box.height * scale)),
    };
  }

  private key(state: ViewState, size: { width: number; height: number }): string {
    return JSON.stringify([state, size.width, size.height]);
  }

  ask(): void {
    const size = this.size();
    const key = this.key(this.state, size);
    const kept = this.cache.get(key);
    if (kept) this.paint(kept);
    else if (this.painted) this.showQuality("loading");
    this.refreshBars();
    if (kept?.header.quality === "refined") return;
    this.generation += 1;
    this.wanted.set(this.generation, { key, state: this.state });
    this.wanted.delete(this.generation - 400);
    this.stream.want(viewMessage(this.state, this.generation, size.width, size.height));
    window.clearTimeout(this.slowTimer);
    this.slowTimer = window.setTimeout(() => this.tell(this.t("slow")), SLOW_MS);
  }

  private async receive(header: PictureHeader, bytes: ArrayBuffer): Promise<void> {
    const asked = this.wanted.get(header.generation);
    if (!asked || this.over) return;
    const { key, state } = asked;
    const image = await createImageBitmap(new Blob([bytes], { type: header.media_type }));
    const made: Painted = {
      image,
      header,
      state,
      bytes: image.width * image.height * 4,
      close: () => image.close(),
    };
    const before = this.cache.get(key);
    if (before?.header.quality === "refined" && header.quality === "preview") return;
    this.cache.put(key, made);
    const newest = header.generation === this.generation;
    // An older picture is better than a frozen one while the newest is on its way, but never one of another series.
    if (state.series !== this.state.series) return;
    if (newest || (this.painted?.header.generation ?? 0) < header.generation) this.paint(made);
    if (newest) {
      window.clearTimeout(this.slowTimer);
      this.tell("");
      if (header.quality === "preview") this.prefetch();
    }
  }

  private paint(made: Painted): void {
    const canvas = this.ui.canvas;
    if (canvas.width !== made.image.width || canvas.height !== made.image.height) {
      canvas.width = made.image.width;
      canvas.height = made.image.height;
    }
    canvas.getContext("2d", { alpha: false })?.drawImage(made.image, 0, 0);
    if (!this.painted) {
      canvas.classList.add("live");
      for (const first of this.ui.stage.querySelectorAll("img")) first.remove();
    }
    this.painted = made;
    this.place();
    this.showQuality(
      made.header.generation === this.generation || this.isShown() ? made.header.quality : "loading",
    );
    this.refreshBars();
    this.refreshOverlay();
  }

  /** What is on screen: texts and letters tell of the picture that is shown, not of the one on its way. */
  private shownState(): ViewState {
    return this.painted?.state.series === this.state.series ? this.painted.state : this.state;
  }

  private isShown(): boolean {
    return this.painted !== null && JSON.stringify(this.painted.state) === JSON.stringify(this.state);
  }

  /** Until the server's picture of a new zoom or place comes, the old one is moved there. */
  private place(): void {
    this.ui.canvas.style.transform = this.painted
      ? placementOf(this.painted.state, this.state, this.hands.shown())
      : "";
  }

  private prefetch(): void {
    const count = this.series.frame_count;
    if (count < 2) return;
    const frames: number[] = [];
    for (let step = 1; step <= 24; step += 1) {
      const ahead = this.state.frame + step * this.direction;
      const behind = this.state.frame - step * this.direction;
      if (ahead >= 0 && ahead < count) frames.push(ahead);
      if (step <= 8 && behind >= 0 && behind < count) frames.push(behind);
    }
    this.stream.send({ t: "prefetch", series: this.state.series, frames });
  }

  change(next: ViewState): void {
    if (next.frame !== this.state.frame) this.direction = next.frame > this.state.frame ? 1 : -1;
    this.state = next;
    this.place();
    this.ask();
  }

  // What the stream says ----------------------------------------------------------------------------------------

  private learn(manifest: Manifest): void {
    this.manifests.set(manifest.series, manifest);
    this.refreshBars();
    this.refreshOverlay();
    this.ask();
  }

  private complain(error: Record<string, unknown>): void {
    if (error["of"] === "prefetch" || error["of"] === "manifest") return;
    if (error["generation"] !== this.generation) return;
    window.clearTimeout(this.slowTimer);
    const message = error["message"] as Record<string, string> | undefined;
    this.tell(`${message?.[this.boot.language] ?? this.t("failed")}（${String(error["code"])}）`);
  }

  private setOnline(connected: boolean): void {
    if (connected && !this.online) this.tell("");
    if (connected) this.askManifest();
    if (!connected) this.tell(this.t("offline"));
    this.online = connected;
  }

  /** The right is gone: nothing of the pictures stays, neither on screen nor in memory. */
  private end(code: string): void {
    window.clearTimeout(this.slowTimer);
    this.hands.rest();
    this.stop();
    this.over = true;
    this.cache.clear();
    this.painted = null;
    this.ui.canvas.width = this.ui.canvas.height = 1;
    this.ui.strip.replaceChildren();
    this.ui.canvas.classList.remove("live");
    for (const first of this.ui.stage.querySelectorAll("img")) first.remove();
    this.ui.root.classList.add("ended");
    this.tell(
      this.boot.patient_facing && code !== "identity.session_over" ? this.t("stopped") : this.t("over"),
    );
  }

  private tell(text: string): void {
    this.ui.message.hidden = text === "";
    this.ui.message.textContent = text;
  }

  // Bars --------------------------------------------------------------------------------------------------------

  private buildStrip(): void {
    if (this.boot.series.length < 2) {
      this.ui.strip.hidden = true;
      return;
    }
    for (const entry of this.boot.series) {
      const picture = element("img", {
        src: `/api/series/${entry.series}/thumbnail?v=${entry.version}`,
        alt: "",
        loading: "lazy",
        width: "56",
        height: "56",
      });
      const label = `${entry.modality} ${entry.number ?? ""} ${entry.description || entry.body_part}`.trim();
      const button = element("button", { type: "button", class: "thumb", "aria-label": label, title: label });
      button.append(
        picture,
        element("span", {}, `${entry.number ?? ""}`),
        element("span", {}, `${entry.frame_count}`),
      );
      button.addEventListener("click", () => this.openSeries(entry));
      button.dataset["series"] = String(entry.series);
      this.ui.strip.append(button);
    }
  }

  private openSeries(entry: SeriesEntry): void {
    this.stop();
    const middle = entry.frame_count >= 3 && ["CT", "MR", "PT", "NM"].includes(entry.modality);
    this.change(initialState(entry.series, middle ? Math.floor(entry.frame_count / 2) : 0));
    this.askManifest();
  }

  private buildTools(): void {
    const add = (name: string, label: string, act: () => void) => {
      const button = toolButton(name, label);
      button.addEventListener("click", act);
      this.ui.tools.append(button);
      return button;
    };
    for (const name of ["page", "window", "zoom"] as const) add(name, this.t(name), () => this.choose(name));
    add("play", this.t("play"), () => this.togglePlay());
    // UX section 6: a finger pages first, a mouse windows first (it pages by its wheel).
    this.choose(window.matchMedia("(pointer: coarse)").matches ? "page" : "window");
  }

  choose(tool: Tool): void {
    this.tool = tool;
    for (const button of this.ui.tools.querySelectorAll<HTMLButtonElement>("button")) {
      if (button.dataset["tool"] !== "play")
        button.setAttribute("aria-pressed", String(button.dataset["tool"] === tool));
    }
    this.refreshChips();
  }

  private refreshChips(): void {
    const chips = this.ui.chips;
    chips.hidden = this.tool !== "window";
    chips.replaceChildren();
    const add = (label: string, pressed: boolean, act: () => void) => {
      const chip = element(
        "button",
        { type: "button", class: "chip", "aria-pressed": String(pressed) },
        label,
      );
      chip.addEventListener("click", act);
      chips.append(chip);
    };
    add(this.t("file"), this.state.voi === "file", () => this.setVoi("file"));
    add(this.t("auto"), this.state.voi === "auto", () => this.setVoi("auto"));
    if (this.series.modality === "CT") {
      for (const preset of CT_PRESETS) {
        const on = this.state.voi === "window" && this.state.windowWidth === preset.width;
        add(
          this.boot.language === "en" ? preset.en : preset.zh,
          on && this.state.windowCenter === preset.center,
          () => this.setWindow(preset.center, preset.width),
        );
      }
    }
  }

  setVoi(voi: "file" | "auto"): void {
    this.change({ ...this.state, voi, windowCenter: null, windowWidth: null });
    this.refreshChips();
  }

  setWindow(center: number, width: number): void {
    this.change({ ...this.state, voi: "window", windowCenter: center, windowWidth: width });
    this.refreshChips();
  }

  private buildSheet(): void {
    const add = (name: string, label: string, act: () => void) => {
      const button = element("button", { type: "button", class: "row" });
      button.append(icon(name), label);
      button.addEventListener("click", () => {
        act();
        this.toggleSheet(false);
      });
      this.ui.sheet.append(button);
    };
    add("rotate", this.t("rotate"), () =>
      this.change({ ...this.state, rotation: ((this.state.rotation + 90) % 360) as ViewState["rotation"] }),
    );
    add("flip", this.t("flip"), () => this.change(flipped(this.state, "horizontal")));
    add("invert", this.t("invert"), () => this.change({ ...this.state, invert: !this.state.invert }));
    add("info", this.t("info"), () => this.ui.root.classList.toggle("informed"));
    add("reset", this.t("reset"), () => this.reset());
    const language = element("button", { type: "button", class: "row" }, this.t("language"));
    language.addEventListener("click", () => {
      // biome-ignore lint/suspicious/noDocumentCookie: cookieStore is not in the browsers this must serve
      document.cookie = `cloudfilm_lang=${this.boot.language === "zh" ? "en" : "zh"};path=/;max-age=31536000;samesite=lax`;
      location.replace(location.pathname);
    });
    this.ui.sheet.append(language);
  }

  reset(): void {
    this.change(resetDisplay(this.state));
    this.refreshChips();
  }

  toggleSheet(open = this.ui.sheet.hidden): void {
    this.ui.sheet.hidden = !open;
    this.ui.more.setAttribute("aria-expanded", String(open));
    if (open) this.ui.sheet.querySelector("button")?.focus();
  }

  private refreshBars(): void {
    const { series, state } = this;
    const part = series.body_part || series.description;
    const shown = this.shownState().frame + 1;
    this.ui.title.textContent = `${series.modality} ${part} ${shown}/${series.frame_count}`.replace(
      / +/g,
      " ",
    );
    this.ui.slider.max = String(series.frame_count - 1);
    this.ui.slider.value = String(state.frame);
    this.ui.slider.hidden = series.frame_count < 2;
    this.ui.bubble.textContent = String(state.frame + 1);
    for (const thumb of this.ui.strip.querySelectorAll<HTMLButtonElement>("button")) {
      thumb.setAttribute("aria-current", String(thumb.dataset["series"] === String(state.series)));
    }
    const play = this.ui.tools.querySelector<HTMLButtonElement>('[data-tool="play"]');
    if (play) play.hidden = series.frame_count < 2;
    const page = this.ui.tools.querySelector<HTMLButtonElement>('[data-tool="page"]');
    if (page) page.hidden = series.frame_count < 2;
  }

  private showQuality(quality: "preview" | "refined" | "loading"): void {
    const word =
      quality === "loading"
        ? `◌ ${this.t("loading")}`
        : `◐ ${this.t(quality === "refined" ? "settled" : "preview")}`;
    this.ui.quality.textContent = word;
    this.ui.quality.dataset["quality"] = quality;
  }

  private refreshOverlay(): void {
    const { ui, state, boot, manifest, painted } = this;
    const series = this.series;
    refreshOverlay(ui, {
      boot,
      manifest,
      series,
      state: this.shownState(),
      wanted: state,
      painted: painted?.header,
    });
  }

  // Hands -------------------------------------------------------------------------------------------------------

  scrollTo(frame: number): void {
    const next = clamp(frame, 0, this.series.frame_count - 1);
    if (next !== this.state.frame) this.change({ ...this.state, frame: next });
  }

  leave(): void {
    if (this.boot.close_url) location.assign(this.boot.close_url);
    else if (history.length > 1) history.back();
    else window.close();
  }

  neighbour(step: number): void {
    const index = this.boot.series.findIndex((entry) => entry.series === this.state.series) + step;
    const entry = this.boot.series[index];
    if (entry) this.openSeries(entry);
  }

  togglePlay(): void {
    if (this.playing) this.stop();
    else this.play();
  }

  private play(): void {
    const count = this.series.frame_count;
    if (count < 2) return;
    const rate = clamp(this.manifest?.cine_rate_hz ?? 15, 1, 60);
    // A cine waits for its pictures: skipping would show a beat that the heart does not have.
    this.playing = window.setInterval(() => {
      if (this.painted?.state.frame === this.state.frame) this.scrollTo((this.state.frame + 1) % count);
    }, 1000 / rate);
    this.showPlaying();
  }

  private stop(): void {
    window.clearInterval(this.playing);
    this.playing = 0;
    this.showPlaying();
  }

  private showPlaying(): void {
    const button = this.ui.tools.querySelector<HTMLButtonElement>('[data-tool="play"]');
    if (!button) return;
    const name = this.playing ? "pause" : "play";
    button.replaceChildren(icon(name), element("span", {}, this.t(name)));
    button.setAttribute("aria-pressed", String(this.playing !== 0));
  }
}
