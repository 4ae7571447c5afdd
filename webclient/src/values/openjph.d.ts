// What is used of @cornerstonejs/codec-openjph (OpenJPH as WebAssembly).
declare module "@cornerstonejs/codec-openjph" {
  export interface FrameInfo {
    width: number;
    height: number;
    bitsPerSample: number;
    componentCount: number;
    isSigned: boolean;
  }
  export interface Decoder {
    /** Room in the module's memory for a codestream; valid until the next call. */
    getEncodedBuffer(length: number): Uint8Array;
    decode(): void;
    /** At 1/2^level of the size; later resolutions may be missing from the codestream. */
    decodeSubResolution(level: number): void;
    getDecodedBuffer(): Uint8Array;
    getFrameInfo(): FrameInfo;
    delete(): void;
  }
  export interface OpenJph {
    HTJ2KDecoder: new () => Decoder;
    HEAPU8: Uint8Array;
  }
  export default function create(options: {
    instantiateWasm(
      imports: WebAssembly.Imports,
      done: (instance: WebAssembly.Instance, module: WebAssembly.Module) => void,
    ): Record<string, never>;
    print(text: string): void;
    printErr(text: string): void;
  }): Promise<OpenJph>;
}
