import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { PictureHeader } from "../net/stream";
import type { Manifest, SeriesEntry } from "../viewer/manifest";
import type { DisplayState, LayerHost } from "./layer";
import { imageToScreen } from "./placement";
import { initialState, type ViewState } from "./state";
import { TileLayer } from "./tilelayer";
import { tileRect } from "./tiles";

const DX = { columns: 3000, rows: 2400, aspect: 1 };
const PHONE = { width: 390, height: 780 };
const FULL = 3000 / 390; // 1:1 at one device pixel per CSS px
const series: SeriesEntry = {
  series: 7,
  version: 1,
  modality: "DX",
  number: 1,
  frame_count: 1,
  body_part: "",
  description: "",
};

class FakeCanvas {
  width = 0;
  height = 0;
  hidden = false;
  className = "";
  style: Record<string, string> = {};
  drawn: number[][] = [];
  getContext() {
    return {
      setTransform: () => undefined,
      clearRect: () => {
        this.drawn = [];
      },
      drawImage: (_: unknown, ...rect: number[]) => this.drawn.push(rect),
    };
  }
}

const sent: Record<string, unknown>[] = [];
let changes = 0;
let covered = false;
const host = {
  versionOf: () => 1,
  send: (message: Record<string, unknown>) => sent.push(message),
  want: () => undefined,
  isCovered: () => covered,
  changed: () => {
    changes += 1;
  },
} as unknown as LayerHost;

beforeEach(() => {
  sent.length = 0;
  changes = 0;
  covered = false;
  vi.useFakeTimers();
  vi.stubGlobal("window", globalThis);
  vi.stubGlobal("navigator", {});
  vi.stubGlobal("createImageBitmap", async () => ({ width: 256, height: 256, close: () => undefined }));
});
afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

function display(view: Partial<ViewState>, moving = false): DisplayState {
  const full = { ...initialState(7, 0), zoom: FULL, ...view };
  return {
    view: full,
    series,
    manifest: {} as Manifest,
    info: null,
    image: DX,
    stage: PHONE,
    pixelRatio: 1,
    toScreen: imageToScreen(full, DX, PHONE),
    moving,
  };
}

function layer(): { layer: TileLayer; canvas: FakeCanvas } {
  const canvas = new FakeCanvas();
  return { layer: new TileLayer(host, canvas as unknown as HTMLCanvasElement), canvas };
}

function asked(message = sent[sent.length - 1]): [number, number][] {
  return message?.["tiles"] as [number, number][];
}

/** The server's answer to a request, or to some tiles of it. */
async function answer(
  of: TileLayer,
  request: Record<string, unknown>,
  places = asked(request),
): Promise<void> {
  for (const tile of places) {
    const level = request["level"] as number;
    const rect = tileRect({ level, column: tile[0], row: tile[1] }, request["size"] as number, DX);
    const header = {
      viewport: "tiles",
      generation: request["generation"],
      level,
      tile,
      source_rect: rect,
      version: 1,
      window_center: 10,
      window_width: 20,
    } as unknown as PictureHeader;
    expect(of.receive(header, new ArrayBuffer(8))).toBe(true);
  }
  for (let turn = 0; turn < 4 * places.length + 4; turn += 1) await Promise.resolve();
}

test("nothing is asked for while the image fits the screen, nor before its size is known", () => {
  const { layer: tiles, canvas } = layer();
  tiles.display(display({ zoom: 1 }));
  tiles.display({ ...display({}), manifest: undefined });
  expect(sent).toEqual([]);
  expect(canvas.hidden).toBe(true);
});

test("at 1:1 only the visible tiles and a ring are asked for, nearest first", async () => {
  const { layer: tiles, canvas } = layer();
  tiles.display(display({}));
  expect(sent.length).toBe(1);
  expect(sent[0]).toMatchObject({ t: "tiles", viewport: "tiles", level: 0, size: 256, series: 7, frame: 0 });
  // 390 x 780 of 3000 x 2400 in the middle: columns 5 and 6, rows 3 to 6, and one more on each side.
  const places = asked().map(([column, row]) => `${column},${row}`);
  const expected = [4, 5, 6, 7].flatMap((column) => [2, 3, 4, 5, 6, 7].map((row) => `${column},${row}`));
  expect([...places].sort()).toEqual(expected.sort());
  expect(places.length).toBeLessThan((12 * 10) / 4); // of the image's 120
  const visible = new Set([5, 6].flatMap((column) => [3, 4, 5, 6].map((row) => `${column},${row}`)));
  expect(places.slice(0, visible.size).every((place) => visible.has(place))).toBe(true);
  expect(tiles.shown).toBeNull();
  await answer(tiles, sent[0] ?? {}, asked().slice(0, visible.size));
  expect(canvas.drawn.length).toBe(visible.size);
  expect(tiles.shown).toMatchObject({ quality: "refined", windowCenter: 10, windowWidth: 20 });
  expect(tiles.shown?.sourceRect[2]).toBeCloseTo(390);
});

