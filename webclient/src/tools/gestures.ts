// Fingers and mouse as a few events. Pointers are followed on the stage; side edges of 20 px stay the system's.

export interface Hands {
  /** The first pointer went down; `button`: 0 finger or left, 1 middle, 2 right. */
  begin(x: number, y: number, button: number, byFinger: boolean): void;
  /** One pointer moved while down, since the last event; `button`: 0 finger or left, 1 middle, 2 right. */
  drag(dx: number, dy: number, x: number, y: number, button: number): void;
  /** A `drag` came before the screen's next frame, not just before it. */
  early?(): void;
  /** Two fingers: scale since the last event, movement of their middle, and the middle. */
  pinch(scale: number, dx: number, dy: number, x: number, y: number): void;
  /** A finger touched shortly; a mouse's click is none. */
  tap(x: number, y: number): void;
  doubleTap(x: number, y: number): void;
  /** A finger rests; afterwards it may move until `longEnd`. */
  longPress(x: number, y: number): void;
  longMove(x: number, y: number): void;
  longEnd(): void;
  /** The right button was clicked, not dragged. */
  menu(x: number, y: number): void;
  /** Whole notches of the wheel, or as much of a touch pad: 1 is down. */
  wheel(steps: number, event: WheelEvent): void;
  /** The last pointer left; velocity in px/ms of a finger's drag at the end, 0 where it rested or was no finger. */
  end(vx: number, vy: number): void;
}

export const EDGE_PX = 20;
export const TAP_PX = 8;
export const DOUBLE_MS = 300;
export const LONG_MS = 500;
const DOUBLE_PX = 40;
const NOTCH_PX = 50;
const VELOCITY_MS = 80;
const EARLY_MS = 12;

interface Point {
  x: number;
  y: number;
}

export function pinchOf(
  before: [Point, Point],
  after: [Point, Point],
): { scale: number; dx: number; dy: number } {
  const length = (p: [Point, Point]) => Math.hypot(p[0].x - p[1].x, p[0].y - p[1].y);
  const middle = (p: [Point, Point]) => ({ x: (p[0].x + p[1].x) / 2, y: (p[0].y + p[1].y) / 2 });
  const [m0, m1] = [middle(before), middle(after)];
  return { scale: length(after) / Math.max(1, length(before)), dx: m1.x - m0.x, dy: m1.y - m0.y };
}

/** Velocity at the end of a drag: over its last 80 ms, so that a finger that stopped does not throw. */
export class Velocity {
  private trail: (Point & { at: number })[] = [];

  add(point: Point, at: number): void {
    this.trail.push({ ...point, at });
    this.trail = this.trail.filter((one) => at - one.at <= VELOCITY_MS);
  }

  at(now: number): Point {
    const recent = this.trail.filter((one) => now - one.at <= VELOCITY_MS);
    const [first, last] = [recent[0], recent[recent.length - 1]];
    if (!first || !last || last.at === first.at) return { x: 0, y: 0 };
    const dt = last.at - first.at;
    return { x: (last.x - first.x) / dt, y: (last.y - first.y) / dt };
  }
}

/** What is going on between the first pointer down and the last one up. */
type Phase = "idle" | "waiting" | "dragging" | "pinching" | "long" | "spent";

class Follower {
  private readonly points = new Map<number, Point>();
  private phase: Phase = "idle";
  private start: Point = { x: 0, y: 0 };
  private button = 0;
  private byFinger = true;
  private lastTap = { x: 0, y: 0, at: Number.NEGATIVE_INFINITY };
  private tapTimer = 0;
  private longTimer = 0;
  private velocity = new Velocity();
  private wheeled = 0;
  private movedAt = 0;

  constructor(private readonly hands: Hands) {}

  down(event: PointerEvent): boolean {
    const isFinger = event.pointerType !== "mouse";
    const atEdge = event.clientX < EDGE_PX || event.clientX > window.innerWidth - EDGE_PX;
    // A third finger does nothing; another button of the same mouse neither.
    if (this.points.size >= 2 || this.points.has(event.pointerId)) return false;
    if (isFinger && atEdge && this.points.size === 0) return false;
    this.points.set(event.pointerId, { x: event.clientX, y: event.clientY });
    window.clearTimeout(this.longTimer);
    if (this.points.size === 2) {
      if (this.phase !== "long") this.phase = "pinching";
      return true;
    }
    this.phase = "waiting";
    this.start = { x: event.clientX, y: event.clientY };
    this.button = event.button;
    this.byFinger = isFinger;
    this.velocity = new Velocity();
    this.velocity.add(this.start, event.timeStamp);
    if (isFinger) this.longTimer = window.setTimeout(() => this.rested(), LONG_MS);
    this.hands.begin(event.clientX, event.clientY, event.button, isFinger);
    return true;
  }

