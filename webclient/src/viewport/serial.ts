// The screen as text and back. What comes from a link is checked field by field: nothing else gets through.

import {
  type AnyView,
  type ImagePoint,
  LONGEST_NOTE,
  type Measurement,
  type MeasurementKind,
  MOST_MEASUREMENTS,
  type PlaneView,
  POINTS_OF,
  type ScreenState,
  type Vector,
  type ViewState,
  type VolumeCut,
  type VolumeView,
} from "./state";

/** Letters of a screen's text; most are of cuts and measurements. */
export const LONGEST = 65_536;
const MOST_SIDE = 4;
export const MOST_CUTS = 64;
/** Numbers of one cut. */
const MOST_NUMBERS = 900;
const MOST_POINTS = 64;
const FEWEST_POINTS = 2;
const MOST_STACKS = 10_000;
const FARTHEST = 1e7;
/** Image pixels: a label may stand outside the image, but not out of reach. */
const FARTHEST_POINT = 1e6;

/** Thrown inside, never to the caller. */
class Refused extends Error {}

type Fields = Record<string, unknown>;

function fields(value: unknown): Fields {
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw new Refused("object");
  return value as Fields;
}

function number(value: unknown, low = -FARTHEST, high = FARTHEST): number {
  if (typeof value !== "number" || !(value >= low && value <= high)) throw new Refused("number");
  return value;
}

function whole(value: unknown, low = 0, high = Number.MAX_SAFE_INTEGER): number {
  if (!Number.isSafeInteger(value)) throw new Refused("whole number");
  return number(value, low, high);
}

function flag(value: unknown): boolean {
  if (typeof value !== "boolean") throw new Refused("flag");
  return value;
}

function one<T extends string | number>(value: unknown, of: readonly T[]): T {
  const found = of.find((each) => each === value);
  if (found === undefined) throw new Refused("choice");
  return found;
}

function list(value: unknown, most: number): unknown[] {
  if (!Array.isArray(value) || value.length > most) throw new Refused("list");
  return value;
}

function vector(value: unknown): Vector {
  const [x, y, z, ...more] = list(value, 3);
  if (more.length) throw new Refused("vector");
  return [number(x), number(y), number(z)];
}

function direction(value: unknown): Vector {
  const found = vector(value);
  if (Math.abs(Math.hypot(...found) - 1) > 1e-3) throw new Refused("direction");
  return found;
}

function windowOf(from: Fields): { windowCenter: number | null; windowWidth: number | null } {
  if (from["windowCenter"] === null && from["windowWidth"] === null)
    return { windowCenter: null, windowWidth: null };
  return { windowCenter: number(from["windowCenter"]), windowWidth: number(from["windowWidth"], 1e-6) };
}

function stackView(from: Fields): ViewState {
  const window = windowOf(from);
  const voi = one(from["voi"], ["file", "auto", "window"]);
  if ((voi === "window") !== (window.windowWidth !== null)) throw new Refused("window");
  return {
    kind: "stack",
    series: whole(from["series"]),
    frame: whole(from["frame"], 0, 1e6),
    voi,
    ...window,
    zoom: number(from["zoom"], 0.01, 100),
    centerX: number(from["centerX"], 0, 1),
    centerY: number(from["centerY"], 0, 1),
    rotation: one(from["rotation"], [0, 90, 180, 270]),
    flipHorizontal: flag(from["flipHorizontal"]),
    flipVertical: flag(from["flipVertical"]),
    invert: flag(from["invert"]),
  };
}

function planeView(from: Fields): PlaneView {
  return {
    kind: "plane",
    series: whole(from["series"]),
    centerMm: vector(from["centerMm"]),
    right: direction(from["right"]),
    down: direction(from["down"]),
    fieldMm: number(from["fieldMm"], 1e-3, 1e5),
    thicknessMm: number(from["thicknessMm"], 0, 1e4),
    projection: one(from["projection"], ["mean", "maximum", "minimum"]),
    ...windowOf(from),
    invert: flag(from["invert"]),
    fused: fusedOf(from["fused"]),
    ...stackOf(from["stack"]),
  };
}

