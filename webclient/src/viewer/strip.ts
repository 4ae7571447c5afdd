// The series strip: one thumbnail for each series, its number and how many images it has.

import { element } from "./dom";
import type { SeriesEntry } from "./manifest";

export class Strip {
  /** Series that have key images. */
  private starred: ReadonlySet<number> = new Set();

  constructor(
    private readonly nav: HTMLElement,
    private readonly open: (entry: SeriesEntry) => void,
  ) {}

  /** Thumbnails of these series; a strip of one series is hidden. Pictures that stay are not loaded again. */
  fill(series: readonly SeriesEntry[]): void {
    this.nav.hidden = series.length < 2;
    this.nav.replaceChildren(...(this.nav.hidden ? [] : series.map((entry) => this.thumb(entry))));
  }

  /** Marks the series that is open. */
  mark(series: number): void {
    for (const thumb of this.nav.querySelectorAll<HTMLButtonElement>("button"))
      thumb.setAttribute("aria-current", String(thumb.dataset["series"] === String(series)));
  }

  /** Marks the series that have key images. */
  star(series: ReadonlySet<number>): void {
    this.starred = series;
    for (const thumb of this.nav.querySelectorAll<HTMLButtonElement>("button"))
      thumb.classList.toggle("starred", series.has(Number(thumb.dataset["series"])));
  }

  private thumb(entry: SeriesEntry): HTMLButtonElement {
    const label = `${entry.modality} ${entry.number ?? ""} ${entry.description || entry.body_part}`.trim();
    const button = element("button", {
      type: "button",
      class: "thumb",
      "aria-label": label,
      title: label,
      "data-series": String(entry.series),
    });
    const picture = element("img", {
      src: `/api/series/${entry.series}/thumbnail?v=${entry.version}`,
      alt: "",
      loading: "lazy",
      width: "56",
      height: "56",
    });
    button.append(
      picture,
      element("span", {}, `${entry.number ?? ""}`),
      element("span", {}, `${entry.frame_count}`),
    );
    button.classList.toggle("starred", this.starred.has(entry.series));
    button.addEventListener("click", () => this.open(entry));
    return button;
  }
}
