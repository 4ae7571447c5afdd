// The drawing of a transfer function: the spread of values, the curve above it, its points, and hands on them.

import { svg } from "./box";
import type { Spread } from "./facts";
import { hexOf, lookAt, type Points } from "./transfer";

/** Places left of the first value and right of the last, so that a finger reaches points there. */
const PAD_PX = 22;
const TOP_PX = 14;
const FOOT_PX = 26;
const REACH_PX = 22;
const TAP_PX = 6;
const LOCK_PX = 8;
const DOUBLE_MS = 350;
const MARGIN = 0.03;
/** Dragged up or down by so many px, the function is e times as wide. */
const WIDEN_PX = 150;
const CURVE_STEPS = 12;

export interface GraphHost {
  readonly points: Points | null;
  readonly selected: number;
  select(index: number): void;
  move(index: number, value: number, opacity: number): void;
  add(value: number, opacity: number): void;
  /** From the points that were there when the hand came down. */
  shift(from: Points, by: number): void;
  widen(from: Points, factor: number): void;
  rest(): void;
  valueText(value: number): string;
}

export interface Axis {
  readonly low: number;
  readonly high: number;
}

/** All values that occur, and all points, with a margin. */
export function axisOf(spread: Axis, points: Points): Axis {
  const values = [spread.low, spread.high, ...points.map((point) => point.value)];
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const margin = (high - low || 1) * MARGIN;
  return { low: low - margin, high: high + margin };
}

/** Small opacities matter most along a way of many mm: heights are their square roots. */
export const heightOf = (opacity: number): number => Math.sqrt(opacity);
export const opacityOf = (height: number): number => Math.min(1, Math.max(0, height)) ** 2;

type Place = readonly [number, number];
type Held =
  | { readonly what: "point"; readonly index: number; readonly off: Place }
  | { readonly what: "all"; readonly from: Points; way: "" | "shift" | "widen" };

export class Graph {
  readonly drawing = svg("svg", { class: "curve", tabindex: "0", role: "application" });
  private readonly fill = svg("linearGradient", { id: "curve-colours", gradientUnits: "userSpaceOnUse" });
  private readonly parts = svg("g", {});
  private spread: Spread | null = null;
  private axis: Axis = { low: 0, high: 1 };
  private size = { width: 300, height: 150 };
  private held: Held | null = null;
  private pointer = 0;
  private start: Place = [0, 0];
  private isMoved = false;
  private tapped: { at: number; place: Place } | null = null;

  constructor(private readonly host: GraphHost) {
    const defs = svg("defs", {});
    defs.append(this.fill);
    this.drawing.append(defs, this.parts);
    this.listen();
  }

  // Places ------------------------------------------------------------------------------------------------------

  private x(value: number): number {
    const { low, high } = this.axis;
    return PAD_PX + ((value - low) / (high - low)) * (this.size.width - 2 * PAD_PX);
  }

  private y(opacity: number): number {
    return TOP_PX + (1 - heightOf(opacity)) * (this.size.height - TOP_PX - FOOT_PX);
  }

  private valueAt(x: number): number {
    const { low, high } = this.axis;
    return low + ((x - PAD_PX) / Math.max(1, this.size.width - 2 * PAD_PX)) * (high - low);
  }

  private opacityAt(y: number): number {
    return opacityOf(1 - (y - TOP_PX) / Math.max(1, this.size.height - TOP_PX - FOOT_PX));
  }

  /** Value per px. */
  private get valueOfPx(): number {
    return (this.axis.high - this.axis.low) / Math.max(1, this.size.width - 2 * PAD_PX);
  }

  /** An arrow key moves a point by this. */
  get step(): number {
    return this.valueOfPx * 2;
  }

  // Drawing -----------------------------------------------------------------------------------------------------

  show(spread: Spread, points: Points): void {
    const { clientWidth: width, clientHeight: height } = this.drawing;
    this.size = { width: width || 300, height: height || 150 };
    // While a hand moves points the values stay where they are.
    if (!this.held) this.axis = axisOf(spread, points);
    this.spread = spread;
    this.drawing.setAttribute("viewBox", `0 0 ${this.size.width} ${this.size.height}`);
    this.colours(points);
    this.parts.replaceChildren(
      this.counts(spread),
      ...this.line(points),
      ...this.values(),
      ...points.map((_, index) => this.dot(points, index)),
    );
  }

  private colours(points: Points): void {
    const [low, high] = [this.x(points[0]?.value ?? 0), this.x(points[points.length - 1]?.value ?? 1)];
    for (const [name, at] of [
      ["x1", low],
      ["x2", Math.max(high, low + 1)],
      ["y1", 0],
      ["y2", 0],
    ] as const)
      this.fill.setAttribute(name, at.toFixed(1));
    const stops = points.map(({ value, colour }) => {
      const offset = (this.x(value) - low) / Math.max(1, high - low);
      const stop = svg("stop", { "stop-color": hexOf(colour) });
      stop.setAttribute("offset", offset.toFixed(4));
      return stop;
    });
    this.fill.replaceChildren(...stops);
  }

  /** How often values occur, by the logarithm: bone is seen beside air. */
  private counts(spread: Spread): SVGElement {
    const most = Math.log1p(Math.max(1, ...spread.counts));
    const foot = this.size.height - FOOT_PX;
    const high = foot - TOP_PX;
    const { low, counts } = spread;
    const step = (spread.high - low) / counts.length;
    const tops = counts.map((count, index) => {
      const y = foot - (Math.log1p(count) / most) * high * 0.85;
      const [from, to] = [this.x(low + index * step), this.x(low + (index + 1) * step)];
      return `L${from.toFixed(1)} ${y.toFixed(1)}L${to.toFixed(1)} ${y.toFixed(1)}`;
    });
    const ends = [this.x(low), this.x(spread.high)].map((x) => x.toFixed(1));
    return svg("path", { class: "counts", d: `M${ends[0]} ${foot}${tops.join("")}L${ends[1]} ${foot}Z` });
  }

