// Transfer functions as values: points from value to opacity and colour, and what hands do to them.

import { clamp } from "../viewport/state";

/** Red, green, blue: 0 to 255. */
export type Colour = readonly [number, number, number];

export interface TransferPoint {
  /** Modality value (HU of a CT). */
  readonly value: number;
  /** Of 1 mm, 0 to 1. */
  readonly opacity: number;
  readonly colour: Colour;
}

export type Points = readonly TransferPoint[];
/** As the stream has it. */
export type SentPoint = readonly [number, number, Colour];
/** As links have it: value, red, green, blue, opacity; colours and opacity 0 to 1. */
export type LinkPoint = readonly [number, number, number, number, number];

export const FEWEST_POINTS = 2;
export const MOST_POINTS = 64;
/** Beyond, links refuse a value. */
const FARTHEST = 9e6;
/** A function is at least so wide, as a share of its values' size. */
const NARROWEST = 1e-4;
const APART = 1e-6;

export const sent = (points: Points): SentPoint[] =>
  points.map(({ value, opacity, colour }) => [value, opacity, colour]);

export const received = (points: readonly SentPoint[]): TransferPoint[] =>
  points.map(([value, opacity, colour]) => ({ value, opacity, colour }));

const share = (part: number): number => Math.round((part / 255) * 1e4) / 1e4;

export const linked = (points: Points): LinkPoint[] =>
  points.map(({ value, opacity, colour: [red, green, blue] }) => [
    value,
    share(red),
    share(green),
    share(blue),
    opacity,
  ]);

export const unlinked = (points: readonly LinkPoint[]): TransferPoint[] =>
  points.map(([value, red, green, blue, opacity]) => ({
    value,
    opacity,
    colour: [Math.round(red * 255), Math.round(green * 255), Math.round(blue * 255)],
  }));

/** What the server takes: enough points, in order, over a range. */
export function isFunction(points: Points): boolean {
  const [first, last] = [points[0], points[points.length - 1]];
  if (!first || !last || points.length < FEWEST_POINTS || points.length > MOST_POINTS) return false;
  const inOrder = points.every(
    (point, index) => index === 0 || point.value >= (points[index - 1]?.value ?? 0),
  );
  return (
    inOrder && last.value > first.value && points.every((point) => Math.abs(point.value) <= FARTHEST * 1.1)
  );
}

/** As many digits as links keep. */
const tidy = (value: number): number => Number(value.toPrecision(7));
const opacityOf = (value: number): number => Number(clamp(value, 0, 1).toFixed(4));

const gapOf = (value: number): number => APART * Math.max(1, Math.abs(value));

/** One point elsewhere, but not beyond its neighbours. */
export function moved(points: Points, index: number, value: number, opacity: number): Points {
  const [before, after] = [points[index - 1]?.value, points[index + 1]?.value];
  const low = before === undefined ? -FARTHEST : before + gapOf(before);
  const high = after === undefined ? FARTHEST : after - gapOf(after);
  const place = low > high ? (points[index]?.value ?? value) : clamp(value, low, high);
  return points.map((point, at) =>
    at === index ? { ...point, value: tidy(place), opacity: opacityOf(opacity) } : point,
  );
}

export const coloured = (points: Points, index: number, colour: Colour): Points =>
  points.map((point, at) => (at === index ? { ...point, colour } : point));

/** Opacity and colour at a value: linear between points, as beyond the last. */
export function lookAt(points: Points, value: number): TransferPoint {
  const after = points.findIndex((point) => point.value >= value);
  const [a, b] = [points[after - 1], points[after < 0 ? points.length - 1 : after]];
  if (!b) return { value, opacity: 0, colour: [0, 0, 0] };
  if (!a || after < 0 || b.value === a.value) return { ...b, value };
  const part = (value - a.value) / (b.value - a.value);
  const mix = (from: number, to: number) => from + (to - from) * part;
  const colour = a.colour.map((from, at) => Math.round(mix(from, b.colour[at] ?? from)));
  return { value, opacity: mix(a.opacity, b.opacity), colour: colour as unknown as Colour };
}

/** One point more, of the colour that was there, and its index; null where there are too many, or one is there. */
export function added(points: Points, value: number, opacity: number): [Points, number] | null {
  const near = points.some((point) => Math.abs(point.value - value) <= gapOf(value));
  if (points.length >= MOST_POINTS || near || Math.abs(value) > FARTHEST) return null;
  const after = points.findIndex((point) => point.value > value);
  const index = after < 0 ? points.length : after;
  const point = { ...lookAt(points, value), value: tidy(value), opacity: opacityOf(opacity) };
  return [[...points.slice(0, index), point, ...points.slice(index)], index];
}

/** One point less; as it is where two are left. */
export function removed(points: Points, index: number): Points {
  return points.length > FEWEST_POINTS ? points.filter((_, at) => at !== index) : points;
}

function ends(points: Points): [number, number] {
  return [points[0]?.value ?? 0, points[points.length - 1]?.value ?? 1];
}

/** All of it to higher or lower values. */
export function shifted(points: Points, by: number): Points {
  const [low, high] = ends(points);
  const way = clamp(by, -FARTHEST - low, FARTHEST - high);
  return points.map((point) => ({ ...point, value: tidy(point.value + way) }));
}

/** All of it wider (a factor above 1) or steeper, about its middle. */
export function widened(points: Points, factor: number): Points {
  const [low, high] = ends(points);
  const middle = (low + high) / 2;
  const least = (NARROWEST * Math.max(1, Math.abs(middle))) / (high - low);
  const most = Math.min(FARTHEST - middle, FARTHEST + middle) / ((high - low) / 2);
  const by = clamp(factor, Math.min(1, least), Math.max(1, most));
  return points.map((point) => ({ ...point, value: tidy(middle + (point.value - middle) * by) }));
}

/** More or less opaque everywhere. What is fully transparent stays so. */
export const denser = (points: Points, factor: number): Points =>
  points.map((point) => ({ ...point, opacity: opacityOf(point.opacity * factor) }));

/** "#rrggbb", as colour inputs have it. */
export const hexOf = (colour: Colour): string =>
  `#${colour.map((part) => Math.round(part).toString(16).padStart(2, "0")).join("")}`;

export function colourOf(hex: string): Colour {
  const found = /^#([0-9a-f]{2})([0-9a-f]{2})([0-9a-f]{2})$/i.exec(hex);
  const part = (index: number) => Number.parseInt(found?.[index] ?? "0", 16);
  return [part(1), part(2), part(3)];
}
