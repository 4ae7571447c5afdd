// What a row of the tools offers.

export interface Choice {
  readonly text: string;
  readonly pressed?: boolean;
  readonly disabled?: boolean;
  readonly label?: string;
  /** What a test or a style tells it by. */
  readonly name?: string;
  act?(): void;
  /** A slider from 0 to 1 instead of a button: where it stands, and what its movement does. */
  readonly value?: number;
  slide?(value: number): void;
}

export const DIVIDER: Choice = { text: "|" };
