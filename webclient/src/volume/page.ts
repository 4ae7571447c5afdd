// The page of three planes and the rendering of one series: one state, four pictures of it, tools that change it.

import type { PictureHeader } from "../net/stream";
import { element, icon } from "../viewer/dom";
import type { Manifest } from "../viewer/manifest";
import type { Viewer } from "../viewer/viewer";
import { screenFragment } from "../viewport/serial";
import type { VolumeCut } from "../viewport/state";
import { Acts } from "./acts";
import { fits } from "./cuts";
import { laid } from "./fusion";
import { boundsOf, inside, stepMm, type Vector } from "./geometry";
import { keyOf } from "./keys";
import { Menu } from "./menu";
import { Notice } from "./notice";
import type { Pane, VolumeHeader } from "./pane";
import { type PlaneHost, PlanePane, type PlaneTool } from "./plane";
import { type RenderingHost, RenderingPane, type VolumeTool } from "./rendering";
import { BLADES, type Blade } from "./scalpel";
import {
  initialPage,
  KINDS,
  type Kind,
  type PageState,
  PLANES,
  type Shown,
  screenOfPage,
  settled,
  withPlane,
} from "./state";
import { type Panel, PLANE_TOOLS, Tools, VOLUME_TOOLS } from "./tools";
import { presetsOf, type VolumeWords, volumeWords } from "./words";

const WIDE = "(min-width: 1024px)";
/** Later than the viewer's own, which a Back sets off as well. */
const SAVE_MS = 400;
const MOST_RETRIES = 3;
/** So long pictures wait to know where the volume lies; then they are asked for without. */
const PLACE_MS = 2000;

const includes = <T extends string>(list: readonly T[], name: string): name is T =>
  (list as readonly string[]).includes(name);

export class VolumePage extends Acts implements PlaneHost, RenderingHost {
  readonly words: VolumeWords;
  readonly root: HTMLElement;
  readonly plainSides: boolean;
  readonly menu: Menu;
  state: PageState;
  planeTool: PlaneTool = "page";
  volumeTool: VolumeTool = "rotate";
  blade: Blade = "curve";
  radiusMm = 10;
  panel: Panel = "page";
  /** The picture that tools and keys mean. */
  active: Kind = "axial";
  private readonly planes: readonly PlanePane[];
  private readonly rendering: RenderingPane;
  private readonly panes: readonly Pane[];
  private readonly tabs = new Map<Shown, HTMLButtonElement>();
  private readonly tools: Tools;
  private readonly notice: Notice;
  private readonly beneath: Element[];
  private readonly resizing: ResizeObserver;
  private known: Manifest | null = null;
  private failed: Kind | null = null;
  private panels: Record<"plane" | "volume", Panel> = { plane: "page", volume: "look" };
  private waiting = true;
  private frame = 0;
  private saving = 0;
  private retries = 0;
  private isOpen = true;

  constructor(
    readonly viewer: Viewer,
    state: PageState | null,
    private readonly closed: () => void,
  ) {
    super();
    const { boot } = viewer;
    this.words = volumeWords(boot.language);
    this.plainSides = boot.patient_facing && boot.language === "zh";
    const shown = window.matchMedia(WIDE).matches ? "all" : "axial";
    const series = state?.series ?? viewer.view.series;
    const modality = viewer.study.entry(series).modality;
    this.state = state ?? this.withWindow(initialPage(series, shown, presetsOf(modality)[0] ?? "mip"));
    this.planes = PLANES.map((plane) => new PlanePane(plane, this));
    this.rendering = new RenderingPane(this);
    this.panes = [...this.planes, this.rendering];
    this.tools = new Tools(this);
    this.menu = new Menu(this);
    this.notice = new Notice(
      this.words,
      () => this.leave(),
      () => this.again(),
    );
    this.root = this.build();
    this.beneath = [...viewer.ui.root.children];
    for (const part of this.beneath) part.toggleAttribute("inert", true);
    viewer.ui.root.append(this.root);
    viewer.back.push(this.close);
    window.addEventListener("keydown", this.pressed, true);
    this.resizing = new ResizeObserver(() => this.refreshSoon());
    for (const pane of this.panes) this.resizing.observe(pane.place);
    viewer.study.ask(series);
    window.setTimeout(() => {
      this.waiting = false;
      this.refreshSoon();
    }, PLACE_MS);
    if (window.matchMedia("(pointer: fine)").matches) this.planeTool = "window";
    this.panel = this.panels.plane = this.planeTool;
    this.show(this.state.shown);
    this.root.focus();
  }

