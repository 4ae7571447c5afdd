import { describe, expect, it } from "vitest";
import { edgeLetters, letters, scaleBar } from "./geometry";

const AXIAL = [1, 0, 0, 0, 1, 0];

describe("orientation letters", () => {
  it("names the largest part first and drops small ones", () => {
    expect(letters([1, 0, 0])).toBe("L");
    expect(letters([0, -1, 0])).toBe("A");
    expect(letters([0.7, 0, -0.7])).toBe("LF");
    expect(letters([0.98, 0.2, 0])).toBe("L");
  });
  it("puts the patient's right at the left of an axial image", () => {
    expect(edgeLetters(AXIAL, [], false, false, 0)).toEqual({ left: "R", right: "L", top: "A", bottom: "P" });
  });
  it("follows flips and rotations", () => {
    expect(edgeLetters(AXIAL, [], true, false, 0)).toEqual({ left: "L", right: "R", top: "A", bottom: "P" });
    expect(edgeLetters(AXIAL, [], false, true, 0)).toEqual({ left: "R", right: "L", top: "P", bottom: "A" });
    // A quarter turn clockwise: the top goes to the right.
    expect(edgeLetters(AXIAL, [], false, false, 90)).toEqual({
      left: "P",
      right: "A",
      top: "R",
      bottom: "L",
    });
    expect(edgeLetters(AXIAL, [], false, false, 180)).toEqual({
      left: "L",
      right: "R",
      top: "P",
      bottom: "A",
    });
  });
  it("uses Patient Orientation of projections and invents nothing", () => {
    expect(edgeLetters(null, ["L", "F"], false, false, 0)).toEqual({
      left: "R",
      right: "L",
      top: "H",
      bottom: "F",
    });
    expect(edgeLetters(null, [], false, false, 0)).toBeNull();
  });
});

describe("scale bar", () => {
  it("is a round length within a third of the width", () => {
    expect(scaleBar(0.5, 390)).toEqual({ mm: 50, pixels: 100 });
    expect(scaleBar(0, 390)).toBeNull();
  });
});
