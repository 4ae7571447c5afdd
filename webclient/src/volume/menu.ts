// The sheet behind the three dots of the page, and the card of keys.

import { element, icon } from "../viewer/dom";
import { isElder, setCookie, switchLanguage } from "../viewer/menu";
import type { VolumePage } from "./page";

export class Menu {
  readonly button: HTMLButtonElement;
  readonly sheet: HTMLElement;
  readonly card: HTMLElement;

  constructor(private readonly page: VolumePage) {
    const { words } = page;
    this.button = element("button", {
      type: "button",
      class: "icon",
      "aria-label": words.more,
      "aria-expanded": "false",
    });
    this.button.append(icon("more"));
    this.button.addEventListener("click", () => this.toggle());
    this.sheet = element("div", {
      class: "volume-sheet",
      role: "dialog",
      "aria-label": words.more,
      hidden: "",
    });
    this.row("undo", words.undo, () => page.undo());
    this.row("redo", words.redo, () => page.undo(true));
    this.row("reset", words.reset, () => page.reset());
    this.row("invert", words.invert, () => page.invert());
    const elder = this.row("elder", words.elder, () => {
      const on = page.viewer.ui.root.classList.toggle("elder");
      setCookie("cloudfilm_elder", on ? "1" : "0");
      elder.setAttribute("aria-pressed", String(on));
    });
    elder.setAttribute("aria-pressed", String(isElder()));
    this.row("keys", words.keys, () => this.toggleCard()).classList.add("desktop");
    this.row("language", words.language, () => switchLanguage(page.language));
    this.card = element("div", {
      class: "volume-card",
      role: "dialog",
      "aria-label": words.keys,
      hidden: "",
    });
    const list = element("dl");
    for (const [key, text] of words.card)
      list.append(element("div", {}, element("dt", {}, key), element("dd", {}, text)));
    this.card.append(element("h2", {}, words.keys), list);
  }

  private row(symbol: string, label: string, act: () => void): HTMLButtonElement {
    const row = element("button", { type: "button", class: "row" });
    row.append(icon(symbol), label);
    row.addEventListener("click", () => {
      this.toggle(false);
      act();
    });
    this.sheet.append(row);
    return row;
  }

  private readonly hide = () => {
    this.show(false);
    this.page.saveSoon();
  };
  private readonly hideCard = () => {
    this.card.hidden = true;
    this.page.saveSoon();
  };

  private show(open: boolean): void {
    this.sheet.hidden = !open;
    this.button.setAttribute("aria-expanded", String(open));
    if (open) this.sheet.querySelector("button")?.focus();
  }

  toggle(open = this.sheet.hidden): void {
    if (open !== this.sheet.hidden) return;
    this.show(open);
    const { back } = this.page.viewer;
    if (open) back.push(this.hide);
    else back.drop(this.hide);
  }

  toggleCard(open = this.card.hidden): void {
    if (open !== this.card.hidden) return;
    this.card.hidden = !open;
    const { back } = this.page.viewer;
    if (open) back.push(this.hideCard);
    else back.drop(this.hideCard);
  }

  /** Whatever lies on the page; false when nothing does. */
  dismiss(): boolean {
    const isOpen = !this.sheet.hidden || !this.card.hidden;
    this.toggle(false);
    this.toggleCard(false);
    return isOpen;
  }
}