/** Links to the first volume, and from before there was a choice, have none. */
function stackOf(value: unknown): { stack?: number } {
  const found = value === undefined ? 0 : whole(value, 0, MOST_STACKS);
  return found ? { stack: found } : {};
}

function nameOf(value: unknown): string {
  if (typeof value !== "string" || !/^[a-z0-9_-]{1,32}$/.test(value)) throw new Refused("name");
  return value;
}

/** Links from before there was fusion have none. */
function fusedOf(value: unknown): PlaneView["fused"] {
  if (value === undefined || value === null) return null;
  const from = fields(value);
  return {
    series: whole(from["series"]),
    colourMap: nameOf(from["colourMap"]),
    opacity: number(from["opacity"], 0, 1),
    ...windowOf({ windowCenter: null, windowWidth: null, ...from }),
  };
}

function transferOf(value: unknown): VolumeView["transfer"] {
  if (typeof value === "string") return nameOf(value);
  const points = list(value, MOST_POINTS);
  if (points.length < FEWEST_POINTS) throw new Refused("points");
  let before = Number.NEGATIVE_INFINITY;
  return points.map((point) => {
    const [at, ...rgba] = list(point, 5);
    const [red, green, blue, opacity] = rgba.map((part) => number(part, 0, 1));
    if (red === undefined || green === undefined || blue === undefined || opacity === undefined)
      throw new Refused("point");
    const place = number(at, before);
    before = place;
    return [place, red, green, blue, opacity];
  });
}

/** Links from before there were boxes have none. */
function boxOf(value: unknown): VolumeView["boxMm"] {
  if (value === undefined || value === null) return null;
  const [low, high, ...more] = list(value, 2).map(vector);
  if (!low || !high || more.length) throw new Refused("box");
  return [low, high];
}

function numbers(value: unknown, least: number, each: number): number[] {
  const found = list(value, MOST_NUMBERS).map((part) => number(part));
  if (found.length < least || found.length % each) throw new Refused("numbers");
  return found;
}

/** Links from before there were curves and brushes have planes that do not say so. */
function cutOf(value: unknown): VolumeCut {
  const from = fields(value);
  switch (from["kind"] ?? "plane") {
    case "plane":
      return { kind: "plane", pointMm: vector(from["pointMm"]), normal: direction(from["normal"]) };
    case "brush":
      return {
        kind: "brush",
        centersMm: numbers(from["centersMm"], 3, 3),
        radiusMm: number(from["radiusMm"], 0.1, 500),
      };
    case "curve":
      return {
        kind: "curve",
        cameraMm: vector(from["cameraMm"]),
        targetMm: vector(from["targetMm"]),
        up: direction(from["up"]),
        heightMm: number(from["heightMm"], 1e-3, 1e5),
        width: whole(from["width"], 1, 4096),
        height: whole(from["height"], 1, 4096),
        points: numbers(from["points"], 6, 2),
        remove: one(from["remove"], ["inside", "outside"]),
      };
    default:
      throw new Refused("cut");
  }
}

function volumeView(from: Fields): VolumeView {
  return {
    kind: "volume",
    series: whole(from["series"]),
    fused: from["fused"] === null ? null : whole(from["fused"]),
    cameraMm: vector(from["cameraMm"]),
    targetMm: vector(from["targetMm"]),
    up: direction(from["up"]),
    fieldMm: number(from["fieldMm"], 1e-3, 1e5),
    cuts: list(from["cuts"], MOST_CUTS).map(cutOf),
    boxMm: boxOf(from["boxMm"]),
    slices: from["slices"] === undefined ? false : flag(from["slices"]),
    transfer: transferOf(from["transfer"]),
    ...(from["light"] === undefined ? {} : { light: nameOf(from["light"]) }),
    ...stackOf(from["stack"]),
    ...windowOf(from),
  };
}