  private rested(): void {
    if (this.phase !== "waiting") return;
    this.phase = "long";
    this.hands.longPress(this.start.x, this.start.y);
  }

  move(event: PointerEvent): void {
    const before = this.points.get(event.pointerId);
    if (!before) return;
    const now = { x: event.clientX, y: event.clientY };
    if (now.x === before.x && now.y === before.y) return;
    this.movedAt = event.timeStamp;
    if (this.phase === "waiting") {
      // What is within a tap's tremble is no drag; then the whole way counts.
      if (Math.hypot(now.x - this.start.x, now.y - this.start.y) < (this.byFinger ? TAP_PX : 3)) return;
      this.phase = "dragging";
      window.clearTimeout(this.longTimer);
    }
    if (this.phase === "dragging") {
      this.hands.drag(now.x - before.x, now.y - before.y, now.x, now.y, this.button);
      this.velocity.add(now, event.timeStamp);
    } else if (this.phase === "pinching") {
      const other = [...this.points.entries()].find(([id]) => id !== event.pointerId)?.[1];
      if (other) {
        const { scale, dx, dy } = pinchOf([before, other], [now, other]);
        this.hands.pinch(scale, dx, dy, (now.x + other.x) / 2, (now.y + other.y) / 2);
      }
    } else if (this.phase === "long") {
      this.hands.longMove(now.x, now.y);
    }
    this.points.set(event.pointerId, now);
  }

  /** Before the screen's next frame; where that would be more often than frames come, it is left to `move`. */
  moveEarly(event: PointerEvent): void {
    if (this.phase !== "dragging" || event.timeStamp - this.movedAt < EARLY_MS) return;
    this.move(event);
    this.hands.early?.();
  }

  up(event: PointerEvent, cancelled: boolean): void {
    if (!this.points.delete(event.pointerId)) return;
    window.clearTimeout(this.longTimer);
    // One finger of a pinch that stays longer does not page.
    if (this.phase === "pinching") this.phase = "spent";
    if (this.points.size > 0) return;
    const phase = this.phase;
    this.phase = "idle";
    if (phase === "long") this.hands.longEnd();
    const throwing = phase === "dragging" && this.byFinger && !cancelled;
    const speed = throwing ? this.velocity.at(event.timeStamp) : { x: 0, y: 0 };
    this.hands.end(speed.x, speed.y);
    if (phase === "waiting" && !cancelled) this.tapped(event);
  }

  private tapped(event: PointerEvent): void {
    const [x, y, at] = [event.clientX, event.clientY, event.timeStamp];
    if (this.button === 2) this.hands.menu(x, y);
    if (this.button !== 0) return;
    window.clearTimeout(this.tapTimer);
    const isNear = Math.hypot(x - this.lastTap.x, y - this.lastTap.y) < DOUBLE_PX;
    if (at - this.lastTap.at < DOUBLE_MS && isNear) {
      this.lastTap.at = Number.NEGATIVE_INFINITY;
      this.hands.doubleTap(x, y);
      return;
    }
    this.lastTap = { x, y, at };
    if (this.byFinger) this.tapTimer = window.setTimeout(() => this.hands.tap(x, y), DOUBLE_MS);
  }

  /** A notch of a wheel is one step however far it says; a touch pad's small ways add up to steps. */
  wheel(event: WheelEvent): void {
    const delta = event.deltaY || event.deltaX;
    const far = event.deltaMode !== 0 || Math.abs(delta) >= NOTCH_PX;
    if (far) this.wheeled = 0;
    else this.wheeled += delta;
    const steps = far ? Math.sign(delta) : Math.trunc(this.wheeled / (NOTCH_PX / 2));
    this.wheeled -= far ? 0 : (steps * NOTCH_PX) / 2;
    if (steps !== 0) this.hands.wheel(steps, event);
  }
}

export function attachHands(stage: HTMLElement, hands: Hands): void {
  const follower = new Follower(hands);
  const isPicture = (event: Event) => !(event.target as Element | null)?.closest?.("button, [role=slider]");
  stage.addEventListener("contextmenu", (event) => event.preventDefault());
  stage.addEventListener("pointerdown", (event) => {
    if (isPicture(event) && follower.down(event)) stage.setPointerCapture(event.pointerId);
  });
  stage.addEventListener("pointermove", (event) => follower.move(event));
  // Browsers that have it tell a move at once, and again as pointermove just before the frame: half a frame later.
  stage.addEventListener("pointerrawupdate", (event) => follower.moveEarly(event as PointerEvent));
  stage.addEventListener("pointerup", (event) => follower.up(event, false));
  stage.addEventListener("pointercancel", (event) => follower.up(event, true));
  const wheel = (event: WheelEvent) => {
    event.preventDefault();
    follower.wheel(event);
  };
  stage.addEventListener("wheel", wheel, { passive: false });
}
