// The volume itself: turned, moved, cut by a box and by the scalpel, pointed at.

import { attachHands } from "../tools/gestures";
import type { VolumeCut } from "../viewport/state";
import { clamp } from "../viewport/state";
import { BoxDrawing, type Face, faceAt, svg } from "./box";
import { type Drawn, KeptCuts } from "./cuts";
import { densityOf, overlayFields } from "./fusion";
import {
  axesOf,
  type Camera,
  dot,
  facing,
  fitMm,
  inside,
  minus,
  normalOf,
  panned,
  placeText,
  rotated,
  sideOf,
  subtract,
  type Vector,
} from "./geometry";
import { Pane, type PaneHost, type VolumeHeader } from "./pane";
import { Picker } from "./picker";
import { type Blade, Scalpel } from "./scalpel";
import { fusedWithin, isWhole, PLANES } from "./state";
import { sent } from "./transfer";

export type VolumeTool = "rotate" | "move" | "scalpel";

export interface RenderingHost extends PaneHost {
  readonly volumeTool: VolumeTool;
  /** The box and its handles are on the picture. */
  readonly cutting: boolean;
  readonly blade: Blade;
  readonly radiusMm: number;
  /** What the person's own transfer function is called. */
  readonly ownName: string;
  readonly overlayTold: string;
  send(message: Record<string, unknown>): void;
  /** One cut more, as a step of its own. */
  cut(cut: VolumeCut): void;
  /** The crossing point was put where the hand pointed, or nothing was there. */
  pointed(place: Vector | null): void;
}

const AROUND = 1.06;
const SMALLEST_MM = 5;
const MARK_PX = 9;

/** A ring with four short lines. */
function markOf(): SVGElement {
  const made = svg("svg", { class: "mark", "aria-hidden": "true" });
  made.append(svg("circle", { r: MARK_PX - 3 }));
  for (const [x, y] of [
    [1, 0],
    [-1, 0],
    [0, 1],
    [0, -1],
  ] as const)
    made.append(svg("line", { x1: x * 3, y1: y * 3, x2: x * (MARK_PX + 5), y2: y * (MARK_PX + 5) }));
  return made;
}

export class RenderingPane extends Pane {
  private readonly box = new BoxDrawing();
  private held: Face | null = null;
  private byFinger = false;
  private isDrawing = false;
  readonly scalpel: Scalpel;
  readonly picker: Picker;
  private readonly kept: KeptCuts;
  private readonly mark = markOf();
  private counted: readonly VolumeCut[] = [];
  private count = 0;

  constructor(protected override readonly host: RenderingHost) {
    super("volume", host);
    const send = (message: Record<string, unknown>) => host.send(message);
    this.kept = new KeptCuts(this.viewport, send);
    this.picker = new Picker(this.viewport, send);
    this.scalpel = new Scalpel({
      words: host.words,
      get blade() {
        return host.blade;
      },
      get radiusMm() {
        return host.radiusMm;
      },
      pick: (x, y) => this.pick(x, y),
      cut: (cut) => host.cut(cut),
    });
    this.place.append(this.box.drawing, this.mark, this.scalpel.drawing, this.scalpel.ask);
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
    const { series, points } = state;
    const transfer = points ? { points: sent(points), light: state.transfer } : state.transfer;
    const stack = state.stack ? { stack: state.stack } : {};
    return { kind: "volume", series, ...stack, ...this.pixels(), camera, transfer, ...this.parts() };
  }

  /** Cuts, slices and the second volume: nothing of them is in a picture of the largest values. */
  private parts(): Record<string, unknown> {
    const { state } = this.host;
    if (isWhole(state)) return {};
    const fused = fusedWithin(state);
    const window = state.window && {
      voi: "window",
      window_center: state.window.center,
      window_width: state.window.width,
    };
    const slices = state.slices && {
      center_mm: state.crossMm,
      normals: PLANES.map((plane) => normalOf(state.planes[plane])),
      ...window,
    };
    return {
      ...(state.box ? { clip_box: [state.box.low, state.box.high] } : {}),
      ...(state.cuts.length > 0 ? { cuts: "kept" } : {}),
      ...(slices && state.crossMm ? { slices } : {}),
      ...(fused ? { ...overlayFields(fused), opacity: densityOf(fused.opacity) } : {}),
    };
  }

  /** "kept" is what the server was told; another list is another picture. */
  protected override get revision(): string {
    const { cuts } = this.host.state;
    if (this.counted !== cuts) [this.counted, this.count] = [cuts, this.count + 1];
    return cuts.length > 0 ? String(this.count) : "";
  }

  protected override prepare(): void {
    this.kept.bring(this.host.state.cuts);
  }

  /** The server keeps nothing of a lost line. */
  override distrust(): void {
    this.kept.forget();
    if (this.host.state.cuts.length > 0) super.distrust();
  }

  override stop(): void {
    super.stop();
    this.scalpel.cancel();
    this.kept.bring([]);
  }

  private get overlaid(): Drawn | null {
    const { camera } = this.host.state;
    return camera && { camera, size: this.size, mm: this.mmOfPx };
  }

