import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { attachHands, DOUBLE_MS, EDGE_PX, type Hands, LONG_MS, pinchOf, Velocity } from "./gestures";

/** A stage that hands out the events given to it, as the browser's would. */
class Stage {
  private readonly heard = new Map<string, ((event: unknown) => void)[]>();
  now = 1000;
  addEventListener(kind: string, listener: (event: unknown) => void): void {
    this.heard.set(kind, [...(this.heard.get(kind) ?? []), listener]);
  }
  setPointerCapture(): void {}
  send(kind: string, fields: Record<string, unknown>): void {
    const event = { timeStamp: this.now, preventDefault: vi.fn(), target: null, ...fields };
    for (const listener of this.heard.get(kind) ?? []) listener(event);
  }
  /** Milliseconds pass, for timers and for events. */
  pass(ms: number): void {
    this.now += ms;
    vi.advanceTimersByTime(ms);
  }
  finger(id: number, kind: "down" | "move" | "up" | "cancel", x: number, y: number): void {
    this.send(`pointer${kind}`, { pointerId: id, pointerType: "touch", button: 0, clientX: x, clientY: y });
  }
  mouse(kind: "down" | "move" | "up", x: number, y: number, button = 0): void {
    this.send(`pointer${kind}`, { pointerId: 9, pointerType: "mouse", button, clientX: x, clientY: y });
  }
}

let stage: Stage;
let calls: [string, ...number[]][];

beforeEach(() => {
  vi.useFakeTimers();
  vi.stubGlobal("window", { innerWidth: 390, setTimeout, clearTimeout });
  stage = new Stage();
  calls = [];
  const note =
    (name: string) =>
    (...values: unknown[]) => {
      calls.push([name, ...values.filter((value): value is number => typeof value === "number")]);
    };
  const names = [
    "begin",
    "drag",
    "early",
    "pinch",
    "tap",
    "doubleTap",
    "longPress",
    "longMove",
    "longEnd",
    "menu",
  ];
  const hands = Object.fromEntries([...names, "wheel", "end"].map((name) => [name, note(name)]));
  attachHands(stage as unknown as HTMLElement, hands as unknown as Hands);
});
afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

const named = (name: string) => calls.filter(([called]) => called === name);

function swipe(from: number, to: number, steps: number, stepMs: number): void {
  stage.finger(1, "down", 200, from);
  for (let step = 1; step <= steps; step += 1) {
    stage.pass(stepMs);
    stage.finger(1, "move", 200, from + ((to - from) * step) / steps);
  }
}

describe("one finger", () => {
  it("drags, and every pixel of the way is told once it is a drag", () => {
    swipe(300, 400, 10, 16);
    stage.finger(1, "up", 200, 400);
    const way = named("drag").reduce((sum, [, , dy]) => sum + (dy ?? 0), 0);
    expect(way).toBe(100);
    expect(named("tap")).toEqual([]);
  });
  it("throws with the speed of its end", () => {
    swipe(300, 400, 10, 10);
    stage.finger(1, "up", 200, 400);
    expect(named("end")[0]?.[2]).toBeCloseTo(1);
  });
  it("throws nothing when it rested before it left", () => {
    swipe(300, 400, 10, 10);
    stage.pass(200);
    stage.finger(1, "up", 200, 400);
    expect(named("end")).toEqual([["end", 0, 0]]);
  });
  it("taps: told when no second tap came", () => {
    stage.finger(1, "down", 200, 300);
    stage.pass(60);
    stage.finger(1, "up", 203, 302);
    expect(named("tap")).toEqual([]);
    stage.pass(DOUBLE_MS);
    expect(named("tap")).toEqual([["tap", 203, 302]]);
  });
  it("taps twice: once a double tap, no tap", () => {
    for (const x of [200, 206]) {
      stage.finger(1, "down", x, 300);
      stage.pass(50);
      stage.finger(1, "up", x, 300);
      stage.pass(100);
    }
    stage.pass(1000);
    expect(named("doubleTap")).toEqual([["doubleTap", 206, 300]]);
    expect(named("tap")).toEqual([]);
  });
  it("taps at two places: two taps, no double tap", () => {
    for (const x of [100, 300]) {
      stage.finger(1, "down", x, 300);
      stage.finger(1, "up", x, 300);
      stage.pass(100);
    }
    expect(named("doubleTap")).toEqual([]);
  });
  it("rests: a long press that then moves, and is no tap and no drag", () => {
    stage.finger(1, "down", 200, 300);
    stage.pass(LONG_MS);
    stage.finger(1, "move", 230, 340);
    stage.finger(1, "up", 230, 340);
    stage.pass(1000);
    expect(calls.map(([name]) => name)).toEqual(["begin", "longPress", "longMove", "longEnd", "end"]);
  });
  it("at the side's edge belongs to the system", () => {
    stage.finger(1, "down", EDGE_PX - 1, 300);
    stage.finger(1, "move", 200, 300);
    stage.finger(1, "up", 200, 300);
    stage.finger(2, "down", 390 - EDGE_PX + 1, 300);
    expect(calls).toEqual([]);
  });
  it("that the system takes away is neither tap nor throw", () => {
    swipe(300, 400, 5, 10);
    stage.finger(1, "cancel", 200, 400);
    stage.pass(1000);
    expect(named("end")).toEqual([["end", 0, 0]]);
    expect(named("tap")).toEqual([]);
  });
});

