// The bar of tools and, above it (on a desktop below it), the row of choices of the tool that was pressed last.

import { element, icon } from "../viewer/dom";
import { CT_PRESETS } from "../viewport/state";
import { cuts, FACES } from "./box";
import { type Choice, DIVIDER } from "./choice";
import { curveRow, undoing } from "./curve_row";
import { SUV_ENDS, suvOf, suvRefused } from "./fusion";
import { fusionRow } from "./fusion_row";
import type { VolumePage } from "./page";
import { BLADES, RADII_MM } from "./scalpel";
import { isWhole, PLANES } from "./state";
import { presetsOf } from "./words";

/** Tools of the planes, and of the rendering; the last of each open their row only. */
export const PLANE_TOOLS = ["page", "cross", "window", "pan", "slab", "fusion"] as const;
export const VOLUME_TOOLS = ["rotate", "move", "look", "curve", "sides", "cut", "scalpel"] as const;
export type Panel = (typeof PLANE_TOOLS)[number] | (typeof VOLUME_TOOLS)[number];

/** On a phone the button that leads to a row whose own button is not there. */
const OPENS: Readonly<Record<string, Panel>> = { fused: "fusion", look: "curve" };
const THICKNESSES_MM = [0, 5, 10, 20];
const PROJECTIONS = ["maximum", "minimum", "mean"] as const;
const TURN_SHARE = 1 / 12;
const TRIM_SHARE = 0.1;
const SVG = "http://www.w3.org/2000/svg";

const PATHS: Record<string, string> = {
  cross: "M12 3v6M12 15v6M3 12h6M15 12h6M12 12h.01",
  slab: "M4 9l8-4 8 4-8 4zM4 15l8 4 8-4",
  look: "M12 4a8 8 0 1 0 0 16c2 0 1-2 1-3 0-2 7 0 7-5a8 8 0 0 0-8-8zM8 11h.01M11 8h.01M15 9h.01",
  curve: "M3 20h18M4 17l5-3 4-8 3 4 4-5M9 14h.01M13 6h.01M16 10h.01",
  sides: "M12 3l8 4.5v9L12 21l-8-4.5v-9zM4 7.5l8 4.5 8-4.5M12 12v9",
  fusion: "M9 5a7 7 0 1 0 0 14A7 7 0 1 0 9 5zM15 5a7 7 0 1 0 0 14 7 7 0 1 0 0-14z",
  cut: "M7 3v14h14M3 7h14v14",
  scalpel: "M20 4L9 15l-2-2L18 3zM7 13l2 2-6 6zM14 21h7",
};

function symbol(name: string): SVGSVGElement {
  const path = PATHS[name];
  if (!path) return icon(name === "move" ? "pan" : name);
  const made = document.createElementNS(SVG, "svg");
  made.setAttribute("viewBox", "0 0 24 24");
  made.setAttribute("aria-hidden", "true");
  const line = document.createElementNS(SVG, "path");
  line.setAttribute("d", path);
  made.append(line);
  return made;
}

export class Tools {
  readonly bar: HTMLElement;
  readonly row = element("div", { class: "volume-chips", role: "group" });
  private readonly buttons = new Map<string, HTMLButtonElement>();
  private shown = "";

  constructor(private readonly page: VolumePage) {
    const { words } = page;
    const group = (name: string, title: string, tools: readonly Panel[]) =>
      element(
        "div",
        { class: `group ${name}`, role: "group", "aria-label": title },
        ...tools.map((tool) => this.tool(tool)),
      );
    const act = (name: string, label: string, run: () => void) => {
      const made = this.button(name, label);
      made.addEventListener("click", run);
      return made;
    };
    const rendering = group("rendering", words.names["volume"] ?? "", VOLUME_TOOLS);
    // On a phone the rendering's tools have the bar to themselves; 传递函数 is then reached from the presets.
    this.buttons.get("curve")?.classList.add("desktop");
    const within = this.button("fused", words.tools["fusion"] ?? "", "fusion");
    within.classList.add("phone");
    within.addEventListener("click", () => page.choose("fusion"));
    rendering.append(within);
    const acts = element(
      "div",
      { class: "group acts" },
      act("undo", words.undo, () => page.undo()),
      act("redo", words.redo, () => page.undo(true)),
      act("reset", words.reset, () => page.reset()),
    );
    this.bar = element(
      "div",
      { class: "volume-tools", role: "toolbar" },
      group("planes", PLANES.map((plane) => words.names[plane]).join(" "), PLANE_TOOLS),
      rendering,
      acts,
    );
  }

  private button(name: string, label: string, picture = name): HTMLButtonElement {
    const made = element("button", { type: "button", class: "tool", "data-tool": name });
    made.append(symbol(picture), element("span", {}, label));
    this.buttons.set(name, made);
    return made;
  }

  private tool(name: Panel): HTMLButtonElement {
    const made = this.button(name, this.page.words.tools[name] ?? name);
    made.addEventListener("click", () => this.page.choose(name));
    return made;
  }

