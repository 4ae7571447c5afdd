// The volume itself: turned, moved, cut by a box.

import { attachHands } from "../tools/gestures";
import { clamp } from "../viewport/state";
import { BoxDrawing, type Face, faceAt } from "./box";
import {
  axesOf,
  type Camera,
  facing,
  fitMm,
  inside,
  minus,
  panned,
  rotated,
  sideOf,
  subtract,
} from "./geometry";
import { Pane, type PaneHost, type VolumeHeader } from "./pane";

export type VolumeTool = "rotate" | "move";

export interface RenderingHost extends PaneHost {
  readonly volumeTool: VolumeTool;
  /** The box and its handles are on the picture. */
  readonly cutting: boolean;
}

const AROUND = 1.06;
const SMALLEST_MM = 5;
/** Largest values are found along the whole way: cuts do nothing to them on the server. */
export const UNCUT = "mip";

export class RenderingPane extends Pane {
  private readonly box = new BoxDrawing();
  private held: Face | null = null;
  private byFinger = false;

  constructor(protected override readonly host: RenderingHost) {
    super("volume", host);
    this.place.append(this.box.drawing);
    this.listen();
  }

  get fieldMm(): number {
    const { bounds, state } = this.host;
    if (state.cameraFieldMm !== null) return state.cameraFieldMm;
    if (!bounds) return 500;
    const { right, up } = axesOf(state.camera ?? facing("A", bounds));
    return fitMm(bounds, { right, down: minus(up) }, this.size) * AROUND;
  }

  protected placed() {
    const { camera } = this.host.state;
    if (!camera) return null;
    const { right, up } = axesOf(camera);
    const { width, height } = this.size;
    const heightMm = (this.fieldMm / Math.min(width, height)) * height;
    return { middle: camera.focal_point, right, down: minus(up), heightMm };
  }

  protected message(): Record<string, unknown> | null {
    const { state } = this.host;
    const placed = this.placed();
    const camera = placed ? { ...state.camera, parallel_scale_mm: placed.heightMm / 2 } : "A";
    const box = state.box && state.transfer !== UNCUT ? { clip_box: [state.box.low, state.box.high] } : {};
    const { series, transfer } = state;
    return { kind: "volume", series, ...this.pixels(), camera, transfer, ...box };
  }

  protected overlay(): void {
    const { state, bounds, cutting } = this.host;
    const isShown = cutting && state.transfer !== UNCUT;
    this.box.show(isShown ? (state.box ?? bounds) : null, state.camera, this.size, this.mmOfPx);
  }

  protected told(): string {
    const { state, words } = this.host;
    const isCut = state.box !== null && state.transfer !== UNCUT;
    return [words.presets[state.transfer] ?? state.transfer, isCut ? words.isCut : ""]
      .filter(Boolean)
      .join(" · ");
  }

  override async receive(header: VolumeHeader, bytes: ArrayBuffer): Promise<void> {
    const { state } = this.host;
    // The server stood somewhere by a letter: from there a hand goes on.
    if (!state.camera && header.camera) {
      const { position, focal_point, view_up } = header.camera;
      this.host.change({ ...state, camera: { position, focal_point, view_up } });
    }
    await super.receive(header, bytes);
  }

  // Acts --------------------------------------------------------------------------------------------------------

  private look(camera: Camera, cameraFieldMm = this.host.state.cameraFieldMm): void {
    this.host.change({ ...this.host.state, camera, cameraFieldMm });
  }

  /** The patient's side that the camera looks from, "" between them. */
  get side(): string {
    const { camera } = this.host.state;
    return camera ? sideOf(camera) : "";
  }

  /** From A, P, L, R, H or F, all of it. */
  lookFrom(side: string): void {
    const { bounds } = this.host;
    if (bounds) this.look(facing(side, bounds), null);
  }

