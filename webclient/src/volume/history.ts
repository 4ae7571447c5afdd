// Undo and redo of the page. What one gesture changes is one step; moving through the volume alone is none.

import type { PageState } from "./state";

const MOST = 100;

/** What an undo brings back. */
function kept(page: PageState): string {
  return JSON.stringify({ ...page, crossMm: null, shown: "" });
}

export class History {
  private readonly past: PageState[] = [];
  private readonly future: PageState[] = [];
  private open = false;

  /** The page is about to change. Changes until `rest` are one step. */
  note(before: PageState, after: PageState): void {
    if (kept(before) === kept(after)) return;
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

  /** The page before the last step, with what is on screen now; null when there is none. */
  undo(now: PageState): PageState | null {
    return this.move(this.past, this.future, now);
  }

  redo(now: PageState): PageState | null {
    return this.move(this.future, this.past, now);
  }

  private move(from: PageState[], to: PageState[], now: PageState): PageState | null {
    this.open = false;
    const found = from.pop();
    if (!found) return null;
    to.push(now);
    return { ...found, shown: now.shown };
  }
}
