import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { PictureHeader } from "../net/stream";
import type { DisplayState, LayerHost } from "../viewport/layer";
import { imageToScreen } from "../viewport/placement";
import { initialState, type ViewState } from "../viewport/state";
import type { Manifest, SeriesEntry } from "./manifest";
import { PreviewLayer } from "./previews";

const IMAGE = { columns: 512, rows: 512, aspect: 1 };
const STAGE = { width: 400, height: 400 };

let version: number;
let wanted: (Record<string, unknown> | null)[];
let sent: Record<string, unknown>[];
let drawn: number;
/** Frames whose exact values lie above. */
let covered: Set<number>;
let layer: PreviewLayer;
let canvas: { width: number; height: number; style: { transform: string; filter: string } };

function entry(series: number): SeriesEntry {
  return { series, version, frame_count: 100, modality: "CT", number: 1, body_part: "", description: "" };
}

function show(view: ViewState): void {
  const state: DisplayState = {
    view,
    series: entry(view.series),
    manifest: { colour: false, inverse: false } as Manifest,
    info: null,
    image: IMAGE,
    stage: STAGE,
    pixelRatio: 1,
    toScreen: imageToScreen(view, IMAGE, STAGE),
    moving: false,
  };
  layer.display(state);
}

/** The server's answer to a message. */
async function answer(
  message: Record<string, unknown>,
  quality: "preview" | "refined" = "preview",
): Promise<void> {
  const header = {
    viewport: message["viewport"],
    generation: message["generation"],
    series: message["series"],
    version,
    frame: message["frame"],
    quality,
    media_type: "image/jpeg",
    width: 400,
    height: 400,
    window_center: 40,
    window_width: 400,
    source_rect: [0, 0, 512, 512],
  } as unknown as PictureHeader;
  layer.receive(header, new ArrayBuffer(1000));
  await settle();
}