function anyView(value: unknown): AnyView | null {
  if (value === null) return null;
  const from = fields(value);
  switch (from["kind"]) {
    case "stack":
      return stackView(from);
    case "plane":
      return planeView(from);
    case "volume":
      return volumeView(from);
    default:
      throw new Refused("kind");
  }
}

function imagePoint(value: unknown): ImagePoint {
  const [column, row, ...more] = list(value, 2);
  if (more.length) throw new Refused("point");
  return [number(column, -FARTHEST_POINT, FARTHEST_POINT), number(row, -FARTHEST_POINT, FARTHEST_POINT)];
}

function measurementOf(value: unknown): Measurement {
  const from = fields(value);
  const kind = one(from["kind"], Object.keys(POINTS_OF) as MeasurementKind[]);
  const uid = from["sopInstanceUid"];
  if (typeof uid !== "string" || !/^[0-9.]{1,64}$/.test(uid)) throw new Refused("uid");
  const points = list(from["points"], POINTS_OF[kind]).map(imagePoint);
  if (points.length !== POINTS_OF[kind]) throw new Refused("points");
  const text = from["text"] ?? "";
  if (typeof text !== "string" || text.length > LONGEST_NOTE || (kind !== "note" && text))
    throw new Refused("text");
  return { kind, sopInstanceUid: uid, frameNumber: whole(from["frameNumber"], 1, 1e6), points, text };
}

/** Links from before there were measurements have none. */
function measurementsOf(value: unknown): { measurements?: Measurement[] } {
  const found = value === undefined ? [] : list(value, MOST_MEASUREMENTS).map(measurementOf);
  return found.length ? { measurements: found } : {};
}

/** Version 1 was one stack view with `version` and, in links, `study` among its fields. */
function migrated(from: Fields): Fields {
  if (from["version"] !== 1) return from;
  const { version: _, study, ...view } = from;
  return {
    version: 2,
    study,
    layout: { rows: 1, columns: 1 },
    active: 0,
    views: [{ ...view, kind: "stack" }],
  };
}

/** The screen that a text means; null for anything that is none. */
export function parseScreen(text: string): ScreenState | null {
  if (text.length > LONGEST) return null;
  try {
    const from = migrated(fields(JSON.parse(text)));
    if (from["version"] !== 2) return null;
    const layout = fields(from["layout"]);
    const rows = whole(layout["rows"], 1, MOST_SIDE);
    const columns = whole(layout["columns"], 1, MOST_SIDE);
    const views = list(from["views"], rows * columns).map(anyView);
    if (views.length !== rows * columns) return null;
    const active = whole(from["active"], 0, views.length - 1);
    const study = whole(from["study"]);
    return {
      version: 2,
      study,
      layout: { rows, columns },
      active,
      views,
      ...measurementsOf(from["measurements"]),
    };
  } catch (error) {
    if (error instanceof Refused || error instanceof SyntaxError) return null;
    throw error;
  }
}

/** In ASCII: other letters are escaped, as base64 in an address needs it. */
export function screenText(screen: ScreenState): string {
  const text = JSON.stringify(screen, (key, value) => {
    if (key === "text" && value === "") return undefined;
    return typeof value === "number" && !Number.isInteger(value) ? Number(value.toPrecision(9)) : value;
  });
  return text.replace(
    /[\u007f-\uffff]/g,
    (letter) => `\\u${letter.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

/** For an address: `#view=…`, safe in every messenger (base64url without padding). */
export function screenFragment(screen: ScreenState): string {
  return `#view=${btoa(screenText(screen)).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "")}`;
}

/** The screen in an address's fragment; null where there is none or it is no screen. */
export function screenFromFragment(fragment: string): ScreenState | null {
  const found = /^#view=([\w-]+)$/.exec(fragment)?.[1];
  if (!found || found.length > (LONGEST * 4) / 3 + 4) return null;
  try {
    return parseScreen(atob(found.replace(/-/g, "+").replace(/_/g, "/")));
  } catch {
    // Letters that are no base64.
    return null;
  }
}
