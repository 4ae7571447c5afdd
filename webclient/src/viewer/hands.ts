// What fingers, mouse, keys and the slider do to the view.

import { attachHands } from "../tools/gestures";
import {
  CT_PRESETS,
  clamp,
  dragWindow,
  flipped,
  panBy,
  pixelsPerFrame,
  type ViewState,
  zoomAt,
} from "../viewport/state";
import type { Viewer } from "./viewer";

export class ViewerHands {
  private travel = 0;
  private inertia = 0;

  constructor(private readonly viewer: Viewer) {}

  /** The viewport's size as fractions of the shown image at zoom 1. */
  shown(): { w: number; h: number } {
    const box = this.viewer.ui.stage.getBoundingClientRect();
    const info = this.viewer.manifest?.shared;
    const aspect = info?.spacing_mm ? info.spacing_mm[0] / info.spacing_mm[1] : 1;
    const columns = info?.columns ?? this.viewer.boot.first.width;
    const rows = (info?.rows ?? this.viewer.boot.first.height) * aspect;
    const turned = this.viewer.state.rotation % 180 !== 0;
    const [w, h] = turned ? [box.height, box.width] : [box.width, box.height];
    const scale = Math.min(w / columns, h / rows);
    return { w: box.width / (columns * scale), h: box.height / (rows * scale) };
  }

  /** End a glide. */
  rest(): void {
    window.cancelAnimationFrame(this.inertia);
  }

  private fraction(x: number, y: number): [number, number] {
    const box = this.viewer.ui.stage.getBoundingClientRect();
    return [(x - box.left) / box.width - 0.5, (y - box.top) / box.height - 0.5];
  }

  private drag(dx: number, dy: number, x: number, y: number, button: number): void {
    const box = this.viewer.ui.stage.getBoundingClientRect();
    const tool = button === 1 ? "pan" : button === 2 ? "zoom" : this.viewer.tool;
    if (tool === "window") {
      const now = this.viewer.painted?.header;
      const center =
        this.viewer.state.windowCenter ?? now?.window_center ?? this.viewer.boot.first.window_center ?? 40;
      const width =
        this.viewer.state.windowWidth ?? now?.window_width ?? this.viewer.boot.first.window_width ?? 400;
      const next = dragWindow(center, width, dx, dy);
      this.viewer.change({
        ...this.viewer.state,
        voi: "window",
        windowCenter: next.center,
        windowWidth: next.width,
      });
    } else if (tool === "zoom") {
      this.viewer.change(
        zoomAt(this.viewer.state, Math.exp(-dy / 150), ...this.fraction(x, y), this.shown()),
      );
    } else if (tool === "pan" || this.viewer.series.frame_count === 1) {
      if (this.viewer.state.zoom > 1)
        this.viewer.change(panBy(this.viewer.state, dx / box.width, dy / box.height, this.shown()));
    } else {
      this.travelBy(dy, box.height);
    }
  }

  private travelBy(dy: number, height: number): void {
    this.travel += dy;
    const step = pixelsPerFrame(this.viewer.series.frame_count, height);
    const frames = Math.trunc(this.travel / step);
    if (frames !== 0) {
      this.travel -= frames * step;
      this.viewer.scrollTo(this.viewer.state.frame + frames);
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
      this.travelBy(speed * dt, this.viewer.ui.stage.clientHeight);
      speed *= Math.exp(-dt / 220);
      if (Math.abs(speed) > 0.05) this.inertia = window.requestAnimationFrame(tick);
    };
    this.inertia = window.requestAnimationFrame(tick);
  }

