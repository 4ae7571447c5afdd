// Where a label stands: beside its line, inside the stage, over no other label.

import type { Box } from "./shapes";

type Point = readonly [number, number];

const GAP_PX = 12;
const AROUND: readonly Point[] = [
  [1, 0],
  [0, 1],
  [0, -1],
  [-1, 0],
  [1, 1],
  [1, -1],
  [-1, 1],
  [-1, -1],
];

function overlap(a: Box, b: Box): number {
  const across = Math.min(a.left + a.width, b.left + b.width) - Math.max(a.left, b.left);
  const down = Math.min(a.top + a.height, b.top + b.height) - Math.max(a.top, b.top);
  return Math.max(0, across) * Math.max(0, down);
}

/** How much of a chain of points lies in a box: steps of a few px are looked at. */
function covered(box: Box, chain: readonly Point[]): number {
  let inside = 0;
  for (let index = 1; index < chain.length; index += 1) {
    const [[ax, ay], [bx, by]] = [chain[index - 1] as Point, chain[index] as Point];
    const steps = Math.min(200, Math.max(1, Math.ceil(Math.hypot(bx - ax, by - ay) / 4)));
    for (let step = 0; step <= steps; step += 1) {
      const [x, y] = [ax + ((bx - ax) * step) / steps, ay + ((by - ay) * step) / steps];
      if (x > box.left - 4 && x < box.left + box.width + 4 && y > box.top - 4 && y < box.top + box.height + 4)
        inside += 1;
    }
  }
  return inside;
}

function outside(box: Box, stage: Box): number {
  const whole = box.width * box.height;
  return whole - Math.min(whole, overlap(box, stage));
}

/**
 * The best place for a label of `size` near one of `anchors` (the last is liked best). `lines`: what it must not cover;
 * `taken`: labels that stand already.
 */
export function placeLabel(
  size: { readonly width: number; readonly height: number },
  anchors: readonly Point[],
  lines: readonly (readonly Point[])[],
  taken: readonly Box[],
  stage: Box,
): Box {
  let best: Box = { left: 0, top: 0, ...size };
  let least = Number.POSITIVE_INFINITY;
  [...anchors].reverse().forEach(([x, y], order) => {
    for (const [index, [dx, dy]] of AROUND.entries()) {
      const box = {
        left: x + dx * GAP_PX - (size.width * (1 - dx)) / 2,
        top: y + dy * GAP_PX - (size.height * (1 - dy)) / 2,
        ...size,
      };
      const crossed = lines.reduce((sum, line) => sum + covered(box, line), 0);
      const busy = taken.reduce((sum, other) => sum + overlap(box, other), 0);
      const cost = outside(box, stage) * 10 + busy * 4 + crossed * 60 + order * 8 + index;
      if (cost < least) [best, least] = [box, cost];
    }
  });
  const inside = (place: number, length: number, from: number, room: number) =>
    Math.max(from, Math.min(place, from + room - length));
  return {
    ...size,
    left: inside(best.left, size.width, stage.left, stage.width),
    top: inside(best.top, size.height, stage.top, stage.height),
  };
}

/** Width of a text in a font of `fontPx`: wide letters are as wide as high. A little too much rather than too little. */
export function textWidth(text: string, fontPx: number): number {
  let ems = 0;
  for (const letter of text) ems += /[\u2e80-\uffef]/.test(letter) ? 1 : 0.6;
  return ems * fontPx;
}
