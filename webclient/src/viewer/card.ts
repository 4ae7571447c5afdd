// The card of keys (F1), on which a person may also change them.

import type { Word } from "../ui/words";
import type { Back } from "./back";
import { type Bindings, type Group, isAssignable, type Key } from "./bindings";
import { element, icon } from "./dom";
import { nameOf } from "./keys";

const SHOWN: Record<string, string> = {
  arrowup: "↑",
  arrowdown: "↓",
  arrowleft: "←",
  arrowright: "→",
  pageup: "PgUp",
  pagedown: "PgDn",
  home: "Home",
  end: "End",
  insert: "Ins",
  " ": "Space",
  escape: "Esc",
  delete: "Del",
  backspace: "⌫",
};
const GROUPS: readonly (readonly [Group, Word])[] = [
  ["paging", "groupPaging"],
  ["windows", "groupWindows"],
  ["picture", "groupPicture"],
  ["measuring", "groupMeasuring"],
  ["cine", "groupCine"],
  ["other", "groupOther"],
];
/** They come alone before another key does. */
const MODIFIERS = ["shift", "control", "alt", "meta", "capslock", "altgraph", "fn", "dead"];

function shown(name: string): string {
  const plain = SHOWN[name] ?? name.toUpperCase();
  if (!name.startsWith("^")) return plain;
  return `Ctrl+${name === "^Z" ? "Shift+Z" : name.slice(1).toUpperCase()}`;
}

/** A row waits for its key, or the key it was given has another owner. */
type Step = { readonly key: Key; readonly clash: { readonly name: string; readonly owner: Key } | null };

/** Opened and closed by F1, a row of the sheet, Esc and the phone's Back. */
export class Card {
  readonly element: HTMLElement;
  private readonly list = element("div", { class: "keys" });
  private readonly told = element("p", { class: "told", role: "status" });
  private readonly edit: HTMLButtonElement;
  private readonly reset: HTMLButtonElement;
  private isEditing = false;
  private step: Step | null = null;

  constructor(
    private readonly keys: Bindings,
    private readonly t: (word: Word) => string,
    private readonly back: Back,
  ) {
    this.edit = this.button(t("editKeys"), () => this.setEditing(!this.isEditing));
    this.reset = this.button(t("editReset"), () => {
      keys.reset();
      this.show(null);
    });
    const close = element("button", { type: "button", class: "icon", "aria-label": t("close") });
    close.append(icon("close"));
    close.addEventListener("click", () => this.toggle(false));
    const head = element("header", {}, element("h2", {}, t("keys")), this.reset, this.edit, close);
    this.element = element("div", { id: "card", role: "dialog", "aria-label": t("keys"), hidden: "" });
    this.element.append(head, this.told, this.list);
    window.addEventListener("keydown", (event) => this.press(event), true);
  }

  private button(text: string, act: () => void): HTMLButtonElement {
    const made = element("button", { type: "button", class: "plainly" }, text);
    made.addEventListener("click", act);
    return made;
  }

  private readonly close = () => {
    this.element.hidden = true;
    this.setEditing(false);
  };

  toggle(open = this.element.hidden): void {
    if (open !== this.element.hidden) return;
    if (open) {
      this.setEditing(false);
      this.element.hidden = false;
      this.back.push(this.close);
    } else {
      this.close();
      this.back.drop(this.close);
    }
  }

  // Changing ---------------------------------------------------------------------------------------------------

  private setEditing(on: boolean): void {
    this.isEditing = on;
    this.edit.textContent = this.t(on ? "editDone" : "editKeys");
    this.edit.setAttribute("aria-pressed", String(on));
    this.show(null);
  }

  /** A key that is pressed while keys are changed does nothing else. */
  private press(event: KeyboardEvent): void {
    if (!this.isEditing || event.isComposing || event.key === "Process") return;
    const name = nameOf(event);
    const { step } = this;
    if (name === "escape" && step) this.show(null);
    else if (name === "escape" || name === "f1") return;
    else if (!step || step.clash) {
      // Tab, Enter and the space bar work the card itself.
      if (["tab", "enter", " "].includes(name)) {
        event.stopImmediatePropagation();
        return;
      }
    } else if (MODIFIERS.includes(name)) return;
    else this.give(step.key, name, event.altKey);
    event.preventDefault();
    event.stopImmediatePropagation();
  }

  private give(key: Key, name: string, isAlt: boolean): void {
    const owner = this.keys.owner(name);
    if (owner?.isFixed) this.tell(`“${shown(name)}”${this.t("editFixed")}`, true);
    else if (isAlt || !isAssignable(name)) this.tell(this.t("editNotUsable"), true);
    else if (owner && owner !== key) this.show({ key, clash: { name, owner } });
    else {
      this.keys.assign(key, name);
      this.show(null, key);
    }
  }

  private tell(text: string, isWarning: boolean, ...buttons: HTMLElement[]): void {
    this.told.replaceChildren(text, ...buttons);
    this.told.classList.toggle("warn", isWarning);
  }

  // What is seen -----------------------------------------------------------------------------------------------

  /** The card as it is now; `at`: the row that keeps the focus. */
  private show(step: Step | null, at: Key | null = step?.key ?? this.step?.key ?? null): void {
    this.step = step;
    const { keys, t } = this;
    this.element.classList.toggle("editing", this.isEditing);
    this.told.hidden = !this.isEditing;
    this.reset.hidden = !this.isEditing;
    this.reset.disabled = !keys.isChanged;
    const sections = GROUPS.map(([group, title]) => {
      const rows = keys.all.filter((key) => key.group === group).map((key) => this.row(key));
      return element("section", {}, element("h3", {}, t(title)), ...rows);
    });
    this.list.replaceChildren(...sections);
    if (step?.clash) this.tellClash(step.key, step.clash);
    else this.tell(t(step ? "editPress" : "editHint"), false);
    if (this.isEditing && at && !step?.clash)
      this.list.querySelector<HTMLElement>(`[data-key="${at.id}"]`)?.focus();
  }

  private tellClash(key: Key, { name, owner }: NonNullable<Step["clash"]>): void {
    const { t } = this;
    const take = this.button(`${t("editGive")}“${key.label}”`, () => {
      this.keys.assign(key, name);
      this.show(null, key);
    });
    const leave = this.button(t("editLeave"), () => this.show(null));
    this.tell(`“${shown(name)}” ${t("editIsNow")}“${owner.label}”。`, true, take, leave);
    take.focus();
  }

  private row(key: Key): HTMLElement {
    const { step, keys } = this;
    const names = keys.of(key);
    const isWaiting = step?.key === key && !step.clash;
    const text = isWaiting ? "…" : names.map(shown).join(" / ") || this.t("editNone");
    const parts = [element("kbd", {}, text), element("span", {}, key.label)];
    if (!this.isEditing) return element("div", { class: "key", "data-key": key.id }, ...parts);
    const row = element("button", { type: "button", class: "key", "data-key": key.id }, ...parts);
    row.disabled = key.isFixed === true;
    row.classList.toggle("waiting", isWaiting);
    row.classList.toggle("clash", step?.clash != null && (step.key === key || step.clash.owner === key));
    row.classList.toggle("changed", names.join() !== key.keys.join());
    row.addEventListener("click", () => this.show({ key, clash: null }));
    return row;
  }
}