/** Until every promise that is under way is done. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 20; turn += 1) await Promise.resolve();
}

const last = () => wanted[wanted.length - 1] as Record<string, unknown>;
const shownFrame = () => layer.shown?.view.frame;

beforeEach(() => {
  vi.useFakeTimers();
  version = 1;
  covered = new Set();
  [wanted, sent, drawn] = [[], [], 0];
  canvas = Object.assign(
    { width: 1, height: 1, style: { transform: "", filter: "" } },
    {
      getContext: () => ({
        drawImage: () => {
          drawn += 1;
        },
      }),
    },
  );
  vi.stubGlobal("window", { setTimeout, clearTimeout });
  vi.stubGlobal("navigator", {});
  vi.stubGlobal("createImageBitmap", async () => ({ width: 400, height: 400, close: () => undefined }));
  const host = {
    versionOf: () => version,
    send: (message: Record<string, unknown>) => sent.push(message),
    want: (_viewport: string, message: Record<string, unknown> | null) => wanted.push(message),
    isCovered: (_layer: unknown, view: ViewState) => covered.has(view.frame),
    changed: () => undefined,
  } as unknown as LayerHost;
  layer = new PreviewLayer(canvas as unknown as HTMLCanvasElement, host);
});
afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

test("asks for what it lacks and shows what comes", async () => {
  show(initialState(1, 50));
  expect(last()).toMatchObject({ t: "view", viewport: "main", series: 1, frame: 50 });
  expect(layer.shown).toBeNull();
  await answer(last());
  expect(layer.shown).toMatchObject({ quality: "preview", view: { frame: 50 }, version: 1 });
  await answer(last(), "refined");
  expect(layer.shown?.quality).toBe("refined");
  expect(wanted[wanted.length - 1], "nothing more is wanted").toBeNull();
});

test("reads ahead in the direction of scrolling, and such a picture is there at once", async () => {
  show(initialState(1, 50));
  await answer(last());
  expect(sent[0]).toMatchObject({ viewport: "ahead0", frame: 51, answer: "preview" });
  await answer(sent[0] as Record<string, unknown>);
  await settle();
  const asked = wanted.length;
  show(initialState(1, 51));
  await settle();
  expect(shownFrame()).toBe(51);
  expect(wanted.slice(asked), "not asked for again").toEqual([null]);
  vi.advanceTimersByTime(200);
  expect(last(), "at rest the refined picture alone").toMatchObject({ frame: 51, answer: "refined" });
});

test("never freezes: what comes late is shown while it is nearer, and never afterwards", async () => {
  show(initialState(1, 10));
  await answer(last());
  show(initialState(1, 20));
  const twenty = last();
  show(initialState(1, 40));
  const forty = last();
  await answer(twenty);
  expect(shownFrame(), "nearer than 10").toBe(20);
  show(initialState(1, 5));
  await settle();
  expect(shownFrame(), "of what is here 10 is nearest to 5").toBe(10);
  await answer(forty);
  expect(shownFrame(), "40 is farther").toBe(10);
});

test("a picture of another series is never shown for this one", async () => {
  show(initialState(1, 0));
  const first = last();
  show(initialState(2, 0));
  await answer(first);
  expect(layer.shown).toBeNull();
});

test("a window that is dragged is seen at once on the picture that is here", async () => {
  show(initialState(1, 0));
  await answer(last());
  expect(canvas.style.filter).toBe("");
  show({ ...initialState(1, 0), voi: "window", windowCenter: 40, windowWidth: 200 });
  expect(canvas.style.filter).toContain("contrast(2)");
  await answer(last());
  show({ ...initialState(1, 0), invert: true });
  expect(canvas.style.filter).toContain("invert(1)");
});

test("a zoomed, turned or flipped picture is moved at once", async () => {
  show(initialState(1, 0));
  await answer(last());
  const before = canvas.style.transform;
  for (const change of [{ zoom: 2 }, { rotation: 90 as const }, { flipHorizontal: true }]) {
    show({ ...initialState(1, 0), ...change });
    expect(canvas.style.transform).not.toBe(before);
  }
});

test("pictures of an older version are of other images: neither kept nor shown", async () => {
  show(initialState(1, 0));
  await answer(last());
  const count = drawn;
  version = 2;
  layer.forget(1);
  show(initialState(1, 0));
  const message = last();
  version = 1;
  const stale = answer(message);
  version = 2;
  await stale;
  expect(drawn).toBe(count + 1);
  await answer(message);
  expect(layer.shown?.version).toBe(2);
});

test("leaves nothing when the right is gone", async () => {
  show(initialState(1, 0));
  const message = last();
  await answer(message);
  layer.clear();
  expect(layer.shown).toBeNull();
  expect([canvas.width, canvas.height]).toEqual([1, 1]);
  await answer(message, "refined");
  expect(layer.shown).toBeNull();
});

test("a frame that exact values cover is not asked for: not shown, not windowed, not read ahead, not refined", async () => {
  for (let frame = 0; frame < 100; frame += 1) covered.add(frame);
  show(initialState(1, 50));
  for (let center = 0; center < 30; center += 1)
    show({ ...initialState(1, 50), voi: "window", windowCenter: center, windowWidth: 400 });
  show(initialState(1, 51));
  await settle();
  vi.advanceTimersByTime(1000);
  expect(wanted.filter((message) => message !== null)).toEqual([]);
  expect(sent).toEqual([]);
});

test("a frame is asked for again when exact values no longer cover it, and no more when they do", async () => {
  covered.add(50);
  show(initialState(1, 50));
  expect(wanted).toEqual([null]);
  covered.clear();
  show(initialState(1, 50));
  expect(last()).toMatchObject({ t: "view", viewport: "main", frame: 50 });
  await answer(last());
  covered.add(50);
  show(initialState(1, 50));
  vi.advanceTimersByTime(1000);
  expect(wanted[wanted.length - 1], "the refined picture is not needed either").toBeNull();
});

test("beside a covered frame the uncovered ones are read ahead, after a window has come to rest", () => {
  covered.add(50);
  show(initialState(1, 50));
  expect(sent[0]).toMatchObject({ viewport: "ahead0", frame: 51 });
  const before = sent.length;
  for (const center of [10, 20, 30])
    show({ ...initialState(1, 50), voi: "window", windowCenter: center, windowWidth: 400 });
  expect(sent.length, "not while it is dragged").toBe(before);
  vi.advanceTimersByTime(1000);
  expect(sent[before]).toMatchObject({ frame: 51, window_center: 30 });
});
