// What the page carries (boot) and what the stream tells of a series (manifest).

import type { ValuesManifest } from "../values/describe";

export interface SeriesEntry {
  series: number;
  version: number;
  modality: string;
  number: number | null;
  frame_count: number;
  body_part: string;
  description: string;
}

export interface Boot {
  study: number;
  language: "zh" | "en";
  label: string;
  overlay: Record<string, string>;
  patient_facing: boolean;
  close_url: string;
  /** Built files that come later, by name. */
  files?: Record<string, string>;
  /** The values manifest of the first frame, where its codestream is prepared. */
  values?: ValuesManifest | null;
  series: SeriesEntry[];
  first: {
    series: number;
    frame: number;
    width: number;
    height: number;
    window_center: number | null;
    window_width: number | null;
  };
}

export interface FrameInfo {
  rows: number;
  columns: number;
  position: number[] | null;
  orientation: number[] | null;
  spacing_mm: [number, number] | null;
  calibration: string;
  patient_orientation: string[];
  thickness_mm: number | null;
  windows: [number, number][];
  instance_number: number | null;
  fault: string | null;
}

export interface Manifest {
  series: number;
  frame_count: number;
  modality: string;
  colour: boolean;
  /** Low values are white (MONOCHROME1, or an inverse presentation). */
  inverse: boolean;
  cine_rate_hz: number | null;
  /** Of a PET: what makes SUV (body weight) of its values, or the reason why nothing does. */
  suv?: { factor: number | null; reason: string };
  acquisition: Record<string, string>;
  shared: FrameInfo;
  frames: Partial<FrameInfo>[];
}

export function frameInfo(manifest: Manifest, frame: number): FrameInfo {
  return { ...manifest.shared, ...(manifest.frames[frame] ?? {}) };
}
