// Cine at the file's rate. It waits for its pictures: skipping would show a beat that the heart does not have.

import { clamp } from "../viewport/state";

export const USUAL_RATE_HZ = 15;
const RATES_HZ = [1, 2, 5, 8, 10, 12, 15, 20, 25, 30, 40, 50, 60];

export interface CineSubject {
  frame(): number;
  count(): number;
  /** Whether the picture that was asked for last is on screen. */
  settled(): boolean;
  show(frame: number): void;
  /** Started, stopped, or another rate. */
  changed(): void;
}

/** The next slower or quicker of the usual rates. */
export function nextRate(rateHz: number, step: 1 | -1): number {
  const sorted = step > 0 ? RATES_HZ : [...RATES_HZ].reverse();
  return sorted.find((rate) => (rate - rateHz) * step > 1e-6) ?? clamp(rateHz, 1, 60);
}

/** The frames that are played, both ends included. */
export type CineRange = readonly [first: number, last: number];

/** The frame after `frame`, and the way on: in a swing it turns at both ends of the range. */
export function nextFrame(
  frame: number,
  [first, last]: CineRange,
  way: 1 | -1,
  swing: boolean,
): [number, 1 | -1] {
  if (!swing) return [frame < first || frame >= last ? first : frame + 1, 1];
  const turned = frame + way < first ? 1 : frame + way > last ? -1 : way;
  return [clamp(frame + turned, first, last), turned];
}

export class Cine {
  private request = 0;
  private due = 0;
  private way: 1 | -1 = 1;
  private shownAt: number[] = [];
  rateHz = USUAL_RATE_HZ;
  swing = false;
  /** What was marked; null: the series' own end. */
  private first: number | null = null;
  private last: number | null = null;

  constructor(private readonly subject: CineSubject) {}

  get playing(): boolean {
    return this.request !== 0;
  }

  /** Pictures shown in the last second. */
  get realRateHz(): number {
    return this.shownAt.length;
  }

  start(rateHz: number | null): void {
    this.stop();
    this.rateHz = clamp(rateHz ?? USUAL_RATE_HZ, 1, 60);
    this.due = performance.now();
    this.request = window.requestAnimationFrame((now) => this.tick(now));
    this.subject.changed();
  }

  stop(): void {
    window.cancelAnimationFrame(this.request);
    this.request = 0;
    this.shownAt = [];
    this.subject.changed();
  }

  faster(step: 1 | -1): void {
    this.rateHz = nextRate(this.rateHz, step);
    this.subject.changed();
  }

  toggleSwing(): void {
    this.swing = !this.swing;
    this.subject.changed();
  }

  get range(): CineRange {
    const end = this.subject.count() - 1;
    const last = Math.min(this.last ?? end, end);
    return [Math.min(this.first ?? 0, last), last];
  }

  isMarked(end: "first" | "last"): boolean {
    return this[end] !== null;
  }

  /** The range begins or ends at the frame on screen; marked again, at the series' own end. */
  mark(end: "first" | "last"): void {
    this[end] = this[end] === null ? this.subject.frame() : null;
    // An end beyond the other one was meant for a new range.
    if (this.first !== null && this.last !== null && this.first >= this.last)
      this[end === "first" ? "last" : "first"] = null;
    this.subject.changed();
  }

  /** Another series: its own ends. */
  unmark(): void {
    this.first = this.last = null;
  }

  private tick(now: number): void {
    this.request = window.requestAnimationFrame((next) => this.tick(next));
    // A screen's frames come a little early or late: what is due within 2 ms is due.
    if (now + 2 < this.due || !this.subject.settled()) return;
    // Late by more than one picture: the rate starts anew, nothing is made up for.
    const period = 1000 / this.rateHz;
    this.due = now - this.due < period ? this.due + period : now + period;
    const [frame, way] = nextFrame(this.subject.frame(), this.range, this.way, this.swing);
    this.way = way;
    this.subject.show(frame);
    const second = Math.floor(now / 1000);
    const before = Math.floor((this.shownAt[this.shownAt.length - 1] ?? now) / 1000);
    this.shownAt = this.shownAt.filter((at) => now - at < 1000);
    this.shownAt.push(now);
    if (second !== before) this.subject.changed();
  }
}
