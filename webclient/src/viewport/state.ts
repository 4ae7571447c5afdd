// The view state: one value from which the server renders; links, resume and undo pass this same value.

export interface ViewState {
  readonly version: 1;
  readonly series: number;
  readonly frame: number;
  readonly voi: "file" | "auto" | "window";
  readonly windowCenter: number | null;
  readonly windowWidth: number | null;
  readonly zoom: number;
  readonly centerX: number;
  readonly centerY: number;
  readonly rotation: 0 | 90 | 180 | 270;
  readonly flipHorizontal: boolean;
  readonly flipVertical: boolean;
  readonly invert: boolean;
}

export function initialState(series: number, frame: number): ViewState {
  return {
    version: 1,
    series,
    frame,
    voi: "file",
    windowCenter: null,
    windowWidth: null,
    zoom: 1,
    centerX: 0.5,
    centerY: 0.5,
    rotation: 0,
    flipHorizontal: false,
    flipVertical: false,
    invert: false,
  };
}

/** Everything of the display but the place in the stack. */
export function resetDisplay(state: ViewState): ViewState {
  return { ...initialState(state.series, state.frame) };
}

export function clamp(value: number, low: number, high: number): number {
  return Math.min(high, Math.max(low, value));
}

/** Drag of `dx`, `dy` CSS pixels: right widens, up brightens (the level falls). One pixel is 1/400 of the width. */
export function dragWindow(
  center: number,
  width: number,
  dx: number,
  dy: number,
): { center: number; width: number } {
  const step = Math.max(Math.abs(width), 1) / 400;
  return {
    width: Math.max(width + dx * step * 2, Math.abs(width) > 10 ? 1 : 0.01),
    center: center + dy * step * 2,
  };
}

/** Frames per drag: one per 12 px, but the whole series within one and a half screens. */
export function pixelsPerFrame(frames: number, height: number): number {
  return frames <= 1 ? 12 : Math.min(12, Math.max(1, (height * 1.5) / frames));
}

/** Zoom by `factor` keeping the image point under the finger; `fx`, `fy` are its place in the viewport, -0.5 to 0.5. */
export function zoomAt(
  state: ViewState,
  factor: number,
  fx: number,
  fy: number,
  shown: { w: number; h: number },
): ViewState {
  const zoom = clamp(state.zoom * factor, 1, 16);
  const [ax, ay] = toImageAxes(state, fx, fy);
  const gain = 1 / state.zoom - 1 / zoom;
  return clampCenter({
    ...state,
    zoom,
    centerX: state.centerX + ax * shown.w * gain,
    centerY: state.centerY + ay * shown.h * gain,
  });
}

/** Pan by a displacement in viewport fractions. `shown`: the viewport's size in image fractions at zoom 1. */
export function panBy(state: ViewState, fx: number, fy: number, shown: { w: number; h: number }): ViewState {
  const [ax, ay] = toImageAxes(state, fx, fy);
  return clampCenter({
    ...state,
    centerX: state.centerX - (ax * shown.w) / state.zoom,
    centerY: state.centerY - (ay * shown.h) / state.zoom,
  });
}

/** A displacement on the screen as one along the image's columns and rows: rotation undone, then flips. */
export function toImageAxes(state: ViewState, x: number, y: number): [number, number] {
  let [ix, iy] = [x, y];
  for (let turned = 0; turned < state.rotation; turned += 90) [ix, iy] = [iy, -ix];
  return [state.flipHorizontal ? -ix : ix, state.flipVertical ? -iy : iy];
}

/** The inverse of `toImageAxes`: flips, then the clockwise rotation. */
export function toScreenAxes(state: ViewState, x: number, y: number): [number, number] {
  let [sx, sy] = [state.flipHorizontal ? -x : x, state.flipVertical ? -y : y];
  for (let turned = 0; turned < state.rotation; turned += 90) [sx, sy] = [-sy, sx];
  return [sx, sy];
}

/** A flip of what is seen: on a picture that lies on its side, of the image's other axis. */
export function flipped(state: ViewState, axis: "horizontal" | "vertical"): ViewState {
  const turned = state.rotation % 180 !== 0;
  return (axis === "horizontal") !== turned
    ? { ...state, flipHorizontal: !state.flipHorizontal }
    : { ...state, flipVertical: !state.flipVertical };
}

/**
 * CSS transform that moves the picture of `painted` to where `wanted` will show it; "" where no move does that.
 * `shown`: the viewport's size in image fractions at zoom 1, along the screen's axes.
 */
export function placementOf(painted: ViewState, wanted: ViewState, shown: { w: number; h: number }): string {
  const alike =
    painted.series === wanted.series &&
    painted.rotation === wanted.rotation &&
    painted.flipHorizontal === wanted.flipHorizontal &&
    painted.flipVertical === wanted.flipVertical;
  const same =
    painted.zoom === wanted.zoom && painted.centerX === wanted.centerX && painted.centerY === wanted.centerY;
  if (!alike || same) return "";
  const [x, y] = toScreenAxes(wanted, painted.centerX - wanted.centerX, painted.centerY - wanted.centerY);
  const percent = (part: number, whole: number) => `${((part * wanted.zoom * 100) / whole).toFixed(2)}%`;
  return `translate(${percent(x, shown.w)}, ${percent(y, shown.h)}) scale(${(wanted.zoom / painted.zoom).toFixed(4)})`;
}

function clampCenter(state: ViewState): ViewState {
  if (state.zoom <= 1.0001) return { ...state, zoom: 1, centerX: 0.5, centerY: 0.5 };
  return { ...state, centerX: clamp(state.centerX, 0, 1), centerY: clamp(state.centerY, 0, 1) };
}

export interface WindowPreset {
  readonly key: string;
  readonly zh: string;
  readonly en: string;
  readonly width: number;
  readonly center: number;
}

export const CT_PRESETS: readonly WindowPreset[] = [
  { key: "1", zh: "脑", en: "Brain", width: 80, center: 40 },
  { key: "2", zh: "硬膜下", en: "Subdural", width: 200, center: 75 },
  { key: "3", zh: "卒中", en: "Stroke", width: 40, center: 40 },
  { key: "4", zh: "骨", en: "Bone", width: 2000, center: 500 },
  { key: "5", zh: "肺", en: "Lung", width: 1500, center: -600 },
  { key: "6", zh: "纵隔", en: "Mediastinum", width: 350, center: 50 },
  { key: "7", zh: "腹部", en: "Abdomen", width: 400, center: 40 },
  { key: "8", zh: "肝", en: "Liver", width: 150, center: 90 },
  { key: "9", zh: "血管", en: "Vessels", width: 600, center: 300 },
];
