// One picture of the volume: asks for what the page's state says, shows what comes, names it.

import type { PictureHeader } from "../net/stream";
import { element } from "../viewer/dom";
import { letters, opposite } from "../viewport/geometry";
import type { OverlayWindow } from "./fusion";
import {
  axesOf,
  type Bounds,
  type Camera,
  type Directions,
  dot,
  minus,
  type Size,
  subtract,
  type Vector,
} from "./geometry";
import type { Kind, PageState } from "./state";
import type { VolumeWords } from "./words";

export interface VolumeReport {
  readonly missing?: number;
  readonly tilt_degrees?: number;
  readonly resampled?: readonly string[];
}

export interface VolumeHeader extends PictureHeader {
  complete?: number;
  center_mm?: Vector;
  row_direction?: Vector;
  column_direction?: Vector;
  pixel_spacing_mm?: number;
  camera?: Camera & { parallel_scale_mm?: number | null };
  report?: VolumeReport;
  overlay?: OverlayWindow;
  /** How many volumes the series has. */
  stacks?: number;
}

/** What panes need of their page. */
export interface PaneHost {
  readonly words: VolumeWords;
  readonly state: PageState;
  /** Null until the series' manifest is here, or where it tells no places. */
  readonly bounds: Bounds | null;
  /** Where the volume lies is known, or has not become known for long. */
  readonly ready: boolean;
  /** Left and right are told as words too. */
  readonly plainSides: boolean;
  change(next: PageState): void;
  /** The hand has left: what comes is another step of undo. */
  rest(): void;
  want(viewport: string, message: Record<string, unknown> | null): void;
  /** A picture came. */
  learn(header: VolumeHeader, kind: Kind): void;
  /** A hand is on this pane. */
  touched(kind: Kind): void;
  /** This pane alone, or all of them again. */
  toggleAlone(kind: Kind): void;
}

/** Where a picture lies: its middle, directions, and the millimetres of its height. */
interface Placed extends Directions {
  readonly middle: Vector;
  readonly heightMm: number;
}

const MOST_PIXELS = 1400;
const AGAIN_MS = 1000;
/** While a picture is awaited the next wish waits so long: 4 panes stay far below the stream's rate. */
const BETWEEN_MS = 60;
/** A picture that is awaited longer is told of: what is on screen shows what was. */
const SLOW_MS = 600;
const SMALL_PX = 260;
let generation = 0;

export abstract class Pane {
  readonly viewport: string;
  readonly place: HTMLElement;
  protected readonly canvas = element("canvas", { "aria-hidden": "true" });
  private readonly state = element("span", { class: "state", role: "status" });
  private readonly facts = element("span", { class: "facts" });
  private readonly sides = ["left", "right", "top", "bottom"].map((side) =>
    element("span", { class: `side ${side}`, "aria-hidden": "true" }),
  );
  private pictured: Placed | null = null;
  private drawn = 0;
  private drawnQuality = "";
  private asked = 0;
  /** What was asked for earlier is not shown. */
  private floor = 0;
  private askedAt = Number.NEGATIVE_INFINITY;
  private wish = "";
  private frame = 0;
  private timer = 0;
  private again = 0;
  private slow = 0;

  constructor(
    readonly kind: Kind,
    protected readonly host: PaneHost,
  ) {
    this.viewport = `volume-${kind}`;
    const name = element("span", { class: "name" }, host.words.names[kind] ?? "");
    this.state.textContent = host.words.loading;
    this.place = element("div", { class: "pane", "data-kind": kind });
    this.place.append(this.canvas, name, this.state, this.facts, ...this.sides);
  }

  /** What the server must know before the view that is about to be sent. */
  protected prepare(): void {
    // A plane says all that it needs.
  }
  /** Changes with what a view shows and its message does not tell. */
  protected get revision(): string {
    return "";
  }
  /** Fields of the message that show the state; null while it cannot be told. */
  protected abstract message(): Record<string, unknown> | null;
  /** Where the picture of the state lies. */
  protected abstract placed(): Placed | null;
  /** What lies on the picture follows the state. */
  protected abstract overlay(): void;
  /** The line in the lower corner. */
  protected abstract told(): string;

  get size(): Size {
    return { width: this.place.clientWidth || 1, height: this.place.clientHeight || 1 };
  }

  get isSeen(): boolean {
    return this.place.clientWidth > 0;
  }

  /** Millimetres of a CSS px. */
  get mmOfPx(): number {
    const placed = this.placed();
    return placed ? placed.heightMm / this.size.height : 1;
  }

  /** The state changed: what is here follows at once, the rest is asked for. */
  refresh(): void {
    if (!this.isSeen) return;
    this.place.classList.toggle("small", this.size.width < SMALL_PX);
    this.move();
    this.overlay();
    this.facts.textContent = this.told();
    const message = this.host.ready ? this.message() : null;
    if (message && this.keyOf(message) !== this.wish) this.askSoon();
  }

  private keyOf(message: Record<string, unknown>): string {
    return JSON.stringify(message) + this.revision;
  }

  /** The same again: the volume has more slices, or other ones. */
  askAgain(): void {
    this.wish = "";
    this.refresh();
  }

  /** The line was lost: what was asked over it may come back as another picture. */
  distrust(): void {
    this.floor = generation + 1;
    this.askAgain();
  }

  askLater(): void {
    window.clearTimeout(this.again);
    this.again = window.setTimeout(() => this.askAgain(), AGAIN_MS);
  }

