// The way to the server as pings show it: the shortest round trip of late, and when a silent line is dead.

const KEPT = 8;
const SHORTEST_DEAD_MS = 400;
const LONGEST_DEAD_MS = 3_000;

export class Way {
  private readonly trips: number[] = [];

  /** A ping sent at `at` (ms) was answered now. */
  answered(at: number, now: number): void {
    if (!(now >= at)) return;
    this.trips.push(now - at);
    if (this.trips.length > KEPT) this.trips.shift();
  }

  /** Another network: what was known of the old one says nothing. */
  forget(): void {
    this.trips.length = 0;
  }

  /** The shortest of the last round trips in ms; null before the first. */
  get roundTripMs(): number | null {
    return this.trips.length ? Math.min(...this.trips) : null;
  }

  /** A line that says nothing for so long after a ping is dead: a few round trips, the worst of late included. */
  get deadMs(): number {
    if (!this.trips.length) return LONGEST_DEAD_MS;
    const worst = Math.max(...this.trips);
    return Math.min(LONGEST_DEAD_MS, Math.max(SHORTEST_DEAD_MS, 3 * worst));
  }
}
