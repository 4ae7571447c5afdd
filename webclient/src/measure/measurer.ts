// The measuring tools of the viewer: what a hand does with measurements, and what is drawn of them.

import { type FrameInfo, frameInfo } from "../viewer/manifest";
import type { Viewer } from "../viewer/viewer";
import { imageToScreen, inverted, type Matrix, through } from "../viewport/placement";
import {
  clamp,
  type ImagePoint,
  type Measurement,
  MOST_MEASUREMENTS,
  type ViewState,
} from "../viewport/state";
import { Draft } from "./draft";
import { FiguresOf } from "./figures";
import { isMeasuring, type Measuring } from "./load";
import { Overlay } from "./overlay";
import { Popup } from "./popup";
import { distanceToChain, handlesOf, isInside, moved, outlineOf, withHandle } from "./shapes";
import { linesOf } from "./texts";
import { measureWords, type Speak } from "./words";

const FINGER_REACH_PX = 22;
/** 长辈版: targets of 60 px. */
const ELDER_REACH_PX = 30;
const MOUSE_REACH_PX = 8;
const LABEL_AWAY_PX = 48;
const NOTICE_MS = 4000;

/** The image that is on screen, by its own name. */
interface Target {
  readonly sopInstanceUid: string;
  readonly frameNumber: number;
  readonly info: FrameInfo;
  readonly view: ViewState;
}

/** A measurement in a hand: by one of its handles, or as a whole (-1). */
interface Held {
  readonly index: number;
  readonly handle: number;
  readonly from: ImagePoint;
  readonly original: Measurement;
  now: Measurement;
}

export class Measurer implements Measuring {
  private readonly t: Speak;
  private readonly overlay: Overlay;
  private readonly popup: Popup;
  private readonly figures: FiguresOf;
  /** Measurements of the image on screen: their places in the viewer's list, in the order of what is drawn. */
  private here: number[] = [];
  private chosen: Measurement | null = null;
  private draft: Draft | null = null;
  private draftOf: Target | null = null;
  private held: Held | null = null;
  private byFinger = false;

  constructor(private readonly viewer: Viewer) {
    this.t = measureWords(viewer.boot.language);
    this.overlay = new Overlay(viewer.stage, viewer.t("measure"));
    this.popup = new Popup(viewer, this.t);
    this.figures = new FiguresOf(viewer.boot.files?.["values.js"] !== undefined, () => this.refresh());
    // Between two clicks the line follows the mouse.
    viewer.stage.addEventListener("pointermove", (event) => {
      if (event.pointerType !== "mouse" || event.buttons || !this.draft) return;
      const box = viewer.stage.getBoundingClientRect();
      this.move(event.clientX - box.left, event.clientY - box.top);
    });
  }

  // Where ------------------------------------------------------------------------------------------------------

  private target(): Target | null {
    const view = this.viewer.seen();
    const manifest = this.viewer.study.shownManifest(view.series);
    if (!manifest) return null;
    const info = frameInfo(manifest, view.frame);
    const { sop_instance_uid: sopInstanceUid, frame_number: frameNumber } = info;
    return sopInstanceUid && frameNumber ? { sopInstanceUid, frameNumber, info, view } : null;
  }

  private toScreen(): Matrix {
    const { viewer } = this;
    return imageToScreen(viewer.view, viewer.image(), viewer.box());
  }

  private get isElder(): boolean {
    return this.viewer.ui.root.classList.contains("elder");
  }

  /** Image point under a place of the stage, within the image. */
  private at(x: number, y: number): ImagePoint {
    const { columns, rows } = this.viewer.image();
    const [column, row] = through(inverted(this.toScreen()), x, y);
    return [clamp(column, 0, columns), clamp(row, 0, rows)];
  }

  private onScreen(a: ImagePoint, b: ImagePoint): number {
    const matrix = this.toScreen();
    const [[ax, ay], [bx, by]] = [through(matrix, ...a), through(matrix, ...b)];
    return Math.hypot(ax - bx, ay - by);
  }

  /** The measurement under a place, the one drawn last first: its index and handle (-1: its line or label). */
  private find(x: number, y: number, byFinger: boolean): { index: number; handle: number } | null {
    if (this.viewer.measurementsHidden) return null;
    const reach = !byFinger ? MOUSE_REACH_PX : this.isElder ? ELDER_REACH_PX : FINGER_REACH_PX;
    const matrix = this.toScreen();
    let best: { index: number; handle: number } | null = null;
    let least = Number.POSITIVE_INFINITY;
    for (const [order, index] of [...this.here.entries()].reverse()) {
      const measurement = this.viewer.measurements[index];
      if (!measurement) continue;
      const offer = (distance: number, handle: number) => {
        if (distance <= reach && distance < least) [best, least] = [{ index, handle }, distance];
      };
      handlesOf(measurement).forEach(([column, row], handle) => {
        const [hx, hy] = through(matrix, column, row);
        // A handle lies on its line: it is meant where both are as near.
        offer(Math.hypot(hx - x, hy - y) - 4, handle);
      });
      offer(distanceToChain([x, y], outlineOf(measurement, matrix)), -1);
      const label = this.overlay.labelBox(order);
      if (label && isInside([x, y], label)) offer(reach / 2, -1);
    }
    return best;
  }