  get language(): "zh" | "en" {
    return this.viewer.boot.language;
  }

  get cutting(): boolean {
    return this.panel === "cut";
  }

  get side(): string {
    return this.rendering.side;
  }

  /** The window that the person chose for the images stays. */
  private withWindow(page: PageState): PageState {
    const { voi, windowCenter: center, windowWidth: width, invert } = this.viewer.view;
    const window = voi === "window" && center !== null && width !== null ? { center, width } : null;
    return { ...page, window, invert };
  }

  private build(): HTMLElement {
    const back = element("button", { type: "button", class: "icon", "aria-label": this.words.back });
    back.append(icon("close"));
    back.addEventListener("click", () => this.leave());
    const { part, corners } = this.viewer.ui;
    const name = (corners.tl.textContent ?? "").split("\n")[0] ?? "";
    const title = element("h2", {}, [part.textContent ?? "", name].filter(Boolean).join(" · "));
    const tabs = element("div", { class: "tabs", role: "group" });
    for (const kind of [...KINDS, "all"] as const) {
      const tab = element("button", { type: "button", class: kind }, this.words.names[kind] ?? kind);
      tab.addEventListener("click", () => this.show(kind));
      this.tabs.set(kind, tab);
      tabs.append(tab);
    }
    const bar = element("div", { class: "volume-bar" }, back, title, tabs, this.menu.button);
    const grid = element("div", { class: "panes" }, ...this.panes.map((pane) => pane.place));
    const attributes = {
      id: "volume",
      role: "dialog",
      "aria-label": this.viewer.t("volume"),
      tabindex: "-1",
    };
    const note = element("p", { class: "volume-note" }, this.viewer.ui.note.textContent ?? "");
    // The bar of tools is lowest on a phone; on a desktop it is first and the row of choices under it.
    const foot = element("div", { class: "volume-foot" }, note, this.tools.row, this.tools.bar);
    return element(
      "div",
      attributes,
      bar,
      this.notice.line,
      this.notice.lost,
      this.notice.said,
      grid,
      foot,
      this.menu.sheet,
      this.menu.card,
      this.notice.box,
    );
  }

  // The state ---------------------------------------------------------------------------------------------------

  protected override apply(next: PageState): void {
    this.state = this.bounds ? settled(next, this.bounds) : next;
    this.refreshSoon();
    this.saveSoon();
  }

  saveSoon(): void {
    window.clearTimeout(this.saving);
    this.saving = window.setTimeout(() => this.save(), SAVE_MS);
  }

  rest(): void {
    this.history.rest();
    this.refreshSoon();
  }

  private refreshSoon(): void {
    if (this.frame) return;
    this.frame = window.requestAnimationFrame(() => {
      this.frame = 0;
      this.refresh();
    });
  }

  private refresh(): void {
    if (!this.isOpen) return;
    this.learnPlace();
    for (const pane of this.panes) {
      pane.place.classList.toggle("active", pane.kind === this.active);
      pane.refresh();
    }
    this.root.dataset["active"] = this.active === "volume" ? "volume" : "plane";
    this.tools.refresh();
  }

  private learnPlace(): void {
    const manifest = this.viewer.study.manifest(this.state.series);
    if (!manifest || manifest === this.known) return;
    this.known = manifest;
    this.bounds = boundsOf(manifest);
    this.apply(this.state);
  }

  get ready(): boolean {
    return this.known !== null || !this.waiting;
  }

