// The virtual scalpel as values: shapes drawn over the rendering become cuts, cuts become messages, and what the server
// keeps for the viewport follows the page (docs/stream-protocol.md, rule 27).

import { LONGEST, MOST_CUTS } from "../viewport/serial";
import type { VolumeCut } from "../viewport/state";
import { add, axesOf, type Camera, type Size, scaled, type Vector } from "./geometry";

export type Place = readonly [number, number];
export type Side = "inside" | "outside";

/** A picture that was drawn over: the camera, its size in CSS px, millimetres of one of them. */
export interface Drawn {
  readonly camera: Camera;
  readonly size: Size;
  readonly mm: number;
}

/** Fewer corners are no loss: the hand trembles more. */
const MOST_CORNERS = 150;
/** Spheres of one stroke: its message stays below the stream's 8 KiB. */
export const MOST_SPHERES = 200;
const FINEST_PX = 1400;
const tenth = (value: number) => Math.round(value * 10) / 10;

/** The corners that matter (Douglas and Peucker 1973): no point is farther than `far` px from the line of the rest. */
export function simplified(points: readonly Place[], far: number): Place[] {
  const [first, last] = [points[0], points[points.length - 1]];
  if (!first || !last || points.length < 3) return [...points];
  const [dx, dy] = [last[0] - first[0], last[1] - first[1]];
  const length = Math.hypot(dx, dy);
  let [worst, at] = [0, 0];
  points.forEach(([x, y], index) => {
    const [px, py] = [x - first[0], y - first[1]];
    const way = length > 0 ? Math.abs(px * dy - py * dx) / length : Math.hypot(px, py);
    if (way > worst) [worst, at] = [way, index];
  });
  if (worst <= far) return [first, last];
  return [...simplified(points.slice(0, at + 1), far).slice(0, -1), ...simplified(points.slice(at), far)];
}

/** At most so many corners, as fine as that allows. */
export function corners(points: readonly Place[]): Place[] {
  let far = 0.75;
  let found = simplified(points, far);
  while (found.length > MOST_CORNERS) {
    far *= 1.5;
    found = simplified(points, far);
  }
  return found;
}

/** Px² within a closed curve. */
export function areaOf(points: readonly Place[]): number {
  return Math.abs(
    points.reduce((sum, [x, y], index) => {
      const [u, v] = points[(index + 1) % points.length] as Place;
      return sum + (x * v - u * y) / 2;
    }, 0),
  );
}

/** What lies within (or around) a closed curve, along the view. */
export function curveCut(points: readonly Place[], drawn: Drawn, remove: Side): VolumeCut {
  const { camera, size, mm } = drawn;
  const fine = Math.min(window.devicePixelRatio || 1, FINEST_PX / Math.max(size.width, size.height));
  // A pixel is inside by its centre, which is half a pixel from its edge.
  const flat = points.flatMap(([x, y]) => [tenth(x * fine - 0.5), tenth(y * fine - 0.5)]);
  return {
    kind: "curve",
    cameraMm: camera.position,
    targetMm: camera.focal_point,
    up: axesOf(camera).up,
    heightMm: size.height * mm,
    width: Math.round(size.width * fine),
    height: Math.round(size.height * fine),
    points: flat,
    remove,
  };
}

/** Everything at one side of a line, along the view: `right` of it (as one goes from its first end), or left. */
export function planeCut(from: Place, to: Place, drawn: Drawn, right: boolean): VolumeCut {
  const { camera, size, mm } = drawn;
  const axes = axesOf(camera);
  const length = Math.hypot(to[0] - from[0], to[1] - from[1]);
  const way = (right ? 1 : -1) / length;
  const [nx, ny] = [-(to[1] - from[1]) * way, (to[0] - from[0]) * way];
  const [x, y] = [
    ((from[0] + to[0]) / 2 - size.width / 2) * mm,
    ((from[1] + to[1]) / 2 - size.height / 2) * mm,
  ];
  return {
    kind: "plane",
    pointMm: add(add(camera.focal_point, axes.right, x), axes.up, -y),
    normal: add(scaled(axes.right, nx), axes.up, -ny),
  };
}

/** Spheres along a stroke. */
export function brushCut(centers: readonly Vector[], radiusMm: number): VolumeCut {
  return {
    kind: "brush",
    centersMm: centers.slice(0, MOST_SPHERES).flatMap((place) => place.map(tenth)),
    radiusMm,
  };
}

/** Whether so many cuts still fit into a link. */
export function fits(cuts: readonly VolumeCut[]): boolean {
  return cuts.length <= MOST_CUTS && JSON.stringify(cuts).length <= LONGEST / 2;
}

function grouped(flat: readonly number[], each: number): number[][] {
  return Array.from({ length: flat.length / each }, (_, index) =>
    flat.slice(index * each, (index + 1) * each),
  );
}

/** As rule 25 has it. */
export function cutMessage(cut: VolumeCut): Record<string, unknown> {
  if (cut.kind === "plane") return { kind: "plane", point: cut.pointMm, normal: cut.normal };
  if (cut.kind === "brush")
    return { kind: "brush", centers: grouped(cut.centersMm, 3), radius_mm: cut.radiusMm };
  const camera = {
    position: cut.cameraMm,
    focal_point: cut.targetMm,
    view_up: cut.up,
    parallel_scale_mm: cut.heightMm / 2,
  };
  const { width, height, remove } = cut;
  return { kind: "curve", camera, width, height, points: grouped(cut.points, 2), remove };
}

/** What the server keeps for a viewport, brought to what the page has by as few messages as it takes. */
export class KeptCuts {
  private kept: readonly VolumeCut[] = [];
  private undone: VolumeCut[] = [];
  private isKnown = false;

  constructor(
    private readonly viewport: string,
    private readonly send: (message: Record<string, unknown>) => void,
  ) {}

  /** The line was lost, or may have been: what the server keeps is not known. */
  forget(): void {
    this.isKnown = false;
  }

  bring(cuts: readonly VolumeCut[]): void {
    if (!this.isKnown && cuts.length === 0 && this.kept.length === 0) return;
    const same = this.kept.findIndex((cut, index) => cut !== cuts[index]);
    const common = same < 0 ? this.kept.length : same;
    if (!this.isKnown || (common === 0 && this.kept.length > 3)) this.clear();
    else while (this.kept.length > common) this.undo();
    for (const cut of cuts.slice(this.kept.length)) this.put(cut);
  }

  private tell(what: string, cuts?: readonly Record<string, unknown>[]): void {
    this.send({ t: "cuts", viewport: this.viewport, do: what, ...(cuts ? { cuts } : {}) });
  }

  private clear(): void {
    this.tell("clear");
    [this.kept, this.undone, this.isKnown] = [[], [], true];
  }

  private undo(): void {
    this.tell("undo");
    this.undone.push(this.kept[this.kept.length - 1] as VolumeCut);
    this.kept = this.kept.slice(0, -1);
  }

  private put(cut: VolumeCut): void {
    if (this.undone[this.undone.length - 1] === cut) {
      this.tell("redo");
      this.undone.pop();
    } else {
      this.tell("add", [cutMessage(cut)]);
      this.undone = [];
    }
    this.kept = [...this.kept, cut];
  }
}
