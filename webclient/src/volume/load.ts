// In the viewer's core: the ways to 三维, which fetch the script of planes and volumes when one is chosen: a row of the
// sheet, a tool of the desktop's bar, a link that shows planes, and `#volume` (the study list).

import type { SeriesEntry } from "../viewer/manifest";
import type { Viewer } from "../viewer/viewer";
import { screenFromFragment } from "../viewport/serial";
import type { ScreenState } from "../viewport/state";

interface VolumeScript {
  open(viewer: Viewer, screen?: ScreenState | null): void;
}

const MODALITIES = ["CT", "MR", "PT"];
const FEWEST_FRAMES = 8;
const HASH = "#volume";

const isVolume = (entry: SeriesEntry): boolean =>
  MODALITIES.includes(entry.modality) && entry.frame_count >= FEWEST_FRAMES;

export function offerVolume(viewer: Viewer | null): void {
  const address = viewer?.boot.files?.["volume.js"];
  if (!viewer || !address || typeof createImageBitmap !== "function") return;
  const page = window as unknown as { cloudfilmVolume?: VolumeScript };
  const open = (screen: ScreenState | null = null) => {
    if (page.cloudfilmVolume) {
      page.cloudfilmVolume.open(viewer, screen);
      return;
    }
    const script = document.createElement("script");
    script.src = `/${address}`;
    script.onload = () => page.cloudfilmVolume?.open(viewer, screen);
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
function fromAddress(viewer: Viewer, open: (screen: ScreenState | null) => void): void {
  const screen = screenFromFragment(location.hash);
  const view = screen?.study === viewer.boot.study ? screen.views[0] : null;
  const asked =
    view && view.kind !== "stack" ? viewer.boot.series.find((one) => one.series === view.series) : null;
  const first = [viewer.series, ...viewer.boot.series].find(isVolume);
  const entry = asked ?? (location.hash === HASH ? first : null);
  if (!entry) return;
  if (entry.series !== viewer.view.series) viewer.openSeries(entry);
  open(asked ? screen : null);
}
