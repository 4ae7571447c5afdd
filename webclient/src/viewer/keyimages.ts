// Key images (关键影像): frames that staff marked. Kept by the server; a share sees them and marks none.

import { element } from "./dom";
import { frameInfo, type Manifest } from "./manifest";
import type { Viewer } from "./viewer";

/** As the server tells it; `by` and `at` to colleagues only. */
export interface KeyImage {
  readonly sop_instance_uid: string;
  /** Of the instance, from 1. */
  readonly frame_number: number;
  readonly series: number;
  readonly by?: string;
  readonly at?: string;
}

const NOTICE_MS = 4000;
const REFUSED_MS = 8000;
const NONE: number[] = [];

const nameOf = (uid: string | undefined, frameNumber: number | undefined) => `${uid} ${frameNumber ?? 1}`;

/** Frame indices of the series that are marked, in order. */
export function markedFrames(manifest: Manifest, marks: ReadonlyMap<string, KeyImage>): number[] {
  const found: number[] = [];
  for (let frame = 0; marks.size > 0 && frame < manifest.frame_count; frame += 1) {
    const { sop_instance_uid, frame_number } = frameInfo(manifest, frame);
    if (marks.has(nameOf(sop_instance_uid, frame_number))) found.push(frame);
  }
  return found;
}

/** The next of ascending `frames` after `frame`, or the one before it; null at the end. */
export function nextOf(frames: readonly number[], frame: number, step: 1 | -1): number | null {
  const beyond = frames.filter((one) => (one - frame) * step > 0);
  return (step > 0 ? beyond[0] : beyond[beyond.length - 1]) ?? null;
}

export class KeyImages {
  private marks: ReadonlyMap<string, KeyImage> = new Map();
  /** The list must be asked for once the open series' manifest is here: without it no place of a mark is known. */
  private isStale = true;
  /** A jump that waits for the manifest of the series it went to. */
  private going: 1 | -1 | null = null;
  /** What is written one after the other, and how much of it is under way. */
  private writing: Promise<void> = Promise.resolve();
  private underWay = 0;
  private known: { manifest: Manifest; marks: unknown; frames: number[] } | null = null;
  private readonly star: HTMLElement;
  private readonly ticks = element("div", { class: "ticks", "aria-hidden": "true" });
  private ticked: readonly number[] = [];
  private readonly buttons: HTMLElement[] = [];
  private readonly ways: HTMLElement[] = [];

  constructor(private readonly viewer: Viewer) {
    const { t, ui, boot } = viewer;
    this.star = element("span", { class: "star" }, `★ ${t("keyImage")}`);
    ui.thumb.before(this.ticks);
    if (boot.may_mark) {
      const bar = viewer.toolbar.add("star", t("keyImage"), () => void this.toggle());
      bar.classList.add("desktop");
      this.buttons.push(
        bar,
        viewer.sheet.add("star", t("markKeyImage"), () => void this.toggle()),
      );
    }
    this.ways.push(
      viewer.sheet.add("nextStar", t("nextKeyImage"), () => this.jump(1)),
      viewer.sheet.add("previousStar", t("previousKeyImage"), () => this.jump(-1)),
    );
    this.keep(this.marks);
  }

  private get address(): string {
    return `/api/studies/${this.viewer.boot.study}/key-images`;
  }

  /** A message of the stream; true when it was about key images alone. */
  hear(message: Record<string, unknown>): boolean {
    const isMine = message["t"] === "key_images";
    if (isMine || message["t"] === "opened") {
      this.isStale = true;
      this.refresh();
    }
    return isMine;
  }

  // What is marked ---------------------------------------------------------------------------------------------

  /** Of the series that is open, as far as its manifest is here. */
  private frames(): number[] {
    const { viewer, marks, known } = this;
    const manifest = viewer.study.shownManifest(viewer.view.series);
    if (!manifest) return NONE;
    if (known?.manifest === manifest && known.marks === marks) return known.frames;
    const frames = markedFrames(manifest, marks);
    this.known = { manifest, marks, frames };
    return frames;
  }

  /** The name and the mark of the image on screen; null while it is not known which image that is. */
  private here(): { uid: string; frameNumber: number; mark: KeyImage | undefined } | null {
    const view = this.viewer.seen();
    const manifest = this.viewer.study.shownManifest(view.series);
    if (!manifest) return null;
    const { sop_instance_uid: uid, frame_number: frameNumber = 1 } = frameInfo(manifest, view.frame);
    return uid ? { uid, frameNumber, mark: this.marks.get(nameOf(uid, frameNumber)) } : null;
  }

  private async load(): Promise<void> {
    this.isStale = false;
    try {
      const answer = await fetch(this.address, { credentials: "same-origin" });
      if (answer.ok && this.underWay === 0) this.learn(await answer.json());
    } catch {
      // Off line: asked for again when the line is back and the study is opened anew.
    }
  }

