// Value workers: a frame belongs to one of them, which keeps its values and draws from them.

import type { Answers, Question, Reply } from "./messages";

type Waiting = { resolve(value: unknown): void; reject(error: Error): void };

class ValueWorker {
  private readonly waiting = new Map<number, Waiting>();
  private next = 1;
  private readonly worker: Worker;

  constructor(script: string) {
    this.worker = new Worker(script);
    this.worker.onmessage = (event: MessageEvent<Reply>) => {
      const { id } = event.data;
      const waiting = this.waiting.get(id);
      this.waiting.delete(id);
      if ("error" in event.data) waiting?.reject(new Error(event.data.error));
      else waiting?.resolve(event.data.value);
    };
    this.worker.onerror = () => this.end("values: worker");
  }

  ask<Q extends Question>(question: Q, transfer: Transferable[] = []): Promise<Answers[Q["op"]]> {
    return new Promise((resolve, reject) => {
      const id = this.next++;
      this.waiting.set(id, { resolve: resolve as (value: unknown) => void, reject });
      this.worker.postMessage({ id, ...question }, transfer);
    });
  }

  end(reason: string): void {
    this.worker.terminate();
    for (const waiting of this.waiting.values()) waiting.reject(new Error(reason));
    this.waiting.clear();
  }
}

export class Pool {
  private readonly workers: ValueWorker[];
  private readonly started: readonly Promise<boolean>[];
  /** False where that is out of the question. */
  readonly mayDecode: boolean;

  constructor(script: string, decoder: string, size: number) {
    this.mayDecode = decoder !== "" && typeof WebAssembly === "object";
    this.workers = Array.from({ length: size }, () => new ValueWorker(script));
    this.started = this.workers.map((worker) => worker.ask({ op: "start", decoder }).catch(() => false));
  }

  /** Whether a worker can decode codestreams: known when it has the decoder. */
  decodes(home: number): Promise<boolean> {
    return this.started[home] ?? Promise.resolve(false);
  }

  get size(): number {
    return this.workers.length;
  }

  /** Which worker has a frame. */
  home(frame: number): number {
    return frame % this.workers.length;
  }

  ask<Q extends Question>(home: number, question: Q, transfer?: Transferable[]): Promise<Answers[Q["op"]]> {
    const worker = this.workers[home];
    return worker ? worker.ask(question, transfer) : Promise.reject(new Error("values: ended"));
  }

  end(): void {
    for (const worker of this.workers.splice(0)) worker.end("values: ended");
  }
}