test("a pan asks for what is missing only", async () => {
  const { layer: tiles } = layer();
  tiles.display(display({}));
  await answer(tiles, sent[0] ?? {});
  tiles.display(display({ centerX: 0.5 + 20 / 3000 }));
  expect(sent.length).toBe(1);
  tiles.display(display({ centerX: 0.5 + 256 / 3000 }));
  expect(sent.length).toBe(2);
  expect(asked().every(([column]) => column === 8)).toBe(true);
  expect(asked().length).toBe(6);
});

test("a window asks again for the visible tiles only, and only the newest one is asked for", async () => {
  const { layer: tiles, canvas } = layer();
  tiles.display(display({}));
  await answer(tiles, sent[0] ?? {});
  for (let width = 100; width < 110; width += 1)
    tiles.display(display({ voi: "window", windowCenter: 5, windowWidth: width }, true));
  expect(sent.length).toBe(1);
  expect(canvas.drawn.length).toBe(0); // tiles of another window are never mixed in
  vi.advanceTimersByTime(100);
  expect(sent.length).toBe(2);
  expect(sent[1]).toMatchObject({ window_width: 109, voi: "window" });
  expect(asked().length).toBe(8);
  // Those of the window before come late: kept, but not drawn.
  await answer(tiles, sent[0] ?? {}, [[5, 3]]);
  expect(canvas.drawn.length).toBe(0);
  await answer(tiles, sent[1] ?? {});
  expect(canvas.drawn.length).toBe(8);
  // The hand has left: the ring follows.
  tiles.display(display({ voi: "window", windowCenter: 5, windowWidth: 109 }));
  expect(asked().length).toBe(16);
});

test("a line that comes back asks for what is still missing", async () => {
  const { layer: tiles } = layer();
  tiles.display(display({}));
  await answer(tiles, sent[0] ?? {}, asked().slice(0, 20));
  tiles.online(false);
  tiles.online(true);
  expect(sent.length).toBe(2);
  expect(asked().length).toBe(4);
});

test("an image that cannot be shown is not asked for again and again", () => {
  const { layer: tiles } = layer();
  tiles.display(display({}));
  const error = { t: "error", of: "tiles", generation: sent[0]?.["generation"], retryable: false };
  expect(tiles.message(error)).toBe(true);
  tiles.display(display({ centerX: 0.6 }));
  expect(sent.length).toBe(1);
  expect(tiles.message({ t: "error", of: "view" })).toBe(false);
});

test("zoomed out the wish is taken back; an ended right leaves nothing", async () => {
  const { layer: tiles, canvas } = layer();
  tiles.display(display({}));
  await answer(tiles, sent[0] ?? {});
  tiles.display(display({ zoom: 1 }));
  expect(canvas.hidden).toBe(true);
  expect(tiles.shown).toBeNull();
  tiles.display(display({}));
  expect(canvas.hidden).toBe(false);
  tiles.clear();
  expect([canvas.width, canvas.height, canvas.hidden]).toEqual([1, 1, true]);
  expect(tiles.shown).toBeNull();
  expect(changes).toBeGreaterThan(0);
});

test("a tile that is being decoded is not asked for again", async () => {
  const { layer: tiles } = layer();
  tiles.display(display({}));
  const [first] = asked();
  const answering = answer(tiles, sent[0] ?? {}, first ? [first] : []);
  tiles.display(display({ centerX: 0.5 + 256 / 3000 }));
  expect(sent.length).toBe(2);
  expect(asked()).not.toContainEqual(first);
  await answering;
});

test("what exact values cover is not asked for; what was asked is taken back; without them it is asked for", () => {
  const { layer: tiles } = layer();
  tiles.display(display({}));
  expect(sent.length).toBe(1);
  covered = true;
  tiles.display(display({ voi: "window", windowCenter: 5, windowWidth: 10 }));
  expect(sent.slice(1)).toEqual([{ t: "cancel", viewport: "tiles" }]);
  tiles.display(display({ voi: "window", windowCenter: 6, windowWidth: 10 }));
  expect(sent.length).toBe(2);
  covered = false;
  tiles.display(display({ voi: "window", windowCenter: 6, windowWidth: 10 }));
  expect(sent[2]).toMatchObject({ t: "tiles", window_center: 6 });
});