  private learn({ key_images }: { key_images: readonly KeyImage[] }): void {
    this.keep(new Map(key_images.map((one) => [nameOf(one.sop_instance_uid, one.frame_number), one])));
  }

  private keep(marks: ReadonlyMap<string, KeyImage>): void {
    this.marks = marks;
    for (const way of this.ways) way.hidden = marks.size === 0;
    this.viewer.strip.star(this.series());
    this.refresh();
  }

  /** Those that have marks. */
  private series(): Set<number> {
    return new Set([...this.marks.values()].map((one) => one.series));
  }

  // Acts -------------------------------------------------------------------------------------------------------

  /** Mark the image on screen, or take its mark away. */
  async toggle(): Promise<void> {
    const { viewer } = this;
    const here = this.here();
    if (!viewer.boot.may_mark) return;
    if (!here) viewer.notice.tell(viewer.t("notYetKnown"), NOTICE_MS);
    else await this.set(here.uid, here.frameNumber, viewer.view.series, !here.mark);
  }

  /** Shown at once; what the server says afterwards is what is true. */
  private set(uid: string, frameNumber: number, series: number, marked: boolean): Promise<void> {
    const { viewer } = this;
    const next = new Map(this.marks);
    if (marked)
      next.set(nameOf(uid, frameNumber), { sop_instance_uid: uid, frame_number: frameNumber, series });
    else next.delete(nameOf(uid, frameNumber));
    this.keep(next);
    if (!marked)
      viewer.notice.offer(viewer.t("keyImageUnmarked"), viewer.t("undo"), () => {
        void this.set(uid, frameNumber, series, true);
      });
    this.underWay += 1;
    const path = `${this.address}/${encodeURIComponent(uid)}/${frameNumber}`;
    this.writing = this.writing.then(() => this.write(path, marked ? "PUT" : "DELETE"));
    return this.writing;
  }

  private async write(path: string, method: string): Promise<void> {
    const { viewer } = this;
    let told: Record<string, unknown> = {};
    let isOk = false;
    try {
      const answer = await fetch(path, { method, credentials: "same-origin" });
      isOk = answer.ok;
      told = await answer.json();
    } catch {
      // Off line, or no JSON: nothing is known to be kept.
    }
    this.underWay -= 1;
    if (isOk) {
      // With more under way an older list would take back what was just done.
      if (this.underWay === 0) this.learn(told as unknown as { key_images: KeyImage[] });
      return;
    }
    const { message, code } = told as { message?: Record<string, string>; code?: string };
    const why = message ? `：${message[viewer.boot.language]}（${code}）` : "";
    viewer.notice.tell(viewer.t("keyImageNotKept") + why, REFUSED_MS);
    await this.load();
  }

  /** To the next key image or the one before, over all series, from the last to the first again. */
  jump(step: 1 | -1): void {
    const { viewer } = this;
    const frame = nextOf(this.frames(), viewer.view.frame, step);
    if (frame !== null) {
      viewer.scrollTo(frame);
      return;
    }
    const { series } = viewer.boot;
    const here = series.findIndex((one) => one.series === viewer.view.series);
    const marked = this.series();
    // The open series comes last: where no other has one, its own first one is next.
    for (let away = 1; away <= series.length; away += 1) {
      const entry = series[(here + step * away + series.length * 2) % series.length];
      if (!entry || !marked.has(entry.series)) continue;
      if (entry.series !== viewer.view.series) viewer.openSeries(entry);
      this.going = step;
      this.arrive();
      return;
    }
    viewer.notice.tell(viewer.t("noKeyImages"), NOTICE_MS);
  }

  /** The end of a jump, once it is known where the marks of the series are. */
  private arrive(): void {
    const { viewer, going } = this;
    if (going === null || !viewer.study.manifest(viewer.view.series)) return;
    this.going = null;
    const frames = this.frames();
    const frame = going > 0 ? frames[0] : frames[frames.length - 1];
    if (frame !== undefined) viewer.scrollTo(frame);
  }

  clear(): void {
    this.keep(new Map());
  }

  // What is seen -----------------------------------------------------------------------------------------------

  /** The picture, its series or the marks changed. */
  refresh(): void {
    const { viewer, star } = this;
    if (this.isStale && viewer.manifest) void this.load();
    this.arrive();
    const mark = this.here()?.mark;
    if (mark) viewer.ui.corners.bl.prepend(star);
    else star.remove();
    star.title = [mark?.by, mark?.at && new Date(mark.at).toLocaleString()].filter(Boolean).join(" · ");
    for (const button of this.buttons) button.setAttribute("aria-pressed", String(Boolean(mark)));
    this.refreshTicks();
  }

  private refreshTicks(): void {
    const [frames, count] = [this.frames(), this.viewer.series.frame_count];
    if (frames === this.ticked) return;
    this.ticked = frames;
    const places = count < 2 ? [] : frames;
    this.ticks.replaceChildren(
      ...places.map((frame) => element("b", { style: `top:${(frame * 100) / (count - 1)}%` })),
    );
  }
}
