// The slider at the right edge: 44 px to hit, the number while dragged. Own, because browsers differ on upright ranges.

import { clamp } from "../viewport/state";

export class Slider {
  private count = 1;
  private frame = 0;

  constructor(
    readonly root: HTMLElement,
    private readonly thumb: HTMLElement,
    private readonly bubble: HTMLElement,
    private readonly to: (frame: number) => void,
  ) {
    root.addEventListener("pointerdown", (event) => {
      root.setPointerCapture(event.pointerId);
      root.classList.add("held");
      this.follow(event);
    });
    root.addEventListener("pointermove", (event) => {
      if (root.classList.contains("held")) this.follow(event);
    });
    for (const kind of ["pointerup", "pointercancel"] as const)
      root.addEventListener(kind, () => root.classList.remove("held"));
  }

  /** Where the wanted image lies. */
  show(frame: number, count: number): void {
    [this.frame, this.count] = [frame, count];
    this.root.hidden = count < 2;
    const percent = `${count < 2 ? 0 : (frame * 100) / (count - 1)}%`;
    this.thumb.style.top = percent;
    this.bubble.style.top = percent;
    this.bubble.textContent = String(frame + 1);
    this.root.setAttribute("aria-valuemax", String(count));
    this.root.setAttribute("aria-valuenow", String(frame + 1));
  }

  private follow(event: PointerEvent): void {
    const track = (this.thumb.parentElement ?? this.root).getBoundingClientRect();
    const part = (event.clientY - track.top) / Math.max(1, track.height);
    const frame = Math.round(clamp(part, 0, 1) * (this.count - 1));
    if (frame !== this.frame) this.to(frame);
  }
}
