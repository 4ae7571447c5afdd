import { expect, test } from "vitest";
import { keptWarm, QUIET_MS } from "./warm";

class Line {
  time = 0;
  asked = 0;
  private end: () => void = () => undefined;
  readonly key = keptWarm(
    () => {
      this.asked += 1;
      return new Promise<void>((resolve, reject) => {
        this.end = this.asked % 2 === 0 ? reject : resolve;
      });
    },
    () => this.time,
  );
  async answered(): Promise<void> {
    this.end();
    await new Promise((done) => setTimeout(done));
  }
}

test("a connection that was just used is left alone", () => {
  const line = new Line();
  line.time = QUIET_MS - 1;
  line.key();
  expect(line.asked).toBe(0);
});

test("after a quiet time the first key asks once, and only the next quiet time asks again", async () => {
  const line = new Line();
  for (const round of [1, 2, 3]) {
    line.time += QUIET_MS;
    for (let key = 0; key < 6; key += 1) line.key();
    expect(line.asked).toBe(round);
    await line.answered(); // in the second round the server could not be reached: as good as an answer here
    line.key();
    expect(line.asked).toBe(round);
  }
});
