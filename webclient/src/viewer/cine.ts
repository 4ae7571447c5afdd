// Cine at the file's rate. It waits for its pictures: skipping would show a beat that the heart does not have.

import { clamp } from "../viewport/state";

export const USUAL_RATE_HZ = 15;

export interface CineSubject {
  /** Whether the picture that was asked for last is on screen. */
  settled(): boolean;
  next(): void;
  playing(on: boolean): void;
}

export class Cine {
  private timer = 0;

  constructor(private readonly subject: CineSubject) {}

  get playing(): boolean {
    return this.timer !== 0;
  }

  start(rateHz: number | null): void {
    this.stop();
    const rate = clamp(rateHz ?? USUAL_RATE_HZ, 1, 60);
    this.timer = window.setInterval(() => {
      if (this.subject.settled()) this.subject.next();
    }, 1000 / rate);
    this.subject.playing(true);
  }

  stop(): void {
    window.clearInterval(this.timer);
    this.timer = 0;
    this.subject.playing(false);
  }
}
