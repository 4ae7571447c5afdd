// Hands with the virtual scalpel: a closed curve or a line drawn over the rendering and then the side that goes, or a
// stroke of spheres laid on what is seen.

import { element } from "../viewer/dom";
import type { VolumeCut } from "../viewport/state";
import { svg } from "./box";
import {
  areaOf,
  brushCut,
  corners,
  curveCut,
  type Drawn,
  MOST_SPHERES,
  type Place,
  planeCut,
  type Side,
} from "./cuts";
import type { Vector } from "./geometry";
import type { VolumeWords } from "./words";

export const BLADES = ["curve", "brush", "plane"] as const;
export type Blade = (typeof BLADES)[number];
export const RADII_MM = [3, 5, 10, 20];

export interface ScalpelHost {
  readonly words: VolumeWords;
  readonly blade: Blade;
  readonly radiusMm: number;
  /** Where a place of the picture (CSS px) lies, null where nothing is. */
  pick(x: number, y: number): Promise<Vector | null>;
  cut(cut: VolumeCut): void;
}

const STEP_PX = 2;
const SMALLEST_PX2 = 60;
const SHORTEST_PX = 24;
/** Buttons beside a line stand so far from it, and so far within the picture. */
const BESIDE_PX = 80;
const MARGIN_PX = 70;

export class Scalpel {
  readonly drawing = svg("svg", { class: "scalpel", "aria-hidden": "true" });
  readonly ask = element("div", { class: "blade-ask", hidden: "" });
  private points: Place[] = [];
  private drawn: Drawn | null = null;
  private stroke: Promise<Vector | null>[] = [];
  private state: "idle" | "drawing" | "asking" = "idle";

  constructor(private readonly host: ScalpelHost) {}

  /** A shape waits for its side. */
  get asking(): boolean {
    return this.state === "asking";
  }

  begin(place: Place, drawn: Drawn): void {
    this.cancel();
    this.state = "drawing";
    this.points = [place];
    this.drawn = drawn;
    this.stroke = [];
    if (this.host.blade === "brush") this.stroke = [this.host.pick(place[0], place[1])];
    this.draw();
  }

  to(place: Place): void {
    if (this.state !== "drawing") return;
    const last = this.points[this.points.length - 1] as Place;
    if (this.host.blade === "plane") this.points = [this.points[0] as Place, place];
    else if (this.host.blade === "brush") this.paint(last, place);
    else if (Math.hypot(place[0] - last[0], place[1] - last[1]) >= STEP_PX) this.points.push(place);
    this.draw();
  }

  /** Half a radius apart, also where the hand was quicker than its events. */
  private paint(last: Place, place: Place): void {
    const apart = Math.max(STEP_PX, this.host.radiusMm / 2 / (this.drawn?.mm ?? 1));
    const [dx, dy] = [place[0] - last[0], place[1] - last[1]];
    const length = Math.hypot(dx, dy);
    for (let way = apart; way <= length && this.stroke.length < MOST_SPHERES; way += apart) {
      const next: Place = [last[0] + (dx * way) / length, last[1] + (dy * way) / length];
      this.points.push(next);
      this.stroke.push(this.host.pick(next[0], next[1]));
    }
  }

  /** The hand has left the picture. */
  async end(): Promise<void> {
    if (this.state !== "drawing") return;
    const { blade, radiusMm } = this.host;
    if (blade === "brush") {
      const stroke = this.stroke;
      this.state = "idle";
      const centers = (await Promise.all(stroke)).filter((place) => place !== null);
      if (this.stroke === stroke) this.cancel();
      if (centers.length > 0) this.host.cut(brushCut(centers, radiusMm));
      return;
    }
    const [from, to] = [this.points[0] as Place, this.points[this.points.length - 1] as Place];
    if (blade === "curve") this.points = corners(this.points);
    const isLarge =
      blade === "curve"
        ? this.points.length >= 3 && areaOf(this.points) >= SMALLEST_PX2
        : Math.hypot(to[0] - from[0], to[1] - from[1]) >= SHORTEST_PX;
    if (!isLarge) {
      this.cancel();
      return;
    }
    this.state = "asking";
    this.draw();
    this.offer();
  }

