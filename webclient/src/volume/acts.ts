// What changes the page's state: one act is one step of undo.

import type { Manifest, SeriesEntry } from "../viewer/manifest";
import type { Viewer } from "../viewer/viewer";
import type { Fused } from "../viewport/state";
import { type Face, trimmed } from "./box";
import { type OverlayWindow, overlaysOf, type Span, spanOf, spanText, suvOf } from "./fusion";
import type { Bounds } from "./geometry";
import { History } from "./history";
import { type PageState, type Projection, resetPage, straightened } from "./state";

export abstract class Acts {
  readonly history = new History();
  bounds: Bounds | null = null;
  protected overlayWindow: OverlayWindow | null = null;

  abstract state: PageState;
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
    this.set({ transfer });
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
