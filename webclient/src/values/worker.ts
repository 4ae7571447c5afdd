// A value worker: one queue of questions, answered in order.

import { Htj2kDecoder } from "./decoder";
import type { Envelope, Reply } from "./messages";
import { Shelf } from "./shelf";

const shelf = new Shelf();
const scope = self as unknown as {
  onmessage: ((event: MessageEvent<Envelope>) => void) | null;
  postMessage(message: Reply, transfer: Transferable[]): void;
};
let line: Promise<void> = Promise.resolve();

async function start(address: string): Promise<boolean> {
  if (typeof WebAssembly !== "object" || !address) return false;
  try {
    shelf.decoder = await Htj2kDecoder.load(address);
    return true;
  } catch {
    return false; // raw bytes need no decoder
  }
}

async function handle(envelope: Envelope): Promise<void> {
  const { id } = envelope;
  try {
    const value = envelope.op === "start" ? await start(envelope.decoder) : await shelf.answer(envelope);
    const pixels = envelope.op === "draw" && value && typeof value === "object" && "rgba" in value;
    scope.postMessage({ id, value }, pixels ? [value.rgba.buffer] : []);
  } catch (error) {
    scope.postMessage({ id, error: error instanceof Error ? error.message : "values: decoding" }, []);
  }
}

scope.onmessage = (event) => {
  line = line.then(() => handle(event.data));
};
