// In the viewer's core: which tools measure, and the way to their script, which comes when one is chosen or a link has
// measurements.

import type { Viewer } from "../viewer/viewer";
import type { MeasurementKind } from "../viewport/state";

export const MEASURING: readonly MeasurementKind[] = ["length", "angle", "ellipse", "note", "probe"];
/** UX section 6; the probe is ours. */
export const MEASURING_KEYS: Readonly<Record<MeasurementKind, string>> = {
  length: "m",
  angle: "a",
  ellipse: "e",
  note: "t",
  probe: "q",
};

export function isMeasuring(tool: string): tool is MeasurementKind {
  return (MEASURING as readonly string[]).includes(tool);
}

/** What the viewer asks of the tools. Places are CSS px of the stage. */
export interface Measuring {
  /** The picture, its place, the measurements or the tool changed. */
  refresh(): void;
  /** A finger or the left button went down; true when the hand is the tools' until `end`. */
  begin(x: number, y: number, byFinger: boolean): boolean;
  move(x: number, y: number): void;
  end(): void;
  /** A second finger came: what the first one began is nothing. */
  abort(): void;
  /** A resting finger or the right button: true when a measurement is there and tells what can be done with it. */
  press(x: number, y: number): boolean;
  /** A tap: true when it chose a measurement or let go of one. */
  tap(x: number, y: number): boolean;
  /** A double tap: true when a note's text is edited now. */
  edit(x: number, y: number): boolean;
  /** Esc: true when something was given up. */
  cancel(): boolean;
  /** Delete the chosen one. */
  remove(): void;
}

interface MeasureScript {
  start(viewer: Viewer): Measuring;
}

let asked = false;

export function loadMeasuring(viewer: Viewer): void {
  const address = viewer.boot.files?.["measure.js"];
  if (asked || !address) return;
  asked = true;
  const script = document.createElement("script");
  script.src = `/${address}`;
  script.onload = () => {
    const { cloudfilmMeasure } = window as unknown as { cloudfilmMeasure: MeasureScript };
    viewer.measuring = cloudfilmMeasure.start(viewer);
    viewer.measuring.refresh();
  };
  // The next choice of a tool tries again.
  script.onerror = () => {
    asked = false;
  };
  document.head.append(script);
}
