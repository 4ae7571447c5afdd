// Fingers and mouse as a few events. Pointers are followed on the stage; edges of 20 px stay the system's.

export interface Hands {
  /** One pointer moved while down; `first` is where it went down. */
  drag(dx: number, dy: number, x: number, y: number, button: number): void;
  /** Two fingers: scale since the last event, movement of their middle, and the middle. */
  pinch(scale: number, dx: number, dy: number, x: number, y: number): void;
  tap(x: number, y: number): void;
  doubleTap(x: number, y: number): void;
  wheel(deltaY: number, event: WheelEvent): void;
  /** The last pointer left; velocity in px/ms of a single-finger drag. */
  end(vx: number, vy: number): void;
}

const EDGE = 20;
const TAP_PX = 8;
const DOUBLE_MS = 300;

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

export function attachHands(stage: HTMLElement, hands: Hands): void {
  const points = new Map<number, Point>();
  let start: Point = { x: 0, y: 0 };
  let moved = false;
  let button = 0;
  let lastTap = 0;
  let tapTimer = 0;
  let velocity = { x: 0, y: 0, at: 0 };

  const at = (event: PointerEvent): Point => ({ x: event.clientX, y: event.clientY });
  stage.addEventListener("contextmenu", (event) => event.preventDefault());
  stage.addEventListener("pointerdown", (event) => {
    const edge = event.clientX < EDGE || event.clientX > window.innerWidth - EDGE;
    if (event.pointerType === "touch" && edge && points.size === 0) return;
    stage.setPointerCapture(event.pointerId);
    points.set(event.pointerId, at(event));
    if (points.size === 1) {
      start = at(event);
      moved = false;
      button = event.button;
      velocity = { x: 0, y: 0, at: event.timeStamp };
    } else {
      moved = true;
    }
  });
  stage.addEventListener("pointermove", (event) => {
    const before = points.get(event.pointerId);
    if (!before) return;
    const now = at(event);
    if (points.size === 1) {
      if (!moved && Math.hypot(now.x - start.x, now.y - start.y) < TAP_PX) return;
      moved = true;
      hands.drag(now.x - before.x, now.y - before.y, now.x, now.y, button);
      const dt = Math.max(1, event.timeStamp - velocity.at);
      velocity = { x: (now.x - before.x) / dt, y: (now.y - before.y) / dt, at: event.timeStamp };
    } else if (points.size === 2) {
      const other = [...points.entries()].find(([id]) => id !== event.pointerId)?.[1];
      if (other) {
        const { scale, dx, dy } = pinchOf([before, other], [now, other]);
        hands.pinch(scale, dx, dy, (now.x + other.x) / 2, (now.y + other.y) / 2);
      }
    }
    points.set(event.pointerId, now);
  });
  const up = (event: PointerEvent) => {
    if (!points.delete(event.pointerId) || points.size > 0) return;
    if (moved) {
      const fresh = event.timeStamp - velocity.at < 60;
      hands.end(fresh ? velocity.x : 0, fresh ? velocity.y : 0);
      return;
    }
    window.clearTimeout(tapTimer);
    if (event.timeStamp - lastTap < DOUBLE_MS) {
      lastTap = 0;
      hands.doubleTap(event.clientX, event.clientY);
    } else {
      lastTap = event.timeStamp;
      tapTimer = window.setTimeout(() => hands.tap(event.clientX, event.clientY), DOUBLE_MS);
    }
  };
  stage.addEventListener("pointerup", up);
  stage.addEventListener("pointercancel", (event) => {
    points.delete(event.pointerId);
  });
  stage.addEventListener(
    "wheel",
    (event) => {
      event.preventDefault();
      hands.wheel(event.deltaY, event);
    },
    { passive: false },
  );
}