  /** What was drawn goes; nothing is cut. */
  cancel(): void {
    this.state = "idle";
    this.points = [];
    this.drawn = null;
    this.drawing.replaceChildren();
    this.ask.hidden = true;
  }

  /** The rendering is seen from elsewhere: what was drawn means nothing now. */
  seenBy(drawn: Drawn): void {
    const { drawn: mine } = this;
    if (!mine) return;
    const isSame =
      mine.camera === drawn.camera &&
      mine.mm === drawn.mm &&
      mine.size.width === drawn.size.width &&
      mine.size.height === drawn.size.height;
    if (!isSame) this.cancel();
  }

  /** The side of the shape that goes: in the curve or around it; of a line the right of it, or the left. */
  choose(side: Side): void {
    const { drawn, points } = this;
    if (this.state !== "asking" || !drawn) return;
    const [from, to] = [points[0] as Place, points[points.length - 1] as Place];
    const cut =
      this.host.blade === "curve"
        ? curveCut(points, drawn, side)
        : planeCut(from, to, drawn, side === "inside");
    this.cancel();
    this.host.cut(cut);
  }

  private draw(): void {
    const { points } = this;
    const at = points.map(([x, y]) => `${x.toFixed(1)},${y.toFixed(1)}`).join(" ");
    const radius = this.drawn ? this.host.radiusMm / this.drawn.mm : 0;
    const [from, to] = [points[0], points[points.length - 1]];
    if (!from || !to) return;
    if (this.host.blade === "brush")
      this.drawing.replaceChildren(
        ...points.map(([cx, cy]) => svg("circle", { cx, cy, r: radius, class: "sphere" })),
      );
    else if (this.host.blade === "curve") this.drawing.replaceChildren(svg("polygon", { points: at }));
    else this.drawing.replaceChildren(svg("line", { x1: from[0], y1: from[1], x2: to[0], y2: to[1] }));
  }

  private button(name: string, text: string, act: () => void): HTMLButtonElement {
    const made = element("button", { type: "button", "data-choice": name }, text);
    made.addEventListener("click", act);
    return made;
  }

  /** Which side goes: below the picture for a curve, on each side of a line. */
  private offer(): void {
    const { words, blade } = this.host;
    const isCurve = blade === "curve";
    const sides = (["inside", "outside"] as const).map((side) =>
      this.button(
        `cut-${side}`,
        isCurve ? (words.scalpel[side] ?? side) : (words.scalpel["side"] ?? side),
        () => this.choose(side),
      ),
    );
    const cancel = this.button("cut-cancel", words.cancel, () => this.cancel());
    this.ask.classList.toggle("beside", !isCurve);
    if (!isCurve) this.standBeside(sides);
    this.ask.replaceChildren(...sides, cancel);
    this.ask.hidden = false;
    sides[0]?.focus({ preventScroll: true });
  }

  private standBeside(sides: readonly HTMLButtonElement[]): void {
    const [from, to] = [this.points[0] as Place, this.points[this.points.length - 1] as Place];
    const size = this.drawn?.size ?? { width: 0, height: 0 };
    const length = Math.hypot(to[0] - from[0], to[1] - from[1]);
    const within = (at: number, most: number) => Math.max(MARGIN_PX, Math.min(most - MARGIN_PX, at));
    sides.forEach((button, index) => {
      const way = ((index === 0 ? 1 : -1) * BESIDE_PX) / length;
      const x = (from[0] + to[0]) / 2 - (to[1] - from[1]) * way;
      const y = (from[1] + to[1]) / 2 + (to[0] - from[0]) * way;
      button.style.left = `${within(x, size.width)}px`;
      button.style.top = `${within(y, size.height)}px`;
    });
  }
}
