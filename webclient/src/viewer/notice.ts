// One line on the picture that says what happened; and after ten seconds without a picture, that it is the network.

import { element } from "./dom";

const SLOW_MS = 10_000;
const OFFERED_MS = 5000;

export class Notice {
  private slowTimer = 0;
  private endTimer = 0;

  constructor(
    private readonly place: HTMLElement,
    private readonly slowText: string,
  ) {}

  /** Until something else is said, or for a while. "" takes it away. */
  tell(text: string, forMs = 0): void {
    window.clearTimeout(this.endTimer);
    this.place.hidden = text === "";
    this.place.textContent = text;
    if (forMs) this.endTimer = window.setTimeout(() => this.tell(""), forMs);
  }

  /** What was done, with a way back for a while. */
  offer(text: string, label: string, act: () => void): void {
    this.tell(text, OFFERED_MS);
    const button = element("button", { type: "button", class: "offer" }, label);
    button.addEventListener("click", () => {
      this.tell("");
      act();
    });
    this.place.append(button);
  }

  /** A picture was asked for. */
  waiting(): void {
    window.clearTimeout(this.slowTimer);
    this.slowTimer = window.setTimeout(() => this.tell(this.slowText), SLOW_MS);
  }

  /** It came, or never will. */
  settled(): void {
    window.clearTimeout(this.slowTimer);
    if (this.place.textContent === this.slowText) this.tell("");
  }
}
