// The page of three planes and the rendering of one series: one state, four pictures of it, tools that change it.

import type { PictureHeader } from "../net/stream";
import { element } from "../viewer/dom";
import type { Manifest } from "../viewer/manifest";
import type { Viewer } from "../viewer/viewer";
import { screenFragment } from "../viewport/serial";
import { Editor, type EditorHost } from "./editor";
import { VIEWPORT as FACTS, Facts, stackStepMm } from "./facts";
import { type OverlayWindow, usual } from "./fusion";
import { boundsOf, inside, stepMm, type Vector } from "./geometry";
import { keyOf } from "./keys";
import { Menu } from "./menu";
import { Notice } from "./notice";
import type { Pane, VolumeHeader } from "./pane";
import { Phases, withStack } from "./phases";
import { type PlaneHost, PlanePane } from "./plane";
import { type RenderingHost, RenderingPane } from "./rendering";
import { shellOf } from "./shell";
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
import { Steering } from "./steering";
import { Tools } from "./tools";
import { presetsOf, type VolumeWords, volumeWords } from "./words";

const WIDE = "(min-width: 1024px)";
/** Later than the viewer's own, which a Back sets off as well. */
const SAVE_MS = 400;
const MOST_RETRIES = 3;
/** So long pictures wait to know where the volume lies; then they are asked for without. */
const PLACE_MS = 2000;

export class VolumePage extends Steering implements PlaneHost, RenderingHost, EditorHost {
  readonly words: VolumeWords;
  readonly root: HTMLElement;
  readonly plainSides: boolean;
  readonly menu: Menu;
  readonly facts: Facts;
  readonly editor: Editor;
  readonly phases: Phases;
  state: PageState;
  protected readonly planes: readonly PlanePane[];
  protected readonly rendering: RenderingPane;
  protected readonly notice: Notice;
  private readonly panes: readonly Pane[];
  private readonly tabs = new Map<Shown, HTMLButtonElement>();
  private readonly tools: Tools;
  private readonly beneath: Element[];
  private readonly resizing: ResizeObserver;
  private known: Manifest | null = null;
  private failed: Kind | null = null;
  private waiting = true;
  private frame = 0;
  private saving = 0;
  private retries = 0;

