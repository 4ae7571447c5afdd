// What the server tells of a series' volumes besides pictures: its phases, and how a volume's values are spread
// (docs/stream-protocol.md, rules 29 and 30).

import { type Bounds, dot, type Vector } from "./geometry";
import { received, type SentPoint, type TransferPoint } from "./transfer";

/** One volume of the series. */
export interface Stack {
  readonly slices: number;
  readonly spacing_mm: Vector;
  readonly bounds_mm: readonly [Vector, Vector];
  readonly normal: Vector;
  readonly time_s: number | null;
}

export interface Spread {
  readonly low: number;
  readonly high: number;
  readonly counts: readonly number[];
  readonly unit: string;
  /** Per cent of the slices that it was counted over. */
  readonly complete: number;
  /** Every preset in this volume's values. */
  readonly presets: Readonly<Record<string, readonly TransferPoint[]>>;
}

export const VIEWPORT = "volume-facts";
const AGAIN_MS = 1500;
const PATIENCE_MS = 15_000;
const MOST_TRIES = 20;

type Fields = Record<string, unknown>;

/** Millimetres between neighbouring voxels along a direction, at least 0.3. */
export function stackStepMm(stack: Stack, direction: Vector): number {
  const along = Math.abs(dot(direction, stack.normal));
  const [columns, , slices] = stack.spacing_mm;
  return Math.max(0.3, Math.hypot(along * slices, Math.sqrt(Math.max(0, 1 - along ** 2)) * columns));
}

export class Facts {
  stacks: readonly Stack[] = [];
  /** The server said that there is no spread to tell. */
  refused = "";
  private readonly spreads = new Map<number, Spread>();
  private askedStacks = Number.NEGATIVE_INFINITY;
  private askedSpread = Number.NEGATIVE_INFINITY;
  private tries = 0;
  private timer = 0;

  constructor(
    private readonly series: number,
    private readonly language: "zh" | "en",
    private readonly send: (message: Fields) => void,
    private readonly changed: () => void,
  ) {}

  /** Pictures told that there are several volumes. */
  learn(count: number): void {
    if (count < 2 || this.stacks.length > 0 || this.askedStacks + PATIENCE_MS > performance.now()) return;
    this.askedStacks = performance.now();
    this.send({ t: "stacks", viewport: VIEWPORT, series: this.series });
  }

  /** The spread of a volume; asked for where it is not here, again while slices are missing. */
  spread(stack: number): Spread | null {
    const found = this.spreads.get(stack) ?? null;
    const wait = found ? AGAIN_MS : PATIENCE_MS;
    const isWanted = (!found || found.complete < 100) && this.tries < MOST_TRIES && !this.refused;
    if (isWanted && this.askedSpread + wait <= performance.now()) {
      this.askedSpread = performance.now();
      this.tries += 1;
      this.send({ t: "histogram", viewport: VIEWPORT, series: this.series, stack });
    }
    return found;
  }

  /** Of a volume's values; "" where it is not known ("US": unspecified, PS3.3 C.11.1.1.2). */
  unit(stack: number): string {
    const unit = this.spreads.get(stack)?.unit ?? "";
    return unit === "US" ? "" : unit;
  }

  hear(message: Fields): void {
    if (message["t"] === "error") {
      const told = message["message"] as Record<string, string> | undefined;
      if (message["of"] === "histogram") this.refused = told?.[this.language] ?? String(message["code"]);
    } else if (message["series"] !== this.series) return;
    else if (message["t"] === "stacks") this.stacks = message["stacks"] as Stack[];
    else if (message["t"] === "histogram") this.hearSpread(message);
    this.changed();
  }

  private hearSpread(message: Fields): void {
    const presets = Object.entries(message["presets"] as Record<string, SentPoint[]>);
    const spread = {
      ...(message as unknown as Spread),
      presets: Object.fromEntries(presets.map(([name, points]) => [name, received(points)])),
    };
    this.spreads.set(Number(message["stack"]), spread);
    this.askedSpread = Number.NEGATIVE_INFINITY;
    window.clearTimeout(this.timer);
    if (spread.complete < 100) this.timer = window.setTimeout(() => this.changed(), AGAIN_MS);
  }

  /** The series has other images, or the line was lost: what is known may be old. */
  forget(): void {
    this.stacks = [];
    this.spreads.clear();
    this.refused = "";
    this.tries = 0;
    this.retry();
  }

  /** The line is back: what was asked over the lost one is never answered. */
  retry(): void {
    this.askedStacks = this.askedSpread = Number.NEGATIVE_INFINITY;
  }

  stop(): void {
    window.clearTimeout(this.timer);
  }

  /** The box of one of several volumes; null where it is not known. */
  bounds(stack: number): Bounds | null {
    const corners = this.stacks[stack]?.bounds_mm;
    return corners ? { low: corners[0], high: corners[1] } : null;
  }
}