  protected overlay(): void {
    const { state, bounds, cutting } = this.host;
    const isShown = cutting && !isWhole(state);
    // Its handles have the letters of the sides.
    this.place.classList.toggle("boxed", isShown);
    this.box.show(isShown ? (state.box ?? bounds) : null, state.camera, this.size, this.mmOfPx);
    if (this.overlaid) this.scalpel.seenBy(this.overlaid);
    this.showMark();
  }

  /** Where the planes cross. */
  private showMark(): void {
    const { state } = this.host;
    const placed = this.placed();
    this.mark.toggleAttribute("hidden", !placed || !state.crossMm);
    if (!placed || !state.crossMm) return;
    const way = subtract(state.crossMm, placed.middle);
    const x = this.size.width / 2 + dot(way, placed.right) / this.mmOfPx;
    const y = this.size.height / 2 + dot(way, placed.down) / this.mmOfPx;
    this.mark.setAttribute("style", `transform:translate(${x.toFixed(1)}px,${y.toFixed(1)}px)`);
  }

  protected told(): string {
    const { state, words } = this.host;
    const isCut = (state.box !== null || state.cuts.length > 0) && !isWhole(state);
    const cross = state.crossMm;
    const place = cross
      ? PLANES.map((plane) => placeText(cross, normalOf(state.planes[plane]))).join(" ")
      : "";
    const look = state.points ? this.host.ownName : (words.presets[state.transfer] ?? state.transfer);
    const fused = fusedWithin(state) ? `${words.tools["fusion"]} ${this.host.overlayTold}`.trim() : "";
    return [look, isCut ? words.isCut : "", fused, place].filter(Boolean).join(" · ");
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

  /** Where a place of the picture (CSS px) lies in the patient; null where nothing is seen. */
  private pick(x: number, y: number): Promise<Vector | null> {
    const view = this.message();
    const { width } = this.pixels();
    if (!view) return Promise.resolve(null);
    this.kept.bring(this.host.state.cuts);
    const fine = width / this.size.width;
    return this.picker.ask(view, Math.max(0, x * fine - 0.5), Math.max(0, y * fine - 0.5));
  }

  /** The crossing point of the planes to what is seen at a place. */
  private async point(x: number, y: number): Promise<void> {
    this.host.pointed(await this.pick(x, y));
  }

  // Hands -------------------------------------------------------------------------------------------------------

  private at(x: number, y: number): [number, number] {
    const box = this.place.getBoundingClientRect();
    return [x - box.left, y - box.top];
  }

  private drag(dx: number, dy: number, x: number, y: number, button: number): void {
    if (this.isDrawing) this.scalpel.to(this.at(x, y));
    else if (this.held) this.cut(dx, dy);
    else if (button === 1) this.pan(dx, dy);
    else if (button === 2) this.zoom(Math.exp(-dy / 150));
    else if (this.host.volumeTool === "move") this.pan(dx, dy);
    else {
      const side = Math.min(this.size.width, this.size.height);
      this.rotate(dx / side, dy / side);
    }
  }

  /** No cut is seen in a picture of the largest values. */
  private get canDraw(): boolean {
    return this.host.volumeTool === "scalpel" && !isWhole(this.host.state);
  }

  private listen(): void {
    const { place } = this;
    const grab = (event: PointerEvent) =>
      this.box.grab(...this.at(event.clientX, event.clientY), event.pointerType === "mouse" ? 16 : 28);
    place.addEventListener("pointerdown", (event) => {
      const isHand = event.isPrimary && event.button === 0 && !(event.target as Element).closest("button");
      this.byFinger = event.pointerType !== "mouse";
      this.held = isHand ? grab(event) : null;
      this.isDrawing = isHand && this.canDraw && this.overlaid !== null;
      if (this.isDrawing && this.overlaid)
        this.scalpel.begin(this.at(event.clientX, event.clientY), this.overlaid);
    });
    place.addEventListener("pointermove", (event) => {
      if (event.pointerType === "mouse" && !event.buttons) place.dataset["over"] = grab(event) ? "face" : "";
    });
    attachHands(place, {
      begin: () => this.host.touched("volume"),
      drag: (dx, dy, x, y, button) => this.drag(dx, dy, x, y, button),
      pinch: (scale, dx, dy) => {
        this.held = null;
        if (this.isDrawing) this.scalpel.cancel();
        this.isDrawing = false;
        this.zoom(scale);
        this.pan(dx, dy);
      },
      tap: () => {
        // One tap may be the first of two.
      },
      doubleTap: (x, y) => {
        if (this.host.volumeTool === "scalpel") return;
        if (!isWhole(this.host.state)) void this.point(...this.at(x, y));
        else if (!this.byFinger || this.host.state.shown === "all") this.host.toggleAlone("volume");
        else if (this.host.state.cameraFieldMm !== null) this.fit();
        else this.zoom(2);
      },
      longPress: () => {
        // A finger that rests waits for the full picture.
      },
      longMove: (x, y) => {
        if (this.isDrawing) this.scalpel.to(this.at(x, y));
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
        if (this.isDrawing) void this.scalpel.end();
        this.isDrawing = false;
        this.host.rest();
      },
    });
  }
}
