// One picture of the volume: a plane or the rendering, with what a hand does to it.

import type { PictureHeader } from "../net/stream";
import { element } from "../viewer/dom";
import {
  axesOf,
  type Bounds,
  type Camera,
  cross,
  letterOf,
  rotated,
  stepped,
  type Vector,
  zoomed,
} from "./geometry";
import type { VolumeWords } from "./words";

export type Kind = "axial" | "coronal" | "sagittal" | "volume";

export interface VolumeHeader extends PictureHeader {
  complete?: number;
  center_mm?: Vector;
  row_direction?: Vector;
  column_direction?: Vector;
  pixel_spacing_mm?: number;
  camera?: Camera;
}

/** What the panes of a page share. */
export interface PaneHost {
  readonly words: VolumeWords;
  /** The point that all planes go through; null until the server told the middle. */
  center: Vector | null;
  bounds(): Bounds | null;
  /** Message fields that every view of the series has. */
  common(): Record<string, unknown>;
  want(viewport: string, message: Record<string, unknown> | null): void;
  /** The shared point moved. */
  moved(by: Pane): void;
}

const MOST_PIXELS = 1400;
const AGAIN_MS = 1000;
let generation = 0;

export class Pane {
  readonly viewport: string;
  readonly place: HTMLElement;
  transfer = "";
  private readonly canvas = element("canvas", { "aria-hidden": "true" });
  private readonly state = element("span", { class: "state", role: "status" });
  private readonly letters = ["left", "right", "top", "bottom"].map((side) =>
    element("span", { class: `side ${side}`, "aria-hidden": "true" }),
  );
  private readonly pointers = new Map<number, { x: number; y: number }>();
  private camera: Camera | string = "A";
  private spacing: number | null = null;
  private normal: Vector | null = null;
  /** Millimetres of a device pixel, as the server settled them. */
  private pixelMm = 1;
  private drawn = 0;
  private asked = 0;
  private frame = 0;
  private again = 0;

  constructor(
    readonly kind: Kind,
    private readonly host: PaneHost,
  ) {
    this.viewport = `volume-${kind}`;
    const name = element("span", { class: "name" }, host.words.names[kind] ?? "");
    this.state.textContent = host.words.loading;
    this.place = element("div", { class: "pane", "data-kind": kind });
    this.place.append(this.canvas, name, this.state, ...this.letters);
    this.listen();
  }

  get isSeen(): boolean {
    return this.place.clientWidth > 0;
  }

  /** At most once for each frame of the screen. */
  ask(): void {
    if (!this.frame) this.frame = window.requestAnimationFrame(() => this.send());
  }

  stop(): void {
    window.cancelAnimationFrame(this.frame);
    window.clearTimeout(this.again);
    this.frame = 0;
    this.host.want(this.viewport, null);
  }

  askLater(): void {
    window.clearTimeout(this.again);
    this.again = window.setTimeout(() => this.ask(), AGAIN_MS);
  }

  look(from: string): void {
    this.camera = from;
    this.ask();
  }

  private send(): void {
    this.frame = 0;
    if (!this.isSeen) return;
    window.clearTimeout(this.again);
    generation += 1;
    this.asked = generation;
    this.host.want(this.viewport, {
      ...this.host.common(),
      ...this.size(),
      ...(this.kind === "volume" ? this.rendering() : this.plane()),
      viewport: this.viewport,
      generation,
    });
  }

  private size(): { width: number; height: number } {
    const { clientWidth, clientHeight } = this.place;
    const most = MOST_PIXELS / Math.max(clientWidth, clientHeight);
    const ratio = Math.min(window.devicePixelRatio || 1, most);
    return { width: Math.round(clientWidth * ratio), height: Math.round(clientHeight * ratio) };
  }

  private rendering(): Record<string, unknown> {
    return { kind: "volume", camera: this.camera, transfer: this.transfer };
  }

  private plane(): Record<string, unknown> {
    const { center } = this.host;
    return {
      kind: "slab",
      plane: this.kind,
      ...(center ? { center_mm: center } : {}),
      ...(this.spacing ? { pixel_spacing_mm: this.spacing } : {}),
    };
  }

