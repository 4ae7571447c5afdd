// Keys (OHIF's where it has one). Dead in inputs and while an input method composes.

import { MEASURING, MEASURING_KEYS } from "../measure/load";
import type { Word } from "../ui/words";
import { CT_PRESETS } from "../viewport/state";
import { Bindings, type Group, KEPT_AS, type Key } from "./bindings";
import type { ViewerHands } from "./hands";
import { cycleOverlays } from "./overlay";
import { togglePanel } from "./panel";
import type { Viewer } from "./viewer";

/** Every key of the viewer with what it usually does. */
export function keysOf(viewer: Viewer, hands: ViewerHands): Key[] {
  const group =
    (group: Group) =>
    (keys: string[], word: Word, act: () => void): Key => ({
      id: word,
      group,
      label: viewer.t(word),
      keys,
      act,
    });
  const [paging, windows, picture] = [group("paging"), group("windows"), group("picture")];
  const [measuring, cine, other] = [group("measuring"), group("cine"), group("other")];
  const fixed = (key: Key): Key => ({ ...key, isFixed: true });
  const page = (step: number) => viewer.scrollTo(viewer.view.frame + step);
  const mark = paging(["k"], "markKeyImage", () => void viewer.keyImages.toggle());
  return [
    paging(["arrowup"], "previous", () => page(-1)),
    paging(["arrowdown"], "next", () => page(1)),
    paging(["home"], "first", () => viewer.scrollTo(0)),
    paging(["end"], "last", () => viewer.scrollTo(viewer.series.frame_count - 1)),
    paging(["pageup"], "previousSeries", () => viewer.neighbour(-1)),
    paging(["pagedown"], "nextSeries", () => viewer.neighbour(1)),
    ...(viewer.boot.may_mark ? [mark] : []),
    paging(["s"], "previousKeyImage", () => viewer.keyImages.jump(-1)),
    paging(["d"], "nextKeyImage", () => viewer.keyImages.jump(1)),
    ...CT_PRESETS.map((preset) => presetKey(viewer, preset)),
    windows(["0"], "file", () => viewer.setVoi("file")),
    windows(["w"], "window", () => viewer.choose("window")),
    windows(["i"], "invert", () => viewer.invert()),
    picture(["z"], "zoom", () => viewer.choose("zoom")),
    picture(["p"], "pan", () => viewer.choose("pan")),
    picture(["+"], "larger", () => hands.zoomMiddle(1.25)),
    picture(["-"], "smaller", () => hands.zoomMiddle(0.8)),
    picture(["="], "fit", () => viewer.fit()),
    picture(["h"], "flip", () => viewer.flip("horizontal")),
    picture(["v"], "flipVertical", () => viewer.flip("vertical")),
    picture(["r"], "rotate", () => viewer.rotate(90)),
    picture(["l"], "rotateBack", () => viewer.rotate(-90)),
    picture([" "], "reset", () => viewer.reset()),
    ...MEASURING.map((kind) => measuring([MEASURING_KEYS[kind]], kind, () => viewer.choose(kind))),
    measuring(["n"], "hideMeasurements", () => viewer.hideMeasurements()),
    measuring(["delete", "backspace"], "deleteMeasurement", () => viewer.measuring?.remove()),
    cine(["c"], "play", () => viewer.togglePlay()),
    cine(["["], "slower", () => viewer.cine.faster(-1)),
    cine(["]"], "faster", () => viewer.cine.faster(1)),
    other(["o"], "overlays", () => cycleOverlays(viewer.ui.root)),
    other(["\\"], "panel", () => togglePanel(viewer.ui.root)),
    other(["f"], "full", () => toggleFull(viewer.ui.root)),
    fixed(other(["^z"], "undo", () => viewer.undo())),
    fixed(other(["^y", "^Z"], "redo", () => viewer.undo(true))),
    fixed(other(["f1"], "keys", () => viewer.card.toggle())),
    fixed(other(["escape"], "close", () => viewer.dismiss())),
  ];
}

function presetKey(viewer: Viewer, { key, zh, en, center, width }: (typeof CT_PRESETS)[number]): Key {
  return {
    id: `window${key}`,
    group: "windows",
    label: `${viewer.boot.language === "en" ? en : zh} ${width}/${center}`,
    keys: [key],
    isHere: () => viewer.series.modality === "CT",
    act: () => viewer.chooseWindow(center, width),
  };
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

/** Whether a key press is not the page's: an input method composes, or a text is written. */
export function isWriting(event: KeyboardEvent): boolean {
  if (event.isComposing || event.key === "Process" || event.altKey) return true;
  const focused = document.activeElement;
  return focused?.matches("input, textarea, select, [contenteditable]") ?? false;
}

/** The act of a key press; null where the page or an input keeps it. */
export function actOf(event: KeyboardEvent, keys: Bindings): (() => void) | null {
  if (isWriting(event)) return null;
  const onButton = document.activeElement instanceof HTMLButtonElement;
  if (onButton && (event.key === " " || event.key === "Enter")) return null;
  const key = keys.owner(nameOf(event));
  return key && (key.isHere?.() ?? true) ? () => key.act() : null;
}

function shelf(): Storage | null {
  try {
    return window.localStorage;
  } catch {
    return null;
  }
}

/** Listen to keys, with the changes that this browser keeps. */
export function listenToKeys(viewer: Viewer, hands: ViewerHands): Bindings {
  const keys = new Bindings(keysOf(viewer, hands), shelf());
  window.addEventListener("keydown", (event) => {
    const act = actOf(event, keys);
    if (!act) return;
    event.preventDefault();
    hands.rest();
    act();
  });
  window.addEventListener("storage", (event) => {
    if (event.key === KEPT_AS || event.key === null) keys.load();
  });
  return keys;
}
