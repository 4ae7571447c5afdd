// Exact values from the server: what frames hold, asked for a few at once, and their bytes.

import { byteLength, type FrameValues, hasValues, type NoValues, type ValuesManifest } from "./describe";

export type Coding = "htj2k" | "raw";
/** `packed` false: the uncompressed mode. */
export interface Transfer {
  readonly coding: Coding;
  readonly packed: boolean;
}

export interface Described {
  readonly version: number;
  readonly frame: FrameValues | NoValues;
}

/** Frames are described in groups, so that paging asks once in a while. */
const GROUP = 16;

/** The server's refusal of one request; `status` 0: no answer. */
export class SourceError extends Error {
  constructor(readonly status: number) {
    super(`values: ${status}`);
  }
}

async function get(address: string, signal?: AbortSignal): Promise<Response> {
  let answer: Response;
  try {
    answer = await fetch(address, { credentials: "same-origin", ...(signal ? { signal } : {}) });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new SourceError(0);
  }
  if (!answer.ok) throw new SourceError(answer.status);
  return answer;
}

export class ValueSource {
  private readonly groups = new Map<string, Promise<ValuesManifest>>();

  /** `first`: what the page itself tells of the frame that it was opened with. */
  constructor(private first: ValuesManifest | null = null) {}

  /** What a frame's values are. Rejects with SourceError. */
  async describe(series: number, frame: number): Promise<Described> {
    const told = this.first;
    if (told?.series === series && told.first === frame && told.frames[0])
      return { version: told.version, frame: told.frames[0] };
    const first = frame - (frame % GROUP);
    const key = `${series}/${first}`;
    let group = this.groups.get(key);
    if (!group) {
      group = get(`/api/series/${series}/values?first=${first}&count=${GROUP}`).then(
        (answer) => answer.json() as Promise<ValuesManifest>,
      );
      this.groups.set(key, group);
      group.catch(() => this.groups.delete(key));
    }
    const manifest = await group;
    return {
      version: manifest.version,
      frame: manifest.frames[frame - first] ?? { problem: "values.missing" },
    };
  }

  forget(series: number): void {
    if (this.first?.series === series) this.first = null;
    for (const key of [...this.groups.keys()]) if (key.startsWith(`${series}/`)) this.groups.delete(key);
  }

  /**
   * The bytes of a frame. `onPart` is told when the first `level`s of a codestream are there, as far as it is long
   * enough to be waited for. Rejects with SourceError, also when the series is of another version meanwhile.
   */
  async bytes(
    series: number,
    index: number,
    described: Described,
    transfer: Transfer,
    signal: AbortSignal,
    onPart: (level: number, part: ArrayBuffer) => void,
  ): Promise<ArrayBuffer> {
    const query = transfer.packed ? "" : "&packed=0";
    const answer = await get(
      `/api/series/${series}/frames/${index}/values?coding=${transfer.coding}${query}`,
      signal,
    );
    if (Number(answer.headers.get("x-series-version")) !== described.version) throw new SourceError(409);
    const { frame } = described;
    const parts = transfer.coding === "htj2k" && hasValues(frame) ? partsOf(frame) : [];
    if (!parts.length || !answer.body || !hasValues(frame)) return answer.arrayBuffer();
    return readParts(answer.body, parts, onPart);
  }
}

/** Where a long codestream is worth showing before it is whole: [bytes, level], shortest first. */
export function partsOf(frame: FrameValues): [number, number][] {
  if (byteLength(frame) < 4 * 1024 * 1024) return [];
  const finest = frame.ends.length - 1;
  return [2, 1]
    .filter((level) => level <= finest)
    .map((level) => [frame.ends[finest - level] as number, level]);
}

async function readParts(
  body: ReadableStream<Uint8Array>,
  parts: [number, number][],
  onPart: (level: number, part: ArrayBuffer) => void,
): Promise<ArrayBuffer> {
  const reader = body.getReader();
  let [bytes, used] = [new Uint8Array(1 << 20), 0];
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return bytes.slice(0, used).buffer;
    if (used + value.length > bytes.length) {
      const larger = new Uint8Array(Math.max(bytes.length * 2, used + value.length));
      larger.set(bytes.subarray(0, used));
      bytes = larger;
    }
    bytes.set(value, used);
    used += value.length;
    let reached: [number, number] | undefined;
    while (parts[0] && used >= parts[0][0]) reached = parts.shift();
    if (reached) onPart(reached[1], bytes.slice(0, reached[0]).buffer);
  }
}
