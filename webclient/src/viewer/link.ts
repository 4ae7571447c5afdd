// The view stands in the page's address: a page that is opened or loaded again shows what it showed.

import { screenFragment, screenFromFragment } from "../viewport/serial";
import { type Measurement, screenOf, type ViewState } from "../viewport/state";
import type { Boot } from "./manifest";

const SAVE_MS = 300;

export class Link {
  private timer = 0;

  constructor(private readonly study: number) {}

  /** Writes the view into the address once it rests; the history keeps its length. */
  save(view: ViewState, measurements: readonly Measurement[] = []): void {
    window.clearTimeout(this.timer);
    this.timer = window.setTimeout(() => {
      const fragment = screenFragment(screenOf(this.study, view, measurements));
      history.replaceState(history.state, "", `${location.pathname}${location.search}${fragment}`);
    }, SAVE_MS);
  }
}

/** The address's view, when it is one of this study's images. */
export function linkedView(boot: Boot, fragment: string): ViewState | null {
  const screen = screenFromFragment(fragment);
  const view = screen?.study === boot.study ? screen.views[screen.active] : null;
  if (view?.kind !== "stack") return null;
  const entry = boot.series.find((one) => one.series === view.series);
  return entry && view.frame < entry.frame_count ? view : null;
}

/** The address's measurements, when they are of this study. */
export function linkedMeasurements(boot: Boot, fragment: string): readonly Measurement[] {
  const screen = screenFromFragment(fragment);
  return (screen?.study === boot.study && screen.measurements) || [];
}
