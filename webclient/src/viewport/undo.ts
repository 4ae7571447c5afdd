// Undo and redo of one value. What one gesture changes is one step; what `kept` leaves out is no step at all.

const MOST = 100;

export class Undo<T> {
  private readonly past: T[] = [];
  private readonly future: T[] = [];
  private open = false;

  /**
   * `kept`: a text of what an undo brings back; changes that leave it as it was (paging) are not remembered.
   * `restored`: the value to go back to, with what is to stay of the present one.
   */
  constructor(
    private readonly kept: (value: T) => string,
    private readonly restored: (found: T, now: T) => T = (found) => found,
  ) {}

  /** The value is about to change. Changes until `rest` are one step. */
  note(before: T, after: T): void {
    if (this.kept(before) === this.kept(after)) return;
    if (!this.open) {
      this.past.push(before);
      if (this.past.length > MOST) this.past.shift();
      this.future.length = 0;
    }
    this.open = true;
  }

  /** The hand has left: the next change is a step of its own. */
  rest(): void {
    this.open = false;
  }

  get canUndo(): boolean {
    return this.past.length > 0;
  }

  get canRedo(): boolean {
    return this.future.length > 0;
  }

  /** The value before the last step; null when there is none. */
  undo(now: T): T | null {
    return this.move(this.past, this.future, now);
  }

  redo(now: T): T | null {
    return this.move(this.future, this.past, now);
  }

  private move(from: T[], to: T[], now: T): T | null {
    this.open = false;
    const found = from.pop();
    if (found === undefined) return null;
    to.push(now);
    return this.restored(found, now);
  }
}
