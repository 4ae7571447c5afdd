// Keys (OHIF's where it has one). Dead in inputs and while an input method composes.

import { MEASURING, MEASURING_KEYS } from "../measure/load";
import type { Word } from "../ui/words";
import { CT_PRESETS } from "../viewport/state";
import type { ViewerHands } from "./hands";
import { cycleOverlays } from "./overlay";
import type { Viewer } from "./viewer";

export interface Key {
  /** As `KeyboardEvent.key` in lower case; `^` before it with Ctrl or ⌘. */
  readonly keys: readonly string[];
  readonly word: Word;
  act(): void;
}

export function keysOf(viewer: Viewer, hands: ViewerHands): Key[] {
  const key = (keys: string[], word: Word, act: () => void): Key => ({ keys, word, act });
  const page = (step: number) => viewer.scrollTo(viewer.view.frame + step);
  return [
    key(["arrowup"], "previous", () => page(-1)),
    key(["arrowdown"], "next", () => page(1)),
    key(["home"], "first", () => viewer.scrollTo(0)),
    key(["end"], "last", () => viewer.scrollTo(viewer.series.frame_count - 1)),
    key(["pageup"], "previousSeries", () => viewer.neighbour(-1)),
    key(["pagedown"], "nextSeries", () => viewer.neighbour(1)),
    key(["0"], "file", () => viewer.setVoi("file")),
    key(["w"], "window", () => viewer.choose("window")),
    key(["z"], "zoom", () => viewer.choose("zoom")),
    key(["p"], "pan", () => viewer.choose("pan")),
    ...MEASURING.map((kind) => key([MEASURING_KEYS[kind]], kind, () => viewer.choose(kind))),
    key(["n"], "hideMeasurements", () => viewer.hideMeasurements()),
    key(["delete", "backspace"], "deleteMeasurement", () => viewer.measuring?.remove()),
    key(["i"], "invert", () => viewer.invert()),
    key(["h"], "flip", () => viewer.flip("horizontal")),
    key(["v"], "flipVertical", () => viewer.flip("vertical")),
    key(["r"], "rotate", () => viewer.rotate(90)),
    key(["l"], "rotateBack", () => viewer.rotate(-90)),
    key(["+"], "larger", () => hands.zoomMiddle(1.25)),
    key(["-"], "smaller", () => hands.zoomMiddle(0.8)),
    key(["="], "fit", () => viewer.fit()),
    key(["o"], "overlays", () => cycleOverlays(viewer.ui.root)),
    key(["c"], "play", () => viewer.togglePlay()),
    key(["["], "slower", () => viewer.cine.faster(-1)),
    key(["]"], "faster", () => viewer.cine.faster(1)),
    key(["^z"], "undo", () => viewer.undo()),
    key(["^y", "^Z"], "redo", () => viewer.undo(true)),
    key(["f"], "full", () => toggleFull(viewer.ui.root)),
    key(["\\"], "panel", () => viewer.ui.root.classList.toggle("narrow")),
    key([" "], "reset", () => viewer.reset()),
    key(["f1"], "keys", () => viewer.card.toggle()),
    key(["escape"], "close", () => viewer.dismiss()),
  ];
}

function toggleFull(root: HTMLElement): void {
  if (document.fullscreenElement) void document.exitFullscreen();
  // An iPhone has no element fullscreen: there the bars hide, as by a tap.
  else if (document.documentElement.requestFullscreen) void document.documentElement.requestFullscreen();
  else root.classList.toggle("bare");
}

/** The name under which a key press is looked up. */
export function nameOf(event: KeyboardEvent): string {
  const key = event.key.length === 1 && event.shiftKey && event.ctrlKey ? event.key : event.key.toLowerCase();
  return event.ctrlKey || event.metaKey ? `^${key}` : key;
}

/** The act of a key press; null where the page or an input keeps it. */
export function actOf(event: KeyboardEvent, keys: readonly Key[], viewer: Viewer): (() => void) | null {
  if (event.isComposing || event.altKey) return null;
  const focused = document.activeElement;
  if (focused instanceof HTMLInputElement || focused instanceof HTMLTextAreaElement) return null;
  if (focused instanceof HTMLButtonElement && (event.key === " " || event.key === "Enter")) return null;
  const preset =
    viewer.series.modality === "CT" ? CT_PRESETS.find((one) => one.key === event.key) : undefined;
  if (preset && !event.ctrlKey && !event.metaKey) return () => viewer.setWindow(preset.center, preset.width);
  return keys.find((key) => key.keys.includes(nameOf(event)))?.act ?? null;
}
