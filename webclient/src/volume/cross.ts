// The lines of two planes in the picture of the third: drawn, found under a pointer, turned.

import { type Directions, dot, type Size, subtract, type Vector } from "./geometry";
import { lineOf, type PageState, PLANES, type Plane } from "./state";

/** What a pointer holds: the crossing point, one plane's line (it moves along its normal), or a line's end (it turns). */
export type Grab =
  | { readonly what: "cross" }
  | { readonly what: "line"; readonly plane: Plane }
  | { readonly what: "turn" };

interface Placed extends Directions {
  readonly middle: Vector;
  readonly heightMm: number;
}

const SVG = "http://www.w3.org/2000/svg";
const GAP_PX = 16;
const HANDLE_SHARE = 0.36;
const FAR_PX = 4000;

function svg(name: string, attributes: Record<string, string>): SVGElement {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}

/** Where the crossing point is in the picture, CSS px of the pane. */
export function crossAt(state: PageState, size: Size, placed: Placed): readonly [number, number] | null {
  if (!state.crossMm) return null;
  const way = subtract(state.crossMm, placed.middle);
  const px = size.height / placed.heightMm;
  return [size.width / 2 + dot(way, placed.right) * px, size.height / 2 + dot(way, placed.down) * px];
}

export class CrossLines {
  readonly drawing = svg("svg", { class: "cross", "aria-hidden": "true" });
  private readonly others: readonly Plane[];

  constructor(private readonly plane: Plane) {
    this.others = PLANES.filter((other) => other !== plane);
  }

  /** `handles`: line ends that turn are drawn. */
  show(state: PageState, size: Size, placed: Placed | null, handles: boolean): void {
    const cross = placed && crossAt(state, size, placed);
    if (!placed || !cross) {
      this.drawing.replaceChildren();
      return;
    }
    const px = size.height / placed.heightMm;
    const parts = this.others.map((other) => {
      const [dx, dy] = lineOf(state, other, this.plane);
      const group = svg("g", { class: other });
      for (const way of [-1, 1]) {
        const [x, y] = [cross[0] + way * dx * GAP_PX, cross[1] + way * dy * GAP_PX];
        group.append(this.line(x, y, way * dx, way * dy, "line"));
        if (handles) {
          const reach = HANDLE_SHARE * Math.min(size.width, size.height);
          const [cx, cy] = [cross[0] + way * dx * reach, cross[1] + way * dy * reach];
          group.append(svg("circle", { cx: String(cx), cy: String(cy), r: "6" }));
        }
      }
      const half = (state.thicknessMm / 2) * px;
      if (half > 2)
        for (const side of [-half, half]) {
          const [x, y] = [cross[0] - dy * side, cross[1] + dx * side];
          group.append(this.line(x, y, dx, dy, "edge"), this.line(x, y, -dx, -dy, "edge"));
        }
      return group;
    });
    this.drawing.replaceChildren(...parts);
  }

  private line(x: number, y: number, dx: number, dy: number, name: string): SVGElement {
    const ends = { x1: x, y1: y, x2: x + dx * FAR_PX, y2: y + dy * FAR_PX };
    const texts = Object.entries(ends).map(([key, value]) => [key, value.toFixed(1)]);
    return svg("line", { class: name, ...Object.fromEntries(texts) });
  }

  /** What lies under a pointer, within `reach` CSS px. */
  grab(state: PageState, size: Size, placed: Placed, x: number, y: number, reach: number): Grab | null {
    const cross = crossAt(state, size, placed);
    if (!cross) return null;
    const [dx, dy] = [x - cross[0], y - cross[1]];
    if (Math.hypot(dx, dy) <= Math.max(reach, GAP_PX * 0.75)) return { what: "cross" };
    const handle = HANDLE_SHARE * Math.min(size.width, size.height);
    for (const plane of this.others) {
      const [lx, ly] = lineOf(state, plane, this.plane);
      const along = dx * lx + dy * ly;
      if (Math.hypot(dx - lx * along, dy - ly * along) > reach) continue;
      return Math.abs(Math.abs(along) - handle) <= reach ? { what: "turn" } : { what: "line", plane };
    }
    return null;
  }

  /** Radians about the plane's normal by which a pointer that went from one place to another turned the lines. */
  angle(
    state: PageState,
    size: Size,
    placed: Placed,
    x0: number,
    y0: number,
    x1: number,
    y1: number,
  ): number {
    const cross = crossAt(state, size, placed);
    if (!cross) return 0;
    const before = Math.atan2(y0 - cross[1], x0 - cross[0]);
    const way = Math.atan2(y1 - cross[1], x1 - cross[0]) - before;
    return Math.atan2(Math.sin(way), Math.cos(way));
  }
}
