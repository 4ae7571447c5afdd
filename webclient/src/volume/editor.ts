// The panel 传递函数: the graph, the chosen point's numbers and colour, names to keep a function under.

import { element } from "../viewer/dom";
import type { Spread } from "./facts";
import { Graph, type GraphHost } from "./graph";
import { Naming } from "./naming";
import type { PageState } from "./state";
import {
  added,
  coloured,
  colourOf,
  denser,
  FEWEST_POINTS,
  hexOf,
  moved,
  type Points,
  removed,
  shifted,
  widened,
} from "./transfer";
import type { VolumeWords } from "./words";

export interface EditorHost {
  readonly words: VolumeWords;
  readonly state: PageState;
  readonly spread: Spread | null;
  /** Why there is no spread; "" while it may come. */
  readonly spreadRefused: string;
  /** The function that is shown now; null until the presets' values are known. */
  readonly points: Points | null;
  change(next: PageState): void;
  rest(): void;
  /** Keeps the function under a name and tells where that cannot be. */
  keepAs(name: string): void;
  valueText(value: number): string;
}

const OPACITY_STEP = 0.02;

export class Editor implements GraphHost {
  readonly place: HTMLElement;
  selected = 0;
  private readonly graph = new Graph(this);
  private readonly waiting = element("p", { class: "waiting", role: "status" });
  private readonly value: HTMLInputElement;
  private readonly opacity: HTMLInputElement;
  private readonly colour: HTMLInputElement;
  private readonly without: HTMLButtonElement;
  private readonly fields: HTMLElement;
  private readonly naming: Naming;

  constructor(private readonly host: EditorHost) {
    const { words } = host;
    this.value = this.number(words.value, { step: "any" });
    this.opacity = this.number(words.opacityShort, { min: "0", max: "100", step: "0.1" });
    this.colour = element("input", { type: "color", "aria-label": words.colour });
    this.without = element("button", { type: "button", class: "chip", "data-choice": "point-delete" });
    this.without.textContent = words.deletePoint;
    this.without.addEventListener("click", () => this.remove());
    this.graph.drawing.setAttribute("aria-label", words.curve);
    this.fields = element(
      "div",
      { class: "point-fields" },
      element("label", {}, words.value, this.value),
      element("label", {}, words.opacityShort, this.opacity),
      this.colour,
      this.without,
    );
    const hint = element("p", { class: "hint" }, words.curveHint);
    this.naming = new Naming(words, (name) => host.keepAs(name));
    this.place = element("section", { class: "editor", "aria-label": words.curve, hidden: "" });
    this.place.append(
      this.graph.drawing as unknown as Node,
      this.waiting,
      this.fields,
      this.naming.place,
      hint,
    );
    this.listen();
  }

  private number(label: string, attributes: Record<string, string>): HTMLInputElement {
    return element("input", { type: "number", inputmode: "decimal", "aria-label": label, ...attributes });
  }

  private listen(): void {
    this.value.addEventListener("change", () => this.typed());
    this.opacity.addEventListener("change", () => this.typed());
    this.colour.addEventListener("input", () => {
      const { points } = this;
      if (points) this.edit(coloured(points, this.selected, colourOf(this.colour.value)));
    });
    this.colour.addEventListener("change", () => this.rest());
  }

  get points(): Points | null {
    return this.host.points;
  }

  show(isOpen: boolean): void {
    this.place.hidden = !isOpen;
    if (!isOpen) {
      this.naming.dismiss();
      return;
    }
    const { spread, points, host } = this;
    const isHere = spread !== null && points !== null;
    this.waiting.hidden = isHere;
    this.waiting.textContent = isHere ? "" : host.spreadRefused || host.words.reading;
    this.graph.drawing.toggleAttribute("hidden", !isHere);
    this.fields.classList.toggle("off", !isHere);
    if (!isHere) return;
    this.selected = Math.min(this.selected, points.length - 1);
    this.graph.show(spread, points);
    this.fill(points);
  }

