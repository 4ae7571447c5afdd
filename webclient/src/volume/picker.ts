// Where a pixel of the rendering lies in the patient (docs/stream-protocol.md, rule 28).

import type { Vector } from "./geometry";

const PATIENCE_MS = 8000;

const isPlace = (value: unknown): value is Vector =>
  Array.isArray(value) && value.length === 3 && value.every((part) => Number.isFinite(part));

export class Picker {
  private readonly asked = new Map<number, (place: Vector | null) => void>();
  private generation = 0;

  constructor(
    private readonly viewport: string,
    private readonly send: (message: Record<string, unknown>) => void,
  ) {}

  /** The place, null where nothing is, or where no answer comes. `view`: the fields of the rendering. */
  ask(view: Record<string, unknown>, column: number, row: number): Promise<Vector | null> {
    this.generation += 1;
    const { generation, viewport } = this;
    return new Promise((resolve) => {
      const timer = window.setTimeout(() => this.settle(generation, null), PATIENCE_MS);
      this.asked.set(generation, (place) => {
        window.clearTimeout(timer);
        resolve(place);
      });
      this.send({ ...view, t: "pick", viewport, generation, column, row });
    });
  }

  /** An answer of the server, or its error. */
  hear(message: Record<string, unknown>): void {
    const place = message["place"];
    this.settle(Number(message["generation"]), isPlace(place) ? place : null);
  }

  private settle(generation: number, place: Vector | null): void {
    this.asked.get(generation)?.(place);
    this.asked.delete(generation);
  }
}
