// Orientation letters and lengths from image geometry. Directions are LPS unit vectors (DICOM PS3.3 C.7.6.2.1.1).

export type Vector = readonly [number, number, number];
export type Edges = { left: string; right: string; top: string; bottom: string };

const OBLIQUE = 0.26;

/** Letters of a direction, largest part first: [1,0,0] is L, parts below 0.26 are dropped. */
export function letters(direction: Vector): string {
  const parts: [number, string][] = [
    [Math.abs(direction[0]), direction[0] > 0 ? "L" : "R"],
    [Math.abs(direction[1]), direction[1] > 0 ? "P" : "A"],
    [Math.abs(direction[2]), direction[2] > 0 ? "H" : "F"],
  ];
  parts.sort((a, b) => b[0] - a[0]);
  return parts
    .filter((part) => part[0] >= OBLIQUE)
    .map((part) => part[1])
    .join("");
}

const OPPOSITE: Record<string, string> = { L: "R", R: "L", A: "P", P: "A", H: "F", F: "H" };

export function opposite(text: string): string {
  return Array.from(text, (letter) => OPPOSITE[letter] ?? letter).join("");
}

/** Directions of the displayed right and down, after flips and then rotation by 90° steps clockwise. */
export function displayedAxes<T>(
  row: T,
  column: T,
  negate: (axis: T) => T,
  flipHorizontal: boolean,
  flipVertical: boolean,
  rotationDegrees: number,
): { right: T; down: T } {
  let right = flipHorizontal ? negate(row) : row;
  let down = flipVertical ? negate(column) : column;
  for (let turned = 0; turned < rotationDegrees; turned += 90) {
    // Clockwise: what pointed up now points right.
    const before = right;
    right = negate(down);
    down = before;
  }
  return { right, down };
}

/** Letters at the four edges; null where the file says nothing (none are invented). */
export function edgeLetters(
  orientation: readonly number[] | null,
  patientOrientation: readonly string[],
  flipHorizontal: boolean,
  flipVertical: boolean,
  rotationDegrees: number,
): Edges | null {
  if (orientation && orientation.length === 6) {
    const row: Vector = [orientation[0] ?? 0, orientation[1] ?? 0, orientation[2] ?? 0];
    const column: Vector = [orientation[3] ?? 0, orientation[4] ?? 0, orientation[5] ?? 0];
    const negate = (v: Vector): Vector => [-v[0], -v[1], -v[2]];
    const axes = displayedAxes(row, column, negate, flipHorizontal, flipVertical, rotationDegrees);
    return {
      right: letters(axes.right),
      left: letters(negate(axes.right)),
      bottom: letters(axes.down),
      top: letters(negate(axes.down)),
    };
  }
  const [row, column] = patientOrientation;
  if (row && column) {
    const axes = displayedAxes(row, column, opposite, flipHorizontal, flipVertical, rotationDegrees);
    return { right: axes.right, left: opposite(axes.right), bottom: axes.down, top: opposite(axes.down) };
  }
  return null;
}

/** A round length (1, 2, 5 x 10^n mm) that is at most a third of the width. */
export function scaleBar(mmPerPixel: number, widthPixels: number): { mm: number; pixels: number } | null {
  if (!(mmPerPixel > 0) || !(widthPixels > 0)) return null;
  const most = (widthPixels / 3) * mmPerPixel;
  const power = 10 ** Math.floor(Math.log10(most));
  const factor = [5, 2, 1].find((f) => f * power <= most) ?? 1;
  const mm = factor * power;
  return { mm, pixels: mm / mmPerPixel };
}
