// A plane or slab through the volume, with the lines of the two others.

import { attachHands } from "../tools/gestures";
import { clamp, dragWindow } from "../viewport/state";
import { CrossLines, type Grab } from "./cross";
import { overlayFields } from "./fusion";
import {
  add,
  depthMm,
  dot,
  fitMm,
  inside,
  normalOf,
  placeText,
  scaled,
  subtract,
  turnedPlane,
  type Vector,
} from "./geometry";
import { Pane, type PaneHost, type VolumeHeader } from "./pane";
import { centerOf, type PageState, PLANES, type Plane, withPlane } from "./state";

export type PlaneTool = "page" | "cross" | "window" | "pan";

export interface PlaneHost extends PaneHost {
  readonly planeTool: PlaneTool;
  /** The state in which pictures keep their size when they are turned. */
  fixed(): PageState;
  /** The window of the series in colour. */
  readonly overlayTold: string;
  /** A window of the series itself. */
  windowTold(center: number, width: number): string;
  /** Millimetres from one layer to the next along a direction. */
  stepMm(direction: Vector): number;
}

/** One layer on is this way along the normal: to the feet, to the back, to the left. */
const ONWARD: Readonly<Record<Plane, number>> = { axial: -1, coronal: 1, sagittal: -1 };
const SMALLEST_MM = 2;

export class PlanePane extends Pane {
  private readonly lines: CrossLines;
  private shownWindow = { center: 40, width: 400 };
  private grabbed: Grab | null = null;
  private byFinger = false;
  private travelMm = 0;

  constructor(
    readonly plane: Plane,
    protected override readonly host: PlaneHost,
  ) {
    super(plane, host);
    this.lines = new CrossLines(plane);
    this.place.append(this.lines.drawing);
    this.listen();
  }

  private get look() {
    return this.host.state.planes[this.plane];
  }

  get fieldMm(): number {
    const { bounds } = this.host;
    return this.look.fieldMm ?? (bounds ? fitMm(bounds, this.look, this.size) : 300);
  }

  private get normal(): Vector {
    return normalOf(this.look);
  }

  protected placed() {
    const middle = centerOf(this.host.state, this.plane);
    const { width, height } = this.size;
    const { right, down } = this.look;
    return middle && { middle, right, down, heightMm: (this.fieldMm / Math.min(width, height)) * height };
  }

  protected message(): Record<string, unknown> | null {
    const { state } = this.host;
    const placed = this.placed();
    const { width, height } = this.pixels();
    const window = state.window && {
      voi: "window",
      window_center: state.window.center,
      window_width: state.window.width,
    };
    const fused = state.fused && { ...overlayFields(state.fused), opacity: state.fused.opacity };
    return {
      kind: fused ? "fusion" : "slab",
      series: state.series,
      ...(state.stack ? { stack: state.stack } : {}),
      width,
      height,
      row_direction: this.look.right,
      column_direction: this.look.down,
      ...(placed ? { center_mm: placed.middle, pixel_spacing_mm: placed.heightMm / height } : {}),
      thickness_mm: state.thicknessMm,
      projection: state.projection,
      ...window,
      ...fused,
      invert: state.invert,
    };
  }

  protected overlay(): void {
    this.lines.show(this.host.state, this.size, this.placed(), this.host.planeTool === "cross");
  }

  protected told(): string {
    const { state, words } = this.host;
    const { center, width } = state.window ?? this.shownWindow;
    const slab = state.thicknessMm ? `${state.thicknessMm} mm ${words.projections[state.projection]}` : "";
    const place = state.crossMm ? placeText(state.crossMm, this.normal) : "";
    const over = state.fused
      ? `${words.tools["fusion"]} ${Math.round(state.fused.opacity * 100)} % ${this.host.overlayTold}`
      : "";
    return [place, slab, over, this.host.windowTold(center, width)].filter(Boolean).join(" · ");
  }

  override async receive(header: VolumeHeader, bytes: ArrayBuffer): Promise<void> {
    const { window_center: center, window_width: width } = header;
    if (center !== null && width !== null) this.shownWindow = { center, width };
    await super.receive(header, bytes);
    this.refresh();
  }

