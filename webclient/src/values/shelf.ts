// The values that a worker holds, and all that is computed from them.

import type { Htj2kDecoder } from "./decoder";
import { arrayOver, byteLength, type FrameValues, type Values } from "./describe";
import type { Answers, Drawn, Kept, Question } from "./messages";
import { paddingOf, type Range, rangeOf } from "./modality";
import { paintColour, paintGray, reduced } from "./paint";
import { sha256 } from "./sha256";
import { probeOf, statisticsOf } from "./statistics";
import { type Applied, automaticWindow, choose } from "./window";

interface Entry {
  readonly frame: FrameValues;
  readonly values: Values;
  readonly range: Range;
  automatic: Applied | null;
  means: { readonly factor: number; readonly values: Float32Array } | null;
}

export class Shelf {
  private readonly entries = new Map<string, Entry>();
  decoder: Htj2kDecoder | null = null;

  async answer(question: Question): Promise<Answers[Question["op"]]> {
    switch (question.op) {
      case "start":
        throw new Error("values: started already");
      case "keep":
        return await this.keep(question);
      case "draw":
        return this.draw(question);
      case "probe":
        return probeOf(
          this.entry(question.key).frame,
          this.entry(question.key).values,
          question.x,
          question.y,
        );
      case "statistics": {
        const { frame, values } = this.entry(question.key);
        return statisticsOf(frame, values, question.rect, question.shape);
      }
      case "digest":
        return await sha256(this.entry(question.key).values.buffer as ArrayBuffer);
      case "drop":
        for (const key of question.keys) this.entries.delete(key);
        return null;
    }
  }

  private entry(key: string): Entry {
    const entry = this.entries.get(key);
    if (!entry) throw new Error("values: not kept");
    return entry;
  }

  private async keep(question: Question & { op: "keep" }): Promise<Kept> {
    const began = performance.now();
    const { frame, buffer } = this.decoded(question);
    const values = arrayOver(frame, buffer);
    const decoded = performance.now();
    const digest = question.level ? "" : await sha256(buffer);
    if (!question.level && digest !== frame.sha256) throw new Error("values: hash");
    const hashed = performance.now();
    const range = rangeOf(values, paddingOf(frame, frame.dtype));
    this.entries.set(question.key, { frame, values, range, automatic: null, means: null });
    return {
      sha256: digest,
      bytes: byteLength(frame),
      decodeMs: decoded - began,
      hashMs: hashed - decoded,
      heapBytes: this.decoder?.heapBytes ?? 0,
    };
  }

  /** The array's bytes, and the frame as it is described at that resolution. */
  private decoded(question: Question & { op: "keep" }): { frame: FrameValues; buffer: ArrayBuffer } {
    const { frame, data, level } = question;
    if (question.coding === "raw") return { frame, buffer: data };
    if (!this.decoder) throw new Error("values: no decoder");
    const { rows, columns, buffer } = this.decoder.decode(data, level);
    if (!level) return { frame, buffer };
    return { frame: { ...frame, shape: [rows, columns, ...frame.shape.slice(2)] }, buffer };
  }

  private draw(question: Question & { op: "draw" }): Drawn {
    const began = performance.now();
    const entry = this.entry(question.key);
    const { frame, values, range } = entry;
    const { wish, reduction } = question;
    const colour = frame.shape.length === 3 || frame.palette !== null;
    if (colour) {
      const windowed = wish.voi === "window" && wish.center !== null && wish.width !== null;
      const applied: Applied = windowed
        ? { kind: "window", center: wish.center, width: wish.width }
        : { kind: "none", center: null, width: null };
      return {
        ...paintColour(frame, values, applied, wish.invert),
        applied,
        drawMs: performance.now() - began,
      };
    }
    const automatic = () => {
      entry.automatic ??= automaticWindow(frame, values, range);
      return entry.automatic;
    };
    const applied = choose(frame, wish, automatic);
    const [rows = 1, columns = 1] = frame.shape;
    let [source, width, height] = [values, columns, rows];
    if (reduction > 1) {
      if (entry.means?.factor !== reduction)
        entry.means = { factor: reduction, values: reduced(frame, values, range, reduction) };
      [source, width, height] = [
        entry.means.values,
        Math.ceil(columns / reduction),
        Math.ceil(rows / reduction),
      ];
    }
    const pixels = paintGray(frame, source, width, height, range, applied, wish.invert);
    return { ...pixels, applied, drawMs: performance.now() - began };
  }
}
