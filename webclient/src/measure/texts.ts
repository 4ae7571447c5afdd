// What a measurement says, line by line.

import type { FrameInfo } from "../viewer/manifest";
import type { Measurement } from "../viewport/state";
import type { Figures } from "./figures";
import { angleOf, ellipseArea, lengthOf, type Quantity, scaleAt } from "./geometry";
import type { MeasureWord, Speak } from "./words";

const PROJECTED: readonly string[] = ["detector", "projection", "geometry", "fiducial", "calibrated"];

/** One digit after the point; two below 1; whole numbers stay whole. */
export function figure(value: number): string {
  if (Number.isInteger(value)) return String(value);
  const [size, digits] = [Math.abs(value), Math.abs(value) < 1 ? 2 : 1];
  return size > 0 && size < 0.01 ? value.toPrecision(2) : value.toFixed(digits);
}

/** Always with a digit after the point: a length of 50 mm is known to a tenth. */
export function quantityText({ value, unit }: Quantity): string {
  return unit === "°" ? `${value.toFixed(1)}°` : `${value.toFixed(1)} ${unit}`;
}

/** What the quantity is true of, where that is not simply the patient. */
function calibrationLines(quantity: Quantity, t: Speak): string[] {
  const { calibration, kind } = quantity;
  if (kind === "angle") return PROJECTED.includes(calibration) ? [t("projected")] : [];
  if (!calibration) return [t("pixels")];
  const said = [...PROJECTED, "scanned"].find((one) => one === calibration);
  return said ? [t(said as MeasureWord)] : [];
}

/** `figures`: of an ellipse or a probed point. */
export function linesOf(measurement: Measurement, info: FrameInfo, figures: Figures, t: Speak): string[] {
  const [a, b, c] = measurement.points;
  const scale = scaleAt(info, measurement.points);
  if (measurement.kind === "note") return measurement.text ? [measurement.text] : [];
  if (measurement.kind === "probe") return probeLines(measurement, figures, t);
  if (!a || !b) return [];
  if (measurement.kind === "ellipse") {
    const area = ellipseArea(a, b, scale);
    return [
      ...statisticsLines(figures, t),
      `${t("area")} ${quantityText(area)}`,
      ...calibrationLines(area, t),
    ];
  }
  const quantity =
    measurement.kind === "angle" ? (c ? angleOf(a, b, c, scale) : null) : lengthOf(a, b, scale);
  return quantity ? [quantityText(quantity), ...calibrationLines(quantity, t)] : [];
}

function statisticsLines(figures: Figures, t: Speak): string[] {
  if (figures.state !== "statistics") return [reason(figures, t)];
  const { mean, standardDeviation, minimum, maximum, unit } = figures.statistics;
  return [
    `${t("mean")} ${figure(mean)} ${unit}`.trim(),
    `${t("deviation")} ${figure(standardDeviation)}`,
    `${t("least")} ${figure(minimum)}  ${t("most")} ${figure(maximum)}`,
  ];
}

function probeLines(measurement: Measurement, figures: Figures, t: Speak): string[] {
  const [[column, row] = [0, 0]] = measurement.points;
  const place = `(${Math.floor(column)}, ${Math.floor(row)})`;
  if (figures.state !== "probe") return [reason(figures, t), place];
  const { value, stored, unit } = figures.probe;
  if (value === null && stored.length > 1) return [stored.join(" "), place];
  return [value === null ? t("padding") : `${figure(value)} ${unit}`.trim(), place];
}

function reason(figures: Figures, t: Speak): string {
  return t(figures.state === "none" ? figures.why : "loading");
}