  constructor(
    readonly viewer: Viewer,
    state: PageState | null,
    private readonly closed: () => void,
  ) {
    super();
    const { boot } = viewer;
    this.words = volumeWords(boot.language);
    this.plainSides = boot.patient_facing && boot.language === "zh";
    const shown = this.isWide ? "all" : "axial";
    const series = state?.series ?? viewer.view.series;
    const modality = viewer.study.entry(series).modality;
    this.state = state ?? this.withWindow(initialPage(series, shown, presetsOf(modality)[0] ?? "mip"));
    this.planes = PLANES.map((plane) => new PlanePane(plane, this));
    this.rendering = new RenderingPane(this);
    this.panes = [...this.planes, this.rendering];
    this.facts = new Facts(
      series,
      boot.language,
      (message) => viewer.send(message),
      () => this.factsCame(),
    );
    this.editor = new Editor(this);
    this.phases = new Phases(this.words, (stack) => this.chooseStack(stack));
    this.tools = new Tools(this);
    this.menu = new Menu(this);
    for (const kind of [...KINDS, "all"] as const) this.tabs.set(kind, this.tab(kind));
    this.notice = new Notice(
      this.words,
      () => this.leave(),
      () => this.again(),
    );
    this.root = shellOf(this, [...this.tabs.values()], this.panes, this.tools, this.notice);
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

  protected override get isWide(): boolean {
    return window.matchMedia(WIDE).matches;
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

  private tab(kind: Shown): HTMLButtonElement {
    const tab = element("button", { type: "button", class: kind }, this.words.names[kind] ?? kind);
    tab.addEventListener("click", () => this.show(kind));
    return tab;
  }

  // The state ---------------------------------------------------------------------------------------------------

  protected override apply(next: PageState): void {
    this.bounds = this.facts.bounds(next.stack) ?? this.bounds;
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

  protected override refreshSoon(): void {
    if (this.frame) return;
    this.frame = window.requestAnimationFrame(() => {
      this.frame = 0;
      this.refresh();
    });
  }

  private refresh(): void {
    if (!this.isOpen) return;
    this.learnPlace();
    const { fused } = this.state;
    const usually = fused && usual(fused, this.overlayWindow, this.manifestOf(fused.series));
    if (usually) this.apply({ ...this.state, fused: usually });
    for (const pane of this.panes) {
      pane.place.classList.toggle("active", pane.kind === this.active);
      pane.refresh();
    }
    this.root.dataset["active"] = this.active === "volume" ? "volume" : "plane";
    this.tools.refresh();
    this.phases.show(this.facts.stacks, this.state.stack);
    const hasRoom = this.isWide || this.state.shown !== "all";
    this.editor.show(this.panel === "curve" && this.rendering.isSeen && hasRoom);
  }

  /** The series' phases, or how values are spread, are known now. */
  private factsCame(): void {
    const { stack, crossMm } = this.state;
    const box = this.facts.bounds(stack);
    const isElsewhere = box && crossMm && inside(crossMm, box).some((at, axis) => at !== crossMm[axis]);
    if (isElsewhere) this.apply(withStack(this.state, stack, this.bounds, box));
    else if (box) this.apply(this.state);
    else this.refreshSoon();
  }

  private learnPlace(): void {
    const manifest = this.viewer.study.manifest(this.state.series);
    if (!manifest || manifest === this.known) return;
    this.known = manifest;
    this.bounds = this.facts.bounds(this.state.stack) ?? boundsOf(manifest);
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
    const stack = this.facts.stacks[this.state.stack];
    if (stack) return stackStepMm(stack, direction);
    return manifest ? stepMm(manifest, direction) : 1;
  }

  /** Into the address, so that the page loaded again, or sent to another, shows this. */
  private save(): void {
    if (!this.isOpen || this.panes.every((pane) => !pane.isSeen)) return;
    const [axial, coronal, sagittal] = this.planes.map((pane) => pane.fieldMm);
    const fields = { axial, coronal, sagittal, volume: this.rendering.fieldMm } as Record<Kind, number>;
    // Those of the images: whoever opens the link has them when he leaves the planes.
    const screen = screenOfPage(this.viewer.boot.study, this.state, fields, this.viewer.measurements);
    if (!screen) return;
    history.replaceState(
      history.state,
      "",
      `${location.pathname}${location.search}${screenFragment(screen)}`,
    );
  }

  override show(shown: Shown): void {
    this.root.dataset["shown"] = shown;
    for (const [name, tab] of this.tabs) tab.setAttribute("aria-pressed", String(name === shown));
    if (shown !== "all") this.touched(shown);
    else if (this.panel === "curve" && !this.isWide) this.panel = this.panels.volume = "look";
    this.apply({ ...this.state, shown });
  }

  /** Whatever lies on the page or waits for an answer; false when nothing does. */
  dismiss(): boolean {
    const { asking } = this.rendering.scalpel;
    if (asking) this.rendering.scalpel.cancel();
    return asking || this.editor.dismiss() || this.menu.dismiss();
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
    this.facts.learn(header.stacks ?? 1);
    if (header.overlay) this.learnOverlay(header.overlay);
    if (!this.bounds) this.refreshSoon();
  }

  private learnOverlay({ window_center, window_width, unit = "", voi = "" }: OverlayWindow): void {
    const told = { window_center, window_width, unit, voi };
    if (JSON.stringify(told) === JSON.stringify(this.overlayWindow)) return;
    this.overlayWindow = told;
    this.refreshSoon();
  }

  /** A text message for one of the pictures. */
  hear(message: Record<string, unknown>): void {
    if (message["viewport"] === FACTS || message["t"] === "histogram" || message["t"] === "stacks") {
      this.facts.hear(message);
      return;
    }
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
    // A link to a phase that the series no longer has.
    const what = (error["data"] as Record<string, unknown> | undefined)?.["what"];
    if (error["code"] === "volume.wrong_stack" && what === "stack" && this.state.stack > 0) {
      this.apply({ ...this.state, stack: 0 });
      return;
    }
    pane?.fail(this.words.failed);
    this.failed = pane?.kind ?? null;
    this.notice.complain(error, this.language);
  }

  online(connected: boolean): void {
    this.notice.offline(connected ? "" : this.viewer.t("offline"));
    if (!connected) return;
    this.facts.retry();
    this.rendering.distrust();
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
    this.facts.forget();
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
    this.facts.stop();
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
