import { expect, test } from "vitest";
import { changedSeries, imagesMore, sameImage } from "./growth";
import type { FrameInfo, Manifest, SeriesEntry } from "./manifest";

function entry(series: number, version: number, frame_count: number): SeriesEntry {
  return { series, version, frame_count, modality: "CT", number: 1, body_part: "", description: "" };
}

function manifest(positions: number[]): Manifest {
  const shared = { position: null, instance_number: 1 } as unknown as FrameInfo;
  const frames = positions.map((z) => ({ position: [0, 0, z] }));
  return { frame_count: positions.length, shared, frames } as unknown as Manifest;
}

test("series that grew and series that are new are told", () => {
  const [before, after] = [
    [entry(1, 1, 10), entry(2, 1, 5)],
    [entry(1, 2, 12), entry(2, 1, 5), entry(3, 1, 4)],
  ];
  expect(changedSeries(before, after).map((e) => e.series)).toEqual([1, 3]);
  expect(imagesMore(before, after)).toBe(6);
});

test("the image that is seen keeps being seen when others come before it", () => {
  expect(sameImage(manifest([0, 10, 20]), manifest([-10, 0, 5, 10, 20]), 1)).toBe(3);
});

test("images that nothing tells apart keep their order", () => {
  expect(sameImage(manifest([7, 7, 7]), manifest([7, 7, 7, 7]), 2)).toBe(2);
});

test("an image that is gone gives the nearest place", () => {
  expect(sameImage(manifest([0, 10, 20]), manifest([0, 10]), 2)).toBe(1);
});