  /** Start listening to fingers, mouse, keys and the slider. */
  listen(): void {
    attachHands(this.viewer.ui.stage, {
      drag: (dx, dy, x, y, button) => {
        window.cancelAnimationFrame(this.inertia);
        this.drag(dx, dy, x, y, button);
      },
      pinch: (scale, dx, dy, x, y) => {
        const box = this.viewer.ui.stage.getBoundingClientRect();
        const zoomed = zoomAt(this.viewer.state, scale, ...this.fraction(x, y), this.shown());
        this.viewer.change(panBy(zoomed, dx / box.width, dy / box.height, this.shown()));
      },
      tap: () => {
        if (!this.viewer.ui.sheet.hidden) this.viewer.toggleSheet(false);
        else this.viewer.ui.root.classList.toggle("bare");
      },
      doubleTap: (x, y) => {
        if (this.viewer.state.zoom > 1)
          this.viewer.change({ ...this.viewer.state, zoom: 1, centerX: 0.5, centerY: 0.5 });
        else this.viewer.change(zoomAt(this.viewer.state, 2, ...this.fraction(x, y), this.shown()));
      },
      wheel: (deltaY, event) => {
        const step = Math.sign(deltaY);
        if (event.ctrlKey) {
          this.viewer.change(
            zoomAt(
              this.viewer.state,
              step < 0 ? 1.15 : 1 / 1.15,
              ...this.fraction(event.clientX, event.clientY),
              this.shown(),
            ),
          );
        } else {
          const jump = event.shiftKey ? Math.max(1, Math.round(this.viewer.series.frame_count / 20)) : 1;
          this.viewer.scrollTo(this.viewer.state.frame + step * jump);
        }
      },
      end: (_vx, vy) => this.glide(vy),
    });
    this.viewer.ui.slider.addEventListener("input", () => {
      this.viewer.ui.bubble.classList.add("shown");
      this.viewer.scrollTo(Number(this.viewer.ui.slider.value));
    });
    this.viewer.ui.slider.addEventListener("change", () => this.viewer.ui.bubble.classList.remove("shown"));
    this.viewer.ui.more.addEventListener("click", () => this.viewer.toggleSheet());
    this.viewer.ui.close.addEventListener("click", () => this.viewer.leave());
    window.addEventListener("keydown", (event) => this.keyDown(event));
    let resized = 0;
    window.addEventListener("resize", () => {
      window.clearTimeout(resized);
      resized = window.setTimeout(() => this.viewer.ask(), 120);
    });
  }

  private keyDown(event: KeyboardEvent): void {
    if (event.isComposing || event.metaKey || event.ctrlKey || event.altKey) return;
    const focused = document.activeElement;
    if (focused instanceof HTMLInputElement && focused !== this.viewer.ui.slider) return;
    if (focused instanceof HTMLButtonElement && (event.key === " " || event.key === "Enter")) return;
    const last = this.viewer.series.frame_count - 1;
    const preset =
      this.viewer.series.modality === "CT" ? CT_PRESETS.find((p) => p.key === event.key) : undefined;
    const acts: Record<string, () => void> = {
      ArrowUp: () => this.viewer.scrollTo(this.viewer.state.frame - 1),
      ArrowDown: () => this.viewer.scrollTo(this.viewer.state.frame + 1),
      Home: () => this.viewer.scrollTo(0),
      End: () => this.viewer.scrollTo(last),
      PageDown: () => this.viewer.neighbour(1),
      PageUp: () => this.viewer.neighbour(-1),
      "0": () => this.viewer.setVoi("file"),
      i: () => this.viewer.change({ ...this.viewer.state, invert: !this.viewer.state.invert }),
      h: () => this.viewer.change(flipped(this.viewer.state, "horizontal")),
      v: () => this.viewer.change(flipped(this.viewer.state, "vertical")),
      r: () =>
        this.viewer.change({
          ...this.viewer.state,
          rotation: ((this.viewer.state.rotation + 90) % 360) as ViewState["rotation"],
        }),
      l: () =>
        this.viewer.change({
          ...this.viewer.state,
          rotation: ((this.viewer.state.rotation + 270) % 360) as ViewState["rotation"],
        }),
      "+": () => this.viewer.change(zoomAt(this.viewer.state, 1.25, 0, 0, this.shown())),
      "-": () => this.viewer.change(zoomAt(this.viewer.state, 0.8, 0, 0, this.shown())),
      "=": () => this.viewer.change({ ...this.viewer.state, zoom: 1, centerX: 0.5, centerY: 0.5 }),
      z: () => this.viewer.choose("zoom"),
      w: () => this.viewer.choose("window"),
      c: () => this.viewer.togglePlay(),
      " ": () => this.viewer.reset(),
      Escape: () => this.viewer.toggleSheet(false),
    };
    const act = preset
      ? () => this.viewer.setWindow(preset.center, preset.width)
      : (acts[event.key] ?? acts[event.key.toLowerCase()]);
    if (!act) return;
    event.preventDefault();
    act();
  }
}
