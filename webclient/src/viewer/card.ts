// The card of keys (F1).

import type { Word } from "../ui/words";
import type { Back } from "./back";
import { element } from "./dom";
import type { Key } from "./keys";

const SHOWN: Record<string, string> = {
  arrowup: "↑",
  arrowdown: "↓",
  pageup: "PgUp",
  pagedown: "PgDn",
  home: "Home",
  end: "End",
  " ": "Space",
  escape: "Esc",
  delete: "Del",
  backspace: "⌫",
};

function shown(key: string): string {
  const plain = SHOWN[key] ?? key.toUpperCase();
  if (!key.startsWith("^")) return plain;
  return `Ctrl+${key === "^Z" ? "Shift+Z" : key.slice(1).toUpperCase()}`;
}

/** Opened and closed by F1, a row of the sheet, Esc and the phone's Back. */
export class Card {
  readonly element: HTMLElement;

  constructor(
    keys: readonly Key[],
    t: (word: Word) => string,
    private readonly back: Back,
  ) {
    this.element = build(keys, t);
  }

  private readonly close = () => {
    this.element.hidden = true;
  };

  toggle(open = this.element.hidden): void {
    if (open !== this.element.hidden) return;
    this.element.hidden = !open;
    if (open) this.back.push(this.close);
    else this.back.drop(this.close);
  }
}

function build(keys: readonly Key[], t: (word: Word) => string): HTMLElement {
  const list = element("dl");
  const rows: [string, string][] = keys.map((key) => [key.keys.map(shown).join(" / "), t(key.word)]);
  for (const [key, word] of [["1-9", t("ctWindows")] as [string, string], ...rows]) {
    const row = element("div");
    row.append(element("dt", {}, key), element("dd", {}, word));
    list.append(row);
  }
  const card = element("div", { id: "card", role: "dialog", "aria-label": t("keys"), hidden: "" });
  card.append(element("h2", {}, t("keys")), list);
  return card;
}
