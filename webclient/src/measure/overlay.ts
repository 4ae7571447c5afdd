// Draws measurements over the picture as SVG: crisp at any zoom, lines and letters with a dark rim for white pictures.

import type { Matrix, Size } from "../viewport/placement";
import { through } from "../viewport/placement";
import type { Measurement } from "../viewport/state";
import { placeLabel, textWidth } from "./labels";
import { type Box, handlesOf, outlineOf } from "./shapes";

export interface Shown {
  readonly measurement: Measurement;
  readonly lines: readonly string[];
  readonly isChosen: boolean;
  /** Its handles can be held. */
  readonly hasHandles: boolean;
}

type Point = readonly [number, number];

const SPACE = "http://www.w3.org/2000/svg";
const HEAD_PX = 12;
const TICK_PX = 6;

function shape<K extends keyof SVGElementTagNameMap>(
  tag: K,
  attributes: Record<string, string | number>,
): SVGElementTagNameMap[K] {
  const made = document.createElementNS(SPACE, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, String(value));
  return made;
}

const pathOf = (chain: readonly Point[]) =>
  chain.map(([x, y], index) => `${index ? "L" : "M"}${x.toFixed(2)} ${y.toFixed(2)}`).join("");

/** Short strokes across the ends of a length; the head of a note's arrow; the cross of a point. */
function endsOf({ kind }: Measurement, chain: readonly Point[]): string {
  const [a, b] = chain;
  if (!a) return "";
  if (kind === "probe") {
    const [x, y] = a;
    return `M${x - 9} ${y}H${x - 3}M${x + 3} ${y}H${x + 9}M${x} ${y - 9}V${y - 3}M${x} ${y + 3}V${y + 9}`;
  }
  const length = b ? Math.hypot(b[0] - a[0], b[1] - a[1]) : 0;
  if (!b || !length) return "";
  const [ux, uy] = [(b[0] - a[0]) / length, (b[1] - a[1]) / length];
  if (kind === "length")
    return [a, b]
      .map(([x, y]) =>
        pathOf([
          [x - uy * TICK_PX, y + ux * TICK_PX],
          [x + uy * TICK_PX, y - ux * TICK_PX],
        ]),
      )
      .join("");
  if (kind !== "note") return "";
  const wing = (side: number): Point => [
    a[0] + (ux - uy * side * 0.45) * HEAD_PX,
    a[1] + (uy + ux * side * 0.45) * HEAD_PX,
  ];
  return pathOf([wing(1), a, wing(-1)]);
}

/** An angle's small arc at its vertex. */
function arcOf(chain: readonly Point[]): string {
  const [from, vertex, to] = chain;
  if (!from || !vertex || !to) return "";
  const reach = (end: Point) => Math.hypot(end[0] - vertex[0], end[1] - vertex[1]);
  const radius = Math.min(24, reach(from) / 2, reach(to) / 2);
  const on = (end: Point): Point => {
    const length = reach(end) || 1;
    return [
      vertex[0] + ((end[0] - vertex[0]) * radius) / length,
      vertex[1] + ((end[1] - vertex[1]) * radius) / length,
    ];
  };
  const [[ax, ay], [bx, by]] = [on(from), on(to)];
  const cross = (ax - vertex[0]) * (by - vertex[1]) - (ay - vertex[1]) * (bx - vertex[0]);
  return `M${ax} ${ay}A${radius} ${radius} 0 0 ${cross > 0 ? 1 : 0} ${bx} ${by}`;
}

export class Overlay {
  private readonly svg = shape("svg", { class: "measurements", role: "img" });
  /** Where labels stand, in the order of what was drawn. */
  private boxes: Box[] = [];

  constructor(stage: HTMLElement, label: string) {
    this.svg.setAttribute("aria-label", label);
    stage.append(this.svg);
  }

  labelBox(index: number): Box | null {
    return this.boxes[index] ?? null;
  }

  draw(shown: readonly Shown[], toScreen: Matrix, stage: Size, fontPx: number): void {
    this.boxes = [];
    const chains = shown.map(({ measurement }) => outlineOf(measurement, toScreen));
    const groups = shown.map((one, index) => this.group(one, chains, index, toScreen, stage, fontPx));
    this.svg.replaceChildren(...groups);
  }

  private group(
    { measurement, lines, isChosen, hasHandles }: Shown,
    chains: readonly Point[][],
    index: number,
    toScreen: Matrix,
    stage: Size,
    fontPx: number,
  ): SVGGElement {
    const chain = chains[index] ?? [];
    const group = shape("g", { class: isChosen ? "chosen" : "", "data-kind": measurement.kind });
    const path = [pathOf(chain), endsOf(measurement, chain)];
    if (measurement.kind === "angle") path.push(arcOf(chain));
    const d = path.join("");
    group.append(shape("path", { class: "rim", d }), shape("path", { class: "line", d }));
    const handles = handlesOf(measurement).map(([x, y]) => through(toScreen, x, y));
    if (hasHandles) {
      if (measurement.kind === "ellipse")
        group.append(shape("path", { class: "frame", d: `${pathOf(handles)}Z` }));
      for (const [cx, cy] of handles)
        group.append(shape("circle", { class: "handle", cx, cy, r: fontPx / 2 }));
    }
    const box = this.place(measurement, lines, chains, chain, stage, fontPx);
    this.boxes.push(box);
    if (lines.length) group.append(label(lines, box, fontPx));
    return group;
  }

  private place(
    measurement: Measurement,
    lines: readonly string[],
    chains: readonly Point[][],
    chain: readonly Point[],
    { width, height }: Size,
    fontPx: number,
  ): Box {
    const size = {
      width: Math.max(0, ...lines.map((line) => textWidth(line, fontPx))),
      height: lines.length * fontPx * 1.25,
    };
    const [end] = chain.slice(-1);
    // A note's text stands where it was put; another label may choose.
    const anchors = measurement.kind === "note" && end ? [end] : anchorsOf(measurement, chain);
    return placeLabel(size, anchors, chains, this.boxes, {
      left: 8,
      top: 8,
      width: width - 16,
      height: height - 16,
    });
  }
}

function anchorsOf({ kind }: Measurement, chain: readonly Point[]): readonly Point[] {
  if (kind === "angle" && chain.length === 3) return [chain[0], chain[2], chain[1]] as Point[];
  if (kind !== "ellipse") return chain;
  // Its lowest, highest, leftmost and rightmost point.
  const by = (axis: 0 | 1, sign: number) =>
    chain.reduce((best, point) => (point[axis] * sign > best[axis] * sign ? point : best));
  return chain.length ? [by(1, -1), by(0, -1), by(1, 1), by(0, 1)] : [];
}

function label(lines: readonly string[], box: Box, fontPx: number): SVGTextElement {
  const text = shape("text", { "font-size": fontPx });
  lines.forEach((line, index) => {
    const y = box.top + fontPx * (1 + index * 1.25);
    const part = shape("tspan", { x: box.left.toFixed(1), y: y.toFixed(1) });
    part.textContent = line;
    text.append(part);
  });
  return text;
}