  // Acts --------------------------------------------------------------------------------------------------------

  private set(change: Partial<PageState["planes"][Plane]>): void {
    this.host.change(withPlane(this.host.state, this.plane, change));
  }

  /** Layers on (the way of a stack) or back. */
  step(layers: number): void {
    this.travel(layers * this.host.stepMm(this.normal));
  }

  /** To the first or last layer. */
  end(which: 1 | -1): void {
    this.travel(which * 1e5);
  }

  private travel(mm: number): void {
    const { state, bounds } = this.host;
    if (!state.crossMm) return;
    const { normal } = this;
    const way = mm * ONWARD[this.plane];
    const reach = bounds ? depthMm(bounds, normal) / 2 : 1e4;
    const from = bounds ? dot(subtract(state.crossMm, scaled(add(bounds.low, bounds.high), 0.5)), normal) : 0;
    const to = clamp(from + way, -reach, reach);
    this.host.change({ ...state, crossMm: add(state.crossMm, normal, to - from) });
  }

  zoom(factor: number, x = this.size.width / 2, y = this.size.height / 2): void {
    const middleMm = centerOf(this.host.state, this.plane);
    if (!middleMm) return;
    const most = this.host.bounds ? 4 * fitMm(this.host.bounds, this.look, this.size) : 4000;
    const fieldMm = clamp(this.fieldMm / factor, SMALLEST_MM, most);
    const share = this.mmOfPx * (1 - fieldMm / this.fieldMm);
    const { width, height } = this.size;
    const moved = this.shifted(middleMm, (x - width / 2) * share, (y - height / 2) * share);
    this.set({ fieldMm, middleMm: moved });
  }

  fit(): void {
    const { bounds } = this.host;
    this.set({ fieldMm: null, ...(bounds ? { middleMm: scaled(add(bounds.low, bounds.high), 0.5) } : {}) });
  }

  private shifted(place: Vector, rightMm: number, downMm: number): Vector {
    return inside(add(add(place, this.look.right, rightMm), this.look.down, downMm), this.host.bounds);
  }

  private pan(dx: number, dy: number): void {
    const middleMm = centerOf(this.host.state, this.plane);
    if (middleMm) this.set({ middleMm: this.shifted(middleMm, -dx * this.mmOfPx, -dy * this.mmOfPx) });
  }

  /** The crossing point to a place of the picture, CSS px of the pane; the depth stays. */
  private crossTo(x: number, y: number): void {
    const placed = this.placed();
    if (!placed) return;
    const { width, height } = this.size;
    const [right, down] = [(x - width / 2) * this.mmOfPx, (y - height / 2) * this.mmOfPx];
    const place = add(add(placed.middle, placed.right, right), placed.down, down);
    this.host.change({ ...this.host.state, crossMm: inside(place, this.host.bounds) });
  }

  private window(dx: number, dy: number): void {
    const now = this.host.state.window ?? this.shownWindow;
    this.host.change({ ...this.host.state, window: dragWindow(now.center, now.width, dx, dy) });
  }

  /** What is held follows the pointer at a place of the pane. */
  private pull(held: Grab, dx: number, dy: number, x: number, y: number): void {
    const { state, bounds } = this.host;
    const placed = this.placed();
    if (!state.crossMm || !placed) return;
    if (held.what === "turn") {
      const angle = this.lines.angle(state, this.size, placed, x - dx, y - dy, x, y);
      const others = PLANES.filter((plane) => plane !== this.plane);
      const next = others.reduce(
        (page, plane) => withPlane(page, plane, turnedPlane(page.planes[plane], this.normal, angle)),
        this.host.fixed(),
      );
      this.host.change(next);
      return;
    }
    const shift = add(scaled(this.look.right, dx * this.mmOfPx), this.look.down, dy * this.mmOfPx);
    const along = held.what === "line" ? normalOf(state.planes[held.plane]) : null;
    const way = along ? scaled(along, dot(along, shift)) : shift;
    this.host.change({ ...state, crossMm: inside(add(state.crossMm, way), bounds) });
  }

