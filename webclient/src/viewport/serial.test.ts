import { describe, expect, it } from "vitest";
import { parseScreen, screenFragment, screenFromFragment, screenText } from "./serial";
import {
  initialState,
  type PlaneView,
  type ScreenState,
  screenOf,
  type ViewState,
  type VolumeView,
} from "./state";

const STACK: ViewState = {
  ...initialState(12, 34),
  voi: "window",
  windowCenter: -600.5,
  windowWidth: 1500,
  zoom: 2.5,
  centerX: 0.25,
  centerY: 0.75,
  rotation: 270,
  flipHorizontal: true,
  invert: true,
};
const PLANE: PlaneView = {
  kind: "plane",
  series: 12,
  centerMm: [-12.5, 30, 1200.25],
  right: [1, 0, 0],
  down: [0, 0.6, -0.8],
  fieldMm: 300,
  thicknessMm: 5,
  projection: "maximum",
  windowCenter: null,
  windowWidth: null,
  invert: false,
  fused: { series: 13, colourMap: "hot", opacity: 0.6, windowCenter: 6e3, windowWidth: 12e3 },
};
const VOLUME: VolumeView = {
  kind: "volume",
  series: 12,
  fused: 13,
  cameraMm: [0, -500, 0],
  targetMm: [0, 0, 0],
  up: [0, 0, 1],
  fieldMm: 400,
  cuts: [
    { kind: "plane", pointMm: [0, 0, 10], normal: [0, 0, 1] },
    { kind: "brush", centersMm: [1, 2, 3, 4.5, 5, 6], radiusMm: 8 },
    {
      kind: "curve",
      cameraMm: [0, -400, 0],
      targetMm: [0, 0, 0],
      up: [0, 0, 1],
      heightMm: 300,
      width: 500,
      height: 400,
      points: [10, 10, 90, 12, 40, 80],
      remove: "outside",
    },
  ],
  boxMm: [
    [-100, -80, 0],
    [100, 80, 120.5],
  ],
  slices: true,
  transfer: [
    [-200, 0, 0, 0, 0],
    [300, 1, 0.8, 0.6, 0.9],
  ],
  windowCenter: 300,
  windowWidth: 600,
};
const SCREEN: ScreenState = {
  version: 2,
  study: 7,
  layout: { rows: 2, columns: 2 },
  active: 1,
  views: [STACK, PLANE, VOLUME, null],
};

