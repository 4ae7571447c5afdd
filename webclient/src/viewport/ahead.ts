// Which images are worth having before they are asked for.

/** Frames near `frame`: nearest first, two in the direction of scrolling for each one behind; `reach` of them at most. */
export function framesAhead(frame: number, count: number, direction: number, reach: number): number[] {
  const found: number[] = [];
  const way = direction < 0 ? -1 : 1;
  let [ahead, behind] = [frame + way, frame - way];
  const inside = (place: number) => place >= 0 && place < count;
  while (found.length < reach && (inside(ahead) || inside(behind))) {
    for (let step = 0; step < 2; step += 1, ahead += way) if (inside(ahead)) found.push(ahead);
    if (inside(behind)) found.push(behind);
    behind -= way;
  }
  return found.slice(0, reach);
}

/** Of two images the one that is nearer to the wanted one; the same distance counts as nearer. */
export function isNearer(frame: number, than: number, wanted: number): boolean {
  return Math.abs(frame - wanted) <= Math.abs(than - wanted);
}
