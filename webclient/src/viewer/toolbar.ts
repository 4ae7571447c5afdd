// Tools below the picture and the window chips above them.

import type { Word } from "../ui/words";
import { CT_PRESETS, type ViewState } from "../viewport/state";
import { element, icon, toolButton } from "./dom";

export type Tool = "page" | "window" | "zoom" | "pan";
const TOOLS: readonly Tool[] = ["page", "window", "zoom", "pan"];

export interface ToolbarActs {
  choose(tool: Tool): void;
  togglePlay(): void;
  setVoi(voi: "file" | "auto"): void;
  setWindow(center: number, width: number): void;
}

export class Toolbar {
  constructor(
    private readonly tools: HTMLElement,
    private readonly chips: HTMLElement,
    private readonly t: (word: Word) => string,
    private readonly language: "zh" | "en",
    private readonly acts: ToolbarActs,
  ) {
    for (const tool of TOOLS) this.add(tool, this.t(tool), () => this.acts.choose(tool));
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
    for (const name of TOOLS) this.button(name)?.setAttribute("aria-pressed", String(name === tool));
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
    if (!button) return;
    const name = on ? "pause" : "play";
    button.replaceChildren(icon(name), element("span", {}, this.t(name)));
    button.setAttribute("aria-pressed", String(on));
  }

  /** Windows to choose from; none when another tool is in hand. */
  showChips(tool: Tool, view: ViewState, modality: string): void {
    this.chips.hidden = tool !== "window";
    this.chips.replaceChildren();
    this.chip(this.t("file"), view.voi === "file", () => this.acts.setVoi("file"));
    this.chip(this.t("auto"), view.voi === "auto", () => this.acts.setVoi("auto"));
    if (modality !== "CT") return;
    for (const { center, width, zh, en } of CT_PRESETS) {
      const on = view.voi === "window" && view.windowWidth === width && view.windowCenter === center;
      this.chip(this.language === "en" ? en : zh, on, () => this.acts.setWindow(center, width));
    }
  }

  private chip(label: string, pressed: boolean, act: () => void): void {
    const chip = element("button", { type: "button", class: "chip", "aria-pressed": String(pressed) }, label);
    chip.addEventListener("click", act);
    this.chips.append(chip);
  }
}