  /** Pressed tools and the row follow the page. */
  refresh(): void {
    const { page } = this;
    const leads = this.buttons.get("curve")?.offsetParent === null;
    for (const [name, button] of this.buttons) {
      const held = name === page.planeTool || name === page.volumeTool;
      const isOpen = name === page.panel || (leads && OPENS[name] === page.panel);
      button.setAttribute("aria-pressed", String(held || isOpen));
      button.classList.toggle("open", isOpen);
    }
    for (const name of ["fusion", "fused"]) {
      const button = this.buttons.get(name);
      if (button) button.hidden = page.overlays.length === 0;
    }
    for (const [name, can] of [
      ["undo", page.history.canUndo],
      ["redo", page.history.canRedo],
    ] as const) {
      const button = this.buttons.get(name);
      if (button) button.disabled = !can;
    }
    this.fill(this.choices());
  }

  /** The row anew where anything of it is another. Where it was scrolled to and what has the focus stay. */
  private fill(choices: readonly Choice[]): void {
    const now = JSON.stringify([this.page.panel, choices], (key, value) =>
      key === "value" ? undefined : value,
    );
    if (now === this.shown) {
      const slider = this.row.querySelector("input");
      const at = choices.find((choice) => choice.slide)?.value;
      if (slider && at !== undefined && slider !== document.activeElement) slider.value = String(at);
      return;
    }
    const isSame = this.shown.startsWith(JSON.stringify([this.page.panel]).slice(0, -1));
    const { scrollLeft } = this.row;
    const active = document.activeElement;
    const focused =
      active instanceof HTMLElement && this.row.contains(active) ? active.dataset["choice"] : "";
    this.shown = now;
    this.row.replaceChildren(...choices.map((choice) => this.chip(choice)));
    this.row.scrollLeft = isSame ? scrollLeft : 0;
    if (isSame && focused) this.row.querySelector<HTMLElement>(`[data-choice="${focused}"]`)?.focus();
  }

  private chip(choice: Choice): HTMLElement {
    if (choice === DIVIDER) return element("i", { class: "divider" });
    if (choice.slide) return this.slider(choice);
    if (!choice.act) return element("span", { class: "hint" }, choice.text);
    const made = element("button", { type: "button", class: "chip" }, choice.text);
    if (choice.pressed !== undefined) made.setAttribute("aria-pressed", String(choice.pressed));
    if (choice.label) made.setAttribute("aria-label", choice.label);
    if (choice.name) made.dataset["choice"] = choice.name;
    made.disabled = choice.disabled === true;
    made.addEventListener("click", () => choice.act?.());
    return made;
  }

  private slider(choice: Choice): HTMLElement {
    const made = element("input", {
      type: "range",
      min: "0",
      max: "1",
      step: "0.05",
      "aria-label": choice.text,
    });
    made.value = String(choice.value ?? 0);
    if (choice.name) made.dataset["choice"] = choice.name;
    made.addEventListener("input", () => choice.slide?.(Number(made.value)));
    made.addEventListener("change", () => this.page.rest());
    return element("label", { class: "slide" }, choice.text, made);
  }

  // The rows ----------------------------------------------------------------------------------------------------

  private choices(): readonly Choice[] {
    switch (this.page.panel) {
      case "page":
        return [...this.layers(), DIVIDER, ...this.sizes()];
      case "cross":
        return this.crossing();
      case "window":
        return this.windows();
      case "slab":
        return this.slabs();
      case "fusion":
        return fusionRow(this.page);
      case "rotate":
        return [...this.turns(), DIVIDER, ...this.sizes()];
      case "look":
        return this.presets();
      case "curve":
        return curveRow(this.page);
      case "sides":
        return this.views();
      case "cut":
        return this.trims();
      case "scalpel":
        return this.blades();
      default:
        return this.sizes();
    }
  }

  private layers(): Choice[] {
    const { page } = this;
    return [
      { text: page.words.previous, name: "previous", act: () => page.step(-1) },
      { text: page.words.next, name: "next", act: () => page.step(1) },
    ];
  }

  private sizes(): Choice[] {
    const { page } = this;
    return [
      { text: page.words.larger, name: "larger", act: () => page.zoom(1.25) },
      { text: page.words.smaller, name: "smaller", act: () => page.zoom(0.8) },
      { text: page.words.fit, name: "fit", act: () => page.fit() },
    ];
  }

  private crossing(): Choice[] {
    const { page } = this;
    return [
      { text: page.words.middle, name: "middle", act: () => page.toMiddle() },
      { text: page.words.straighten, name: "straighten", act: () => page.straighten() },
      DIVIDER,
      ...this.layers(),
    ];
  }

  private windows(): Choice[] {
    const { page } = this;
    const now = page.state.window;
    const chosen = (center: number | null, width: number | null) => () =>
      page.setWindow(center === null || width === null ? null : { center, width });
    const file: Choice = {
      text: page.words.file,
      pressed: now === null,
      name: "file",
      act: chosen(null, null),
    };
    const invert: Choice = {
      text: page.words.invert,
      pressed: page.state.invert,
      name: "invert",
      act: () => page.invert(),
    };
    if (page.modality === "PT") return [file, ...this.suvWindows(), invert];
    if (page.modality !== "CT") return [file, invert];
    const presets = CT_PRESETS.map(({ zh, en, key, center, width }) => ({
      text: page.language === "en" ? en : zh,
      pressed: now?.center === center && now.width === width,
      name: `window-${key}`,
      act: chosen(center, width),
    }));
    return [file, ...presets, invert];
  }

