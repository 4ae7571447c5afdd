// A magnifier above the finger while it rests on the picture: what every layer shows, at twice its size.

import { type Matrix, multiply } from "../viewport/placement";

const SIDE_PX = 144;
const FACTOR = 2;
const ABOVE_PX = 96;

function matrixOf(canvas: HTMLCanvasElement): Matrix {
  const numbers = /^matrix\((.*)\)$/.exec(canvas.style.transform)?.[1]?.split(",").map(Number);
  const [a = 1, b = 0, c = 0, d = 1, e = 0, f = 0] = numbers ?? [];
  const across = canvas.width ? canvas.clientWidth / canvas.width : 1;
  const down = canvas.height ? canvas.clientHeight / canvas.height : 1;
  return multiply([a, b, c, d, e, f], [across, 0, 0, down, 0, 0]);
}

export class Loupe {
  private readonly glass = document.createElement("canvas");

  constructor(private readonly stage: HTMLElement) {
    this.glass.className = "loupe";
    this.glass.hidden = true;
    stage.append(this.glass);
  }

  /** Shows what is at (x, y), CSS px of the stage; `aiming`: with a cross on the point. */
  show(x: number, y: number, aiming = false): void {
    const { glass, stage } = this;
    const ratio = window.devicePixelRatio || 1;
    glass.width = glass.height = Math.round(SIDE_PX * ratio);
    glass.hidden = false;
    const left = Math.min(Math.max(0, x - SIDE_PX / 2), stage.clientWidth - SIDE_PX);
    // Below the finger where there is no room above it.
    const above = y - ABOVE_PX - SIDE_PX / 2;
    const top = above >= 0 ? above : y + ABOVE_PX - SIDE_PX / 2;
    glass.style.transform = `translate(${left}px, ${top}px)`;
    const pen = glass.getContext("2d", { alpha: false });
    if (!pen) return;
    const half = (SIDE_PX / 2) * ratio;
    const magnify: Matrix = [
      FACTOR * ratio,
      0,
      0,
      FACTOR * ratio,
      half - x * FACTOR * ratio,
      half - y * FACTOR * ratio,
    ];
    for (const canvas of stage.querySelectorAll("canvas")) {
      if (canvas === glass || canvas.hidden) continue;
      pen.setTransform(...multiply(magnify, matrixOf(canvas)));
      pen.filter = canvas.style.filter || "none";
      pen.drawImage(canvas, 0, 0);
    }
    if (aiming) this.aim(pen, half, ratio);
  }

  private aim(pen: CanvasRenderingContext2D, half: number, ratio: number): void {
    pen.setTransform(ratio, 0, 0, ratio, half, half);
    pen.filter = "none";
    for (const [colour, width] of [
      ["#000", 3],
      ["#FFD84D", 1],
    ] as const) {
      pen.strokeStyle = colour;
      pen.lineWidth = width;
      pen.beginPath();
      for (const [dx, dy] of [
        [1, 0],
        [0, 1],
      ] as const)
        for (const way of [-1, 1]) {
          pen.moveTo(dx * way * 5, dy * way * 5);
          pen.lineTo(dx * way * 28, dy * way * 28);
        }
      pen.stroke();
    }
  }

  hide(): void {
    this.glass.hidden = true;
  }
}
