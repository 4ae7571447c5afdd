// The page's elements around its pictures.

import { element, icon } from "../viewer/dom";
import type { Notice } from "./notice";
import type { VolumePage } from "./page";
import type { Pane } from "./pane";
import type { Tools } from "./tools";

export function shellOf(
  page: VolumePage,
  tabs: readonly HTMLElement[],
  panes: readonly Pane[],
  tools: Tools,
  notice: Notice,
): HTMLElement {
  const { viewer, words, menu, editor } = page;
  const back = element("button", { type: "button", class: "icon", "aria-label": words.back });
  back.append(icon("close"));
  back.addEventListener("click", () => page.leave());
  const { part, corners } = viewer.ui;
  const name = (corners.tl.textContent ?? "").split("\n")[0] ?? "";
  const title = element("h2", {}, [part.textContent ?? "", name].filter(Boolean).join(" · "));
  const row = element("div", { class: "tabs", role: "group" }, ...tabs);
  const bar = element("div", { class: "volume-bar" }, back, title, page.phases.place, row, menu.button);
  const grid = element("div", { class: "panes" }, ...panes.map((pane) => pane.place));
  const note = element("p", { class: "volume-note" }, viewer.ui.note.textContent ?? "");
  // The bar of tools is lowest on a phone; on a desktop it is first and the row of choices under it.
  const foot = element("div", { class: "volume-foot" }, note, tools.row, tools.bar);
  return element(
    "div",
    { id: "volume", role: "dialog", "aria-label": viewer.t("volume"), tabindex: "-1" },
    bar,
    notice.line,
    notice.lost,
    notice.said,
    element("div", { class: "volume-main" }, grid, editor.place),
    foot,
    menu.sheet,
    menu.card,
    notice.box,
  );
}
