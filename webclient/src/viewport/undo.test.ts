import { expect, test } from "vitest";
import { initialState } from "./state";
import { Undo } from "./undo";

const view = initialState(1, 5);

test("a drag of many changes is one step, and comes back", () => {
  const undo = new Undo();
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
  const undo = new Undo();
  undo.note(view, { ...view, frame: 6 });
  expect(undo.canUndo).toBe(false);
  expect(undo.undo(view)).toBeNull();
});

test("a new change forgets what was undone", () => {
  const undo = new Undo();
  const inverted = { ...view, invert: true };
  undo.note(view, inverted);
  undo.undo(inverted);
  undo.note(view, { ...view, rotation: 90 });
  expect(undo.canRedo).toBe(false);
});