  // Hands ------------------------------------------------------------------------------------------------------

  begin(x: number, y: number, byFinger: boolean): boolean {
    this.byFinger = byFinger;
    const { tool } = this.viewer;
    if (!this.draft && this.grab(x, y)) return true;
    if (!isMeasuring(tool)) return false;
    const target = this.target();
    if (!target) {
      this.viewer.notice.tell(this.t("notYet"), NOTICE_MS);
      return true;
    }
    if (!this.draft || this.draft.kind !== tool) {
      this.chosen = null;
      this.draft = new Draft(tool, (a, b) => this.onScreen(a, b));
      this.draftOf = target;
    }
    this.draft.begin(this.at(x, y));
    this.aim(x, y);
    this.refresh();
    return true;
  }

  /** Hold a measurement. A finger holds the chosen one only, a mouse any: a finger's way to page is often over one. */
  private grab(x: number, y: number): boolean {
    const found = this.find(x, y, this.byFinger);
    const original = found && this.viewer.measurements[found.index];
    if (!original || (this.byFinger && original !== this.chosen)) return false;
    this.chosen = original;
    this.held = { ...found, from: this.at(x, y), original, now: original };
    this.refresh();
    return true;
  }

  move(x: number, y: number): void {
    const { held, draft } = this;
    const at = this.at(x, y);
    if (held) {
      const { columns, rows } = this.viewer.image();
      const by = [at[0] - held.from[0], at[1] - held.from[1]] as const;
      held.now =
        held.handle >= 0
          ? withHandle(held.original, held.handle, at)
          : moved(held.original, by, columns, rows);
      if (held.handle >= 0) this.aim(x, y);
    } else if (draft) {
      draft.move(at);
      this.aim(x, y);
    }
    this.refresh();
  }

  private aim(x: number, y: number): void {
    if (this.byFinger) this.viewer.hands.loupe.show(x, y, true);
  }

  end(): void {
    this.viewer.hands.loupe.hide();
    if (this.held) this.putDown(this.held);
    else if (this.draft) this.finish(this.draft);
  }

  private putDown({ index, original, now }: Held): void {
    this.held = null;
    if (now !== original) this.replace(index, now);
    else this.refresh();
  }

  private finish(draft: Draft): void {
    const [point] = draft.points;
    let outcome = draft.end();
    if (draft.kind === "note" && outcome === "waiting" && point) {
      draft.begin(this.beside(point));
      outcome = draft.end();
    }
    const target = this.draftOf;
    if (outcome === "waiting" && target) {
      if (this.byFinger) this.viewer.notice.tell(this.t("firstPoint"), NOTICE_MS);
    } else {
      this.draft = null;
      this.draftOf = null;
      if (outcome === "done" && target) this.add(draft.of(target));
    }
    this.refresh();
  }

  /** Where a note's text stands when only its point was given. */
  private beside([column, row]: ImagePoint): ImagePoint {
    const [x, y] = through(this.toScreen(), column, row);
    const { width } = this.viewer.box();
    const way = x + 4 * LABEL_AWAY_PX < width ? 1 : -1;
    return through(inverted(this.toScreen()), x + way * LABEL_AWAY_PX, y - LABEL_AWAY_PX);
  }

  abort(): void {
    this.viewer.hands.loupe.hide();
    this.held = null;
    if (this.draft?.abort()) this.draft = null;
    this.refresh();
  }

  press(x: number, y: number): boolean {
    // A finger that is drawing may rest.
    if (this.draft || (this.held && this.held.now !== this.held.original)) return false;
    const found = this.find(x, y, this.byFinger);
    const measurement = found && this.viewer.measurements[found.index];
    if (!found || !measurement) return false;
    this.held = null;
    this.chosen = measurement;
    this.viewer.hands.loupe.hide();
    this.refresh();
    this.popup.choices(x, y, [
      [this.t("change"), () => this.change(found.index)],
      [this.t("remove"), () => this.remove()],
    ]);
    return true;
  }

  tap(x: number, y: number): boolean {
    const found = this.find(x, y, true);
    const before = this.chosen;
    this.chosen = (found && this.viewer.measurements[found.index]) ?? null;
    this.refresh();
    return before !== null || this.chosen !== null;
  }

  edit(x: number, y: number): boolean {
    const found = this.find(x, y, this.byFinger);
    if (!found || this.viewer.measurements[found.index]?.kind !== "note") return false;
    this.change(found.index);
    return true;
  }

