// The row 传递函数: what is done to the whole function, and names to keep it under.

import { type Choice, DIVIDER } from "./choice";
import type { VolumePage } from "./page";
import { shifted, widened } from "./transfer";

const DENSER = 1.25;
const WIDER = 1.25;

/** Undo and redo within a row: a phone's bar has no room for them. */
export function undoing(page: VolumePage): Choice[] {
  return [
    { text: page.words.undo, disabled: !page.history.canUndo, name: "undo", act: () => page.undo() },
    { text: page.words.redo, disabled: !page.history.canRedo, name: "redo", act: () => page.undo(true) },
  ];
}

export function curveRow(page: VolumePage): Choice[] {
  const { words, editor, state } = page;
  const isOff = page.points === null;
  const all = (name: string, text: string, act: () => void): Choice => ({ text, name, disabled: isOff, act });
  const now = page.savedNow;
  return [
    ...undoing(page),
    {
      text: words.toPreset,
      name: "to-preset",
      disabled: state.points === null,
      act: () => page.setTransfer(state.transfer),
    },
    {
      text: words.keep,
      name: "keep",
      disabled: state.points === null || now !== null,
      act: () => editor.askName(),
    },
    ...(now ? [{ text: words.forget, name: "forget", act: () => page.forgetSaved(now) }] : []),
    DIVIDER,
    all("clearer", words.clearer, () => editor.denser(1 / DENSER)),
    all("denser", words.denser, () => editor.denser(DENSER)),
    all("lower", words.lower, () => editor.all((points, step) => shifted(points, -step))),
    all("higher", words.higher, () => editor.all((points, step) => shifted(points, step))),
    all("narrower", words.narrower, () => editor.all((points) => widened(points, 1 / WIDER))),
    all("wider", words.wider, () => editor.all((points) => widened(points, WIDER))),
    DIVIDER,
    { text: words.done, name: "done", act: () => page.choose("look") },
  ];
}
