// The row 融合: which series lies over this one in colour, how much it covers, its window and colours.

import type { Fused } from "../viewport/state";
import { type Choice, DIVIDER } from "./choice";
import { laid, nameOf, SUV_ENDS, suvOf, suvRefused, withSpan } from "./fusion";
import type { VolumePage } from "./page";
import { isWhole } from "./state";

const COLOUR_MAPS = ["hot", "pet", "cool", "gray"];

export function fusionRow(page: VolumePage): Choice[] {
  const { fused } = page.state;
  const none: Choice = {
    text: page.words.none,
    pressed: !fused,
    name: "fuse-none",
    act: () => page.fuse(null),
  };
  const series = page.overlays.map((entry, index) => ({
    text: nameOf(entry),
    pressed: fused?.series === entry.series,
    name: `fuse-${index}`,
    act: () => page.fuse(laid(fused, entry.series)),
  }));
  if (!fused) return [none, ...series];
  const maps = COLOUR_MAPS.map((colourMap) => ({
    text: page.words.maps[colourMap] ?? colourMap,
    pressed: colourMap === fused.colourMap,
    name: `map-${colourMap}`,
    act: () => page.fuse({ ...fused, colourMap }),
  }));
  const opacity: Choice = {
    text: page.words.opacity,
    value: fused.opacity,
    name: "opacity",
    slide: (value) => page.blend(value),
  };
  const within: Choice = {
    text: page.words.within,
    pressed: page.state.fusedWithin,
    disabled: isWhole(page.state),
    name: "fuse-within",
    act: () => page.toggleWithin(),
  };
  const refused = page.state.fusedWithin && isWhole(page.state) ? [{ text: page.words.wholeMipFusion }] : [];
  // What is moved most stands where a phone's row begins.
  return [
    opacity,
    within,
    ...refused,
    DIVIDER,
    none,
    ...series,
    DIVIDER,
    ...overlayWindows(page, fused),
    DIVIDER,
    ...maps,
  ];
}

/** The window of the series in colour: in SUV where that is known, else the reason and steps of its upper end. */
function overlayWindows(page: VolumePage, fused: Fused): Choice[] {
  const manifest = page.manifestOf(fused.series);
  const factor = suvOf(manifest)?.factor ?? null;
  const span = page.overlaySpan;
  const file: Choice = {
    text: page.words.file,
    pressed: fused.windowWidth === null,
    name: "overlay-file",
    act: () => page.fuse({ ...fused, windowCenter: null, windowWidth: null }),
  };
  const ends = (factor === null ? [] : SUV_ENDS).map((end) => ({
    text: `SUV 0–${end}`,
    pressed: fused.windowWidth !== null && span !== null && Math.abs(span.high * (factor ?? 1) - end) < 1e-6,
    name: `suv-${end}`,
    act: () => page.fuse(withSpan(fused, { low: 0, high: end / (factor ?? 1) })),
  }));
  const steps = (
    [
      ["overlay-lower", page.words.lowerEnd, 0.8],
      ["overlay-higher", page.words.higherEnd, 1.25],
    ] as const
  ).map(([name, text, by]) => ({
    text,
    name,
    disabled: span === null,
    act: () => {
      if (span) page.fuse(withSpan(fused, { low: span.low, high: span.low + (span.high - span.low) * by }));
    },
  }));
  const refused = suvRefused(manifest, page.words);
  return [file, ...ends, ...steps, ...(refused ? [{ text: refused }] : [])];
}