  private line(points: Points): SVGElement[] {
    const [first, last] = [points[0], points[points.length - 1]];
    if (!first || !last) return [];
    const places: Place[] = [[0, this.y(first.opacity)]];
    points.forEach((point, index) => {
      const next = points[index + 1];
      places.push([this.x(point.value), this.y(point.opacity)]);
      // Straight in opacity is bent on this paper.
      for (let step = 1; next && step < CURVE_STEPS; step += 1) {
        const value = point.value + ((next.value - point.value) * step) / CURVE_STEPS;
        places.push([this.x(value), this.y(lookAt(points, value).opacity)]);
      }
    });
    places.push([this.size.width, this.y(last.opacity)]);
    const way = places.map(([x, y]) => `${x.toFixed(1)} ${y.toFixed(1)}`).join("L");
    const foot = this.size.height - FOOT_PX;
    return [
      svg("path", {
        class: "under",
        d: `M0 ${foot}L${way}L${this.size.width} ${foot}Z`,
        fill: "url(#curve-colours)",
      }),
      svg("path", { class: "line", d: `M${way}` }),
    ];
  }

  private values(): SVGElement[] {
    const y = this.size.height - 4;
    const { low, high } = this.axis;
    const texts: SVGElement[] = [
      svg("line", { class: "foot", x1: 0, y1: y - 22, x2: this.size.width, y2: y - 22 }),
    ];
    for (const [share, anchor] of [
      [0, "start"],
      [0.5, "middle"],
      [1, "end"],
    ] as const) {
      const x = share === 0 ? 8 : share === 1 ? this.size.width - 8 : this.size.width / 2;
      texts.push(
        svg("text", { x, y, "text-anchor": anchor }, this.host.valueText(low + (high - low) * share)),
      );
    }
    return texts;
  }

  private dot(points: Points, index: number): SVGElement {
    const point = points[index];
    const isChosen = index === this.host.selected;
    return svg("circle", {
      class: isChosen ? "point chosen" : "point",
      cx: this.x(point?.value ?? 0),
      cy: this.y(point?.opacity ?? 0),
      r: isChosen ? 9 : 7,
      fill: hexOf(point?.colour ?? [0, 0, 0]),
    });
  }

  // Hands -------------------------------------------------------------------------------------------------------

  private at(event: PointerEvent): Place {
    const box = this.drawing.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  }

  private nearest([x, y]: Place): number {
    const found = (this.host.points ?? [])
      .map((point, index) => ({ index, far: Math.hypot(this.x(point.value) - x, this.y(point.opacity) - y) }))
      .filter(({ far }) => far <= REACH_PX)
      .sort((a, b) => a.far - b.far)[0];
    return found?.index ?? -1;
  }

  private take(place: Place): Held | null {
    const { points } = this.host;
    if (!points || !this.spread) return null;
    const index = this.nearest(place);
    const point = points[index];
    if (!point) return { what: "all", from: points, way: "" };
    this.host.select(index);
    return { what: "point", index, off: [this.x(point.value) - place[0], this.y(point.opacity) - place[1]] };
  }

  private drag([x, y]: Place): void {
    const [dx, dy] = [x - this.start[0], y - this.start[1]];
    if (Math.hypot(dx, dy) > TAP_PX) this.isMoved = true;
    const { held } = this;
    if (!held || !this.isMoved) return;
    if (held.what === "point") {
      this.host.move(held.index, this.valueAt(x + held.off[0]), this.opacityAt(y + held.off[1]));
      return;
    }
    // One of the two for a whole drag: a window is hard to set by both at once with a thumb.
    if (!held.way && Math.hypot(dx, dy) > LOCK_PX)
      held.way = Math.abs(dx) >= Math.abs(dy) ? "shift" : "widen";
    if (held.way === "shift") this.host.shift(held.from, dx * this.valueOfPx);
    else if (held.way === "widen") this.host.widen(held.from, Math.exp(-dy / WIDEN_PX));
  }

  /** Two taps or clicks on the background make a point there. */
  private tap(place: Place, now: number): void {
    const before = this.tapped;
    this.tapped = { at: now, place };
    const isSecond =
      before &&
      now - before.at < DOUBLE_MS &&
      Math.hypot(place[0] - before.place[0], place[1] - before.place[1]) < 24;
    if (!isSecond || this.held?.what !== "all") return;
    this.tapped = null;
    this.host.add(this.valueAt(place[0]), this.opacityAt(place[1]));
  }

  private listen(): void {
    const { drawing } = this;
    drawing.addEventListener("pointerdown", (event) => {
      if (this.held || event.button !== 0) return;
      [this.pointer, this.start, this.isMoved] = [event.pointerId, this.at(event), false];
      this.held = this.take(this.start);
      drawing.setPointerCapture(event.pointerId);
      drawing.focus({ preventScroll: true });
    });
    drawing.addEventListener("pointermove", (event) => {
      if (this.held && event.pointerId === this.pointer) this.drag(this.at(event));
      else if (!this.held) drawing.dataset["over"] = this.nearest(this.at(event)) >= 0 ? "point" : "";
    });
    const end = (event: PointerEvent) => {
      if (!this.held || event.pointerId !== this.pointer) return;
      if (!this.isMoved && event.type === "pointerup") this.tap(this.at(event), event.timeStamp);
      this.held = null;
      this.host.rest();
    };
    drawing.addEventListener("pointerup", end);
    drawing.addEventListener("pointercancel", end);
  }
}