  /** The state with the sizes of the planes' pictures as they are now: turned, they are not fitted anew. */
  fixed(): PageState {
    return this.planes.reduce(
      (page, pane) => withPlane(page, pane.plane, { fieldMm: pane.fieldMm }),
      this.state,
    );
  }

  stepMm(direction: Vector): number {
    const manifest = this.viewer.study.manifest(this.state.series);
    return manifest ? stepMm(manifest, direction) : 1;
  }

  /** Into the address, so that the page loaded again, or sent to another, shows this. */
  private save(): void {
    if (!this.isOpen || this.panes.every((pane) => !pane.isSeen)) return;
    const [axial, coronal, sagittal] = this.planes.map((pane) => pane.fieldMm);
    const fields = { axial, coronal, sagittal, volume: this.rendering.fieldMm } as Record<Kind, number>;
    const screen = screenOfPage(this.viewer.boot.study, this.state, fields);
    if (!screen) return;
    history.replaceState(
      history.state,
      "",
      `${location.pathname}${location.search}${screenFragment(screen)}`,
    );
  }

  // Acts --------------------------------------------------------------------------------------------------------

  show(shown: Shown): void {
    this.root.dataset["shown"] = shown;
    for (const [name, tab] of this.tabs) tab.setAttribute("aria-pressed", String(name === shown));
    if (shown !== "all") this.touched(shown);
    this.apply({ ...this.state, shown });
  }

  toggleAlone(kind: Kind): void {
    this.show(this.state.shown === "all" ? kind : "all");
  }

  touched(kind: Kind): void {
    if (kind === this.active) return;
    const changes = (kind === "volume") !== (this.active === "volume");
    this.active = kind;
    // The row of the other kind of picture is of no use here.
    if (changes) this.panel = this.panels[kind === "volume" ? "volume" : "plane"];
    this.refreshSoon();
  }

  choose(panel: Panel): void {
    this.panel = panel;
    if (includes(VOLUME_TOOLS, panel)) {
      if (panel === "rotate" || panel === "move" || panel === "scalpel") this.volumeTool = panel;
      this.panels.volume = panel;
      this.active = "volume";
    } else if (includes(PLANE_TOOLS, panel)) {
      this.panels.plane = panel;
      if (panel !== "slab" && panel !== "fusion") this.planeTool = panel;
      if (this.active === "volume") this.active = "axial";
    }
    const isSeen = this.state.shown === "all" || this.state.shown === this.active;
    if (!isSeen) this.show(this.active);
    this.refreshSoon();
  }

  private get plane(): PlanePane | undefined {
    return this.planes.find((pane) => pane.kind === this.active);
  }

  step(layers: number): void {
    this.plane?.step(layers);
  }

  end(which: 1 | -1): void {
    this.plane?.end(which);
  }

  zoom(factor: number): void {
    this.rest();
    (this.plane ?? this.rendering).zoom(factor);
    this.rest();
  }

  fit(): void {
    this.rest();
    (this.plane ?? this.rendering).fit();
    this.rest();
  }

  turn(right: number, down: number): void {
    this.rest();
    this.rendering.rotate(right, down);
    this.rest();
  }

  lookFrom(side: string): void {
    this.rest();
    this.rendering.lookFrom(side);
    this.rest();
  }

  /** The first that can be in colour is. */
  fuseFirst(): void {
    const [first] = this.overlays;
    if (!first) return;
    this.fuse(laid(null, first.series));
    this.choose("fusion");
  }

  /** Of the scalpel: what a drag draws. */
  takeBlade(blade: Blade, radiusMm = this.radiusMm): void {
    this.rendering.scalpel.cancel();
    [this.blade, this.radiusMm] = [blade, radiusMm];
    this.refreshSoon();
  }

  nextBlade(): void {
    const isHeld = this.panel === "scalpel";
    this.choose("scalpel");
    if (isHeld) this.takeBlade(BLADES[(BLADES.indexOf(this.blade) + 1) % BLADES.length] as Blade);
  }

