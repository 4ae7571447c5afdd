// What changes the page's state: one act is one step of undo.

import type { Manifest, SeriesEntry } from "../viewer/manifest";
import type { Viewer } from "../viewer/viewer";
import type { Fused } from "../viewport/state";
import { type Face, trimmed } from "./box";
import type { Facts, Spread } from "./facts";
import { type OverlayWindow, overlaysOf, type Span, spanOf, spanText, suvOf } from "./fusion";
import type { Bounds } from "./geometry";
import { History } from "./history";
import { withStack } from "./phases";
import { type SavedTransfer, save, savedTransfers } from "./saved";
import { type PageState, type Projection, resetPage, straightened } from "./state";
import { linked, type Points } from "./transfer";
import type { VolumeWords } from "./words";

export abstract class Acts {
  readonly history = new History();
  bounds: Bounds | null = null;
  protected overlayWindow: OverlayWindow | null = null;

  abstract state: PageState;
  abstract readonly words: VolumeWords;
  abstract readonly facts: Facts;
  abstract readonly viewer: Viewer;
  /** The hand has left: what comes is another step. */
  abstract rest(): void;
  protected abstract apply(next: PageState): void;

  get modality(): string {
    return this.viewer.study.entry(this.state.series).modality;
  }

  /** Series that can lie over this one in colour. */
  get overlays(): readonly SeriesEntry[] {
    return overlaysOf(this.viewer.study.entry(this.state.series), this.viewer.boot.series);
  }

  /** What is known of a series; asked for where it is not here. */
  manifestOf(series: number): Manifest | undefined {
    this.viewer.study.ask(series);
    return this.viewer.study.manifest(series);
  }

  get overlaySpan(): Span | null {
    return this.state.fused && spanOf(this.state.fused, this.overlayWindow);
  }

  get overlayTold(): string {
    const { fused } = this.state;
    const span = this.overlaySpan;
    if (!fused || !span) return "";
    const factor = suvOf(this.viewer.study.manifest(fused.series))?.factor ?? null;
    return spanText(span, factor, this.overlayWindow?.unit);
  }

  windowTold(center: number, width: number): string {
    const factor = suvOf(this.viewer.study.manifest(this.state.series))?.factor ?? null;
    if (factor === null) return `W${Math.round(width)} L${Math.round(center)}`;
    return spanText({ low: center - width / 2, high: center + width / 2 }, factor);
  }

  change(next: PageState): void {
    this.history.note(this.state, next);
    this.apply(next);
  }

  /** One change that is a step of its own. */
  protected set(change: Partial<PageState>): void {
    this.rest();
    this.change({ ...this.state, ...change });
    this.rest();
  }

  setTransfer(transfer: string): void {
    this.set({ transfer, points: null });
  }

  /** One that was kept under a name. */
  takeSaved({ light, points }: SavedTransfer): void {
    this.set({ transfer: light, points });
  }

  /** The kept functions of this kind of image. */
  get saved(): readonly SavedTransfer[] {
    return savedTransfers().filter((one) => one.modality === this.modality);
  }

  /** The kept function that is shown. */
  get savedNow(): SavedTransfer | null {
    const { points } = this.state;
    const now = points && JSON.stringify(linked(points));
    return (now && this.saved.find((one) => JSON.stringify(linked(one.points)) === now)) || null;
  }

  /** Keeps what is shown under a name. False where the browser keeps nothing. */
  keep(name: string): boolean {
    const { points, transfer: light } = this.state;
    return points !== null && save({ name, modality: this.modality, light, points });
  }

  get ownName(): string {
    return this.savedNow?.name ?? this.words.own;
  }

  get spread(): Spread | null {
    return this.facts.spread(this.state.stack);
  }

  get spreadRefused(): string {
    return this.facts.refused;
  }

  /** The transfer function as points; null until the server has told what the presets are in this volume's values. */
  get points(): Points | null {
    return this.state.points ?? this.spread?.presets[this.state.transfer] ?? null;
  }

  /** A modality value with its unit. */
  valueText(value: number): string {
    const factor = suvOf(this.viewer.study.manifest(this.state.series))?.factor ?? null;
    if (factor !== null) return `SUV ${Number((value * factor).toPrecision(2))}`;
    const unit = this.modality === "CT" ? "HU" : this.facts.unit(this.state.stack);
    const text = Math.abs(value) < 10 ? Number(value.toPrecision(2)) : Math.round(value);
    return `${text} ${unit}`.trim();
  }

  /** Another volume of the series. */
  chooseStack(stack: number): void {
    const { facts, state } = this;
    if (stack !== state.stack) this.set(withStack(state, stack, this.bounds, facts.bounds(stack)));
  }

  /** The volume after or before this one. */
  nextStack(step: number): void {
    const count = this.facts.stacks.length;
    if (count > 1) this.chooseStack((this.state.stack + step + count) % count);
  }

  setWindow(window: PageState["window"]): void {
    this.set({ window });
  }

  setSlab(thicknessMm: number, projection: Projection): void {
    this.set({ thicknessMm, projection });
  }

  invert(): void {
    this.set({ invert: !this.state.invert });
  }

  fuse(fused: Fused | null): void {
    if (fused?.series !== this.state.fused?.series) this.overlayWindow = null;
    this.set({ fused });
  }

  /** One step of undo for the whole way of a slider. */
  blend(opacity: number): void {
    const { fused } = this.state;
    if (fused) this.change({ ...this.state, fused: { ...fused, opacity } });
  }

  toggleWithin(): void {
    this.set({ fusedWithin: !this.state.fusedWithin });
  }

  toMiddle(): void {
    this.set({ crossMm: null });
  }

  straighten(): void {
    this.set(straightened(this.state));
  }

  trim(face: Face, share: number): void {
    if (this.bounds) this.set({ box: trimmed(this.state.box ?? this.bounds, face, share, this.bounds) });
  }

  uncut(): void {
    this.set({ box: null });
  }

  /** All that the scalpel took is back. */
  restore(): void {
    this.set({ cuts: [] });
  }

  toggleSlices(): void {
    this.set({ slices: !this.state.slices });
  }

  reset(): void {
    this.set(resetPage(this.state));
  }

  undo(again = false): void {
    const next = again ? this.history.redo(this.state) : this.history.undo(this.state);
    if (next) this.apply(next);
  }
}
