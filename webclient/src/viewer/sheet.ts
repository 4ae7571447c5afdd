// The sheet behind the three dots: what is needed less often.

import type { Back } from "./back";
import { element, icon } from "./dom";

export class Sheet {
  constructor(
    private readonly sheet: HTMLElement,
    private readonly button: HTMLButtonElement,
    private readonly back: Back,
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

  /** Where the right button was clicked. */
  openAt(x: number, y: number): void {
    this.toggle(true);
    const left = Math.max(8, Math.min(x, window.innerWidth - this.sheet.offsetWidth - 8));
    const top = Math.max(8, Math.min(y, window.innerHeight - this.sheet.offsetHeight - 8));
    this.sheet.style.cssText = `left:${left}px;top:${top}px;right:auto`;
  }

  private readonly close = () => this.show(false);

  toggle(open = !this.isOpen): void {
    if (open === this.isOpen) return;
    this.show(open);
    if (open) this.back.push(this.close);
    else this.back.drop(this.close);
  }

  private show(open: boolean): void {
    this.sheet.hidden = !open;
    this.sheet.style.cssText = "";
    this.button.setAttribute("aria-expanded", String(open));
    if (open) this.sheet.querySelector("button")?.focus();
  }
}