  // Hands -------------------------------------------------------------------------------------------------------

  private at(x: number, y: number): [number, number] {
    const box = this.place.getBoundingClientRect();
    return [x - box.left, y - box.top];
  }

  private grab(x: number, y: number): Grab | null {
    const placed = this.placed();
    if (!placed || (this.byFinger && this.host.planeTool !== "cross")) return null;
    return this.lines.grab(this.host.state, this.size, placed, x, y, this.byFinger ? 24 : 9);
  }

  private drag(dx: number, dy: number, x: number, y: number, button: number): void {
    if (this.grabbed) {
      this.pull(this.grabbed, dx, dy, ...this.at(x, y));
      return;
    }
    const tool = button === 1 ? "pan" : button === 2 ? "zoom" : this.host.planeTool;
    if (tool === "zoom") this.zoom(Math.exp(-dy / 150));
    else if (tool === "pan") this.pan(dx, dy);
    else if (tool === "window") this.window(dx, dy);
    else if (tool === "cross" && !this.byFinger) this.crossTo(...this.at(x, y));
    else if (tool === "cross") this.pull({ what: "cross" }, dx, dy, ...this.at(x, y));
    else this.page(dy);
  }

  /** A layer for each 12 px, but all of them within one and a half screens. */
  private page(dy: number): void {
    const { normal } = this;
    const layer = this.host.stepMm(normal);
    const deep = this.host.bounds ? depthMm(this.host.bounds, normal) : 100 * layer;
    this.travelMm += dy * Math.max(layer / 12, deep / (1.5 * this.size.height));
    const layers = Math.trunc(this.travelMm / layer);
    if (!layers) return;
    this.travelMm -= layers * layer;
    this.step(layers);
  }

  private wheel(steps: number, event: WheelEvent): void {
    this.host.touched(this.kind);
    if (event.ctrlKey) {
      this.zoom(1.15 ** -steps, ...this.at(event.clientX, event.clientY));
      return;
    }
    const { bounds } = this.host;
    const layers = bounds ? depthMm(bounds, this.normal) / this.host.stepMm(this.normal) : 100;
    this.step(steps * (event.shiftKey ? Math.max(1, Math.round(layers / 20)) : 1));
  }

  private listen(): void {
    const { place } = this;
    place.addEventListener("pointerdown", (event) => {
      this.byFinger = event.pointerType !== "mouse";
      this.grabbed =
        event.isPrimary && event.button === 0 ? this.grab(...this.at(event.clientX, event.clientY)) : null;
      const isClick = !this.byFinger && event.button === 0 && !this.grabbed;
      if (isClick && this.host.planeTool === "cross") this.crossTo(...this.at(event.clientX, event.clientY));
    });
    place.addEventListener("pointermove", (event) => {
      if (event.pointerType !== "mouse" || event.buttons) return;
      const over = this.grab(...this.at(event.clientX, event.clientY));
      place.dataset["over"] = over?.what ?? "";
    });
    attachHands(place, {
      begin: () => {
        this.travelMm = 0;
        this.host.touched(this.kind);
      },
      drag: (dx, dy, x, y, button) => this.drag(dx, dy, x, y, button),
      pinch: (scale, dx, dy, x, y) => {
        this.grabbed = null;
        this.zoom(scale, ...this.at(x, y));
        this.pan(dx, dy);
      },
      tap: (x, y) => {
        if (this.host.planeTool === "cross") this.crossTo(...this.at(x, y));
      },
      doubleTap: (x, y) => {
        if (!this.byFinger || this.host.state.shown === "all") this.host.toggleAlone(this.kind);
        else if (this.look.fieldMm !== null) this.fit();
        else this.zoom(2, ...this.at(x, y));
      },
      longPress: (x, y) => this.crossTo(...this.at(x, y)),
      longMove: (x, y) => this.crossTo(...this.at(x, y)),
      longEnd: () => this.host.rest(),
      menu: () => {
        // The right button zooms by a drag; a click of it does nothing here.
      },
      wheel: (steps, event) => this.wheel(steps, event),
      end: () => {
        this.grabbed = null;
        this.host.rest();
      },
    });
  }
}
