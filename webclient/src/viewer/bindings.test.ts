import { describe, expect, it } from "vitest";
import { Bindings, isAssignable, KEPT_AS, type Key, type Shelf } from "./bindings";

const key = (id: string, keys: string[], isFixed = false): Key => ({
  id,
  group: "other",
  label: id,
  keys,
  isFixed,
  act: () => undefined,
});
const ALL = [
  key("invert", ["i"]),
  key("flip", ["h"]),
  key("remove", ["delete", "backspace"]),
  key("undo", ["^z"], true),
];
const [invert, flip, remove, undo] = ALL as [Key, Key, Key, Key];

class Kept implements Shelf {
  text: string | null;
  constructor(text: unknown = null) {
    this.text = typeof text === "string" || text === null ? text : JSON.stringify(text);
  }
  getItem(name: string): string | null {
    return name === KEPT_AS ? this.text : null;
  }
  setItem(_: string, value: string): void {
    this.text = value;
  }
  removeItem(): void {
    this.text = null;
  }
}

const told = (bindings: Bindings) => ALL.map((one) => bindings.of(one).join(" "));
const USUAL = ["i", "h", "delete backspace", "^z"];

describe("Bindings", () => {
  it("has the usual keys where nothing was changed", () => {
    const bindings = new Bindings(ALL, new Kept());
    expect(told(bindings)).toEqual(USUAL);
    expect(bindings.owner("i")).toBe(invert);
    expect(bindings.owner("j")).toBeNull();
    expect(bindings.isChanged).toBe(false);
  });

  it("gives a free key, keeps it, and has it after a reload", () => {
    const kept = new Kept();
    new Bindings(ALL, kept).assign(remove, "j");
    expect(JSON.parse(kept.text ?? "")).toEqual({ version: 1, keys: { remove: ["j"] } });
    const again = new Bindings(ALL, kept);
    expect(told(again)).toEqual(["i", "h", "j", "^z"]);
    expect(again.owner("delete")).toBeNull();
  });

  it("takes a key from whoever has it", () => {
    const kept = new Kept();
    const bindings = new Bindings(ALL, kept);
    bindings.assign(flip, "delete");
    expect(told(bindings)).toEqual(["i", "delete", "backspace", "^z"]);
    bindings.assign(invert, "delete");
    expect(told(bindings)).toEqual(["delete", "", "backspace", "^z"]);
    expect(told(new Bindings(ALL, kept))).toEqual(["delete", "", "backspace", "^z"]);
    expect(bindings.owner("h")).toBeNull();
  });

  it("keeps nothing of a row that has its usual key again, and nothing after a reset", () => {
    const kept = new Kept();
    const bindings = new Bindings(ALL, kept);
    bindings.assign(invert, "j");
    bindings.assign(invert, "i");
    expect(kept.text).toBeNull();
    bindings.assign(invert, "h");
    bindings.reset();
    expect(told(bindings)).toEqual(USUAL);
    expect(kept.text).toBeNull();
  });

  it("leaves fixed keys alone", () => {
    const bindings = new Bindings(ALL, new Kept());
    bindings.assign(undo, "j");
    bindings.assign(invert, "^z");
    expect(told(bindings)).toEqual(USUAL);
  });

  it.each([
    ["no JSON", "{"],
    ["no object", "7"],
    ["null", "null"],
    ["another version", { version: 2, keys: { invert: ["j"] } }],
    ["keys of another kind", { version: 1, keys: "j" }],
    ["names of another kind", { version: 1, keys: { invert: [7], flip: "j" } }],
    ["a key the browser has", { version: 1, keys: { invert: ["f5"], flip: ["^w"] } }],
    ["too many", { version: 1, keys: { invert: ["1", "2", "3", "4", "5"] } }],
    ["a fixed row", { version: 1, keys: { undo: ["j"] } }],
    ["an unknown row", { version: 1, keys: { constructor: ["j"], other: ["j"] } }],
  ])("ignores what is not as we write it: %s", (_, text) => {
    expect(told(new Bindings(ALL, new Kept(text)))).toEqual(USUAL);
  });

  it("gives a key that is kept twice to the first row only", () => {
    const bindings = new Bindings(ALL, new Kept({ version: 1, keys: { invert: ["h"], remove: ["h", "x"] } }));
    expect(told(bindings)).toEqual(["h", "", "x", "^z"]);
  });

  it("lives without a shelf and with one that refuses", () => {
    const refusing: Shelf = {
      getItem: () => {
        throw new Error("denied");
      },
      setItem: () => {
        throw new Error("full");
      },
      removeItem: () => undefined,
    };
    for (const shelf of [null, refusing]) {
      const bindings = new Bindings(ALL, shelf);
      bindings.assign(invert, "j");
      expect(bindings.owner("j")).toBe(invert);
    }
  });
});

describe("isAssignable", () => {
  it.each(["a", "7", "\\", " ", "é", "图", "arrowleft", "pageup", "delete"])("%j", (name) => {
    expect(isAssignable(name)).toBe(true);
  });
  it.each(["", "A", "ab", "f5", "tab", "enter", "escape", "^a", "\u0000", "\u007f", "dead", "shift"])(
    "not %j",
    (name) => {
      expect(isAssignable(name)).toBe(false);
    },
  );
});
