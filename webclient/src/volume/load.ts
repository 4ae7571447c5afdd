// In the viewer's core: the row 三维 of the sheet, which fetches the script of planes and volumes when it is chosen.

import type { Viewer } from "../viewer/viewer";

interface VolumeScript {
  open(viewer: Viewer): void;
}

const MODALITIES = ["CT", "MR", "PT"];
const FEWEST_FRAMES = 8;

export function offerVolume(viewer: Viewer | null): void {
  const address = viewer?.boot.files?.["volume.js"];
  if (!viewer || !address || typeof createImageBitmap !== "function") return;
  const page = window as unknown as { cloudfilmVolume?: VolumeScript };
  const row = viewer.sheet.add("cube", viewer.t("volume"), () => {
    if (page.cloudfilmVolume) {
      page.cloudfilmVolume.open(viewer);
      return;
    }
    const script = document.createElement("script");
    script.src = `/${address}`;
    script.onload = () => page.cloudfilmVolume?.open(viewer);
    document.head.append(script);
  });
  const refresh = () => {
    const { modality, frame_count: count } = viewer.series;
    row.hidden = !MODALITIES.includes(modality) || count < FEWEST_FRAMES;
  };
  viewer.onDisplay(refresh);
  refresh();
}
