// In the viewer's core: the ways to 三维, which fetch the script of planes and volumes when one is chosen: a row of the
// sheet, a tool of the desktop's bar, a link that shows planes, and `#volume` (the study list).

import type { SeriesEntry } from "../viewer/manifest";
import type { Viewer } from "../viewer/viewer";
import { screenFromFragment } from "../viewport/serial";
import type { ScreenState } from "../viewport/state";

interface VolumeScript {
  open(viewer: Viewer, screen?: ScreenState | null, fused?: boolean): void;
}

const MODALITIES = ["CT", "MR", "PT"];
const FEWEST_FRAMES = 8;
const HASH = "#volume";
/** As HASH, with a PET in colour over the planes. */
const FUSED = "#fusion";

const isVolume = (entry: SeriesEntry): boolean =>
  MODALITIES.includes(entry.modality) && entry.frame_count >= FEWEST_FRAMES;

export function offerVolume(viewer: Viewer | null): void {
  const address = viewer?.boot.files?.["volume.js"];
  if (!viewer || !address || typeof createImageBitmap !== "function") return;
  const page = window as unknown as { cloudfilmVolume?: VolumeScript };
  const open = (screen: ScreenState | null = null, fused = false) => {
    if (page.cloudfilmVolume) {
      page.cloudfilmVolume.open(viewer, screen, fused);
      return;
    }
    const script = document.createElement("script");
    script.src = `/${address}`;
    script.onload = () => page.cloudfilmVolume?.open(viewer, screen, fused);
    document.head.append(script);
  };
  const ways = [
    viewer.sheet.add("cube", viewer.t("volume"), () => open()),
    viewer.toolbar.add("cube", viewer.t("volume"), () => open()),
  ];
  ways[1]?.classList.add("desktop");
  const refresh = () => {
    for (const way of ways) way.hidden = !isVolume(viewer.series);
  };
  viewer.onDisplay(refresh);
  refresh();
  fromAddress(viewer, open);
}

/** A page that was opened by a link to planes, or from the list for them. */
function fromAddress(viewer: Viewer, open: (screen: ScreenState | null, fused: boolean) => void): void {
  const screen = screenFromFragment(location.hash);
  const view = screen?.study === viewer.boot.study ? screen.views[0] : null;
  const asked =
    view && view.kind !== "stack" ? viewer.boot.series.find((one) => one.series === view.series) : null;
  const isFused = location.hash === FUSED;
  const volumes = [viewer.series, ...viewer.boot.series].filter(isVolume);
  const first = (isFused && volumes.find((one) => one.modality !== "PT")) || volumes[0];
  const entry = asked ?? (location.hash === HASH || isFused ? first : null);
  if (!entry) return;
  if (entry.series !== viewer.view.series) viewer.openSeries(entry);
  open(asked ? screen : null, isFused);
}
