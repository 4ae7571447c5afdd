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
  /** Whether key images may be marked. */
  may_mark?: boolean;
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
  /** What the spacing is true of (the server's `calibration.py`); "" without one. */
  calibration: string;
  /** Height of a pixel over its width. */
  pixel_aspect?: number;
  /** Of ultrasound: x0, y0, x1, y1, mm per column and per row (null: no plane of space). */
  regions?: readonly (readonly (number | null)[])[];
  patient_orientation: string[];
  thickness_mm: number | null;
  windows: [number, number][];
  instance_number: number | null;
  /** Of the instance, from 1. */
  frame_number?: number;
  sop_instance_uid?: string;
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
  /** How the SOP Instance UIDs of all frames begin; a frame's has the rest. */
  sop_instance_uid_root?: string;
  shared: FrameInfo;
  frames: Partial<FrameInfo>[];
}

export function frameInfo(manifest: Manifest, frame: number): FrameInfo {
  const info = { ...manifest.shared, ...(manifest.frames[frame] ?? {}) };
  const root = manifest.sop_instance_uid_root;
  return root === undefined ? info : { ...info, sop_instance_uid: root + (info.sop_instance_uid ?? "") };
}
