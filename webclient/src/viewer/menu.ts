// What stands in the sheet behind the three dots.

import { cycleOverlays } from "./overlay";
import { togglePanel } from "./panel";
import type { Viewer } from "./viewer";

/** Remembered by a cookie, so that the page of the code is large as well. */
export function setCookie(name: string, value: string): void {
  // biome-ignore lint/suspicious/noDocumentCookie: cookieStore is not in the browsers this must serve
  document.cookie = `${name}=${value};path=/;max-age=31536000;samesite=lax`;
}

export function isElder(): boolean {
  return /(^|; )cloudfilm_elder=1/.test(document.cookie);
}

/** The same page in the other language. */
export function switchLanguage(now: "zh" | "en"): void {
  const other = now === "zh" ? "en" : "zh";
  setCookie("cloudfilm_lang", other);
  location.replace(`${location.pathname}?lang=${other}${location.hash}`);
}

export function fillSheet(viewer: Viewer): void {
  const { sheet, t, boot } = viewer;
  sheet.add("rotate", t("rotate"), () => viewer.rotate(90));
  sheet.add("flip", t("flip"), () => viewer.flip("horizontal"));
  sheet.add("flipVertical", t("flipVertical"), () => viewer.flip("vertical"));
  sheet.add("invert", t("invert"), () => viewer.invert());
  sheet.add("pan", t("pan"), () => viewer.choose("pan"));
  sheet.add("undo", t("undo"), () => viewer.undo());
  sheet.add("redo", t("redo"), () => viewer.undo(true));
  sheet.add("reset", t("reset"), () => viewer.reset());
  sheet.add("info", t("info"), () => cycleOverlays(viewer.ui.root));
  const elder = sheet.add("elder", t("elder"), () => {
    const on = viewer.ui.root.classList.toggle("elder");
    setCookie("cloudfilm_elder", on ? "1" : "0");
    elder.setAttribute("aria-pressed", String(on));
    viewer.refreshSoon();
  });
  elder.setAttribute("aria-pressed", String(isElder()));
  const panel = sheet.add("panel", t("panel"), () => {
    togglePanel(viewer.ui.root);
    panel.setAttribute("aria-pressed", String(viewer.ui.root.classList.contains("narrow")));
  });
  panel.classList.add("desktop");
  const keys = sheet.add("keys", t("keys"), () => viewer.card.toggle());
  keys.classList.add("desktop");
  sheet.add("language", t("language"), () => switchLanguage(boot.language));
}
