// The choice among a series' volumes: phases of a contrast study, echoes, stacks that lie elsewhere.

import { element } from "../viewer/dom";
import type { Stack } from "./facts";
import { type Bounds, dot } from "./geometry";
import type { PageState } from "./state";
import type { VolumeWords } from "./words";

const SAME_MM = 1;

/** "期相 2/3 · +25 s": its time after the first, else its slices, and its plane where they lie differently. */
export function phaseText(stacks: readonly Stack[], index: number, words: VolumeWords): string {
  const stack = stacks[index];
  const first = stacks[0];
  const name = `${words.phase} ${index + 1}/${stacks.length}`;
  if (!stack || !first) return name;
  const isElsewhere = stacks.some((one) => Math.abs(dot(one.normal, first.normal)) < 0.99);
  const sizes = stack.normal.map(Math.abs);
  const plane = ["sagittal", "coronal", "axial"][sizes.indexOf(Math.max(...sizes))] ?? "";
  const facts = [
    stack.time_s === null ? words.slicesOf(stack.slices) : `+${Number(stack.time_s.toFixed(1))} s`,
    isElsewhere ? (words.names[plane] ?? "") : "",
  ];
  return [name, ...facts].filter(Boolean).join(" · ");
}

const isSame = (a: Bounds, b: Bounds): boolean =>
  [...a.low, ...a.high].every((at, index) => Math.abs(at - ([...b.low, ...b.high][index] ?? at)) < SAME_MM);

/** Another volume of the series. Where it lies elsewhere, planes, camera and box begin anew. */
export function withStack(
  page: PageState,
  stack: number,
  now: Bounds | null,
  next: Bounds | null,
): PageState {
  if (!now || !next || isSame(now, next)) return { ...page, stack };
  const { axial, coronal, sagittal } = page.planes;
  const anew = { middleMm: null, fieldMm: null };
  return {
    ...page,
    stack,
    crossMm: null,
    planes: {
      axial: { ...axial, ...anew },
      coronal: { ...coronal, ...anew },
      sagittal: { ...sagittal, ...anew },
    },
    camera: null,
    cameraFieldMm: null,
    box: null,
  };
}

export class Phases {
  readonly place: HTMLElement;
  private readonly select: HTMLSelectElement;
  private shown = "";

  constructor(
    private readonly words: VolumeWords,
    choose: (stack: number) => void,
  ) {
    this.select = element("select", { "aria-label": words.phase });
    this.select.addEventListener("change", () => choose(this.select.selectedIndex));
    this.place = element("label", { class: "phases", hidden: "" }, this.select);
  }

  show(stacks: readonly Stack[], chosen: number): void {
    this.place.hidden = stacks.length < 2;
    if (stacks.length < 2) return;
    const texts = stacks.map((_, index) => phaseText(stacks, index, this.words));
    const now = texts.join("\n");
    if (now !== this.shown) {
      this.shown = now;
      this.select.replaceChildren(...texts.map((text) => element("option", {}, text)));
    }
    if (this.select.selectedIndex !== chosen) this.select.selectedIndex = chosen;
  }
}
