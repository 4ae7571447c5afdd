// The viewer's elements, built once around the picture that the server has already painted.

import type { Word } from "../ui/words";

type Child = Node | string;

export function element<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  attributes: Record<string, string> = {},
  ...children: Child[]
): HTMLElementTagNameMap[K] {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

const ICONS: Record<string, string> = {
  close: "M6 6l12 12M18 6L6 18",
  more: "M5 12h.01M12 12h.01M19 12h.01",
  page: "M7 4h10v16H7zM4 7v10M20 7v10",
  window: "M12 4a8 8 0 1 0 0 16zM12 4a8 8 0 0 1 0 16",
  zoom: "M10 4a6 6 0 1 0 0 12 6 6 0 0 0 0-12zM15 15l5 5M10 7v6M7 10h6",
  pan: "M12 3v18M3 12h18M9 6l3-3 3 3M9 18l3 3 3-3M6 9l-3 3 3 3M18 9l3 3-3 3",
  measure: "M3 16L16 3l5 5L8 21zM7 12l2 2M10 9l3 3M13 6l2 2",
  length: "M5 19L19 5M3 17l4 4M17 3l4 4",
  angle: "M20 19H4L15 5M10 19a7 7 0 0 0-2-5",
  ellipse: "M12 6c5 0 9 2.7 9 6s-4 6-9 6-9-2.7-9-6 4-6 9-6z",
  note: "M5 19l8-8M5 19v-5M5 19h5M13 4h8M17 4v8",
  probe: "M12 3v6M12 15v6M3 12h6M15 12h6",
  play: "M8 5l11 7-11 7z",
  pause: "M8 5v14M16 5v14",
  rotate: "M19 12a7 7 0 1 1-2-5M19 4v4h-4",
  flip: "M12 4v16M9 7L4 17h5zM15 7l5 10h-5z",
  invert: "M12 4a8 8 0 1 0 0 16 8 8 0 0 0 0-16zM12 4v16",
  info: "M12 4a8 8 0 1 0 0 16 8 8 0 0 0 0-16zM12 11v5M12 8h.01",
  flipVertical: "M4 12h16M7 9l10-5v5zM7 15l10 5v-5z",
  undo: "M9 14l-5-5 5-5M4 9h10a6 6 0 0 1 0 12h-4",
  redo: "M15 14l5-5-5-5M20 9H10a6 6 0 0 0 0 12h4",
  elder: "M4 20l6-15 6 15M6 15h8M17 10l3-3m0 0l-3 0m3 0v3",
  keys: "M3 7h18v10H3zM7 11h.01M11 11h.01M15 11h.01M8 14h8",
  language: "M12 4a8 8 0 1 0 0 16 8 8 0 0 0 0-16zM4 12h16M12 4c-5 5-5 11 0 16M12 4c5 5 5 11 0 16",
  cube: "M12 3l8 4.5v9L12 21l-8-4.5v-9zM4 7.5l8 4.5 8-4.5M12 12v9",
  star: "M12 4l2.4 5.2 5.6.7-4.1 3.9 1 5.6-4.9-2.7-4.9 2.7 1-5.6L4 9.9l5.6-.7z",
  nextStar: "M9 5l1.8 3.9 4.2.5-3.1 2.9.8 4.2L9 14.4l-3.7 2.1.8-4.2L3 9.4l4.2-.5zM17 8l4 4-4 4",
  previousStar: "M15 5l1.8 3.9 4.2.5-3.1 2.9.8 4.2-3.7-2.1-3.7 2.1.8-4.2L9 9.4l4.2-.5zM7 8l-4 4 4 4",
  panel: "M4 5h16v14H4zM9 5v14",
  reset: "M5 12a7 7 0 1 0 2-5M5 4v4h4",
};

export function icon(name: string): SVGSVGElement {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("aria-hidden", "true");
  const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
  path.setAttribute("d", ICONS[name] ?? "");
  svg.append(path);
  return svg;
}

export function toolButton(name: string, label: string): HTMLButtonElement {
  const made = element("button", { type: "button", class: "tool", "data-tool": name });
  made.append(icon(name), element("span", {}, label));
  return made;
}

export interface Elements {
  root: HTMLElement;
  bar: HTMLElement;
  /** What is seen, shortened where the bar is narrow; and which image of it, never shortened. */
  part: HTMLElement;
  place: HTMLElement;
  close: HTMLButtonElement;
  more: HTMLButtonElement;
  stage: HTMLElement;
  canvas: HTMLCanvasElement;
  letters: Record<"left" | "right" | "top" | "bottom", HTMLElement>;
  corners: Record<"tl" | "tr" | "bl" | "br", HTMLElement>;
  quality: HTMLElement;
  scale: HTMLElement;
  slider: HTMLElement;
  thumb: HTMLElement;
  bubble: HTMLElement;
  message: HTMLElement;
  strip: HTMLElement;
  chips: HTMLElement;
  tools: HTMLElement;
  note: HTMLElement;
  sheet: HTMLElement;
}

export function build(t: (word: Word) => string): Elements {
  const root = document.getElementById("v") as HTMLElement;
  const bar = document.getElementById("bar") as HTMLElement;
  const stage = document.getElementById("stage") as HTMLElement;
  const foot = document.getElementById("foot") as HTMLElement;
  const part = element("span", {}, bar.textContent ?? "");
  const place = element("span", { class: "place" });
  const title = element("h1", { id: "title" }, part, place);
  const close = element("button", { type: "button", class: "icon", "aria-label": t("close") });
  close.append(icon("close"));
  const more = element("button", {
    type: "button",
    class: "icon",
    "aria-label": t("more"),
    "aria-expanded": "false",
  });
  more.append(icon("more"));
  bar.replaceChildren(close, title, more);

  const canvas = element("canvas", { id: "picture", "aria-hidden": "true" });
  const mark = (place: string) => element("span", { class: `letter ${place}`, "aria-hidden": "true" });
  const letters = { left: mark("left"), right: mark("right"), top: mark("top"), bottom: mark("bottom") };
  const corner = (place: string) => element("div", { class: `corner ${place}` });
  const corners = { tl: corner("tl"), tr: corner("tr"), bl: corner("bl"), br: corner("br") };
  const quality = element("span", { class: "quality", role: "status" });
  const scale = element("span", { class: "scale" });
  const slider = element("div", {
    class: "slider",
    role: "slider",
    tabindex: "0",
    "aria-orientation": "vertical",
    "aria-valuemin": "1",
    "aria-label": t("slider"),
  });
  const thumb = element("i");
  const bubble = element("output", { class: "bubble" });
  const track = element("div", { class: "track" });
  track.append(thumb, bubble);
  slider.append(track);
  const message = element("div", { class: "message", role: "alert", hidden: "" });
  stage.append(canvas, ...Object.values(letters), ...Object.values(corners), quality, scale, slider, message);

  const strip = element("nav", { id: "strip", "aria-label": t("series") });
  const chips = element("div", { id: "chips", hidden: "" });
  const tools = element("div", { id: "tools", role: "toolbar" });
  const note = element("p", { id: "note" }, foot.textContent ?? "");
  foot.replaceChildren(note, chips, strip, tools);
  const sheet = element("div", { id: "sheet", role: "dialog", "aria-label": t("more"), hidden: "" });
  root.append(sheet);
  return {
    root,
    bar,
    part,
    place,
    close,
    more,
    stage,
    canvas,
    letters,
    corners,
    quality,
    scale,
    slider,
    thumb,
    bubble,
    message,
    strip,
    chips,
    tools,
    note,
    sheet,
  };
}
