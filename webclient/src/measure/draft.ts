// A measurement that is being made: two taps or a drag (an angle: three taps, or a drag and a tap). Under 3 px it is nothing.

import { type ImagePoint, type Measurement, type MeasurementKind, POINTS_OF } from "../viewport/state";

/** CSS px on the screen: a trembling finger measures nothing. */
export const SHORTEST_PX = 3;

export class Draft {
  private readonly fixed: ImagePoint[] = [];
  /** The next point while it is on its way. */
  private moving: ImagePoint | null = null;
  /** The hand that is down put the first point there. */
  private isFirst = false;

  /** `distance`: between two image points on the screen, CSS px. */
  constructor(
    readonly kind: MeasurementKind,
    private readonly distance: (a: ImagePoint, b: ImagePoint) => number,
  ) {}

  get points(): readonly ImagePoint[] {
    return this.moving ? [...this.fixed, this.moving] : this.fixed;
  }

  /** A hand went down. */
  begin(at: ImagePoint): void {
    this.isFirst = this.fixed.length === 0;
    if (this.isFirst) this.fixed.push(at);
    else this.moving = at;
  }

  /** The hand, or a mouse between two clicks, is here. A point needs no second place. */
  move(at: ImagePoint): void {
    if (POINTS_OF[this.kind] === 1) this.fixed[0] = at;
    else this.moving = at;
  }

  /** The hand left: `done` with all points, `waiting` for the next one, or `nothing`. */
  end(): "done" | "waiting" | "nothing" {
    const { moving, fixed } = this;
    this.moving = null;
    const last = fixed[fixed.length - 1];
    if (moving && last) {
      if (this.distance(last, moving) >= SHORTEST_PX) fixed.push(moving);
      else if (this.isFirst) return "nothing";
    }
    return fixed.length >= POINTS_OF[this.kind] ? "done" : "waiting";
  }

  /** A second finger came; true when nothing is left. */
  abort(): boolean {
    this.moving = null;
    return this.isFirst;
  }

  /** As a measurement of an image, with as many points as there are. */
  of(image: { sopInstanceUid: string; frameNumber: number }): Measurement {
    const { sopInstanceUid, frameNumber } = image;
    const round = (value: number) => Math.round(value * 1000) / 1000;
    const points = this.points.map(([x, y]) => [round(x), round(y)] as const);
    return { kind: this.kind, sopInstanceUid, frameNumber, points, text: "" };
  }
}