  // Acts -------------------------------------------------------------------------------------------------------

  private add(measurement: Measurement): void {
    const { viewer } = this;
    viewer.notice.tell("", 0);
    if (this.byFinger) viewer.choose("page");
    if (viewer.measurements.length >= MOST_MEASUREMENTS) {
      viewer.notice.tell(this.t("tooMany"), NOTICE_MS);
      return;
    }
    if (viewer.measurementsHidden) viewer.hideMeasurements();
    if (measurement.kind === "note") {
      this.askText(measurement, (text) => this.addNote(measurement, text));
      return;
    }
    this.put(measurement);
  }

  private addNote(measurement: Measurement, text: string): void {
    if (text) this.put({ ...measurement, text });
    else this.refresh();
  }

  private put(measurement: Measurement): void {
    this.chosen = measurement;
    this.viewer.measure([...this.viewer.measurements, measurement]);
    this.refresh();
  }

  private replace(index: number, measurement: Measurement): void {
    this.chosen = measurement;
    this.viewer.measure(this.viewer.measurements.map((one, place) => (place === index ? measurement : one)));
    this.refresh();
  }

  /** 改: its handles can be held now; of a note, its text. */
  private change(index: number): void {
    const measurement = this.viewer.measurements[index];
    if (!measurement) return;
    this.chosen = measurement;
    this.refresh();
    if (measurement.kind !== "note") return;
    this.askText(measurement, (text) => {
      if (text && text !== measurement.text) this.replace(index, { ...measurement, text });
    });
  }

  private askText({ points, text }: Measurement, done: (text: string) => void): void {
    const [, place = [0, 0]] = points;
    this.popup.ask(...through(this.toScreen(), place[0], place[1]), text, done);
  }

  cancel(): boolean {
    const isBusy = this.popup.isOpen || this.draft !== null || this.held !== null || this.chosen !== null;
    this.popup.close();
    this.viewer.hands.loupe.hide();
    this.draft = this.draftOf = this.held = this.chosen = null;
    this.refresh();
    return isBusy;
  }

  remove(): void {
    const { chosen, viewer } = this;
    if (!chosen || !viewer.measurements.includes(chosen)) return;
    this.chosen = this.held = null;
    viewer.measure(viewer.measurements.filter((one) => one !== chosen));
    viewer.notice.offer(this.t("removed"), viewer.t("undo"), () => viewer.undo());
    this.refresh();
  }

  // Drawing ----------------------------------------------------------------------------------------------------

  refresh(): void {
    const { viewer } = this;
    const target = this.target();
    const isOther = (one: Target | null) =>
      target !== null &&
      one !== null &&
      (one.sopInstanceUid !== target.sopInstanceUid || one.frameNumber !== target.frameNumber);
    // Another image came under the hand, or another tool into it.
    if (this.draft && (isOther(this.draftOf) || this.draft.kind !== viewer.tool))
      this.draft = this.draftOf = null;
    if (this.chosen && !viewer.measurements.includes(this.chosen)) this.chosen = null;
    viewer.stage.classList.toggle("aiming", isMeasuring(viewer.tool));
    this.here = target && !viewer.measurementsHidden ? this.indicesOf(target) : [];
    const shown = target ? this.here.map((index) => this.shown(index, target)) : [];
    const draft = target && this.draft?.points.length ? this.draft.of(target) : null;
    if (draft && target) {
      const lines = draft.points.length > 1 ? this.linesOf(draft, target, true) : [];
      shown.push({ measurement: draft, lines, isChosen: true, hasHandles: true });
    }
    const fontPx = this.isElder ? 20 : 14;
    this.overlay.draw(shown, this.toScreen(), viewer.box(), fontPx);
  }

  private indicesOf({ sopInstanceUid, frameNumber }: Target): number[] {
    const isHere = (one: Measurement) =>
      one.sopInstanceUid === sopInstanceUid && one.frameNumber === frameNumber;
    return [...this.viewer.measurements.entries()].filter(([, one]) => isHere(one)).map(([index]) => index);
  }

  private shown(index: number, target: Target) {
    const kept = this.viewer.measurements[index] as Measurement;
    const isHeld = this.held?.index === index;
    const measurement = isHeld && this.held ? this.held.now : kept;
    const isChosen = kept === this.chosen;
    return { measurement, lines: this.linesOf(measurement, target, isHeld), isChosen, hasHandles: isChosen };
  }

  /** Figures are asked for when the hand rests: of every shape on the way they would come too late. */
  private linesOf(measurement: Measurement, { info, view }: Target, isMoving: boolean): string[] {
    const figures = isMoving ? ({ state: "loading" } as const) : this.figures.of(measurement, view);
    return linesOf(measurement, info, figures, this.t);
  }
}
