// Reads pictures ahead, a few at a time, so that the picture that is waited for is never behind many others.

/** Slots are viewports of the stream: each has one view under way. */
const MOST_SLOTS = 3;
const QUICK_MS = 150;

export interface AheadSource {
  /** Ask for this frame's preview on the viewport. */
  ask(frame: number, viewport: string): void;
  /** Whether the picture is here or was refused. */
  has(frame: number): boolean;
}

export class ReadAhead {
  private queue: number[] = [];
  private readonly underWay = new Map<string, { frame: number; since: number }>();
  private slots = 1;
  private paused = false;

  constructor(
    private readonly source: AheadSource,
    private readonly now: () => number = () => performance.now(),
  ) {}

  /** Nearest first; what was planned before is forgotten, what is under way comes still. */
  plan(frames: readonly number[]): void {
    this.queue = frames.filter((frame) => !this.source.has(frame));
    this.fill();
  }

  /** While the wanted picture is under way nothing new is asked for. */
  pause(paused: boolean): void {
    this.paused = paused;
    this.fill();
  }

  /** A picture or a refusal came for a viewport. True when it was one of these. */
  done(viewport: string): boolean {
    const began = this.underWay.get(viewport);
    if (!began) return viewport.startsWith("ahead");
    this.underWay.delete(viewport);
    // A quick line takes several at once; on a slow one each would only wait for the others.
    const quick = this.now() - began.since < QUICK_MS * this.slots;
    this.slots = Math.max(1, Math.min(MOST_SLOTS, this.slots + (quick ? 1 : -1)));
    this.fill();
    return true;
  }

  /** The line was lost, or other pictures are wanted: nothing is under way. */
  reset(): void {
    this.queue = [];
    this.underWay.clear();
  }

  get pending(): number {
    return this.underWay.size;
  }

  private fill(): void {
    const busy = new Set([...this.underWay.values()].map((one) => one.frame));
    while (!this.paused && this.underWay.size < this.slots) {
      const frame = this.queue.shift();
      if (frame === undefined) return;
      if (busy.has(frame) || this.source.has(frame)) continue;
      const viewport = [0, 1, 2].map((slot) => `ahead${slot}`).find((name) => !this.underWay.has(name));
      if (!viewport) return;
      this.underWay.set(viewport, { frame, since: this.now() });
      this.source.ask(frame, viewport);
    }
  }
}
