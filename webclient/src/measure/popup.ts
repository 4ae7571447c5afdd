// What opens at a measurement: 改 and 删除, and the field of a note's text.

import { element } from "../viewer/dom";
import type { Viewer } from "../viewer/viewer";
import { LONGEST_NOTE } from "../viewport/state";
import type { Speak } from "./words";

export class Popup {
  private open: HTMLElement | null = null;
  private gone: () => void = () => undefined;

  constructor(
    private readonly viewer: Viewer,
    private readonly t: Speak,
  ) {
    document.addEventListener(
      "pointerdown",
      (event) => {
        if (this.open && !this.open.contains(event.target as Node)) this.close();
      },
      true,
    );
  }

  get isOpen(): boolean {
    return this.open !== null;
  }

  /** Rows of acts at a place of the stage. */
  choices(x: number, y: number, rows: readonly (readonly [string, () => void])[]): void {
    const menu = element("div", { class: "measure-menu", role: "menu" });
    for (const [text, act] of rows) {
      const row = element("button", { type: "button", role: "menuitem" }, text);
      row.addEventListener("click", () => {
        this.close();
        act();
      });
      menu.append(row);
    }
    this.show(menu, x, y);
    menu.querySelector("button")?.focus();
  }

  /** A field for a note; `done` gets what was written, "" where it was given up. */
  ask(x: number, y: number, text: string, done: (text: string) => void): void {
    const { t } = this;
    const field = element("input", {
      type: "text",
      maxlength: String(LONGEST_NOTE),
      placeholder: t("noteText"),
      "aria-label": t("noteText"),
    });
    field.value = text;
    const form = element("form", { class: "measure-note" });
    const drop = element("button", { type: "button" }, t("drop"));
    form.append(field, drop, element("button", { type: "submit" }, t("done")));
    let answer = "";
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      answer = field.value.trim().slice(0, LONGEST_NOTE);
      this.close();
    });
    drop.addEventListener("click", () => this.close());
    // Escape ends an input method's composing first.
    field.addEventListener("keydown", (event) => {
      if (event.key === "Escape" && !event.isComposing) this.close();
    });
    this.show(form, x, y, () => done(answer));
    field.focus();
  }

  private show(made: HTMLElement, x: number, y: number, gone: () => void = () => undefined): void {
    this.close();
    const { stage, back } = this.viewer;
    this.open = made;
    this.gone = gone;
    stage.append(made);
    const left = Math.max(8, Math.min(x, stage.clientWidth - made.offsetWidth - 8));
    const below = y + 12 + made.offsetHeight <= stage.clientHeight;
    const top = Math.max(8, below ? y + 12 : y - made.offsetHeight - 12);
    made.style.cssText = `left:${left}px;top:${top}px`;
    // A menu under a finger must not take that finger for a choice.
    for (const kind of ["pointerdown", "pointerup"])
      made.addEventListener(kind, (event) => event.stopPropagation());
    back.push(this.goBack);
  }

  private readonly goBack = () => this.take();

  close(): void {
    if (!this.open) return;
    this.viewer.back.drop(this.goBack);
    this.take();
  }

  private take(): void {
    const { open, gone } = this;
    this.open = null;
    this.gone = () => undefined;
    open?.remove();
    gone();
  }
}
