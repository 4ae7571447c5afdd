// Comes when 三维 is chosen (volume.js): planes through a series' volume and its rendering, over the viewer's stream.

import type { PictureHeader } from "../net/stream";
import { element } from "../viewer/dom";
import type { Viewer } from "../viewer/viewer";
import type { PictureLayer } from "../viewport/layer";
import type { ScreenState } from "../viewport/state";
import editorStyles from "./editor.css?inline";
import { VolumePage } from "./page";
import { pageOfScreen } from "./state";
import styles from "./volume.css?inline";

/** Takes the pictures of the volume's viewports; draws nothing on the stage itself. */
class VolumeLayer implements PictureLayer {
  readonly name = "volume";
  readonly canvas = element("canvas", { hidden: "" });
  readonly shown = null;
  page: VolumePage | null = null;

  display(): void {
    // The stage shows frames; planes and volumes lie above it. What the viewer has learnt (a manifest) tells them where.
    this.page?.rest();
  }

  receive(header: PictureHeader, bytes: ArrayBuffer): boolean {
    if (!header.viewport.startsWith("volume-")) return false;
    this.page?.receive(header, bytes);
    return true;
  }

  message(message: Record<string, unknown>): boolean {
    const kind = message["t"];
    const isMine =
      kind === "histogram" || kind === "stacks" || String(message["viewport"] ?? "").startsWith("volume-");
    if (isMine) this.page?.hear(message);
    return isMine;
  }

  online(connected: boolean): void {
    this.page?.online(connected);
  }

  forget(series: number): void {
    this.page?.forget(series);
  }

  clear(): void {
    this.page?.leave();
  }
}

let layer: VolumeLayer | null = null;

/** The page of planes and the rendering: as a screen of a link says, else of the series that the viewer shows.
 * `fused`: with another series in colour, where there is one. */
export function open(viewer: Viewer, screen: ScreenState | null = null, fused = false): void {
  if (!layer) {
    const made = new VolumeLayer();
    layer = made;
    viewer.add(() => made);
    document.head.append(element("style", {}, styles + editorStyles));
  }
  const mine = layer;
  if (mine.page) return;
  mine.page = new VolumePage(viewer, screen && pageOfScreen(screen), () => {
    mine.page = null;
  });
  if (fused) mine.page.fuseFirst();
}
