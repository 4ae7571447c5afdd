import { expect, test } from "vitest";
import { ageInYears, shownName, shownTime } from "./overlay";

test("names are shown as they are read", () => {
  expect(shownName("Zhang^Wei=张^伟")).toBe("张伟");
  expect(shownName("Doe^Jane")).toBe("Doe Jane");
  expect(shownName("")).toBe("");
});

test("ages count full years and are never invented", () => {
  expect(ageInYears("1968-04-12", "20240411")).toBe(55);
  expect(ageInYears("1968-04-12", "20240412")).toBe(56);
  expect(ageInYears("", "20240412")).toBeNull();
  expect(ageInYears("20300101", "20240412")).toBeNull();
});

test("DICOM dates and times are written with their parts apart", () => {
  expect(shownTime("20240311", "093012")).toBe("2024-03-11 09:30");
  expect(shownTime("", "")).toBe("");
});