  // What comes --------------------------------------------------------------------------------------------------

  async receive(header: VolumeHeader, bytes: ArrayBuffer): Promise<void> {
    const bitmap = await createImageBitmap(new Blob([bytes], { type: header.media_type })).catch(() => null);
    if (!bitmap || header.generation < this.drawn) return;
    this.drawn = header.generation;
    this.canvas.width = bitmap.width;
    this.canvas.height = bitmap.height;
    this.canvas.getContext("2d")?.drawImage(bitmap, 0, 0);
    bitmap.close();
    this.learn(header);
    this.place.dataset["quality"] = header.quality;
    const complete = header.complete ?? 100;
    this.state.textContent = complete < 100 ? `${this.host.words.incomplete} ${complete} %` : "";
    const isLast = header.generation === this.asked && header.quality === "refined";
    if (isLast && complete < 100) this.askLater();
  }

  private learn(header: VolumeHeader): void {
    if (header.camera) {
      if (typeof this.camera === "string" && header.generation === this.asked) this.camera = header.camera;
      const { right, up } = axesOf(header.camera);
      this.mark(right, [-up[0], -up[1], -up[2]]);
    }
    const { row_direction: row, column_direction: column } = header;
    if (!row || !column) return;
    this.host.center = this.host.center ?? header.center_mm ?? null;
    this.normal = cross(row, column);
    if (header.quality === "refined" && header.pixel_spacing_mm) this.pixelMm = header.pixel_spacing_mm;
    this.mark(row, column);
  }

  private mark(right: Vector, down: Vector): void {
    const minus = (v: Vector): Vector => [-v[0], -v[1], -v[2]];
    [minus(right), right, minus(down), down].forEach((direction, index) => {
      const letter = this.letters[index];
      if (letter) letter.textContent = letterOf(direction);
    });
  }

  fail(text: string): void {
    this.state.textContent = text;
  }

  // What a hand does --------------------------------------------------------------------------------------------

  private listen(): void {
    const { canvas } = this;
    canvas.addEventListener("pointerdown", (event) => {
      canvas.setPointerCapture(event.pointerId);
      this.pointers.set(event.pointerId, { x: event.clientX, y: event.clientY });
    });
    canvas.addEventListener("pointermove", (event) => this.drag(event));
    for (const end of ["pointerup", "pointercancel"] as const)
      canvas.addEventListener(end, (event) => this.pointers.delete(event.pointerId));
    canvas.addEventListener(
      "wheel",
      (event) => {
        event.preventDefault();
        this.zoom(Math.exp(-event.deltaY * 0.0015));
      },
      { passive: false },
    );
    canvas.addEventListener("dblclick", () => {
      this.spacing = null;
      this.ask();
    });
  }

  private spread(): number {
    const [one, other] = [...this.pointers.values()];
    return one && other ? Math.hypot(one.x - other.x, one.y - other.y) : 0;
  }

  private drag(event: PointerEvent): void {
    const before = this.pointers.get(event.pointerId);
    if (!before) return;
    const spread = this.spread();
    const now = { x: event.clientX, y: event.clientY };
    this.pointers.set(event.pointerId, now);
    if (this.pointers.size === 2) {
      if (spread > 0) this.zoom(this.spread() / spread);
    } else if (this.pointers.size === 1) this.move(now.x - before.x, now.y - before.y);
  }

  private move(dx: number, dy: number): void {
    if (this.kind === "volume") {
      if (typeof this.camera === "string") return; // where it stands is not known yet
      const height = this.place.clientHeight;
      this.camera = rotated(this.camera, dx / height, dy / height);
      this.ask();
      return;
    }
    const { center } = this.host;
    if (!center || !this.normal) return;
    this.host.center = stepped(center, this.normal, dy / 2, this.host.bounds());
    this.host.moved(this);
  }

  private zoom(factor: number): void {
    if (this.kind !== "volume")
      this.spacing = Math.min(10, Math.max(0.02, (this.spacing ?? this.pixelMm) / factor));
    else if (typeof this.camera !== "string") this.camera = zoomed(this.camera, factor);
    this.ask();
  }
}
