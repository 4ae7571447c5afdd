// Pictures as they came (many) and decoded (few), each within a budget of bytes: iPhones reload a page that keeps too much.

import { PictureCache } from "../net/cache";
import type { PictureHeader } from "../net/stream";
import type { ViewState } from "./state";

const MIB = 1024 * 1024;

export interface Received {
  readonly header: PictureHeader;
  readonly view: ViewState;
  readonly blob: Blob;
  readonly bytes: number;
  close(): void;
}

export interface Decoded {
  readonly bitmap: ImageBitmap;
  readonly from: Received;
  readonly bytes: number;
  close(): void;
}

/** Bytes of pictures as they came, decoded, and read ahead of a standing image. */
export interface Budget {
  readonly received: number;
  readonly decoded: number;
  readonly ahead: number;
}

/** Of the page's share for previews a third as they came; little is read ahead where the person saves data. */
export function budgets(previewBytes: number, saveData: boolean): Budget {
  const received = Math.floor(previewBytes / 3);
  return { received, decoded: previewBytes - received, ahead: saveData ? MIB : Math.min(8 * MIB, received) };
}

export class Pictures {
  readonly received: PictureCache<Received>;
  readonly decoded: PictureCache<Decoded>;
  private mean = 24 * 1024;

  constructor(
    private readonly budget: Budget,
    private readonly decode: (blob: Blob) => Promise<ImageBitmap> = (blob) => createImageBitmap(blob),
  ) {
    this.received = new PictureCache(budget.received);
    this.decoded = new PictureCache(budget.decoded);
  }

  /** How many pictures of the usual size are read ahead. */
  get reach(): number {
    return Math.max(8, Math.floor(this.budget.ahead / this.mean));
  }

  /** Keeps a picture unless a better one of the same key is here. */
  keep(key: string, picture: Received): boolean {
    if (this.received.get(key)?.header.quality === "refined" && picture.header.quality === "preview")
      return false;
    this.received.put(key, picture);
    if (picture.header.quality === "preview") this.mean += (picture.bytes - this.mean) / 8;
    return true;
  }

  /** The bitmap of what is kept under the key; null where nothing is, or where it is no picture. */
  async bitmap(key: string): Promise<Decoded | null> {
    const picture = this.received.get(key);
    if (!picture) return null;
    const here = this.decoded.get(key);
    if (here?.from === picture) return here;
    const bitmap = await this.decode(picture.blob).catch(() => null);
    if (!bitmap) return null;
    const made = {
      bitmap,
      from: picture,
      bytes: bitmap.width * bitmap.height * 4,
      close: () => bitmap.close(),
    };
    this.decoded.put(key, made);
    return made;
  }

  /** The bitmap, when it is decoded already. */
  ready(key: string): Decoded | null {
    const here = this.decoded.get(key);
    return here && here.from === this.received.get(key) ? here : null;
  }

  clear(): void {
    this.received.clear();
    this.decoded.clear();
  }
}
