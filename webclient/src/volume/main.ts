// Comes when 三维 is chosen (volume.js): planes through a series' volume and its rendering, over the viewer's stream.

import type { PictureHeader } from "../net/stream";
import { element, icon } from "../viewer/dom";
import type { Viewer } from "../viewer/viewer";
import type { PictureLayer } from "../viewport/layer";
import { type Bounds, boundsOf, type Vector } from "./geometry";
import { type Kind, Pane, type PaneHost, type VolumeHeader } from "./pane";
import styles from "./volume.css?inline";
import { presetsOf, type VolumeWords, volumeWords } from "./words";

const KINDS: readonly Kind[] = ["axial", "coronal", "sagittal", "volume"];
const WIDE = "(min-width: 1000px)";

class VolumePage implements PaneHost {
  readonly words: VolumeWords;
  readonly root: HTMLElement;
  center: Vector | null = null;
  private readonly panes: readonly Pane[];
  private readonly tabs = new Map<string, HTMLButtonElement>();
  private readonly notice = element("div", { class: "volume-notice", role: "alert", hidden: "" });
  private readonly series: number;
  private box: Bounds | null = null;
  private isOpen = true;

  constructor(
    private readonly viewer: Viewer,
    private readonly closed: () => void,
  ) {
    this.words = volumeWords(viewer.boot.language);
    this.series = viewer.view.series;
    this.panes = KINDS.map((kind) => new Pane(kind, this));
    const grid = element("div", { class: "panes" }, ...this.panes.map((pane) => pane.place));
    this.root = element("div", { id: "volume", role: "dialog", "aria-label": viewer.t("volume") });
    this.root.append(this.bar(), grid, this.notice);
    this.addChoices();
    window.addEventListener("resize", this.resized);
    window.addEventListener("keydown", this.pressed, true);
    viewer.back.push(this.close);
    document.body.append(this.root);
    this.choose(window.matchMedia(WIDE).matches ? "all" : "axial");
  }

  private bar(): HTMLElement {
    const back = this.button("", () => this.leave());
    back.className = "icon";
    back.setAttribute("aria-label", this.words.back);
    back.append(icon("close"));
    const title = element("h2", {}, this.viewer.ui.part.textContent ?? "");
    const tabs = element("div", { class: "tabs", role: "group" });
    for (const kind of [...KINDS, "all"]) {
      const tab = this.button(this.words.names[kind] ?? kind, () => this.choose(kind));
      tab.classList.add(kind);
      this.tabs.set(kind, tab);
      tabs.append(tab);
    }
    return element("div", { class: "volume-bar" }, back, title, tabs);
  }

  private button(text: string, act: () => void): HTMLButtonElement {
    const made = element("button", { type: "button" }, text);
    made.addEventListener("click", act);
    return made;
  }

  /** Transfer functions and directions, under the rendering. */
  private addChoices(): void {
    const pane = this.panes[3] as Pane;
    const row = element("div", { class: "choices" });
    const presets = presetsOf(this.viewer.series.modality).map((name) => {
      const chip = this.button(this.words.presets[name] ?? name, () => take(name));
      chip.dataset["preset"] = name;
      return chip;
    });
    const take = (name: string) => {
      pane.transfer = name;
      for (const chip of presets) chip.setAttribute("aria-pressed", String(chip.dataset["preset"] === name));
      pane.ask();
    };
    const sides = [..."APLRHF"].map((side) => this.button(side, () => pane.look(side)));
    row.append(...presets, ...sides);
    pane.place.append(row);
    take(presets[0]?.dataset["preset"] ?? "mip");
  }

  private choose(kind: string): void {
    this.root.dataset["shown"] = kind;
    for (const [name, tab] of this.tabs) tab.setAttribute("aria-pressed", String(name === kind));
    for (const pane of this.panes) pane.ask();
  }

  // Of PaneHost -------------------------------------------------------------------------------------------------

  bounds(): Bounds | null {
    const manifest = this.viewer.study.manifest(this.series);
    if (!this.box && manifest) this.box = boundsOf(manifest);
    return this.box;
  }

  common(): Record<string, unknown> {
    const { view } = this.viewer;
    const chosen = view.series === this.series && view.voi === "window";
    const window = { voi: "window", window_center: view.windowCenter, window_width: view.windowWidth };
    return { t: "view", series: this.series, ...(chosen ? window : {}) };
  }

  want(viewport: string, message: Record<string, unknown> | null): void {
    if (!message) this.viewer.send({ t: "cancel", viewport });
    this.viewer.want(viewport, message);
  }

  moved(_by: Pane): void {
    for (const pane of this.panes) if (pane.kind !== "volume") pane.ask();
  }

  // The stream --------------------------------------------------------------------------------------------------

  receive(header: PictureHeader, bytes: ArrayBuffer): void {
    const pane = this.panes.find((one) => one.viewport === header.viewport);
    if (header.series === this.series) void pane?.receive(header as VolumeHeader, bytes);
  }

  complain(error: Record<string, unknown>): void {
    const pane = this.panes.find((one) => one.viewport === error["viewport"]);
    if (error["retryable"] === true) {
      pane?.askLater();
      return;
    }
    const told = error["message"] as Record<string, string> | undefined;
    const text = told?.[this.viewer.boot.language] ?? this.words.failed;
    pane?.fail(this.words.failed);
    const back = this.button(this.words.back, () => this.leave());
    this.notice.replaceChildren(element("p", {}, text), back);
    this.notice.hidden = false;
    back.focus();
  }

  // Leaving -----------------------------------------------------------------------------------------------------

  private readonly resized = () => {
    if (this.root.dataset["shown"] === "all" && !window.matchMedia(WIDE).matches) this.choose("axial");
    for (const pane of this.panes) pane.ask();
  };

  /** The keys of the viewer beneath do nothing here. */
  private readonly pressed = (event: KeyboardEvent) => {
    event.stopPropagation();
    if (event.key === "Escape") this.leave();
  };

  readonly close = () => {
    if (!this.isOpen) return;
    this.isOpen = false;
    for (const pane of this.panes) pane.stop();
    window.removeEventListener("resize", this.resized);
    window.removeEventListener("keydown", this.pressed, true);
    this.root.remove();
    this.closed();
  };

  leave(): void {
    this.viewer.back.drop(this.close);
    this.close();
  }
}

/** Takes the pictures of the volume's viewports; draws nothing on the stage itself. */
class VolumeLayer implements PictureLayer {
  readonly name = "volume";
  readonly canvas = element("canvas", { hidden: "" });
  readonly shown = null;
  page: VolumePage | null = null;

  display(): void {
    // The stage shows frames; planes and volumes lie above it.
  }

  receive(header: PictureHeader, bytes: ArrayBuffer): boolean {
    if (!header.viewport.startsWith("volume-")) return false;
    this.page?.receive(header, bytes);
    return true;
  }

  message(message: Record<string, unknown>): boolean {
    const isMine = String(message["viewport"] ?? "").startsWith("volume-");
    if (isMine && message["t"] === "error") this.page?.complain(message);
    return isMine;
  }

  clear(): void {
    this.page?.leave();
  }
}

let layer: VolumeLayer | null = null;

/** The page of planes and the rendering of the series that the viewer shows. */
export function open(viewer: Viewer): void {
  if (!layer) {
    const made = new VolumeLayer();
    layer = made;
    viewer.add(() => made);
    document.head.append(element("style", {}, styles));
  }
  const mine = layer;
  if (!mine.page)
    mine.page = new VolumePage(viewer, () => {
      mine.page = null;
    });
}
