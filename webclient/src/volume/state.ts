// What the page of planes and the rendering shows, as one value; and as a screen of the viewer's links and back.

import type {
  AnyView,
  Fused,
  Measurement,
  PlaneView,
  ScreenState,
  VolumeCut,
  VolumeView,
} from "../viewport/state";
import {
  add,
  type Bounds,
  type Camera,
  cross,
  type Directions,
  dot,
  facing,
  middleOf,
  normalOf,
  scaled,
  type Vector,
} from "./geometry";
import { isFunction, linked, type TransferPoint, unlinked } from "./transfer";

export const PLANES = ["axial", "coronal", "sagittal"] as const;
export type Plane = (typeof PLANES)[number];
export type Kind = Plane | "volume";
export const KINDS: readonly Kind[] = [...PLANES, "volume"];
export type Shown = Kind | "all";
export type Projection = "mean" | "maximum" | "minimum";

/** One plane's picture. It goes through the page's crossing point; `middleMm` projected on it is the picture's middle. */
export interface PlaneLook extends Directions {
  /** Null: the middle of the volume. */
  readonly middleMm: Vector | null;
  /** Millimetres of the shorter side; null: all of the volume. */
  readonly fieldMm: number | null;
}

export interface PageState {
  readonly series: number;
  /** Which of the series' volumes (phases). */
  readonly stack: number;
  readonly shown: Shown;
  /** The point that all three planes go through; null until the volume's place is known. */
  readonly crossMm: Vector | null;
  readonly planes: Readonly<Record<Plane, PlaneLook>>;
  /** 0: a plane. */
  readonly thicknessMm: number;
  readonly projection: Projection;
  /** Null: the file's. */
  readonly window: { readonly center: number; readonly width: number } | null;
  readonly invert: boolean;
  /** A series in colour over the planes. */
  readonly fused: Fused | null;
  /** It is shown within the rendering too. */
  readonly fusedWithin: boolean;
  /** Null: from the front. */
  readonly camera: Camera | null;
  readonly cameraFieldMm: number | null;
  /** A preset. */
  readonly transfer: string;
  /** The person's own transfer function, lit like the preset; null: the preset's. */
  readonly points: readonly TransferPoint[] | null;
  /** What lies outside of it is cut away. */
  readonly box: Bounds | null;
  /** Of the virtual scalpel. */
  readonly cuts: readonly VolumeCut[];
  /** The three planes are shown within the rendering. */
  readonly slices: boolean;
}

/** The preset that shows the largest values. */
export const WHOLE = "mip";

const LOOKS: Readonly<Record<Plane, PlaneLook>> = {
  axial: { right: [1, 0, 0], down: [0, 1, 0], middleMm: null, fieldMm: null },
  coronal: { right: [1, 0, 0], down: [0, 0, -1], middleMm: null, fieldMm: null },
  sagittal: { right: [0, 1, 0], down: [0, 0, -1], middleMm: null, fieldMm: null },
};

export function initialPage(series: number, shown: Shown, transfer: string): PageState {
  return {
    series,
    stack: 0,
    shown,
    crossMm: null,
    planes: LOOKS,
    thicknessMm: 0,
    projection: "maximum",
    window: null,
    invert: false,
    fused: null,
    fusedWithin: true,
    camera: null,
    cameraFieldMm: null,
    transfer,
    points: null,
    box: null,
    cuts: [],
    slices: false,
  };
}

/** As opened: planes, slab, window, camera and cuts; what is on screen, the phase and the preset stay. */
export function resetPage(page: PageState): PageState {
  return { ...initialPage(page.series, page.shown, page.transfer), stack: page.stack };
}

/** Largest values along the whole way: no cut, slice or second volume is in them. */
export const isWhole = (page: PageState): boolean => page.transfer === WHOLE && page.points === null;

/** What the rendering shows within the volume. */
export const fusedWithin = (page: PageState): Fused | null =>
  page.fusedWithin && !isWhole(page) ? page.fused : null;

const stackOf = (page: PageState): { stack?: number } => (page.stack ? { stack: page.stack } : {});

/** The planes along the patient's axes again, each whole; the crossing point stays. */
export function straightened(page: PageState): PageState {
  return { ...page, planes: LOOKS };
}

export function withPlane(page: PageState, plane: Plane, change: Partial<PlaneLook>): PageState {
  return { ...page, planes: { ...page.planes, [plane]: { ...page.planes[plane], ...change } } };
}

/** With a place for everything that has none yet: in the middle of the volume, the rendering from the front. */
export function settled(page: PageState, bounds: Bounds): PageState {
  const middleMm = middleOf(bounds);
  const look = (plane: Plane): PlaneLook => ({
    ...page.planes[plane],
    middleMm: page.planes[plane].middleMm ?? middleMm,
  });
  return {
    ...page,
    crossMm: page.crossMm ?? middleMm,
    planes: { axial: look("axial"), coronal: look("coronal"), sagittal: look("sagittal") },
    camera: page.camera ?? facing("A", bounds),
  };
}

/** The middle of a plane's picture; null until the volume's place is known. */
export function centerOf(page: PageState, plane: Plane): Vector | null {
  const { crossMm } = page;
  const { middleMm, ...look } = page.planes[plane];
  if (!crossMm || !middleMm) return null;
  const normal = normalOf(look);
  return add(middleMm, normal, dot(normal, crossMm) - dot(normal, middleMm));
}

