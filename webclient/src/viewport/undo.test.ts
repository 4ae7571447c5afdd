import { expect, test } from "vitest";
import { initialState, type ViewState } from "./state";
import { Undo } from "./undo";

const view = initialState(1, 5);
const newUndo = () => new Undo<ViewState>((seen) => JSON.stringify({ ...seen, frame: 0 }));

test("a drag of many changes is one step, and comes back", () => {
  const undo = newUndo();
  let now = view;
  for (const width of [100, 110, 120]) {
    const next = { ...now, voi: "window" as const, windowCenter: 0, windowWidth: width };
    undo.note(now, next);
    now = next;
  }
  undo.rest();
  expect(undo.undo(now)).toEqual(view);
  expect(undo.redo(view)).toEqual(now);
});

test("paging is no step", () => {
  const undo = newUndo();
  undo.note(view, { ...view, frame: 6 });
  expect(undo.canUndo).toBe(false);
  expect(undo.undo(view)).toBeNull();
});

test("a new change forgets what was undone", () => {
  const undo = newUndo();
  const inverted = { ...view, invert: true };
  undo.note(view, inverted);
  undo.undo(inverted);
  undo.note(view, { ...view, rotation: 90 });
  expect(undo.canRedo).toBe(false);
});

test("what is to stay of the present value stays", () => {
  const undo = new Undo<{ seen: number; shown: string }>(
    ({ seen }) => String(seen),
    (found, now) => ({ ...found, shown: now.shown }),
  );
  undo.note({ seen: 1, shown: "all" }, { seen: 2, shown: "all" });
  expect(undo.undo({ seen: 2, shown: "one" })).toEqual({ seen: 1, shown: "one" });
});
