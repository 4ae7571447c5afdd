// What fingers, mouse and the slider do to the view (UX section 6).

import { isMeasuring } from "../measure/load";
import { attachHands } from "../tools/gestures";
import { panBy, zoomAt } from "../viewport/placement";
import { clamp, dragWindow, pixelsPerFrame } from "../viewport/state";
import { Loupe } from "./loupe";
import type { Viewer } from "./viewer";

const SLOWEST_THROW = 0.3;
const FASTEST_THROW = 4;
const THROW_FADES_MS = 220;

export class ViewerHands {
  private travel = 0;
  /** Where the hand went down, CSS px of the stage: a dragged zoom leaves that point where it is. */
  private from: readonly [number, number] = [0, 0];
  private gliding = 0;
  /** Who has the hand that is down: the view, a measurement, or what was opened at it. */
  private held: "view" | "measurement" | "menu" = "view";
  readonly loupe: Loupe;

  constructor(private readonly viewer: Viewer) {
    this.loupe = new Loupe(viewer.stage);
  }

  /** End a glide. */
  rest(): void {
    window.cancelAnimationFrame(this.gliding);
    this.gliding = 0;
  }

  /** Place on the stage, CSS px. */
  private at(x: number, y: number): [number, number] {
    const box = this.viewer.stage.getBoundingClientRect();
    return [x - box.left, y - box.top];
  }

  zoom(factor: number, x: number, y: number): void {
    const { viewer } = this;
    viewer.change(zoomAt(viewer.view, factor, x, y, viewer.image(), viewer.box()));
  }

  /** Zoom about the middle of the picture. */
  zoomMiddle(factor: number): void {
    const box = this.viewer.box();
    this.zoom(factor, box.width / 2, box.height / 2);
  }

  private pan(dx: number, dy: number): void {
    const { viewer } = this;
    if (viewer.view.zoom > 1) viewer.change(panBy(viewer.view, dx, dy, viewer.image(), viewer.box()));
  }

  private drag(dx: number, dy: number, button: number): void {
    const tool = button === 1 ? "pan" : button === 2 ? "zoom" : this.viewer.tool;
    if (tool === "window") {
      const now = this.viewer.windowNow();
      const next = dragWindow(now.center, now.width, dx, dy);
      this.viewer.setWindow(next.center, next.width);
    } else if (tool === "zoom") this.zoom(Math.exp(-dy / 150), ...this.from);
    else if (isMeasuring(tool)) return;
    else if (tool === "pan" || this.viewer.series.frame_count === 1) this.pan(dx, dy);
    else this.travelBy(dy);
  }

  private travelBy(dy: number): void {
    this.travel += dy;
    const step = pixelsPerFrame(this.viewer.series.frame_count, this.viewer.box().height);
    const frames = Math.trunc(this.travel / step);
    if (frames === 0) return;
    this.travel -= frames * step;
    this.viewer.scrollTo(this.viewer.view.frame + frames);
  }

  /** A thrown stack runs on and fades; a finger on it stops it. */
  private glide(velocity: number): void {
    this.rest();
    if (this.viewer.tool !== "page" || Math.abs(velocity) < SLOWEST_THROW) return;
    if (matchMedia("(prefers-reduced-motion: reduce)").matches) return;
    let last = performance.now();
    let speed = clamp(velocity, -FASTEST_THROW, FASTEST_THROW);
    const tick = (now: number) => {
      const dt = Math.max(0, now - last);
      last = now;
      this.travelBy(speed * dt);
      speed *= Math.exp(-dt / THROW_FADES_MS);
      this.gliding = Math.abs(speed) > 0.05 ? window.requestAnimationFrame(tick) : 0;
    };
    this.gliding = window.requestAnimationFrame(tick);
  }

  private wheel(steps: number, event: WheelEvent): void {
    if (event.ctrlKey) {
      this.zoom(1.15 ** -steps, ...this.at(event.clientX, event.clientY));
      return;
    }
    const count = this.viewer.series.frame_count;
    const jump = event.shiftKey ? Math.max(1, Math.round(count / 20)) : 1;
    this.viewer.scrollTo(this.viewer.view.frame + steps * jump);
  }

  private begin(x: number, y: number, button: number, byFinger: boolean): void {
    const { viewer } = this;
    this.rest();
    this.travel = 0;
    this.from = this.at(x, y);
    const taken = button === 0 && viewer.measuring?.begin(...this.at(x, y), byFinger);
    this.held = taken ? "measurement" : "view";
    if (!taken) viewer.hold(true);
  }

  private pinch(scale: number, dx: number, dy: number, x: number, y: number): void {
    const { viewer } = this;
    if (this.held === "measurement") {
      viewer.measuring?.abort();
      this.held = "view";
      viewer.hold(true);
    }
    const zoomed = zoomAt(viewer.view, scale, ...this.at(x, y), viewer.image(), viewer.box());
    viewer.change(panBy(zoomed, dx, dy, viewer.image(), viewer.box()));
  }

  /** A finger rests: on a measurement it opens what can be done with it, else the magnifier. */
  private press(x: number, y: number): void {
    const { viewer, loupe } = this;
    const place = this.at(x, y);
    if (viewer.measuring?.press(...place)) this.held = "menu";
    else if (this.held === "view") loupe.show(...place);
  }

  private end(vy: number): void {
    const { viewer, held } = this;
    if (held === "measurement") viewer.measuring?.end();
    viewer.hold(false);
    if (held === "view") this.glide(vy);
  }

  private tap(x: number, y: number): void {
    const { viewer } = this;
    if (this.held !== "view") return;
    if (viewer.sheet.isOpen) viewer.sheet.toggle(false);
    else if (!viewer.measuring?.tap(...this.at(x, y))) viewer.ui.root.classList.toggle("bare");
  }

  /** Start listening to fingers, mouse and the stage's size. */
  listen(): void {
    const { viewer, loupe } = this;
    attachHands(viewer.stage, {
      begin: (x, y, button, byFinger) => this.begin(x, y, button, byFinger),
      drag: (dx, dy, x, y, button) => {
        if (this.held === "measurement") viewer.measuring?.move(...this.at(x, y));
        else if (this.held === "view") this.drag(dx, dy, button);
      },
      early: () => viewer.refreshEarly(),
      pinch: (scale, dx, dy, x, y) => this.pinch(scale, dx, dy, x, y),
      tap: (x, y) => this.tap(x, y),
      doubleTap: (x, y) => {
        if (this.held !== "view" || viewer.measuring?.edit(...this.at(x, y))) return;
        if (viewer.view.zoom > 1) viewer.fit();
        else this.zoom(2, ...this.at(x, y));
      },
      longPress: (x, y) => this.press(x, y),
      longMove: (x, y) => {
        if (this.held === "measurement") viewer.measuring?.move(...this.at(x, y));
        else if (this.held === "view") loupe.show(...this.at(x, y));
      },
      longEnd: () => {
        if (this.held === "view") loupe.hide();
      },
      menu: (x, y) => {
        if (!viewer.measuring?.press(...this.at(x, y))) viewer.sheet.openAt(x, y);
      },
      wheel: (steps, event) => this.wheel(steps, event),
      end: (_vx, vy) => this.end(vy),
    });
    viewer.ui.close.addEventListener("click", () => viewer.leave());
    // Bars that hide, a turned phone, a keyboard that comes: whatever changes the stage's size.
    new ResizeObserver(() => viewer.refreshSoon()).observe(viewer.stage);
  }
}
