// What is seen, as values: one view of a series, and the whole screen of them. The server renders from a view alone;
// links, undo and resume pass the screen. Places are in image fractions or patient millimetres (LPS), never in pixels
// of a device, so that a value means the same on every screen.

/** One image of a series in a viewport: the fields of the stream's `view` message. */
export interface ViewState {
  readonly kind: "stack";
  readonly series: number;
  readonly frame: number;
  readonly voi: "file" | "auto" | "window";
  readonly windowCenter: number | null;
  readonly windowWidth: number | null;
  readonly zoom: number;
  readonly centerX: number;
  readonly centerY: number;
  readonly rotation: 0 | 90 | 180 | 270;
  readonly flipHorizontal: boolean;
  readonly flipVertical: boolean;
  readonly invert: boolean;
}

export type Vector = readonly [number, number, number];

/** A plane through a volume (MPR, slab). */
export interface PlaneView {
  readonly kind: "plane";
  readonly series: number;
  /** The point in the middle of the viewport, and unit vectors along its right and down. */
  readonly centerMm: Vector;
  readonly right: Vector;
  readonly down: Vector;
  /** Millimetres that the viewport's shorter side shows. */
  readonly fieldMm: number;
  readonly thicknessMm: number;
  readonly projection: "mean" | "maximum" | "minimum";
  readonly windowCenter: number | null;
  readonly windowWidth: number | null;
  readonly invert: boolean;
  /** A series laid over it in colour; null for none. */
  readonly fused: Fused | null;
  /** Which of the series' volumes (phases); missing: the first. */
  readonly stack?: number;
}

export interface Fused {
  readonly series: number;
  /** A name of the server's colour maps. */
  readonly colourMap: string;
  readonly opacity: number;
  /** In the series' own values (Bq/ml of a PET); null: the file's. */
  readonly windowCenter: number | null;
  readonly windowWidth: number | null;
}

/** What is cut away of a volume. Lists of numbers are flat, so that links stay short. */
export type VolumeCut =
  /** The side of the normal. */
  | { readonly kind: "plane"; readonly pointMm: Vector; readonly normal: Vector }
  /** Along the view of a picture of `width` x `height`, `heightMm` high: in or around a closed curve (x, y, x, y, …). */
  | {
      readonly kind: "curve";
      readonly cameraMm: Vector;
      readonly targetMm: Vector;
      readonly up: Vector;
      readonly heightMm: number;
      readonly width: number;
      readonly height: number;
      readonly points: readonly number[];
      readonly remove: "inside" | "outside";
    }
  /** Spheres of one radius (x, y, z, x, y, z, …). */
  | { readonly kind: "brush"; readonly centersMm: readonly number[]; readonly radiusMm: number };

/** A volume seen by a camera. */
export interface VolumeView {
  readonly kind: "volume";
  readonly series: number;
  /** A series within it, as the screen's planes show it; null for none. */
  readonly fused: number | null;
  readonly cameraMm: Vector;
  readonly targetMm: Vector;
  readonly up: Vector;
  readonly fieldMm: number;
  readonly cuts: readonly VolumeCut[];
  /** Two corners: what lies outside of them is cut away. Null: nothing is. */
  readonly boxMm: readonly [Vector, Vector] | null;
  /** The planes of the screen are shown within it. */
  readonly slices: boolean;
  /** A named transfer function, or points of [value, red, green, blue, opacity], colours and opacity 0 to 1. */
  readonly transfer: string | readonly (readonly [number, number, number, number, number])[];
  /** Of points: the name of the transfer function that they are lit like; missing: bone. */
  readonly light?: string;
  /** Which of the series' volumes (phases); missing: the first. */
  readonly stack?: number;
  readonly windowCenter: number | null;
  readonly windowWidth: number | null;
}

export type AnyView = ViewState | PlaneView | VolumeView;

export type MeasurementKind = "length" | "angle" | "ellipse" | "note" | "probe";

/** [column, row] in image pixels from the upper left corner of the first pixel, whose centre is [0.5, 0.5]. */
export type ImagePoint = readonly [number, number];

/**
 * A length (two ends), an angle (its vertex in the middle), an ellipse (two opposite corners of the rectangle around it),
 * a note (what it points at, and where its text stands) or a probed point. It belongs to an image by the image's own name:
 * a place in a list may come to mean another image.
 */
