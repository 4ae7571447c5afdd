// Asks for a name to keep something under.

import { element } from "../viewer/dom";
import { LONGEST_NAME } from "./saved";
import type { VolumeWords } from "./words";

export class Naming {
  readonly place: HTMLElement;
  private readonly name: HTMLInputElement;

  constructor(words: VolumeWords, keep: (name: string) => void) {
    this.name = element("input", {
      type: "text",
      maxlength: String(LONGEST_NAME),
      placeholder: words.keepAs,
      "aria-label": words.keepAs,
      required: "",
      autocomplete: "off",
    });
    const cancel = element("button", { type: "button", class: "chip" }, words.cancel);
    cancel.addEventListener("click", () => this.dismiss());
    const form = element(
      "form",
      { class: "naming", hidden: "" },
      this.name,
      element("button", { type: "submit", class: "chip", "data-choice": "keep-name" }, words.keep),
      cancel,
    );
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      const name = this.name.value.trim();
      if (!name) return;
      this.dismiss();
      keep(name);
    });
    this.place = form;
  }

  ask(): void {
    this.place.hidden = false;
    this.name.value = "";
    this.name.focus();
  }

  /** False where nothing was asked. */
  dismiss(): boolean {
    const isOpen = !this.place.hidden;
    this.place.hidden = true;
    return isOpen;
  }
}