/** How a plane lies in another's picture: a unit vector (right, down). They are never parallel. */
export function lineOf(page: PageState, plane: Plane, on: Plane): readonly [number, number] {
  const look = page.planes[on];
  const along = cross(normalOf(look), normalOf(page.planes[plane]));
  const [x, y] = [dot(along, look.right), dot(along, look.down)];
  const length = Math.hypot(x, y) || 1;
  return [x / length, y / length];
}

// Screens -------------------------------------------------------------------------------------------------------

function planeView(page: PageState, plane: Plane, fieldMm: number): PlaneView | null {
  const centerMm = centerOf(page, plane);
  if (!centerMm) return null;
  const { right, down } = page.planes[plane];
  return {
    kind: "plane",
    series: page.series,
    centerMm,
    right,
    down,
    fieldMm: page.planes[plane].fieldMm ?? fieldMm,
    thicknessMm: page.thicknessMm,
    projection: page.projection,
    windowCenter: page.window?.center ?? null,
    windowWidth: page.window?.width ?? null,
    invert: page.invert,
    fused: page.fused,
    ...stackOf(page),
  };
}

function volumeView(page: PageState, fieldMm: number): VolumeView | null {
  if (!page.camera) return null;
  return {
    kind: "volume",
    series: page.series,
    fused: page.fusedWithin ? (page.fused?.series ?? null) : null,
    cameraMm: page.camera.position,
    targetMm: page.camera.focal_point,
    up: page.camera.view_up,
    fieldMm: page.cameraFieldMm ?? fieldMm,
    cuts: page.cuts,
    boxMm: page.box && [page.box.low, page.box.high],
    slices: page.slices,
    ...(page.points ? { transfer: linked(page.points), light: page.transfer } : { transfer: page.transfer }),
    windowCenter: null,
    windowWidth: null,
    ...stackOf(page),
  };
}

/** A screen of 2 x 2 places with the one that is large active, or of 4 places beside each other when all are seen.
 * Null until the volume's place is known. `fieldMm` of what is shown whole. `measurements`: of the study's images. */
export function screenOfPage(
  study: number,
  page: PageState,
  fieldMm: Readonly<Record<Kind, number>>,
  measurements: readonly Measurement[] = [],
): ScreenState | null {
  const views = PLANES.map((plane): AnyView | null => planeView(page, plane, fieldMm[plane]));
  views.push(volumeView(page, fieldMm.volume));
  if (views.includes(null)) return null;
  const layout = page.shown === "all" ? { rows: 2, columns: 2 } : { rows: 1, columns: 4 };
  const active = Math.max(0, KINDS.indexOf(page.shown as Kind));
  const screen = { version: 2, study, layout, active, views } as const;
  return measurements.length ? { ...screen, measurements } : screen;
}

/** The page of a screen that `screenOfPage` made; null for any other. */
export function pageOfScreen(screen: ScreenState): PageState | null {
  const [axial, coronal, sagittal, volume] = screen.views;
  if (screen.views.length !== 4 || volume?.kind !== "volume") return null;
  if (axial?.kind !== "plane" || coronal?.kind !== "plane" || sagittal?.kind !== "plane") return null;
  const { series } = axial;
  if ([coronal, sagittal, volume].some((view) => view.series !== series)) return null;
  const crossMm = crossing([axial, coronal, sagittal]);
  if (!crossMm) return null;
  const look = ({ right, down, centerMm, fieldMm }: PlaneView): PlaneLook => ({
    right,
    down,
    middleMm: centerMm,
    fieldMm,
  });
  const { windowCenter: center, windowWidth: width } = axial;
  const own = typeof volume.transfer === "string" ? null : unlinked(volume.transfer);
  return {
    series,
    stack: axial.stack ?? 0,
    shown: screen.layout.rows === 2 ? "all" : (KINDS[screen.active] ?? "axial"),
    crossMm,
    planes: { axial: look(axial), coronal: look(coronal), sagittal: look(sagittal) },
    thicknessMm: axial.thicknessMm,
    projection: axial.projection,
    window: center === null || width === null ? null : { center, width },
    invert: axial.invert,
    fused: axial.fused,
    fusedWithin: axial.fused === null || volume.fused !== null,
    camera: { position: volume.cameraMm, focal_point: volume.targetMm, view_up: volume.up },
    cameraFieldMm: volume.fieldMm,
    transfer: typeof volume.transfer === "string" ? volume.transfer : (volume.light ?? "bone"),
    points: own && isFunction(own) ? own : null,
    box: volume.boxMm ? { low: volume.boxMm[0], high: volume.boxMm[1] } : null,
    cuts: volume.cuts,
    slices: volume.slices,
  };
}

/** The point on three planes; null where they are not across each other. */
function crossing(planes: readonly PlaneView[]): Vector | null {
  const normals = planes.map(normalOf);
  const [a, b, c] = normals as [Vector, Vector, Vector];
  if (Math.abs(dot(a, b)) + Math.abs(dot(b, c)) + Math.abs(dot(c, a)) > 0.01) return null;
  return planes.reduce<Vector>(
    (sum, plane, index) => {
      const normal = normals[index] as Vector;
      return add(sum, scaled(normal, dot(normal, plane.centerMm)));
    },
    [0, 0, 0],
  );
}
