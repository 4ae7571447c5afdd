import { expect, test } from "vitest";
import { Way } from "./way";

test("the shortest of the last round trips counts", () => {
  const way = new Way();
  expect(way.roundTripMs).toBeNull();
  expect(way.deadMs).toBe(3000);
  for (const trip of [300, 170, 900]) way.answered(1000, 1000 + trip);
  expect(way.roundTripMs).toBe(170);
  expect(way.deadMs).toBe(2700);
  way.answered(2000, 1000); // a clock that was set back
  expect(way.roundTripMs).toBe(170);
  for (let more = 0; more < 8; more += 1) way.answered(0, 20);
  expect(way.roundTripMs).toBe(20);
  expect(way.deadMs).toBe(400);
  way.forget();
  expect(way.roundTripMs).toBeNull();
});
