// The box cut: a box along the patient's axes with a handle on each face, as the rendering's camera sees it.

import {
  AXES,
  type Axis,
  add,
  axesOf,
  type Bounds,
  type Camera,
  dot,
  middleOf,
  type Size,
  subtract,
  type Vector,
} from "./geometry";

/** A face of a box: the axis it lies across, and which end. */
export interface Face {
  readonly axis: Axis;
  readonly end: "low" | "high";
}

/** Named by the patient's side, as buttons stand in a row. */
export const FACES: readonly (readonly [string, Face])[] = [
  ["R", { axis: 0, end: "low" }],
  ["L", { axis: 0, end: "high" }],
  ["A", { axis: 1, end: "low" }],
  ["P", { axis: 1, end: "high" }],
  ["H", { axis: 2, end: "high" }],
  ["F", { axis: 2, end: "low" }],
];

/** Thinner is no box. */
const THINNEST_MM = 5;
const EDGE_PX = 28;
const SVG = "http://www.w3.org/2000/svg";

/** The box with a face at another place, within the bounds and not thinner than 5 mm. */
export function faceAt(box: Bounds, face: Face, at: number, bounds: Bounds): Bounds {
  const { axis, end } = face;
  const least = Math.min(THINNEST_MM, bounds.high[axis] - bounds.low[axis]);
  const place =
    end === "low"
      ? Math.max(bounds.low[axis], Math.min(at, box.high[axis] - least))
      : Math.min(bounds.high[axis], Math.max(at, box.low[axis] + least));
  const corner = [...box[end]] as [number, number, number];
  corner[axis] = place;
  return { ...box, [end]: corner };
}

/** A share of the whole is cut off at a face. */
export function trimmed(box: Bounds, face: Face, share: number, bounds: Bounds): Bounds {
  const way = (bounds.high[face.axis] - bounds.low[face.axis]) * share;
  const at = box[face.end][face.axis] + (face.end === "low" ? way : -way);
  return faceAt(box, face, at, bounds);
}

/** Whether anything is cut. */
export function cuts(box: Bounds, bounds: Bounds): boolean {
  return AXES.some(
    (axis) => box.low[axis] > bounds.low[axis] + 1e-6 || box.high[axis] < bounds.high[axis] - 1e-6,
  );
}

/** An element of a drawing with its attributes. */
export function svg(name: string, attributes: Record<string, string | number>, text = ""): SVGElement {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes))
    made.setAttribute(key, typeof value === "number" ? value.toFixed(1) : value);
  made.textContent = text;
  return made;
}

/** A handle of a face outside of the picture stands at its edge. */
const within = (at: number, size: number): number => Math.min(size - EDGE_PX, Math.max(EDGE_PX, at));

type Place = readonly [number, number];

/** The picture of the box for one camera. `mm`: of a CSS px. */
export class BoxDrawing {
  readonly drawing = svg("svg", { class: "box", "aria-hidden": "true" });
  private handles: { face: Face; at: Place; perMm: Place }[] = [];

  show(box: Bounds | null, camera: Camera | null, size: Size, mm: number): void {
    this.handles = [];
    this.drawing.replaceChildren();
    if (!box || !camera) return;
    const { right, up } = axesOf(camera);
    const place = (point: Vector): Place => {
      const way = subtract(point, camera.focal_point);
      return [size.width / 2 + dot(way, right) / mm, size.height / 2 - dot(way, up) / mm];
    };
    this.edges(box, place);
    for (const [letter, face] of FACES) {
      const normal: Vector = [face.axis === 0 ? 1 : 0, face.axis === 1 ? 1 : 0, face.axis === 2 ? 1 : 0];
      const perMm: Place = [dot(normal, right) / mm, -dot(normal, up) / mm];
      // A face that is seen straight on cannot be moved by a drag in the picture.
      if (Math.hypot(...perMm) * mm < 0.2) continue;
      const middle = middleOf(box);
      const way = box[face.end][face.axis] - middle[face.axis];
      const [x, y] = place(add(middle, normal, way));
      const at: Place = [within(x, size.width), within(y, size.height)];
      this.handles.push({ face, at, perMm });
      this.drawing.append(
        svg("circle", { cx: at[0], cy: at[1], r: 13 }),
        svg("text", { x: at[0], y: at[1] + 5, "text-anchor": "middle" }, letter),
      );
    }
  }

  private edges(box: Bounds, place: (point: Vector) => Place): void {
    const corner = (bits: number): Vector => [
      box[bits & 1 ? "high" : "low"][0],
      box[bits & 2 ? "high" : "low"][1],
      box[bits & 4 ? "high" : "low"][2],
    ];
    for (let bits = 0; bits < 8; bits += 1)
      for (const axis of AXES) {
        if (bits & (1 << axis)) continue;
        const [from, to] = [place(corner(bits)), place(corner(bits | (1 << axis)))];
        this.drawing.append(svg("line", { x1: from[0], y1: from[1], x2: to[0], y2: to[1] }));
      }
  }

  /** The face whose handle is within `reach` CSS px, the nearest of them. */
  grab(x: number, y: number, reach: number): Face | null {
    const found = this.handles
      .map(({ face, at }) => ({ face, far: Math.hypot(x - at[0], y - at[1]) }))
      .filter(({ far }) => far <= reach)
      .sort((a, b) => a.far - b.far)[0];
    return found?.face ?? null;
  }

  /** Millimetres along the axis that a drag of the face's handle means. */
  wayMm(face: Face, dx: number, dy: number): number {
    const held = this.handles.find((one) => one.face === face);
    if (!held) return 0;
    const [x, y] = held.perMm;
    return (dx * x + dy * y) / (x * x + y * y);
  }
}
