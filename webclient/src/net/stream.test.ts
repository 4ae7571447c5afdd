import { describe, expect, it } from "vitest";
import { initialState } from "../viewport/state";
import { PictureCache } from "./cache";
import { decodePicture, viewMessage } from "./stream";

describe("binary pictures", () => {
  it("split into header and bytes", () => {
    const header = new TextEncoder().encode(JSON.stringify({ generation: 3 }));
    const data = new Uint8Array(4 + header.length + 2);
    new DataView(data.buffer).setUint32(0, header.length);
    data.set(header, 4);
    data.set([7, 8], 4 + header.length);
    const decoded = decodePicture(data.buffer);
    expect(decoded.header.generation).toBe(3);
    expect([...new Uint8Array(decoded.bytes)]).toEqual([7, 8]);
  });
  it("refuse a length outside", () => {
    expect(() => decodePicture(new Uint8Array([0, 0, 9, 9]).buffer)).toThrow();
  });
});

describe("view message", () => {
  it("carries the whole state", () => {
    const message = viewMessage({ ...initialState(5, 6), rotation: 90, invert: true }, 7, 100, 200);
    expect(message).toMatchObject({
      t: "view",
      series: 5,
      frame: 6,
      generation: 7,
      width: 100,
      rotation_degrees: 90,
      invert: true,
    });
  });
});

describe("picture cache", () => {
  it("keeps to its budget and closes what goes", () => {
    const closed: string[] = [];
    const cache = new PictureCache<{ bytes: number; close(): void }>(25);
    for (const name of ["a", "b", "c"]) cache.put(name, { bytes: 10, close: () => closed.push(name) });
    expect(closed).toEqual(["a"]);
    cache.get("b");
    cache.put("d", { bytes: 10, close: () => closed.push("d") });
    expect(closed).toEqual(["a", "c"]);
    expect(cache.usedBytes).toBe(20);
  });
});
