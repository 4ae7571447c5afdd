// Undo and redo of views. What one gesture changes is one step; paging alone is none.

import type { ViewState } from "./state";

const MOST = 100;

function isPaging(a: ViewState, b: ViewState): boolean {
  return a.series === b.series && JSON.stringify({ ...a, frame: 0 }) === JSON.stringify({ ...b, frame: 0 });
}

export class Undo {
  private readonly past: ViewState[] = [];
  private readonly future: ViewState[] = [];
  private open = false;

  /** The view is about to change. Changes until `rest` are one step. */
  note(before: ViewState, after: ViewState): void {
    if (isPaging(before, after)) return;
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

  /** The view before the last step; null when there is none. */
  undo(now: ViewState): ViewState | null {
    this.open = false;
    const before = this.past.pop();
    if (!before) return null;
    this.future.push(now);
    return before;
  }

  redo(now: ViewState): ViewState | null {
    this.open = false;
    const after = this.future.pop();
    if (!after) return null;
    this.past.push(now);
    return after;
  }
}
