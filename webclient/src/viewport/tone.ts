// The picture on screen in another window, at once: what the server's next picture will look like, within its own grey
// levels. One line of grey levels (a p + b) written as CSS filters, which every browser draws on its graphics unit.

export interface Window {
  readonly center: number;
  readonly width: number;
}

/** Displayed grey `p` (0 to 1) of a picture in the window `from` becomes `a p + b` in `to`. */
export function toneLine(from: Window, to: Window, inverse: boolean): { a: number; b: number } {
  const a = from.width / to.width;
  const b = (from.center - from.width / 2 - to.center + to.width / 2) / to.width;
  // Where low values are white the displayed grey is 1 - u of the windowed value u.
  return inverse ? { a, b: 1 - a - b } : { a, b };
}

/** CSS filter functions that do `a p + b`; "" where nothing is to be done. */
export function toneFilter({ a, b }: { a: number; b: number }): string {
  if (Math.abs(a - 1) < 1e-4 && Math.abs(b) < 1e-4) return "";
  const text = (value: number) => Number(Math.max(0, value).toFixed(4));
  // brightness m, then contrast k: k m p + (1 - k) / 2. The other order: m k p + m (1 - k) / 2.
  if (b < 0.5) {
    const k = 1 - 2 * b;
    return `brightness(${text(a / k)}) contrast(${text(k)})`;
  }
  const m = a + 2 * b;
  return `contrast(${text(a / m)}) brightness(${text(m)})`;
}