describe("two fingers", () => {
  it("pinch and pan together", () => {
    stage.finger(1, "down", 150, 300);
    stage.finger(2, "down", 250, 300);
    stage.finger(1, "move", 130, 320);
    stage.finger(2, "move", 290, 320);
    const scale = named("pinch").reduce((product, [, by]) => product * (by ?? 1), 1);
    const dx = named("pinch").reduce((sum, [, , by]) => sum + (by ?? 0), 0);
    const dy = named("pinch").reduce((sum, [, , , by]) => sum + (by ?? 0), 0);
    expect(scale).toBeCloseTo(160 / 100, 1);
    expect([dx, dy]).toEqual([10, 20]);
    expect(named("drag")).toEqual([]);
  });
  it("of which one stays longer: it pages nothing", () => {
    stage.finger(1, "down", 150, 300);
    stage.finger(2, "down", 250, 300);
    stage.finger(2, "up", 250, 300);
    stage.finger(1, "move", 150, 400);
    stage.finger(1, "up", 150, 400);
    stage.pass(1000);
    expect(calls.map(([name]) => name)).toEqual(["begin", "end"]);
  });
  it("and a third one: it does nothing", () => {
    stage.finger(1, "down", 150, 300);
    stage.finger(2, "down", 250, 300);
    stage.finger(3, "down", 200, 200);
    stage.finger(3, "move", 200, 100);
    expect(named("pinch")).toEqual([]);
  });
});

describe("a mouse", () => {
  it("drags with the button that went down, without a tap's tremble", () => {
    stage.mouse("down", 100, 100, 2);
    stage.mouse("move", 104, 100);
    expect(named("drag")).toEqual([["drag", 4, 0, 104, 100, 2]]);
  });
  it("clicks right: the menu", () => {
    stage.mouse("down", 100, 100, 2);
    stage.mouse("up", 100, 100, 2);
    expect(named("menu")).toEqual([["menu", 100, 100]]);
  });
  it("clicks left: nothing; twice: a double tap", () => {
    for (let click = 0; click < 2; click += 1) {
      stage.mouse("down", 100, 100);
      stage.mouse("up", 100, 100);
      stage.pass(100);
    }
    stage.pass(1000);
    expect(calls.filter(([name]) => name !== "begin" && name !== "end")).toEqual([["doubleTap", 100, 100]]);
  });
  it("starts at the window's edge too", () => {
    stage.mouse("down", 5, 100);
    expect(named("begin")).toHaveLength(1);
  });
  it("turns its wheel: a notch is one step, a touch pad's small ways add up", () => {
    stage.send("wheel", { deltaY: 120, deltaX: 0, deltaMode: 0 });
    stage.send("wheel", { deltaY: -3, deltaX: 0, deltaMode: 1 });
    for (let step = 0; step < 10; step += 1) stage.send("wheel", { deltaY: 5, deltaX: 0, deltaMode: 0 });
    expect(named("wheel")).toEqual([
      ["wheel", 1],
      ["wheel", -1],
      ["wheel", 1],
      ["wheel", 1],
    ]);
  });
});

it("a pinch scales and pans together", () => {
  const result = pinchOf(
    [
      { x: 0, y: 0 },
      { x: 100, y: 0 },
    ],
    [
      { x: 0, y: 10 },
      { x: 200, y: 10 },
    ],
  );
  expect(result.scale).toBeCloseTo(2);
  expect([result.dx, result.dy]).toEqual([50, 10]);
});

it("velocity forgets what was long ago", () => {
  const velocity = new Velocity();
  velocity.add({ x: 0, y: 0 }, 0);
  velocity.add({ x: 0, y: 500 }, 10);
  velocity.add({ x: 0, y: 500 }, 500);
  velocity.add({ x: 0, y: 520 }, 520);
  expect(velocity.at(520).y).toBeCloseTo(1);
});

describe("moves before the frame", () => {
  const early = (x: number, y: number) =>
    stage.send("pointerrawupdate", {
      pointerId: 9,
      pointerType: "mouse",
      button: -1,
      clientX: x,
      clientY: y,
    });

  it("are followed at once and not again by the frame's own move", () => {
    stage.mouse("down", 100, 100);
    early(101, 100);
    expect(named("drag")).toEqual([]); // a tap's tremble, and not yet a drag
    stage.mouse("move", 110, 100);
    stage.pass(16);
    early(115, 102);
    stage.pass(4);
    stage.mouse("move", 115, 102);
    expect(named("drag")).toEqual([
      ["drag", 10, 0, 110, 100, 0],
      ["drag", 5, 2, 115, 102, 0],
    ]);
    expect(named("early")).toEqual([["early"]]);
  });

  it("that come more often than frames are left to them", () => {
    stage.mouse("down", 100, 100);
    stage.mouse("move", 110, 100);
    for (let x = 111; x < 160; x += 1) {
      stage.pass(1);
      early(x, 100);
    }
    stage.mouse("move", 160, 100);
    expect(named("early")).toHaveLength(4);
    const ways = named("drag").map(([, dx]) => Number(dx));
    expect(ways.reduce((sum, dx) => sum + dx, 0)).toBe(60);
  });
});
