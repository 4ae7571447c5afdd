// Tools below the picture and the window chips above them.

import { isMeasuring, MEASURING } from "../measure/load";
import type { Word } from "../ui/words";
import type { MeasurementKind } from "../viewport/state";
import { CT_PRESETS, type ViewState } from "../viewport/state";
import { element, icon, toolButton } from "./dom";

export type Tool = "page" | "window" | "zoom" | "pan" | MeasurementKind;
const BUTTONS = ["page", "window", "zoom", "pan", "measure"] as const;
const IN_BAR = ["page", "window", "zoom"] as const;

export interface ToolbarActs {
  choose(tool: Tool): void;
  togglePlay(): void;
  setVoi(voi: "file" | "auto"): void;
  chooseWindow(center: number, width: number): void;
  fit(): void;
  /** One pixel of the image on one of the screen. */
  natural(): void;
  readonly measurementsHidden: boolean;
  hideMeasurements(): void;
}

export interface CineState {
  readonly playing: boolean;
  readonly rateHz: number;
  readonly realRateHz: number;
  readonly swing: boolean;
  faster(step: 1 | -1): void;
  toggleSwing(): void;
  isMarked(end: "first" | "last"): boolean;
  mark(end: "first" | "last"): void;
}

/** One chip of the row above the tools; without an act a text. */
interface Chip {
  readonly text: string;
  readonly label: string;
  readonly symbol: string;
  readonly pressed: boolean;
  readonly act: (() => void) | null;
}

export class Toolbar {
  private wanted: Chip[] = [];
  private shown: readonly Chip[] = [];
  private measures: MeasurementKind = "length";

  constructor(
    private readonly tools: HTMLElement,
    private readonly chips: HTMLElement,
    private readonly t: (word: Word) => string,
    private readonly language: "zh" | "en",
    private readonly acts: ToolbarActs,
  ) {
    for (const tool of IN_BAR) this.add(tool, this.t(tool), () => this.acts.choose(tool));
    // What was measured last is measured next.
    this.add("measure", this.t("measure"), () => this.acts.choose(this.measures));
    this.add("play", this.t("play"), () => this.acts.togglePlay());
  }

  /** A further button at the end of the bar. */
  add(name: string, label: string, act: () => void): HTMLButtonElement {
    const button = toolButton(name, label);
    button.addEventListener("click", act);
    this.tools.append(button);
    return button;
  }

  private button(name: string): HTMLButtonElement | null {
    return this.tools.querySelector<HTMLButtonElement>(`[data-tool="${name}"]`);
  }

  /** The pressed tool. */
  mark(tool: Tool): void {
    if (isMeasuring(tool)) this.measures = tool;
    const pressed = isMeasuring(tool) ? "measure" : tool;
    for (const name of BUTTONS) this.button(name)?.setAttribute("aria-pressed", String(name === pressed));
  }

  /** A single image has nothing to page or play. */
  single(isSingle: boolean): void {
    for (const name of ["page", "play"]) {
      const button = this.button(name);
      if (button) button.hidden = isSingle;
    }
  }

  playing(on: boolean): void {
    const button = this.button("play");
    if (!button || button.getAttribute("aria-pressed") === String(on)) return;
    const name = on ? "pause" : "play";
    button.replaceChildren(icon(name), element("span", {}, this.t(name)));
    button.setAttribute("aria-pressed", String(on));
  }

  /** Choices of the tool in hand, or of the cine that runs. */
  showChips(tool: Tool, view: ViewState, modality: string, cine: CineState): void {
    this.wanted = [];
    if (cine.playing) this.cineChips(cine);
    else if (tool === "window") this.windowChips(view, modality);
    else if (isMeasuring(tool)) {
      for (const kind of MEASURING)
        this.chip(this.t(kind), kind === tool, () => this.acts.choose(kind), this.t(kind), kind);
      const { measurementsHidden } = this.acts;
      this.chip(this.t("hideMeasurements"), measurementsHidden, () => this.acts.hideMeasurements());
    } else if (tool === "zoom") {
      this.chip(this.t("fit"), view.zoom === 1, () => this.acts.fit());
      this.chip("1:1", false, () => this.acts.natural());
    }
    this.renew();
  }

  private cineChips(cine: CineState): void {
    this.chip("−", false, () => cine.faster(-1), this.t("slower"));
    const rate = `${Number(cine.rateHz.toFixed(1))} ${this.t("fps")}`;
    const real = cine.realRateHz ? ` · ${this.t("real")} ${cine.realRateHz}` : "";
    this.wanted.push({ text: rate + real, label: "", symbol: "", pressed: false, act: null });
    this.chip("+", false, () => cine.faster(1), this.t("faster"));
    this.chip(this.t("swing"), cine.swing, () => cine.toggleSwing());
    const ends = { first: "cineFirst", last: "cineLast" } as const;
    for (const end of ["first", "last"] as const)
      this.chip(this.t(ends[end]), cine.isMarked(end), () => cine.mark(end));
  }

  private windowChips(view: ViewState, modality: string): void {
    this.chip(this.t("file"), view.voi === "file", () => this.acts.setVoi("file"));
    this.chip(this.t("auto"), view.voi === "auto", () => this.acts.setVoi("auto"));
    if (modality !== "CT") return;
    for (const { center, width, zh, en } of CT_PRESETS) {
      const on = view.voi === "window" && view.windowWidth === width && view.windowCenter === center;
      this.chip(this.language === "en" ? en : zh, on, () => this.acts.chooseWindow(center, width));
    }
  }

  private chip(text: string, pressed: boolean, act: () => void, label = text, symbol = ""): void {
    this.wanted.push({ text, label, symbol, pressed, act });
  }

  /** Chips that are the same ones stay: a finger may be on one while the cine's rate is told anew. */
  private renew(): void {
    const { wanted, shown, chips } = this;
    const isSame =
      wanted.length === shown.length && wanted.every(({ label }, at) => label === shown[at]?.label);
    const scrolled = chips.scrollLeft;
    this.shown = wanted;
    if (!isSame) chips.replaceChildren(...wanted.map((_, at) => this.make(at)));
    [...chips.children].forEach((made, at) => {
      const { text = "", pressed = false, act } = wanted[at] ?? {};
      if (act) made.setAttribute("aria-pressed", String(pressed));
      else made.textContent = text;
    });
    chips.hidden = wanted.length === 0;
    chips.scrollLeft = scrolled;
  }

  private make(at: number): HTMLElement {
    const { text = "", label = "", symbol = "", act } = this.wanted[at] ?? {};
    if (!act) return element("output", { class: "rate" }, text);
    const made = element("button", { type: "button", class: "chip", "aria-label": label }, text);
    if (symbol) made.prepend(icon(symbol));
    made.addEventListener("click", () => this.shown[at]?.act?.());
    return made;
  }
}