  private get spread(): Spread | null {
    return this.host.spread;
  }

  private fill(points: Points): void {
    const point = points[this.selected];
    if (!point) return;
    const active = document.activeElement;
    const digits = Math.abs(point.value) >= 100 ? 0 : 2;
    if (active !== this.value) this.value.value = String(Number(point.value.toFixed(digits)));
    if (active !== this.opacity) this.opacity.value = String(Number((point.opacity * 100).toFixed(1)));
    this.colour.value = hexOf(point.colour);
    this.without.disabled = points.length <= FEWEST_POINTS;
  }

  private typed(): void {
    const { points } = this;
    const point = points?.[this.selected];
    if (!points || !point) return;
    const [value, opacity] = [this.value.valueAsNumber, this.opacity.valueAsNumber / 100];
    this.edit(
      moved(
        points,
        this.selected,
        Number.isFinite(value) ? value : point.value,
        Number.isFinite(opacity) ? opacity : point.opacity,
      ),
    );
    this.rest();
  }

  // Acts --------------------------------------------------------------------------------------------------------

  /** All changes of the points while a hand is down are one step of undo. */
  private edit(points: Points): void {
    this.host.change({ ...this.host.state, points });
  }

  select(index: number): void {
    this.selected = index;
    this.show(true);
  }

  move(index: number, value: number, opacity: number): void {
    if (this.points) this.edit(moved(this.points, index, value, opacity));
  }

  add(value: number, opacity: number): void {
    const made = this.points && added(this.points, value, opacity);
    if (!made) return;
    const [points, index] = made;
    this.selected = index;
    this.rest();
    this.edit(points);
    this.rest();
  }

  remove(): void {
    const { points } = this;
    if (!points || points.length <= FEWEST_POINTS) return;
    this.rest();
    this.edit(removed(points, this.selected));
    this.selected = Math.max(0, this.selected - 1);
    this.rest();
  }

  shift(from: Points, by: number): void {
    this.edit(shifted(from, by));
  }

  widen(from: Points, factor: number): void {
    this.edit(widened(from, factor));
  }

  /** One of the row's buttons: the whole function by a step. */
  all(change: (points: Points, step: number) => Points): void {
    const { points } = this;
    if (!points) return;
    this.rest();
    this.edit(change(points, this.graph.step * 5));
    this.rest();
  }

  denser(factor: number): void {
    this.all((points) => denser(points, factor));
  }

  rest(): void {
    this.host.rest();
  }

  valueText(value: number): string {
    return this.host.valueText(value);
  }

  /** A name to keep the function under. */
  askName(): void {
    this.naming.ask();
  }

  /** Whatever waits for an answer; false when nothing does. */
  dismiss(): boolean {
    return this.naming.dismiss();
  }

  // Keys --------------------------------------------------------------------------------------------------------

  /** What a key does while the graph has the focus; null where the page has it. */
  keyOf(event: KeyboardEvent): (() => void) | null {
    const { points, selected } = this;
    const point = points?.[selected];
    if (document.activeElement !== (this.graph.drawing as Element) || !points || !point) return null;
    const by = event.shiftKey ? 5 : 1;
    const go = (value: number, opacity: number) => () => {
      this.rest();
      this.move(
        selected,
        point.value + value * this.graph.step * by,
        point.opacity + opacity * OPACITY_STEP * by,
      );
      this.rest();
    };
    const choose = (step: number) => () => this.select((selected + step + points.length) % points.length);
    const acts: Record<string, () => void> = {
      ArrowLeft: go(-1, 0),
      ArrowRight: go(1, 0),
      ArrowUp: go(0, 1),
      ArrowDown: go(0, -1),
      PageUp: choose(-1),
      PageDown: choose(1),
      Delete: () => this.remove(),
      Backspace: () => this.remove(),
    };
    return event.ctrlKey || event.metaKey || event.altKey ? null : (acts[event.key] ?? null);
  }
}
