// Vectors in patient coordinates (LPS, mm): planes, cameras, the box around a volume, directions by name.

import { frameInfo, type Manifest } from "../viewer/manifest";
import type { Vector } from "../viewport/state";

export type { Vector };

export interface Size {
  readonly width: number;
  readonly height: number;
}

/** Where a camera stands and what it looks at; it sees along parallel rays. */
export interface Camera {
  readonly position: Vector;
  readonly focal_point: Vector;
  readonly view_up: Vector;
}

/** A plane's directions in the picture: to the right and down, unit vectors across each other. */
export interface Directions {
  readonly right: Vector;
  readonly down: Vector;
}

export interface Bounds {
  readonly low: Vector;
  readonly high: Vector;
}

export const AXES = [0, 1, 2] as const;
export type Axis = (typeof AXES)[number];

export const add = (a: Vector, b: Vector, share = 1): Vector => [
  a[0] + b[0] * share,
  a[1] + b[1] * share,
  a[2] + b[2] * share,
];
export const subtract = (a: Vector, b: Vector): Vector => add(a, b, -1);
export const dot = (a: Vector, b: Vector): number => a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
export const cross = (a: Vector, b: Vector): Vector => [
  a[1] * b[2] - a[2] * b[1],
  a[2] * b[0] - a[0] * b[2],
  a[0] * b[1] - a[1] * b[0],
];
export const scaled = (a: Vector, factor: number): Vector => [a[0] * factor, a[1] * factor, a[2] * factor];
export const minus = (a: Vector): Vector => scaled(a, -1);
const unit = (a: Vector): Vector => scaled(a, 1 / Math.hypot(...a));

/** `point` turned about a unit axis through the origin by radians (Rodrigues). */
export function turned(point: Vector, axis: Vector, angle: number): Vector {
  const [cos, sin] = [Math.cos(angle), Math.sin(angle)];
  const across = add(scaled(point, cos), cross(axis, point), sin);
  return add(across, axis, dot(axis, point) * (1 - cos));
}

// Cameras -------------------------------------------------------------------------------------------------------

/** Unit vectors to the right of the picture and up in it. */
export function axesOf(camera: Camera): { right: Vector; up: Vector } {
  const forward = unit(subtract(camera.focal_point, camera.position));
  const right = unit(cross(forward, camera.view_up));
  return { right, up: cross(right, forward) };
}

/** A drag over these shares of the picture's shorter side turns the object under the finger: 1 is half a turn. */
export function rotated(camera: Camera, rightShare: number, downShare: number): Camera {
  const length = Math.hypot(rightShare, downShare);
  if (length === 0) return camera;
  const { right, up } = axesOf(camera);
  // The object follows the finger, so the camera goes the other way.
  const axis = unit(add(scaled(up, -rightShare), right, -downShare));
  const offset = turned(subtract(camera.position, camera.focal_point), axis, Math.PI * length);
  return {
    position: add(camera.focal_point, offset),
    focal_point: camera.focal_point,
    view_up: turned(up, axis, Math.PI * length),
  };
}

/** The object follows the hand by so many mm to the right and down. */
export function panned(camera: Camera, rightMm: number, downMm: number): Camera {
  const { right, up } = axesOf(camera);
  const shift = add(scaled(up, downMm), right, -rightMm);
  return {
    ...camera,
    position: add(camera.position, shift),
    focal_point: add(camera.focal_point, shift),
  };
}

const SIDES: Record<string, readonly [Vector, Vector]> = {
  A: [
    [0, -1, 0],
    [0, 0, 1],
  ],
  P: [
    [0, 1, 0],
    [0, 0, 1],
  ],
  L: [
    [1, 0, 0],
    [0, 0, 1],
  ],
  R: [
    [-1, 0, 0],
    [0, 0, 1],
  ],
  H: [
    [0, 0, 1],
    [0, -1, 0],
  ],
  F: [
    [0, 0, -1],
    [0, -1, 0],
  ],
};

/** The camera that looks at the middle of the bounds from A, P, L, R, H or F, outside of everything. */
export function facing(side: string, bounds: Bounds): Camera {
  const [outward, up] = SIDES[side] ?? (SIDES["A"] as readonly [Vector, Vector]);
  const middle = middleOf(bounds);
  const reach = Math.max(1, Math.hypot(...subtract(bounds.high, bounds.low)));
  return { position: add(middle, outward, 2 * reach), focal_point: middle, view_up: up };
}

/** The side from which the camera looks along the patient's axes, upright; "" for any other. */
export function sideOf(camera: Camera): string {
  const outward = unit(subtract(camera.position, camera.focal_point));
  const { up } = axesOf(camera);
  const found = Object.entries(SIDES).find(
    ([, [side, top]]) => dot(side, outward) > 0.9999 && dot(top, up) > 0.9999,
  );
  return found?.[0] ?? "";
}

