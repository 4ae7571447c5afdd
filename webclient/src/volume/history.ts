// Undo and redo of the page: moving through the volume alone, or looking at another part of the page, is no step.

import { Undo } from "../viewport/undo";
import type { PageState } from "./state";

export class History extends Undo<PageState> {
  constructor() {
    super(
      (page) => JSON.stringify({ ...page, crossMm: null, shown: "" }),
      (found, now) => ({ ...found, shown: now.shown }),
    );
  }
}