export interface Measurement {
  readonly kind: MeasurementKind;
  readonly sopInstanceUid: string;
  /** Of the instance, from 1. */
  readonly frameNumber: number;
  readonly points: readonly ImagePoint[];
  /** Of a note; "" else. */
  readonly text: string;
}

export const MOST_MEASUREMENTS = 64;
export const LONGEST_NOTE = 60;
export const POINTS_OF: Readonly<Record<MeasurementKind, number>> = {
  length: 2,
  angle: 3,
  ellipse: 2,
  note: 2,
  probe: 1,
};

/** Everything on the screen. `views`: row by row, `layout.rows` x `layout.columns` of them; null is an empty place. */
export interface ScreenState {
  readonly version: 2;
  readonly study: number;
  readonly layout: { readonly rows: number; readonly columns: number };
  readonly active: number;
  readonly views: readonly (AnyView | null)[];
  /** Of all the study's images, also of those that are not on screen; missing: none. */
  readonly measurements?: readonly Measurement[];
}

/** A screen of one view. */
export function screenOf(
  study: number,
  view: AnyView,
  measurements: readonly Measurement[] = [],
): ScreenState {
  const screen = { version: 2, study, layout: { rows: 1, columns: 1 }, active: 0, views: [view] } as const;
  return measurements.length ? { ...screen, measurements } : screen;
}

export function initialState(series: number, frame: number): ViewState {
  return {
    kind: "stack",
    series,
    frame,
    voi: "file",
    windowCenter: null,
    windowWidth: null,
    zoom: 1,
    centerX: 0.5,
    centerY: 0.5,
    rotation: 0,
    flipHorizontal: false,
    flipVertical: false,
    invert: false,
  };
}

/** Everything of the display but the place in the stack. */
export function resetDisplay(state: ViewState): ViewState {
  return { ...initialState(state.series, state.frame) };
}

export function clamp(value: number, low: number, high: number): number {
  return Math.min(high, Math.max(low, value));
}

/** Drag of `dx`, `dy` CSS pixels: right widens, up brightens (the level falls). One pixel is 1/400 of the width. */
export function dragWindow(
  center: number,
  width: number,
  dx: number,
  dy: number,
): { center: number; width: number } {
  const step = Math.max(Math.abs(width), 1) / 400;
  return {
    width: Math.max(width + dx * step * 2, Math.abs(width) > 10 ? 1 : 0.01),
    center: center + dy * step * 2,
  };
}

/** Frames per drag: one per 12 px, but the whole series within one and a half screens. */
export function pixelsPerFrame(frames: number, height: number): number {
  return frames <= 1 ? 12 : Math.min(12, Math.max(1, (height * 1.5) / frames));
}

/** Turned further clockwise by a multiple of 90 degrees. */
export function turned(state: ViewState, degrees: number): ViewState {
  return { ...state, rotation: ((((state.rotation + degrees) % 360) + 360) % 360) as ViewState["rotation"] };
}

/** A flip of what is seen: on a picture that lies on its side, of the image's other axis. */
export function flipped(state: ViewState, axis: "horizontal" | "vertical"): ViewState {
  const onItsSide = state.rotation % 180 !== 0;
  return (axis === "horizontal") !== onItsSide
    ? { ...state, flipHorizontal: !state.flipHorizontal }
    : { ...state, flipVertical: !state.flipVertical };
}

export interface WindowPreset {
  readonly key: string;
  readonly zh: string;
  readonly en: string;
  readonly width: number;
  readonly center: number;
}

export const CT_PRESETS: readonly WindowPreset[] = [
  { key: "1", zh: "脑", en: "Brain", width: 80, center: 40 },
  { key: "2", zh: "硬膜下", en: "Subdural", width: 200, center: 75 },
  { key: "3", zh: "卒中", en: "Stroke", width: 40, center: 40 },
  { key: "4", zh: "骨", en: "Bone", width: 2000, center: 500 },
  { key: "5", zh: "肺", en: "Lung", width: 1500, center: -600 },
  { key: "6", zh: "纵隔", en: "Mediastinum", width: 350, center: 50 },
  { key: "7", zh: "腹部", en: "Abdomen", width: 400, center: 40 },
  { key: "8", zh: "肝", en: "Liver", width: 150, center: 90 },
  { key: "9", zh: "血管", en: "Vessels", width: 600, center: 300 },
];