  stop(): void {
    window.cancelAnimationFrame(this.frame);
    window.clearTimeout(this.timer);
    window.clearTimeout(this.again);
    window.clearTimeout(this.slow);
    this.frame = this.timer = 0;
    this.host.want(this.viewport, null);
  }

  /** At most once for each frame of the screen, and not faster than pictures come. */
  private askSoon(): void {
    this.place.dataset["state"] = "asking";
    if (!this.frame && !this.timer) this.frame = window.requestAnimationFrame(() => this.ask());
  }

  private ask(): void {
    this.frame = 0;
    const early = this.askedAt + BETWEEN_MS - performance.now();
    if (this.drawn < this.asked && early > 0) {
      this.timer = window.setTimeout(() => {
        this.timer = 0;
        this.ask();
      }, early);
      return;
    }
    const message = this.isSeen ? this.message() : null;
    const wish = message && this.keyOf(message);
    if (!message || !wish || wish === this.wish) {
      this.nameState();
      return;
    }
    window.clearTimeout(this.again);
    generation += 1;
    this.wish = wish;
    this.asked = generation;
    this.askedAt = performance.now();
    window.clearTimeout(this.slow);
    this.slow = window.setTimeout(() => this.tellSlow(), SLOW_MS);
    this.prepare();
    this.host.want(this.viewport, { t: "view", ...message, viewport: this.viewport, generation });
  }

  /** `settled`: the full picture of what was asked for last is here. */
  private nameState(): void {
    const isWaiting = this.frame > 0 || this.timer > 0;
    const isHere = this.drawn === this.asked && this.drawnQuality === "refined" && !isWaiting;
    this.place.dataset["state"] = isHere ? "settled" : "asking";
  }

  /** Pixels to ask for. */
  protected pixels(): Size {
    const { width, height } = this.size;
    const ratio = Math.min(window.devicePixelRatio || 1, MOST_PIXELS / Math.max(width, height));
    return { width: Math.max(1, Math.round(width * ratio)), height: Math.max(1, Math.round(height * ratio)) };
  }

  // What comes --------------------------------------------------------------------------------------------------

  async receive(header: VolumeHeader, bytes: ArrayBuffer): Promise<void> {
    const bitmap = await createImageBitmap(new Blob([bytes], { type: header.media_type })).catch(() => null);
    const isPoorer =
      header.generation === this.drawn && this.drawnQuality === "refined" && header.quality === "preview";
    if (!bitmap || header.generation < Math.max(this.drawn, this.floor) || isPoorer) return;
    this.drawn = header.generation;
    this.drawnQuality = header.quality;
    this.canvas.width = bitmap.width;
    this.canvas.height = bitmap.height;
    this.canvas.getContext("2d")?.drawImage(bitmap, 0, 0);
    bitmap.close();
    this.pictured = placeOf(header);
    this.host.learn(header, this.kind);
    this.move();
    this.nameSides();
    this.tell(header);
  }

  private tell(header: VolumeHeader): void {
    const { words } = this.host;
    const complete = header.complete ?? 100;
    const { dataset } = this.place;
    dataset["quality"] = header.quality;
    this.nameState();
    dataset["complete"] = String(complete);
    this.state.classList.toggle("incomplete", complete < 100);
    const quality = header.quality === "refined" ? words.settled : words.preview;
    this.state.textContent = complete < 100 ? `${words.incomplete} ${complete} %` : `◐ ${quality}`;
    const isLast = header.generation === this.asked && header.quality === "refined";
    if (isLast && complete < 100) this.askLater();
  }

  /** How much of an incomplete volume is here says more. */
  private tellSlow(): void {
    const isIncomplete = this.state.classList.contains("incomplete");
    if (this.drawn < this.asked && !isIncomplete) this.state.textContent = this.host.words.loading;
  }

  fail(text: string): void {
    window.clearTimeout(this.slow);
    this.state.textContent = text;
  }

  /** The picture that is here where the state wants it, until the wanted one comes. */
  private move(): void {
    const [from, to] = [this.pictured, this.placed()];
    const { style } = this.canvas;
    style.transform = "";
    if (!from || !to || dot(from.right, to.right) < 0.9999 || dot(from.down, to.down) < 0.9999) return;
    const mm = to.heightMm / this.size.height;
    const shift = subtract(from.middle, to.middle);
    const [x, y] = [dot(shift, to.right) / mm, dot(shift, to.down) / mm];
    const scale = from.heightMm / to.heightMm;
    if (Math.abs(x) + Math.abs(y) < 0.5 && Math.abs(scale - 1) < 1e-3) return;
    style.transform = `translate(${x}px,${y}px) scale(${scale})`;
  }

  private nameSides(): void {
    if (!this.pictured) return;
    const { right, down } = this.pictured;
    const [east, south] = [letters(right), letters(down)];
    const texts = [opposite(east), east, opposite(south), south];
    this.sides.forEach((place, index) => {
      const text = texts[index] ?? "";
      place.textContent = this.host.plainSides ? (this.host.words.sides[text] ?? text) : text;
    });
  }
}

/** Where a picture lies, by its header. */
function placeOf(header: VolumeHeader): Placed | null {
  const { camera, center_mm: middle, row_direction: right, column_direction: down } = header;
  if (camera?.parallel_scale_mm) {
    const { right: across, up } = axesOf(camera);
    const heightMm = 2 * camera.parallel_scale_mm;
    return { middle: camera.focal_point, right: across, down: minus(up), heightMm };
  }
  if (!middle || !right || !down || !header.pixel_spacing_mm) return null;
  return { middle, right, down, heightMm: header.pixel_spacing_mm * header.height };
}