// Planes --------------------------------------------------------------------------------------------------------

export const normalOf = (plane: Directions): Vector => cross(plane.right, plane.down);

/** The directions turned about a unit axis, kept exactly across each other. */
export function turnedPlane(plane: Directions, axis: Vector, angle: number): Directions {
  const right = unit(turned(plane.right, axis, angle));
  const down = turned(plane.down, axis, angle);
  return { right, down: unit(add(down, right, -dot(down, right))) };
}

/** Millimetres that the shorter side of a picture of this size must show for the bounds to fit. */
export function fitMm(bounds: Bounds, plane: Directions, size: Size): number {
  const reach = subtract(bounds.high, bounds.low);
  const along = (axis: Vector) =>
    AXES.reduce<number>((sum, each) => sum + Math.abs(axis[each]) * reach[each], 0);
  const mmOfPixel = Math.max(along(plane.right) / size.width, along(plane.down) / size.height);
  return Math.max(1, mmOfPixel * Math.min(size.width, size.height));
}

/** From the farthest corner to the nearest along the direction, mm. */
export function depthMm(bounds: Bounds, direction: Vector): number {
  const reach = subtract(bounds.high, bounds.low);
  return AXES.reduce<number>((sum, each) => sum + Math.abs(direction[each]) * reach[each], 0);
}

/** The nearest place within the bounds. */
export function inside(place: Vector, bounds: Bounds | null): Vector {
  if (!bounds) return place;
  const within = (axis: Axis) => Math.min(bounds.high[axis], Math.max(bounds.low[axis], place[axis]));
  return [within(0), within(1), within(2)];
}

// The series' box -----------------------------------------------------------------------------------------------

export const middleOf = (bounds: Bounds): Vector => scaled(add(bounds.low, bounds.high), 0.5);

const isVector = (value: readonly number[] | null): value is Vector => value !== null && value.length === 3;

/** The box around the middles of all corner pixels; null where a frame has no place. */
export function boundsOf(manifest: Manifest): Bounds | null {
  const low: [number, number, number] = [Infinity, Infinity, Infinity];
  const high: [number, number, number] = [-Infinity, -Infinity, -Infinity];
  for (let frame = 0; frame < manifest.frame_count; frame += 1) {
    const { position, orientation, spacing_mm: spacing, rows, columns } = frameInfo(manifest, frame);
    if (!isVector(position) || !orientation || !spacing) return null;
    const [along, down] = [orientation.slice(0, 3), orientation.slice(3, 6)];
    if (!isVector(along) || !isVector(down)) return null;
    for (const [x, y] of [
      [0, 0],
      [1, 0],
      [0, 1],
      [1, 1],
    ] as const) {
      const corner = add(
        add(position, along, x * (columns - 1) * spacing[1]),
        down,
        y * (rows - 1) * spacing[0],
      );
      for (const axis of AXES) {
        low[axis] = Math.min(low[axis], corner[axis]);
        high[axis] = Math.max(high[axis], corner[axis]);
      }
    }
  }
  return manifest.frame_count > 0 ? { low, high } : null;
}

/** Millimetres between neighbouring voxels along a direction, at least 0.3. */
export function stepMm(manifest: Manifest, direction: Vector): number {
  const first = frameInfo(manifest, 0);
  const last = frameInfo(manifest, manifest.frame_count - 1);
  const [along, down] = [first.orientation?.slice(0, 3) ?? null, first.orientation?.slice(3, 6) ?? null];
  if (!isVector(along) || !isVector(down) || !first.spacing_mm) return 1;
  const normal = cross(along, down);
  const way =
    isVector(first.position) && isVector(last.position)
      ? Math.abs(dot(subtract(last.position, first.position), normal))
      : 0;
  const apart = way / Math.max(1, manifest.frame_count - 1) || 1;
  const [betweenRows, betweenColumns] = first.spacing_mm;
  const parts = [dot(direction, along) * betweenColumns, dot(direction, down) * betweenRows];
  return Math.max(0.3, Math.hypot(...parts, dot(direction, normal) * apart));
}

// Names ---------------------------------------------------------------------------------------------------------

const LETTERS = ["RL", "AP", "FH"] as const;

/** How far towards which side a place is, from the origin: "H 12.5". */
export function placeText(place: Vector, direction: Vector): string {
  const sizes = direction.map(Math.abs);
  const axis = sizes.indexOf(Math.max(...sizes)) as Axis;
  const name = LETTERS[axis][place[axis] < 0 ? 0 : 1] as string;
  return `${name} ${Math.abs(place[axis]).toFixed(1)}`;
}
