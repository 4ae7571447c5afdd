// What fingers, mouse, keys and the slider do to the view.

import { attachHands } from "../tools/gestures";
import { panBy, zoomAt } from "../viewport/placement";
import { CT_PRESETS, clamp, dragWindow, pixelsPerFrame } from "../viewport/state";
import type { Viewer } from "./viewer";

export class ViewerHands {
  private travel = 0;
  private inertia = 0;

  constructor(private readonly viewer: Viewer) {}

  /** End a glide. */
  rest(): void {
    window.cancelAnimationFrame(this.inertia);
  }

  /** Place on the stage, CSS px. */
  private at(x: number, y: number): [number, number] {
    const box = this.viewer.stage.getBoundingClientRect();
    return [x - box.left, y - box.top];
  }

  private zoom(factor: number, x: number, y: number): void {
    const { viewer } = this;
    viewer.change(zoomAt(viewer.view, factor, x, y, viewer.image(), viewer.box()));
  }

  private pan(dx: number, dy: number): void {
    const { viewer } = this;
    if (viewer.view.zoom > 1) viewer.change(panBy(viewer.view, dx, dy, viewer.image(), viewer.box()));
  }

  private middle(): [number, number] {
    const box = this.viewer.box();
    return [box.width / 2, box.height / 2];
  }

  private fit(): void {
    this.viewer.change({ ...this.viewer.view, zoom: 1, centerX: 0.5, centerY: 0.5 });
  }

  private drag(dx: number, dy: number, x: number, y: number, button: number): void {
    const tool = button === 1 ? "pan" : button === 2 ? "zoom" : this.viewer.tool;
    if (tool === "window") {
      const now = this.viewer.windowNow();
      const next = dragWindow(now.center, now.width, dx, dy);
      this.viewer.change({
        ...this.viewer.view,
        voi: "window",
        windowCenter: next.center,
        windowWidth: next.width,
      });
    } else if (tool === "zoom") this.zoom(Math.exp(-dy / 150), ...this.at(x, y));
    else if (tool === "pan" || this.viewer.series.frame_count === 1) this.pan(dx, dy);
    else this.travelBy(dy, this.viewer.box().height);
  }

  private travelBy(dy: number, height: number): void {
    this.travel += dy;
    const step = pixelsPerFrame(this.viewer.series.frame_count, height);
    const frames = Math.trunc(this.travel / step);
    if (frames !== 0) {
      this.travel -= frames * step;
      this.viewer.scrollTo(this.viewer.view.frame + frames);
    }
  }

  private glide(velocity: number): void {
    window.cancelAnimationFrame(this.inertia);
    if (
      this.viewer.tool !== "page" ||
      Math.abs(velocity) < 0.3 ||
      matchMedia("(prefers-reduced-motion: reduce)").matches
    )
      return;
    let last = performance.now();
    let speed = clamp(velocity, -4, 4);
    const tick = (now: number) => {
      const dt = now - last;
      last = now;
      this.travelBy(speed * dt, this.viewer.stage.clientHeight);
      speed *= Math.exp(-dt / 220);
      if (Math.abs(speed) > 0.05) this.inertia = window.requestAnimationFrame(tick);
    };
    this.inertia = window.requestAnimationFrame(tick);
  }

  /** Start listening to fingers, mouse, keys and the slider. */
  listen(): void {
    attachHands(this.viewer.stage, {
      drag: (dx, dy, x, y, button) => {
        window.cancelAnimationFrame(this.inertia);
        this.drag(dx, dy, x, y, button);
      },
      pinch: (scale, dx, dy, x, y) => {
        const { viewer } = this;
        const zoomed = zoomAt(viewer.view, scale, ...this.at(x, y), viewer.image(), viewer.box());
        viewer.change(panBy(zoomed, dx, dy, viewer.image(), viewer.box()));
      },
      tap: () => {
        if (this.viewer.sheet.isOpen) this.viewer.sheet.toggle(false);
        else this.viewer.ui.root.classList.toggle("bare");
      },
      doubleTap: (x, y) => {
        if (this.viewer.view.zoom > 1) this.fit();
        else this.zoom(2, ...this.at(x, y));
      },
      wheel: (deltaY, event) => {
        const step = Math.sign(deltaY);
        if (event.ctrlKey) {
          this.zoom(step < 0 ? 1.15 : 1 / 1.15, ...this.at(event.clientX, event.clientY));
        } else {
          const jump = event.shiftKey ? Math.max(1, Math.round(this.viewer.series.frame_count / 20)) : 1;
          this.viewer.scrollTo(this.viewer.view.frame + step * jump);
        }
      },
      end: (_vx, vy) => this.glide(vy),
    });
    this.viewer.ui.slider.addEventListener("input", () => {
      this.viewer.ui.bubble.classList.add("shown");
      this.viewer.scrollTo(Number(this.viewer.ui.slider.value));
    });
    this.viewer.ui.slider.addEventListener("change", () => this.viewer.ui.bubble.classList.remove("shown"));
    this.viewer.ui.close.addEventListener("click", () => this.viewer.leave());
    window.addEventListener("keydown", (event) => this.keyDown(event));
    let resized = 0;
    window.addEventListener("resize", () => {
      window.clearTimeout(resized);
      resized = window.setTimeout(() => this.viewer.refresh(), 120);
    });
  }

  private keyDown(event: KeyboardEvent): void {
    if (event.isComposing || event.altKey) return;
    if (event.metaKey || event.ctrlKey) {
      const key = event.key.toLowerCase();
      if (key !== "z" && key !== "y") return;
      event.preventDefault();
      this.viewer.undo(key === "y" || event.shiftKey);
      return;
    }
    const focused = document.activeElement;
    if (focused instanceof HTMLInputElement && focused !== this.viewer.ui.slider) return;
    if (focused instanceof HTMLButtonElement && (event.key === " " || event.key === "Enter")) return;
    const last = this.viewer.series.frame_count - 1;
    const preset =
      this.viewer.series.modality === "CT" ? CT_PRESETS.find((p) => p.key === event.key) : undefined;
    const acts: Record<string, () => void> = {
      ArrowUp: () => this.viewer.scrollTo(this.viewer.view.frame - 1),
      ArrowDown: () => this.viewer.scrollTo(this.viewer.view.frame + 1),
      Home: () => this.viewer.scrollTo(0),
      End: () => this.viewer.scrollTo(last),
      PageDown: () => this.viewer.neighbour(1),
      PageUp: () => this.viewer.neighbour(-1),
      "0": () => this.viewer.setVoi("file"),
      i: () => this.viewer.invert(),
      h: () => this.viewer.flip("horizontal"),
      v: () => this.viewer.flip("vertical"),
      r: () => this.viewer.rotate(90),
      l: () => this.viewer.rotate(-90),
      "+": () => this.zoom(1.25, ...this.middle()),
      "-": () => this.zoom(0.8, ...this.middle()),
      "=": () => this.fit(),
      z: () => this.viewer.choose("zoom"),
      w: () => this.viewer.choose("window"),
      p: () => this.viewer.choose("pan"),
      c: () => this.viewer.togglePlay(),
      " ": () => this.viewer.reset(),
      Escape: () => this.viewer.sheet.toggle(false),
    };
    const act = preset
      ? () => this.viewer.setWindow(preset.center, preset.width)
      : (acts[event.key] ?? acts[event.key.toLowerCase()]);
    if (!act) return;
    event.preventDefault();
    act();
  }
}
