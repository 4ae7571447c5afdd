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

export class Toolbar {
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
    const scrolled = this.chips.scrollLeft;
    this.chips.replaceChildren();
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
    this.chips.hidden = this.chips.childElementCount === 0;
    this.chips.scrollLeft = scrolled;
  }

  private cineChips(cine: CineState): void {
    this.chip("−", false, () => cine.faster(-1), this.t("slower"));
    const rate = `${Number(cine.rateHz.toFixed(1))} ${this.t("fps")}`;
    const real = cine.realRateHz ? ` · ${this.t("real")} ${cine.realRateHz}` : "";
    this.chips.append(element("output", { class: "rate" }, rate + real));
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
    const chip = element(
      "button",
      { type: "button", class: "chip", "aria-pressed": String(pressed), "aria-label": label },
      text,
    );
    if (symbol) chip.prepend(icon(symbol));
    chip.addEventListener("click", act);
    this.chips.append(chip);
  }
}
