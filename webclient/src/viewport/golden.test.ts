import { expect, test } from "vitest";
import { edgeLetters } from "./geometry";
import golden from "./orientations.golden.json";
import { imageToScreen, inverted, through } from "./placement";
import { initialState, type ViewState } from "./state";

// Every orientation of the test data with the letters of all sixteen layouts, computed by tests/support/orientations.py
// from first principles; the renderer's test holds the server's pictures against the same file.

const layouts = Object.keys((golden[0] as { edges: object }).edges);

function laid(layout: string): ViewState {
  const [rotation, horizontal, vertical] = layout.split(",").map(Number);
  return {
    ...initialState(1, 0),
    rotation: rotation as ViewState["rotation"],
    flipHorizontal: horizontal === 1,
    flipVertical: vertical === 1,
  };
}

test.each(layouts)("letters of the layout %s", (layout) => {
  const { flipHorizontal, flipVertical, rotation } = laid(layout);
  for (const { orientation, edges } of golden) {
    const shown = edgeLetters(orientation, [], flipHorizontal, flipVertical, rotation);
    const wanted = (edges as Record<string, string[]>)[layout];
    expect([shown?.left, shown?.right, shown?.top, shown?.bottom], String(orientation)).toEqual(wanted);
  }
});

test.each(layouts)("the picture of the layout %s lies as its letters say", (layout) => {
  const view = laid(layout);
  const box = { width: 300, height: 300 };
  const toImage = inverted(imageToScreen(view, { columns: 100, rows: 100, aspect: 1 }, box));
  const [cx, cy] = through(toImage, 150, 150);
  const [rx, ry] = through(toImage, 151, 150);
  for (const { orientation, edges } of golden) {
    // The image direction one pixel to the right of the middle, in the patient.
    const direction = [0, 1, 2].map(
      (axis) => (orientation[axis] ?? 0) * (rx - cx) + (orientation[axis + 3] ?? 0) * (ry - cy),
    );
    const wanted = (edges as Record<string, string[]>)[layout]?.[1] ?? "";
    const largest = direction.reduce(
      (best, part, axis) => (Math.abs(part) > Math.abs(direction[best] ?? 0) ? axis : best),
      0,
    );
    const names = ["LR", "PA", "HF"][largest] ?? "";
    expect(wanted.includes((direction[largest] ?? 0) > 0 ? (names[0] ?? "") : (names[1] ?? ""))).toBe(true);
  }
});
