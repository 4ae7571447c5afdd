import { expect, test } from "vitest";
import { addressOf, filtersOf } from "./place";

test("filters go through the address and back", () => {
  const filters = { q: "张 伟*", modality: "CT", from: "2024-01-01", to: "" };
  expect(filtersOf(new URL(addressOf(filters), "http://x").search)).toEqual(filters);
  expect(addressOf({ q: "", modality: "", from: "", to: "" })).toBe("/studies");
});

test("what an address must not say is left out", () => {
  const wrong = `?q=${"a".repeat(65)}&modality=ct'&from=yesterday&to=2024-13`;
  expect(filtersOf(wrong)).toEqual({ q: "", modality: "", from: "", to: "" });
});