  /** Of a PET that is looked at by itself. */
  private suvWindows(): Choice[] {
    const { page } = this;
    const manifest = page.manifestOf(page.state.series);
    const factor = suvOf(manifest)?.factor ?? null;
    const refused = suvRefused(manifest, page.words);
    if (factor === null) return refused ? [{ text: refused }] : [];
    return SUV_ENDS.map((end) => ({
      text: `SUV 0–${end}`,
      pressed: Math.abs((page.state.window?.width ?? 0) * factor - end) < 1e-6,
      name: `suv-${end}`,
      act: () => page.setWindow({ center: end / factor / 2, width: end / factor }),
    }));
  }

  private slabs(): Choice[] {
    const { page } = this;
    const { thicknessMm: now, projection } = page.state;
    const thick = THICKNESSES_MM.map((mm) => ({
      text: mm === 0 ? page.words.plane : `${mm} mm`,
      pressed: mm === now,
      name: `slab-${mm}`,
      act: () => page.setSlab(mm, projection),
    }));
    const kinds = PROJECTIONS.map((kind) => ({
      text: page.words.projections[kind] ?? kind,
      pressed: now > 0 && kind === projection,
      disabled: now === 0,
      name: kind,
      act: () => page.setSlab(now, kind),
    }));
    return [...thick, DIVIDER, ...kinds];
  }

  private turns(): Choice[] {
    const { page } = this;
    const turn = (name: string, right: number, down: number): Choice => ({
      text: page.words.turns[name] ?? name,
      name: `turn-${name}`,
      act: () => page.turn(right, down),
    });
    return [
      turn("left", -TURN_SHARE, 0),
      turn("right", TURN_SHARE, 0),
      turn("up", 0, -TURN_SHARE),
      turn("down", 0, TURN_SHARE),
    ];
  }

  private presets(): Choice[] {
    const { page } = this;
    const { state, words } = page;
    const presets = presetsOf(page.modality).map((name) => ({
      text: words.presets[name] ?? name,
      pressed: name === state.transfer && state.points === null,
      name,
      act: () => page.setTransfer(name),
    }));
    const now = page.savedNow;
    const own = page.saved.map((one, index) => ({
      text: one.name,
      pressed: one.name === now?.name,
      name: `saved-${index}`,
      act: () => page.takeSaved(one),
    }));
    const unnamed =
      state.points && !now ? [{ text: words.own, pressed: true, name: "own", act: () => undefined }] : [];
    const slices: Choice = {
      text: words.slices,
      pressed: state.slices,
      disabled: isWhole(state),
      name: "slices",
      act: () => page.toggleSlices(),
    };
    const curve: Choice = { text: words.curve, name: "curve", act: () => page.choose("curve") };
    return [curve, slices, DIVIDER, ...presets, ...own, ...unnamed];
  }

  private views(): Choice[] {
    const { page } = this;
    return [..."APLRHF"].map((side) => ({
      text: page.words.sides[side] ?? side,
      pressed: page.side === side,
      name: `side-${side}`,
      act: () => page.lookFrom(side),
    }));
  }

  private blades(): readonly Choice[] {
    const { page } = this;
    if (isWhole(page.state)) return [{ text: page.words.wholeMip }];
    const kinds = BLADES.map((blade) => ({
      text: page.words.scalpel[blade] ?? blade,
      pressed: blade === page.blade,
      name: `blade-${blade}`,
      act: () => page.takeBlade(blade),
    }));
    const radii = RADII_MM.map((mm) => ({
      text: `${mm} mm`,
      label: `${page.words.radius} ${mm} mm`,
      pressed: mm === page.radiusMm,
      name: `radius-${mm}`,
      act: () => page.takeBlade("brush", mm),
    }));
    const restore: Choice = {
      text: page.words.restore,
      disabled: page.state.cuts.length === 0,
      name: "restore",
      act: () => page.restore(),
    };
    const sizes = page.blade === "brush" ? [DIVIDER, ...radii] : [];
    return [...kinds, ...sizes, DIVIDER, ...undoing(this.page), restore];
  }

  private trims(): readonly Choice[] {
    const { page } = this;
    if (isWhole(page.state)) return [{ text: page.words.wholeMip }];
    const { bounds } = page;
    const faces = FACES.map(([letter, face]) => ({
      text: page.words.trims[letter] ?? letter,
      disabled: !bounds,
      name: `trim-${letter}`,
      act: () => page.trim(face, TRIM_SHARE),
    }));
    const isCut = page.state.box !== null && bounds !== null && cuts(page.state.box, bounds);
    return [
      ...undoing(this.page),
      { text: page.words.uncut, disabled: !isCut, name: "uncut", act: () => page.uncut() },
      DIVIDER,
      ...faces,
    ];
  }
}
