// HTJ2K -> values, by OpenJPH as WebAssembly. Runs in a worker.

import create, { type OpenJph } from "@cornerstonejs/codec-openjph";

export interface Decoded {
  readonly columns: number;
  readonly rows: number;
  readonly buffer: ArrayBuffer;
}

/** Compiled while it comes, where the browser can. */
function compiled(answer: Response): Promise<WebAssembly.Module> {
  if (typeof WebAssembly.compileStreaming === "function") return WebAssembly.compileStreaming(answer);
  return answer.arrayBuffer().then((bytes) => WebAssembly.compile(bytes));
}

export class Htj2kDecoder {
  private constructor(private readonly module: OpenJph) {}

  /** Rejects where WebAssembly is missing, forbidden or cannot be fetched. */
  static async load(address: string): Promise<Htj2kDecoder> {
    const answer = await fetch(address, { credentials: "same-origin" });
    if (!answer.ok) throw new Error(`values: decoder ${answer.status}`);
    const quiet = () => undefined;
    const program = await compiled(answer);
    const module = await new Promise<OpenJph>((resolve, reject) => {
      create({
        instantiateWasm: (imports, done) => {
          WebAssembly.instantiate(program, imports).then((instance) => done(instance, program), reject);
          return {};
        },
        print: quiet,
        printErr: quiet,
      }).then(resolve, reject);
    });
    return new Htj2kDecoder(module);
  }

  /** Bytes that the module has reserved. */
  get heapBytes(): number {
    return this.module.HEAPU8.byteLength;
  }

  /** `level` n: 1/2^n of the size, for which the codestream's first part is enough. Throws on a faulty codestream. */
  decode(data: ArrayBuffer, level = 0): Decoded {
    const decoder = new this.module.HTJ2KDecoder();
    try {
      decoder.getEncodedBuffer(data.byteLength).set(new Uint8Array(data));
      if (level) decoder.decodeSubResolution(level);
      else decoder.decode();
      const { width, height } = decoder.getFrameInfo();
      const scale = 2 ** level;
      return {
        columns: Math.ceil(width / scale),
        rows: Math.ceil(height / scale),
        buffer: decoder.getDecodedBuffer().slice().buffer as ArrayBuffer,
      };
    } finally {
      decoder.delete();
    }
  }
}
