// Texts, letters and scale bar on the picture. They tell of the picture that is shown.

import { translator, type Word } from "../ui/words";
import { edgeLetters, scaleBar } from "../viewport/geometry";
import type { Quality, ShownPicture } from "../viewport/layer";
import type { ViewState } from "../viewport/state";
import type { Elements } from "./dom";
import { type Boot, frameInfo, type Manifest, type SeriesEntry } from "./manifest";

export interface OverlaySource {
  readonly boot: Boot;
  readonly manifest: Manifest | undefined;
  readonly series: SeriesEntry;
  /** Of the picture on screen. */
  readonly state: ViewState;
  /** What the person has chosen; its zoom is shown while the picture is on its way. */
  readonly wanted: ViewState;
  readonly picture: ShownPicture | null;
  /** CSS px per image column. */
  readonly scale: number;
}

/** 张^小明 is written 张小明; of several component groups the ideographic one is shown. */
export function shownName(name: string): string {
  const groups = name.split("=");
  const wide = groups.find((group) => /[\u3400-\u9fff]/.test(group));
  const chosen = wide ?? groups[0] ?? "";
  return chosen
    .split("^")
    .filter(Boolean)
    .join(wide ? "" : " ");
}

/** Whole years between two dates (with or without hyphens); null where one is missing. */
export function ageInYears(birth: string, at: string): number | null {
  const [born, then] = [birth, at].map((text) => text.replace(/\D/g, "").slice(0, 8));
  if (born?.length !== 8 || then?.length !== 8) return null;
  const years = Math.floor((Number(then) - Number(born)) / 10_000);
  return years >= 0 && years < 150 ? years : null;
}

/** ``20240311`` and ``093012`` as 2024-03-11 09:30. */
export function shownTime(date: string, time: string): string {
  const day = /^\d{8}$/.test(date) ? `${date.slice(0, 4)}-${date.slice(4, 6)}-${date.slice(6)}` : date;
  return [day, /^\d{4}/.test(time) ? `${time.slice(0, 2)}:${time.slice(2, 4)}` : ""]
    .filter(Boolean)
    .join(" ");
}

function person(boot: Boot): string[] {
  const { overlay, language } = boot;
  const zh = language === "zh";
  const sex = { M: zh ? "男" : "M", F: zh ? "女" : "F" }[overlay["sex"] ?? ""] ?? "";
  const years = ageInYears(overlay["birth_date"] ?? "", overlay["study_date"] ?? "");
  const age = years === null ? "" : `${years}${zh ? "岁" : "y"}`;
  return [
    shownName(overlay["name"] ?? ""),
    [sex, age].filter(Boolean).join(" "),
    overlay["patient_id"] ?? "",
  ];
}

/** kV, mA, TR, TE: whichever the file has. */
function technique(manifest: Manifest | undefined): string {
  const wanted: [string, string, string][] = [
    ["kvp", "", " kV"],
    ["x_ray_tube_current_ma", "", " mA"],
    ["repetition_time_ms", "TR ", ""],
    ["echo_time_ms", "TE ", ""],
  ];
  const parts = wanted.map(([name, before, after]) => {
    const value = Number.parseFloat(manifest?.acquisition[name] ?? "");
    return Number.isFinite(value) ? `${before}${Math.round(value * 10) / 10}${after}` : "";
  });
  return parts.filter(Boolean).join(" ");
}

const lines = (...texts: string[]) => texts.filter(Boolean).join("\n");

export function refreshOverlay(ui: Elements, source: OverlaySource): void {
  const { boot, manifest, series, state, wanted, picture } = source;
  const t = translator(boot.language);
  const info = manifest ? frameInfo(manifest, state.frame) : null;
  const center = picture?.windowCenter ?? boot.first.window_center;
  const width = picture?.windowWidth ?? boot.first.window_width;
  const thickness = info?.thickness_mm ? `${Number(info.thickness_mm.toFixed(2))} mm` : "";
  const depth = info?.position?.[2];
  const place = [thickness, depth === undefined ? "" : `z ${depth.toFixed(1)}`].filter(Boolean).join(" · ");
  const number = series.number === null ? "" : `Se ${series.number}  `;
  ui.corners.bl.textContent = lines(
    `${number}Im ${state.frame + 1}/${series.frame_count}`,
    place,
    technique(manifest),
  );
  const zoom = Math.round(wanted.zoom * 100);
  ui.corners.br.textContent = lines(
    state.flipHorizontal || state.flipVertical ? t("flipped") : "",
    zoom === 100 ? "" : `${zoom} %`,
    width == null || center == null ? "" : `W${Math.round(width)} L${Math.round(center)}`,
  );
  ui.corners.tl.textContent = lines(...person(boot));
  const { overlay } = boot;
  ui.corners.tr.textContent = lines(
    overlay["accession_number"] ?? "",
    shownTime(overlay["study_date"] ?? "", overlay["study_time"] ?? ""),
    manifest?.acquisition["manufacturer_model_name"] ?? "",
  );
  if (!info) return;
  const edges = edgeLetters(
    info.orientation,
    info.patient_orientation,
    state.flipHorizontal,
    state.flipVertical,
    state.rotation,
  );
  for (const side of ["left", "right", "top", "bottom"] as const) {
    const text = edges?.[side] ?? "";
    const word = text === "L" ? t("left") : text === "R" ? t("right") : "";
    ui.letters[side].textContent =
      boot.patient_facing && word && boot.language === "zh" ? `${word}${text}` : text;
  }
  refreshScale(ui, source.scale, info.spacing_mm, info.calibration);
}

function refreshScale(
  ui: Elements,
  scale: number,
  spacing: [number, number] | null,
  calibration: string,
): void {
  // At most 180 px: a bar is read against the picture, not across it. Pixels are shown square: columns measure.
  const longest = Math.min(ui.stage.clientWidth, 540);
  const bar = spacing && scale > 0 ? scaleBar(spacing[1] / scale, longest) : null;
  ui.scale.hidden = bar === null;
  if (!bar) return;
  ui.scale.style.width = `${bar.pixels}px`;
  const text = bar.mm >= 10 ? `${bar.mm / 10} cm` : `${bar.mm} mm`;
  ui.scale.textContent = calibration === "detector" ? `${text}*` : text;
}

const QUALITY_MARKS: Record<Quality, [string, Word]> = {
  loading: ["◌", "loading"],
  preview: ["◐", "preview"],
  refined: ["◐", "settled"],
  lossless: ["●", "lossless"],
};

/** Quality is always named, by a sign and a word. */
export function showQuality(
  ui: Elements,
  t: (word: Word) => string,
  quality: Quality,
  picture?: { readonly note?: string; readonly detail?: string },
): void {
  const [sign, word] = QUALITY_MARKS[quality];
  ui.quality.textContent = `${sign} ${t(word)}${picture?.note ? ` · ${picture.note}` : ""}`;
  ui.quality.title = picture?.detail ?? "";
  ui.quality.dataset["quality"] = quality;
}

const CORNERS = ["informed", "plain"];

/** All corner texts, the usual ones, or none; side and quality stay. */
export function cycleOverlays({ classList }: HTMLElement): void {
  const now = CORNERS.findIndex((name) => classList.contains(name));
  classList.remove(...CORNERS);
  const next = CORNERS[now + 1];
  if (next) classList.add(next);
}
