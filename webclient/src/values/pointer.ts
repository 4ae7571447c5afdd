// The value under the mouse, or under a finger that rests.

import type { ValuesLayer } from "./layer";
import type { Probe } from "./statistics";

const HOLD_MS = 500;
const SLACK_PX = 8;

/** (x, y) and the value with its unit, of a PET as SUV too; stored samples where no one value means something. */
export function probeText(probe: Probe, suvFactor: number | null = null): string {
  const place = `(${probe.x}, ${probe.y})`;
  if (probe.value === null) return `${place} ${probe.stored.join(" ")}`;
  const value = Number.isInteger(probe.value) ? probe.value : Number(probe.value.toPrecision(6));
  const suv = suvFactor === null ? "" : ` · SUV ${(probe.value * suvFactor).toFixed(2)}`;
  return `${place} ${value} ${probe.unit}`.trim() + suv;
}

export function followPointer(stage: HTMLElement, layer: ValuesLayer): void {
  const label = document.createElement("div");
  label.className = "probe";
  label.style.cssText =
    "position:absolute;top:8px;left:50%;transform:translateX(-50%);font-size:12px;line-height:16px;" +
    "color:var(--overlay);text-shadow:0 0 3px #000;pointer-events:none;font-variant-numeric:tabular-nums";
  stage.append(label);
  let asked = 0;
  let hold = 0;
  let down: [number, number] | null = null;

  const show = async (event: PointerEvent) => {
    const box = stage.getBoundingClientRect();
    asked += 1;
    const mine = asked;
    const probe = await layer.probe(event.clientX - box.left, event.clientY - box.top).catch(() => null);
    if (mine === asked) label.textContent = probe ? probeText(probe, layer.suvFactor) : "";
  };
  const hide = () => {
    asked += 1;
    window.clearTimeout(hold);
    down = null;
    label.textContent = "";
  };

  stage.addEventListener("pointermove", (event) => {
    if (event.pointerType === "mouse") {
      if (!event.buttons) void show(event);
      return;
    }
    if (down && Math.hypot(event.clientX - down[0], event.clientY - down[1]) > SLACK_PX) hide();
  });
  stage.addEventListener("pointerdown", (event) => {
    hide();
    if (event.pointerType === "mouse" || !event.isPrimary) return;
    down = [event.clientX, event.clientY];
    hold = window.setTimeout(() => void show(event), HOLD_MS);
  });
  for (const kind of ["pointerup", "pointercancel", "pointerleave"]) stage.addEventListener(kind, hide);
}
