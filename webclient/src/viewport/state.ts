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

/** Turned further clockwise by a multiple of 90 degrees. */
export function turned(state: ViewState, degrees: number): ViewState {
  return { ...state, rotation: ((((state.rotation + degrees) % 360) + 360) % 360) as ViewState["rotation"] };
}

/** A flip of what is seen: on a picture that lies on its side, of the image's other axis. */
export function flipped(state: ViewState, axis: "horizontal" | "vertical"): ViewState {
  const onItsSide = state.rotation % 180 !== 0;
  return (axis === "horizontal") !== onItsSide
    ? { ...state, flipHorizontal: !state.flipHorizontal }
    : { ...state, flipVertical: !state.flipVertical };
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
