// What the server says instead of pictures, and what it had to do to the slices.

import { element } from "../viewer/dom";
import type { VolumeReport } from "./pane";
import type { VolumeWords } from "./words";

const SAID_MS = 4000;

export class Notice {
  readonly box = element("div", { class: "volume-notice", role: "alert", hidden: "" });
  readonly line = element("p", { class: "volume-report", role: "status", hidden: "" });
  readonly lost = element("p", { class: "volume-report", role: "status", hidden: "" });
  /** A word that goes by itself. */
  readonly said = element("p", { class: "volume-said", role: "status", hidden: "" });
  private saying = 0;
  private readonly text = element("p");
  private readonly again: HTMLButtonElement;
  private told = "";

  constructor(
    private readonly words: VolumeWords,
    leave: () => void,
    again: () => void,
  ) {
    this.again = this.button(words.retry, () => {
      this.close();
      again();
    });
    this.box.append(this.text, element("div", {}, this.again, this.button(words.back, leave)));
  }

  private button(text: string, act: () => void): HTMLButtonElement {
    const made = element("button", { type: "button" }, text);
    made.addEventListener("click", act);
    return made;
  }

  /** An error of the stream as text: what happened, why, its code. */
  complain(error: Record<string, unknown>, language: "zh" | "en"): void {
    const message = error["message"] as Record<string, string> | undefined;
    const what = (error["data"] as Record<string, unknown> | undefined)?.["what"];
    const reason = typeof what === "string" ? this.words.reasons[what] : undefined;
    const text = message?.[language] ?? this.words.failed;
    const sentence = [text, reason].filter(Boolean).join(language === "zh" ? "：" : ": ");
    this.text.textContent = `${sentence}（${String(error["code"])}）`;
    const isNew = this.box.hidden;
    this.box.hidden = false;
    if (isNew) this.again.focus();
  }

  close(): void {
    this.box.hidden = true;
  }

  say(text: string): void {
    window.clearTimeout(this.saying);
    this.said.textContent = text;
    this.said.hidden = false;
    this.saying = window.setTimeout(() => {
      this.said.hidden = true;
    }, SAID_MS);
  }

  /** The line is lost; "" takes it away. */
  offline(text: string): void {
    this.lost.hidden = text === "";
    this.lost.textContent = text;
  }

  /** Missing slices and resampling, once: it can be put away. */
  report(report: VolumeReport): void {
    const { words } = this;
    const parts = [
      report.missing ? words.missing(report.missing) : "",
      report.resampled?.includes("tilt") ? `${words.tilt} ${(report.tilt_degrees ?? 0).toFixed(1)}°` : "",
      report.resampled?.includes("spacing") ? words.spacing : "",
    ];
    const text = parts.filter(Boolean).join(" · ");
    if (text === this.told) return;
    this.told = text;
    this.line.hidden = text === "";
    const hide = this.button(words.hide, () => {
      this.line.hidden = true;
    });
    this.line.replaceChildren(element("span", {}, `⚠ ${text}`), hide);
  }
}
