import { beforeEach, expect, test } from "vitest";
import { initialState, type ViewState } from "../viewport/state";
import type { Boot, FrameInfo, Manifest, SeriesEntry } from "./manifest";
import { Study } from "./study";

function entry(series: number, version: number, frame_count: number): SeriesEntry {
  return { series, version, frame_count, modality: "CT", number: 1, body_part: "", description: "" };
}

function manifest(series: number, positions: number[]): Manifest {
  const shared = { position: null, instance_number: null } as unknown as FrameInfo;
  const frames = positions.map((z) => ({ position: [0, 0, z] }));
  return { series, frame_count: positions.length, shared, frames } as unknown as Manifest;
}

class Owner {
  view: ViewState = initialState(1, 1);
  sent: Record<string, unknown>[] = [];
  told: [string, unknown][] = [];
  send(message: Record<string, unknown>): void {
    this.sent.push(message);
  }
  forget(series: readonly SeriesEntry[]): void {
    this.told.push(["forget", series.map((one) => one.series)]);
  }
  grown(more: number): void {
    this.told.push(["grown", more]);
  }
  learned(frame: number): void {
    this.told.push(["learned", frame]);
  }
}

let boot: Boot;
let owner: Owner;
let study: Study;

beforeEach(() => {
  boot = { study: 7, series: [entry(1, 1, 3), entry(2, 1, 5)] } as unknown as Boot;
  owner = new Owner();
  study = new Study(boot, owner);
  study.hear({ t: "manifest", manifest: manifest(1, [0, 10, 20]) });
  owner.told = [];
});

test("a change is looked up by opening the study again", () => {
  expect(study.hear({ t: "changed", study: 7 })).toBe(true);
  expect(owner.sent).toEqual([{ t: "open", study: 7 }]);
});

test("a picture of a newer version opens the study again, once for many pictures", () => {
  for (let picture = 0; picture < 5; picture += 1) study.compare(1, 2);
  expect(owner.sent).toEqual([{ t: "open", study: 7 }]);
  study.compare(2, 1);
  expect(owner.sent).toHaveLength(1);
});

test("a grown series is uncertain until its manifest tells where the image is now", () => {
  study.hear({ t: "opened", series: [entry(1, 2, 5), entry(2, 1, 5)] });
  expect(owner.told).toEqual([
    ["forget", [1]],
    ["grown", 2],
  ]);
  expect(study.isUncertain(1)).toBe(true);
  expect(study.versionOf(1)).toBe(2);
  study.ask(1);
  expect(owner.sent).toEqual([{ t: "manifest", series: 1 }]);
  study.hear({ t: "manifest", manifest: manifest(1, [-10, -5, 0, 10, 20]) });
  expect(study.isUncertain(1)).toBe(false);
  expect(owner.told[2]).toEqual(["learned", 3]);
});

test("another series that grew changes nothing of what is seen", () => {
  study.hear({ t: "opened", series: [entry(1, 1, 3), entry(2, 2, 9)] });
  expect(study.isUncertain(1)).toBe(false);
  expect(owner.told).toEqual([
    ["forget", [2]],
    ["grown", 4],
  ]);
});

test("an answer that tells nothing new is nothing", () => {
  study.hear({ t: "opened", series: [entry(1, 1, 3), entry(2, 1, 5)] });
  expect(owner.told).toEqual([]);
});

test("a manifest that cannot be had leaves the viewer usable", () => {
  study.hear({ t: "opened", series: [entry(1, 2, 5), entry(2, 1, 5)] });
  expect(study.hear({ t: "error", of: "manifest" })).toBe(true);
  expect(study.isUncertain(1)).toBe(false);
});
