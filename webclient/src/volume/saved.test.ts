import { describe, expect, it } from "vitest";
import { forget, KEY, LONGEST_NAME, MOST_SAVED, type SavedTransfer, save, savedTransfers } from "./saved";

class Store {
  readonly kept = new Map<string, string>();
  full = false;
  getItem(key: string): string | null {
    return this.kept.get(key) ?? null;
  }
  setItem(key: string, value: string): void {
    if (this.full) throw new DOMException("full", "QuotaExceededError");
    this.kept.set(key, value);
  }
}

const ONE: SavedTransfer = {
  name: "骨 2",
  modality: "CT",
  light: "bone",
  points: [
    { value: 100, opacity: 0, colour: [0, 128, 255] },
    { value: 300, opacity: 0.5, colour: [255, 255, 255] },
  ],
};

describe("kept transfer functions", () => {
  it("come back as they were, one for each name and kind of image", () => {
    const store = new Store();
    expect(savedTransfers(store)).toEqual([]);
    expect(save(ONE, store)).toBe(true);
    expect(save({ ...ONE, name: " 骨 2 ", light: "lung" }, store)).toBe(true);
    expect(save({ ...ONE, modality: "MR" }, store)).toBe(true);
    expect(savedTransfers(store)).toEqual([
      { ...ONE, light: "lung" },
      { ...ONE, modality: "MR" },
    ]);
    expect(forget("骨 2", "CT", store)).toBe(true);
    expect(savedTransfers(store)).toEqual([{ ...ONE, modality: "MR" }]);
  });

  it("are bounded in number and in the length of their names", () => {
    const store = new Store();
    for (let index = 0; index < MOST_SAVED + 3; index += 1) save({ ...ONE, name: `${index}` }, store);
    const names = savedTransfers(store).map((one) => one.name);
    expect(names.length).toBe(MOST_SAVED);
    expect(names[0]).toBe("3");
    save({ ...ONE, name: "长".repeat(50) }, store);
    expect(savedTransfers(store)[MOST_SAVED - 1]?.name.length).toBe(LONGEST_NAME);
    expect(save({ ...ONE, name: "  " }, store)).toBe(false);
    expect(save({ ...ONE, points: ONE.points.slice(1) }, store)).toBe(false);
  });

  it("are left out where they make no sense", () => {
    const store = new Store();
    save(ONE, store);
    const good = JSON.parse(store.getItem(KEY) ?? "").list[0];
    const [first, second] = good.points;
    const list = [
      { ...good, points: [second, first] },
      { ...good, points: [first] },
      { ...good, points: [[0, 2, 0, 0, 0], second] },
      { ...good, points: "many" },
      { ...good, light: "<b>" },
      { ...good, name: "" },
      { ...good, name: 7 },
      null,
      good,
    ];
    store.setItem(KEY, JSON.stringify({ version: 1, list }));
    expect(savedTransfers(store)).toEqual([ONE]);
    for (const text of [
      "{",
      "7",
      "null",
      JSON.stringify({ version: 2, list }),
      JSON.stringify({ version: 1, list: {} }),
    ]) {
      store.setItem(KEY, text);
      expect(savedTransfers(store)).toEqual([]);
    }
  });

  it("are not kept where the browser refuses", () => {
    const store = new Store();
    store.full = true;
    expect(save(ONE, store)).toBe(false);
    expect(forget("骨 2", "CT", store)).toBe(false);
  });
});
