import { describe, expect, it } from "vitest";
import { type KeyImage, markedFrames, nextOf } from "./keyimages";
import type { FrameInfo, Manifest } from "./manifest";

const manifest = {
  frame_count: 4,
  sop_instance_uid_root: "1.2.",
  shared: { frame_number: 1 } as FrameInfo,
  frames: [
    { sop_instance_uid: "8" },
    { sop_instance_uid: "9" },
    { sop_instance_uid: "9", frame_number: 2 },
    { sop_instance_uid: "10" },
  ],
} as unknown as Manifest;

function marks(...names: [string, number][]): Map<string, KeyImage> {
  return new Map(
    names.map(([sop_instance_uid, frame_number]) => [
      `${sop_instance_uid} ${frame_number}`,
      { sop_instance_uid, frame_number, series: 7 },
    ]),
  );
}

describe("markedFrames", () => {
  it("finds frames by their instance's UID and the number in it", () => {
    expect(markedFrames(manifest, marks(["1.2.9", 2], ["1.2.8", 1]))).toEqual([0, 2]);
    expect(markedFrames(manifest, marks(["1.2.9", 1]))).toEqual([1]);
  });
  it("knows nothing of images that are not in the series", () => {
    expect(markedFrames(manifest, marks(["1.2.8", 2], ["9", 1]))).toEqual([]);
    expect(markedFrames(manifest, new Map())).toEqual([]);
  });
});

describe("nextOf", () => {
  it("is the nearest beyond, never the same", () => {
    expect(nextOf([2, 5, 9], 5, 1)).toBe(9);
    expect(nextOf([2, 5, 9], 5, -1)).toBe(2);
    expect(nextOf([2, 5, 9], 3, 1)).toBe(5);
    expect(nextOf([2, 5, 9], 9, 1)).toBeNull();
    expect(nextOf([2, 5, 9], 2, -1)).toBeNull();
    expect(nextOf([], 0, 1)).toBeNull();
  });
});
