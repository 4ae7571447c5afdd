// The sheet behind the three dots: what is needed less often.

import { element, icon } from "./dom";

export class Sheet {
  constructor(
    private readonly sheet: HTMLElement,
    private readonly button: HTMLButtonElement,
  ) {
    button.addEventListener("click", () => this.toggle());
  }

  /** A further row; the sheet closes when it is chosen. */
  add(symbol: string, label: string, act: () => void): HTMLButtonElement {
    const row = element("button", { type: "button", class: "row" });
    if (symbol) row.append(icon(symbol));
    row.append(label);
    row.addEventListener("click", () => {
      this.toggle(false);
      act();
    });
    this.sheet.append(row);
    return row;
  }

  get isOpen(): boolean {
    return !this.sheet.hidden;
  }

  toggle(open = !this.isOpen): void {
    this.sheet.hidden = !open;
    this.button.setAttribute("aria-expanded", String(open));
    if (open) this.sheet.querySelector("button")?.focus();
  }
}
