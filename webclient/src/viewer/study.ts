// What is known of the open study: its series, their manifests, and what changes when it grows (rule 19).

import type { ViewState } from "../viewport/state";
import { changedSeries, imagesMore, sameImage } from "./growth";
import type { Boot, Manifest, SeriesEntry } from "./manifest";

const REOPEN_MS = 2_000;

export interface StudyOwner {
  readonly view: ViewState;
  send(message: Record<string, unknown>): void;
  forget(series: readonly SeriesEntry[]): void;
  grown(more: number): void;
  learned(frame: number): void;
}

export class Study {
  private readonly manifests = new Map<number, Manifest>();
  /** Series that grew: their manifests as they were, until the new ones tell where the images are now. */
  private readonly outdated = new Map<number, Manifest>();
  private reopened = Number.NEGATIVE_INFINITY;

  constructor(
    private readonly boot: Boot,
    private readonly owner: StudyOwner,
  ) {}

  /** The series of this key, else the study's first. */
  entry(series: number): SeriesEntry {
    const found = this.boot.series.find((one) => one.series === series) ?? this.boot.series[0];
    if (!found) throw new Error("viewer: no series");
    return found;
  }

  versionOf(series: number): number {
    return this.boot.series.find((entry) => entry.series === series)?.version ?? 0;
  }

  manifest(series: number): Manifest | undefined {
    return this.manifests.get(series);
  }

  /** What the frames on screen are: while a grown series' manifest is on its way, by the one before. */
  shownManifest(series: number): Manifest | undefined {
    return this.manifests.get(series) ?? this.outdated.get(series);
  }

  /** Whether frame indices of this series mean other images than before, and which is not known yet. */
  isUncertain(series: number): boolean {
    return this.outdated.has(series);
  }

  /** The manifest of a series, unless it is here. */
  ask(series: number): void {
    if (!this.manifests.has(series)) this.owner.send({ t: "manifest", series });
  }

  /** A picture names the version it was made from. */
  compare(series: number, version: number): void {
    if (version > this.versionOf(series)) this.reopen(REOPEN_MS);
  }

  /** A text message; true when it was about the study. */
  hear(message: Record<string, unknown>): boolean {
    switch (message["t"]) {
      case "manifest":
        this.learn(message["manifest"] as Manifest);
        return true;
      case "opened":
        this.grow(message["series"] as SeriesEntry[]);
        return true;
      case "changed":
        this.reopen(0);
        return true;
      case "error":
        if (message["of"] !== "manifest") return false;
        // Nothing can be told of where images are now: the indices stay as they are.
        this.outdated.clear();
        this.owner.learned(this.owner.view.frame);
        return true;
      default:
        return false;
    }
  }

  private reopen(pauseMs: number): void {
    const now = performance.now();
    if (now - this.reopened < pauseMs) return;
    this.reopened = now;
    this.owner.send({ t: "open", study: this.boot.study });
  }

  private learn(manifest: Manifest): void {
    const { series } = manifest;
    this.manifests.set(series, manifest);
    const before = this.outdated.get(series);
    this.outdated.delete(series);
    const { view } = this.owner;
    if (series !== view.series) return;
    this.owner.learned(before ? sameImage(before, manifest, view.frame) : view.frame);
  }

  private grow(series: SeriesEntry[]): void {
    const before = this.boot.series;
    const changed = changedSeries(before, series);
    if (series.length === 0 || (changed.length === 0 && series.length === before.length)) return;
    this.boot.series = series;
    for (const entry of changed) {
      const known = this.manifests.get(entry.series);
      if (known && entry.series === this.owner.view.series) this.outdated.set(entry.series, known);
      this.manifests.delete(entry.series);
    }
    this.owner.forget(changed);
    this.owner.grown(imagesMore(before, series));
  }
}