describe("round trip", () => {
  it("keeps every kind of view, as text and in an address", () => {
    expect(parseScreen(screenText(SCREEN))).toEqual(SCREEN);
    const fragment = screenFragment(SCREEN);
    expect(fragment).toMatch(/^#view=[\w-]+$/);
    expect(screenFromFragment(fragment)).toEqual(SCREEN);
  });
  it("keeps what a long drag made, to nine digits", () => {
    const view = { ...STACK, zoom: 1 / 3 + 1 };
    const back = parseScreen(screenText(screenOf(1, view)))?.views[0] as ViewState;
    expect(back.zoom).toBeCloseTo(view.zoom, 8);
  });
  it("keeps the phase, and what points are lit like", () => {
    const screen = screenOf(1, { ...VOLUME, stack: 3, light: "lung" });
    expect(parseScreen(screenText(screen))).toEqual(screen);
    expect(parseScreen(screenText(screenOf(1, { ...VOLUME, stack: 0 })))).toEqual(screenOf(1, VOLUME));
  });

  it("keeps a named transfer function", () => {
    const screen = screenOf(1, { ...VOLUME, transfer: "ct-bone" });
    expect(parseScreen(screenText(screen))).toEqual(screen);
  });
});

describe("an older value", () => {
  it("of a plane without fusion has none", () => {
    const { fused: _, ...old } = PLANE;
    const parsed = parseScreen(JSON.stringify({ ...screenOf(1, PLANE), views: [old] }));
    expect(parsed).toEqual(screenOf(1, { ...PLANE, fused: null }));
  });
  it("of a volume without a box has none", () => {
    const { boxMm: _, ...old } = VOLUME;
    const parsed = parseScreen(JSON.stringify({ ...screenOf(1, VOLUME), views: [old] }));
    expect(parsed).toEqual(screenOf(1, { ...VOLUME, boxMm: null }));
  });
  it("of a volume without slices has none, and its planes are cuts that say so", () => {
    const { slices: _, ...old } = VOLUME;
    const cuts = [{ pointMm: [0, 0, 10], normal: [0, 0, 1] }];
    const parsed = parseScreen(JSON.stringify({ ...screenOf(1, VOLUME), views: [{ ...old, cuts }] }));
    expect(parsed).toEqual(screenOf(1, { ...VOLUME, slices: false, cuts: VOLUME.cuts.slice(0, 1) }));
  });
  it("of a fusion without a window has the file's", () => {
    const fused = { series: 3, colourMap: "hot", opacity: 0.5 };
    const parsed = parseScreen(JSON.stringify({ ...screenOf(1, PLANE), views: [{ ...PLANE, fused }] }));
    const whole = { ...fused, windowCenter: null, windowWidth: null };
    expect(parsed).toEqual(screenOf(1, { ...PLANE, fused: whole }));
  });
  it("of version 1 becomes a screen of one stack", () => {
    const { kind: _, ...old } = STACK;
    expect(parseScreen(JSON.stringify({ ...old, version: 1, study: 7 }))).toEqual(screenOf(7, STACK));
  });
  it("of version 1 that is broken is refused", () => {
    expect(parseScreen(JSON.stringify({ version: 1, study: 7, series: 1 }))).toBeNull();
  });
});

describe("garbage is refused", () => {
  const broken: [string, object][] = [
    ["another version", { version: 3 }],
    ["no study", { study: null }],
    ["a study that is no whole number", { study: 1.5 }],
    ["a layout beyond 4 x 4", { layout: { rows: 5, columns: 5 } }],
    ["fewer views than places", { views: [STACK] }],
    ["an active place outside", { active: 4 }],
    ["an unknown kind", { views: [{ ...STACK, kind: "film" }, null, null, null] }],
    ["a rotation between", { views: [{ ...STACK, rotation: 45 }, null, null, null] }],
    ["a window without width", { views: [{ ...STACK, windowWidth: null }, null, null, null] }],
    ["a width of nothing", { views: [{ ...STACK, windowWidth: 0 }, null, null, null] }],
    ["a text for a number", { views: [{ ...STACK, zoom: "2" }, null, null, null] }],
    ["a frame before the first", { views: [{ ...STACK, frame: -1 }, null, null, null] }],
    ["a direction that is none", { views: [{ ...PLANE, right: [0, 0, 0] }, null, null, null] }],
    ["a vector of four", { views: [{ ...PLANE, centerMm: [1, 2, 3, 4] }, null, null, null] }],
    ["a transfer function that is a path", { views: [{ ...VOLUME, transfer: "../x" }, null, null, null] }],
    ["one point", { views: [{ ...VOLUME, transfer: [[0, 0, 0, 0, 1]] }, null, null, null] }],
    [
      "unsorted points",
      {
        views: [
          {
            ...VOLUME,
            transfer: [
              [1, 0, 0, 0, 1],
              [0, 0, 0, 0, 1],
            ],
          },
          null,
          null,
          null,
        ],
      },
    ],
    ["a light that is a path", { views: [{ ...VOLUME, light: "../x" }, null, null, null] }],
    ["a phase that is none", { views: [{ ...VOLUME, stack: -1 }, null, null, null] }],
    ["a phase between two", { views: [{ ...VOLUME, stack: 0.5 }, null, null, null] }],
    ["a colour beyond one", { views: [{ ...VOLUME, transfer: [[0, 2, 0, 0, 1]] }, null, null, null] }],
    [
      "a map that is a path",
      { views: [{ ...PLANE, fused: { ...PLANE.fused, colourMap: "../x" } }, null, null, null] },
    ],
    ["a box of one corner", { views: [{ ...VOLUME, boxMm: [[0, 0, 0]] }, null, null, null] }],
    ["a cut that is none", { views: [{ ...VOLUME, cuts: [{ kind: "saw" }] }, null, null, null] }],
    [
      "a stroke of half a place",
      {
        views: [
          { ...VOLUME, cuts: [{ kind: "brush", centersMm: [1, 2, 3, 4], radiusMm: 8 }] },
          null,
          null,
          null,
        ],
      },
    ],
    ["a hundred cuts", { views: [{ ...VOLUME, cuts: Array(100).fill(VOLUME.cuts[0]) }, null, null, null] }],
  ];
  it.each(broken)("%s", (_name, change) => {
    expect(parseScreen(JSON.stringify({ ...SCREEN, ...change }))).toBeNull();
  });
  it.each(["", "{", "null", "[]", "7", '"x"', `{"version":2,"x":"${"a".repeat(9000)}"}`])("%s", (text) => {
    expect(parseScreen(text)).toBeNull();
  });
  it.each(["", "#", "#view=", "#view=%%%", "#view=AAAA", `#view=${"A".repeat(20_000)}`, "#other"])(
    "address %s",
    (fragment) => {
      expect(screenFromFragment(fragment)).toBeNull();
    },
  );
  it("fields that it does not know are dropped", () => {
    const parsed = parseScreen(JSON.stringify({ ...screenOf(1, STACK), evil: 1 }));
    expect(parsed).toEqual(screenOf(1, STACK));
  });
});

it("measurements come back as they went, also with Chinese letters", () => {
  const note = { kind: "note", sopInstanceUid: "1.2.840.1", frameNumber: 3, text: "右肺结节 ø" } as const;
  const measurements = [
    {
      ...note,
      points: [
        [1.25, 2],
        [30, 40],
      ] as const,
    },
    {
      ...note,
      kind: "length" as const,
      text: "",
      points: [
        [0, 0],
        [100.5, 64],
      ] as const,
    },
  ];
  const screen = screenOf(7, initialState(3, 1), measurements);
  expect(screenFromFragment(screenFragment(screen))).toEqual(screen);
});

it("measurements that are none are refused, and so are too many", () => {
  const good = {
    kind: "length",
    sopInstanceUid: "1.2",
    frameNumber: 1,
    points: [
      [0, 0],
      [9, 9],
    ],
    text: "",
  };
  const read = (measurements: unknown) =>
    parseScreen(JSON.stringify({ ...screenOf(7, initialState(3, 1)), measurements }));
  expect(read([good])?.measurements).toHaveLength(1);
  expect(read([])?.measurements).toBeUndefined();
  for (const wrong of [
    { ...good, kind: "volume" },
    { ...good, sopInstanceUid: "<b>" },
    { ...good, frameNumber: 0 },
    { ...good, points: [[0, 0]] },
    {
      ...good,
      points: [
        [0, 0],
        [9, null],
      ],
    },
    { ...good, text: "a length says nothing" },
    { ...good, kind: "note", text: "x".repeat(61) },
  ])
    expect(read([wrong])).toBeNull();
  expect(read(Array.from({ length: 65 }, () => good))).toBeNull();
});