  /** By shares of half a turn. */
  rotate(right: number, down: number): void {
    const { camera } = this.host.state;
    // While it turns it keeps its size, whatever its extent along the new directions is.
    if (camera) this.look(rotated(camera, right, down), this.fieldMm);
  }

  zoom(factor: number): void {
    const { camera } = this.host.state;
    if (camera) this.look(camera, clamp(this.fieldMm / factor, SMALLEST_MM, 5000));
  }

  fit(): void {
    const { camera } = this.host.state;
    const { bounds } = this.host;
    if (!camera || !bounds) return;
    const middle = facing("A", bounds).focal_point;
    const back = subtract(middle, camera.focal_point);
    const { right, up } = axesOf(camera);
    const moved = panned(
      camera,
      -(back[0] * right[0] + back[1] * right[1] + back[2] * right[2]),
      back[0] * up[0] + back[1] * up[1] + back[2] * up[2],
    );
    this.look(moved, null);
  }

  private pan(dx: number, dy: number): void {
    const { camera } = this.host.state;
    const { bounds } = this.host;
    if (!camera) return;
    const next = panned(camera, dx * this.mmOfPx, dy * this.mmOfPx);
    // What would leave the picture altogether stays.
    const focal = inside(next.focal_point, bounds);
    if (focal.every((value, axis) => Math.abs(value - (next.focal_point[axis] ?? 0)) < 1e-6)) this.look(next);
  }

  private cut(dx: number, dy: number): void {
    const { state, bounds } = this.host;
    if (!this.held || !bounds) return;
    const box = state.box ?? bounds;
    const at = box[this.held.end][this.held.axis] + this.box.wayMm(this.held, dx, dy);
    this.host.change({ ...state, box: faceAt(box, this.held, at, bounds) });
  }

  // Hands -------------------------------------------------------------------------------------------------------

  private at(x: number, y: number): [number, number] {
    const box = this.place.getBoundingClientRect();
    return [x - box.left, y - box.top];
  }

  private drag(dx: number, dy: number, button: number): void {
    if (this.held) this.cut(dx, dy);
    else if (button === 1) this.pan(dx, dy);
    else if (button === 2) this.zoom(Math.exp(-dy / 150));
    else if (this.host.volumeTool === "move") this.pan(dx, dy);
    else {
      const side = Math.min(this.size.width, this.size.height);
      this.rotate(dx / side, dy / side);
    }
  }

  private listen(): void {
    const { place } = this;
    const grab = (event: PointerEvent) =>
      this.box.grab(...this.at(event.clientX, event.clientY), event.pointerType === "mouse" ? 16 : 28);
    place.addEventListener("pointerdown", (event) => {
      this.byFinger = event.pointerType !== "mouse";
      this.held = event.isPrimary && event.button === 0 ? grab(event) : null;
    });
    place.addEventListener("pointermove", (event) => {
      if (event.pointerType === "mouse" && !event.buttons) place.dataset["over"] = grab(event) ? "face" : "";
    });
    attachHands(place, {
      begin: () => this.host.touched("volume"),
      drag: (dx, dy, _x, _y, button) => this.drag(dx, dy, button),
      pinch: (scale, dx, dy) => {
        this.held = null;
        this.zoom(scale);
        this.pan(dx, dy);
      },
      tap: () => {
        // Nothing is pointed at in a rendering.
      },
      doubleTap: () => {
        if (!this.byFinger || this.host.state.shown === "all") this.host.toggleAlone("volume");
        else if (this.host.state.cameraFieldMm !== null) this.fit();
        else this.zoom(2);
      },
      longPress: () => {
        // A finger that rests waits for the full picture.
      },
      longMove: () => {
        // As above.
      },
      longEnd: () => this.host.rest(),
      menu: () => {
        // The right button zooms by a drag; a click of it does nothing here.
      },
      wheel: (steps) => {
        this.host.touched("volume");
        this.zoom(1.15 ** -steps);
        this.host.rest();
      },
      end: () => {
        this.held = null;
        this.host.rest();
      },
    });
  }
}