  cut(cut: VolumeCut): void {
    // The last place of a stroke may come when the page is closed.
    if (!this.isOpen) return;
    const cuts = [...this.state.cuts, cut];
    if (fits(cuts)) this.set({ cuts });
    else this.notice.say(this.words.tooManyCuts);
  }

  /** The side of the curve or line that was drawn; false where none waits. */
  chooseSide(): boolean {
    const { asking } = this.rendering.scalpel;
    this.rendering.scalpel.choose("inside");
    return asking;
  }

  /** Whatever lies on the page or waits for an answer; false when nothing does. */
  dismiss(): boolean {
    const { asking } = this.rendering.scalpel;
    if (asking) this.rendering.scalpel.cancel();
    return asking || this.menu.dismiss();
  }

  /** The planes go through what was pointed at in the rendering. */
  pointed(place: Vector | null): void {
    if (!this.isOpen) return;
    if (place) this.set({ crossMm: inside(place, this.bounds) });
    else this.notice.say(this.words.nothingThere);
  }

  // The stream --------------------------------------------------------------------------------------------------

  send(message: Record<string, unknown>): void {
    this.viewer.send(message);
  }

  want(viewport: string, message: Record<string, unknown> | null): void {
    if (!message) this.viewer.send({ t: "cancel", viewport });
    this.viewer.want(viewport, message);
  }

  receive(header: PictureHeader, bytes: ArrayBuffer): void {
    const pane = this.panes.find((one) => one.viewport === header.viewport);
    if (header.series === this.state.series) void pane?.receive(header as VolumeHeader, bytes);
  }

  learn(header: VolumeHeader, kind: Kind): void {
    this.retries = 0;
    if (kind === this.failed) {
      this.failed = null;
      this.notice.close();
    }
    if (header.quality === "refined" && header.report) this.notice.report(header.report);
    if (header.overlay && JSON.stringify(header.overlay) !== JSON.stringify(this.overlayWindow)) {
      this.overlayWindow = header.overlay;
      this.refreshSoon();
    }
    if (!this.bounds) this.refreshSoon();
  }

  /** A text message for one of the pictures. */
  hear(message: Record<string, unknown>): void {
    if (message["t"] === "picked" || message["of"] === "pick") this.rendering.picker.hear(message);
    else if (message["t"] === "error") this.complain(message);
  }

  private complain(error: Record<string, unknown>): void {
    const pane = this.panes.find((one) => one.viewport === error["viewport"]);
    if (error["retryable"] === true && this.retries < MOST_RETRIES) {
      this.retries += 1;
      pane?.askLater();
      return;
    }
    pane?.fail(this.words.failed);
    this.failed = pane?.kind ?? null;
    this.notice.complain(error, this.language);
  }

  online(connected: boolean): void {
    this.notice.offline(connected ? "" : this.viewer.t("offline"));
    if (connected) this.rendering.distrust();
  }

  /** All pictures anew: after an error, or when the series has other images. */
  again(): void {
    this.retries = 0;
    for (const pane of this.panes) pane.askAgain();
  }

  /** The series grew. */
  forget(series: number): void {
    if (series !== this.state.series) return;
    this.viewer.study.ask(series);
    this.again();
  }

  // Leaving -----------------------------------------------------------------------------------------------------

  /** The keys of the viewer beneath do nothing here. */
  private readonly pressed = (event: KeyboardEvent) => {
    event.stopPropagation();
    const act = keyOf(this, event);
    if (!act) return;
    event.preventDefault();
    act();
  };

  readonly close = () => {
    if (!this.isOpen) return;
    this.isOpen = false;
    for (const pane of this.panes) pane.stop();
    window.clearTimeout(this.saving);
    window.cancelAnimationFrame(this.frame);
    window.removeEventListener("keydown", this.pressed, true);
    this.resizing.disconnect();
    for (const part of this.beneath) part.removeAttribute("inert");
    this.root.remove();
    // The address is the viewer's again.
    this.viewer.change(this.viewer.view);
    this.closed();
  };

  leave(): void {
    this.viewer.back.drop(this.close);
    this.close();
  }
}
