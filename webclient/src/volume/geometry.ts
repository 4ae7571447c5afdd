// Vectors in patient coordinates (LPS, mm): turning a camera, stepping a plane, naming directions.

import { frameInfo, type Manifest } from "../viewer/manifest";

export type Vector = readonly [number, number, number];

export interface Camera {
  readonly position: Vector;
  readonly focal_point: Vector;
  readonly view_up: Vector;
  readonly parallel_scale_mm?: number | null;
  readonly view_angle_degrees?: number | null;
}

export interface Bounds {
  readonly low: Vector;
  readonly high: Vector;
}

export const add = (a: Vector, b: Vector, share = 1): Vector => [
  a[0] + b[0] * share,
  a[1] + b[1] * share,
  a[2] + b[2] * share,
];
const dot = (a: Vector, b: Vector): number => a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
export const cross = (a: Vector, b: Vector): Vector => [
  a[1] * b[2] - a[2] * b[1],
  a[2] * b[0] - a[0] * b[2],
  a[0] * b[1] - a[1] * b[0],
];
const scaled = (a: Vector, factor: number): Vector => [a[0] * factor, a[1] * factor, a[2] * factor];
const unit = (a: Vector): Vector => scaled(a, 1 / Math.sqrt(dot(a, a)));

/** `point` turned about a unit axis through the origin by radians (Rodrigues). */
function turned(point: Vector, axis: Vector, angle: number): Vector {
  const [cos, sin] = [Math.cos(angle), Math.sin(angle)];
  const across = add(scaled(point, cos), cross(axis, point), sin);
  return add(across, axis, dot(axis, point) * (1 - cos));
}

/** Unit vectors to the right of the picture and up in it. */
export function axesOf(camera: Camera): { right: Vector; up: Vector } {
  const forward = unit(add(camera.focal_point, camera.position, -1));
  const right = unit(cross(forward, camera.view_up));
  return { right, up: cross(right, forward) };
}

/** A drag over these shares of the picture's height turns the object under the finger: 1 is half a turn. */
export function rotated(camera: Camera, rightShare: number, downShare: number): Camera {
  const length = Math.hypot(rightShare, downShare);
  if (length === 0) return camera;
  const { right, up } = axesOf(camera);
  // The object follows the finger, so the camera goes the other way.
  const axis = unit(add(scaled(up, -rightShare), right, -downShare));
  const offset = turned(add(camera.position, camera.focal_point, -1), axis, Math.PI * length);
  return {
    ...camera,
    position: add(camera.focal_point, offset),
    view_up: turned(up, axis, Math.PI * length),
  };
}

/** `factor` > 1 makes things larger. */
export function zoomed(camera: Camera, factor: number): Camera {
  if (camera.parallel_scale_mm) {
    const scale = Math.min(5000, Math.max(1, camera.parallel_scale_mm / factor));
    return { ...camera, parallel_scale_mm: scale };
  }
  const offset = add(camera.position, camera.focal_point, -1);
  return { ...camera, position: add(camera.focal_point, offset, 1 / factor) };
}

/** The place `mm` along the plane's normal, no farther than the volume reaches. */
export function stepped(center: Vector, normal: Vector, mm: number, bounds: Bounds | null): Vector {
  const next = add(center, normal, mm);
  if (!bounds) return next;
  const within = (axis: 0 | 1 | 2) => Math.min(bounds.high[axis], Math.max(bounds.low[axis], next[axis]));
  return [within(0), within(1), within(2)];
}

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
      for (const axis of [0, 1, 2] as const) {
        low[axis] = Math.min(low[axis], corner[axis]);
        high[axis] = Math.max(high[axis], corner[axis]);
      }
    }
  }
  return manifest.frame_count > 0 ? { low, high } : null;
}

/** The patient's side that the direction goes to most: L R, P A, H F. */
export function letterOf(direction: Vector): string {
  const sizes = direction.map(Math.abs);
  const axis = sizes.indexOf(Math.max(...sizes));
  return (["RL", "AP", "FH"][axis] as string)[(direction[axis] as number) > 0 ? 1 : 0] as string;
}
