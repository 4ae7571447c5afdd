// Keys of the page (the viewer's where it has one).

import { CT_PRESETS } from "../viewport/state";
import type { VolumePage } from "./page";
import { KINDS, type Kind } from "./state";

const THICKNESSES_MM = [0, 5, 10, 20];
const TURN_SHARE = 1 / 24;

function neighbour(page: VolumePage, step: number): void {
  const kind = KINDS[(KINDS.indexOf(page.active) + step + KINDS.length) % KINDS.length] as Kind;
  if (page.state.shown === "all") page.touched(kind);
  else page.show(kind);
}

function thicker(page: VolumePage): void {
  const next = THICKNESSES_MM[(THICKNESSES_MM.indexOf(page.state.thicknessMm) + 1) % THICKNESSES_MM.length];
  page.setSlab(next ?? 0, page.state.projection);
}

function acts(page: VolumePage): Record<string, () => void> {
  const isVolume = page.active === "volume";
  const turn = (right: number, down: number) => () => page.turn(right * TURN_SHARE, down * TURN_SHARE);
  return {
    arrowup: isVolume ? turn(0, -1) : () => page.step(-1),
    arrowdown: isVolume ? turn(0, 1) : () => page.step(1),
    arrowleft: isVolume ? turn(-1, 0) : () => neighbour(page, -1),
    arrowright: isVolume ? turn(1, 0) : () => neighbour(page, 1),
    home: () => page.end(-1),
    end: () => page.end(1),
    pageup: () => neighbour(page, -1),
    pagedown: () => neighbour(page, 1),
    d: () => page.choose("page"),
    x: () => page.choose("cross"),
    w: () => page.choose("window"),
    p: () => page.choose(isVolume ? "move" : "pan"),
    r: () => page.choose("rotate"),
    c: () => page.choose("cut"),
    s: () => page.nextBlade(),
    b: () => page.toggleSlices(),
    e: () => page.toggleEditor(),
    ",": () => page.nextStack(-1),
    ".": () => page.nextStack(1),
    delete: () => page.chooseSide(),
    t: () => thicker(page),
    "0": () => page.setWindow(null),
    i: () => page.invert(),
    "+": () => page.zoom(1.25),
    "-": () => page.zoom(0.8),
    "=": () => page.fit(),
    f: () => page.toggleAlone(page.active),
    " ": () => page.reset(),
    f1: () => page.menu.toggleCard(),
    "^z": () => page.undo(),
    "^y": () => page.undo(true),
    escape: () => {
      if (!page.dismiss()) page.leave();
    },
  };
}

/** What a key does; null where the page or a button keeps it. */
export function keyOf(page: VolumePage, event: KeyboardEvent): (() => void) | null {
  if (event.isComposing || event.altKey) return null;
  const ofEditor = page.editor.keyOf(event);
  if (ofEditor) return ofEditor;
  const active = document.activeElement;
  const isField = active instanceof HTMLInputElement || active instanceof HTMLSelectElement;
  if (isField && event.key !== "Escape") return null;
  const onButton = document.activeElement instanceof HTMLButtonElement;
  if (onButton && (event.key === " " || event.key === "Enter")) return null;
  const held = event.ctrlKey || event.metaKey;
  const preset = held || page.modality !== "CT" ? undefined : CT_PRESETS.find((one) => one.key === event.key);
  if (preset) return () => page.setWindow({ center: preset.center, width: preset.width });
  const name = event.key.toLowerCase();
  if (held && event.shiftKey && name === "z") return () => page.undo(true);
  return acts(page)[held ? `^${name}` : name] ?? null;
}
