// The stream of docs/stream-protocol.md: one WebSocket that comes back by itself with the same view.

import type { ViewState } from "../viewport/state";
import { Way } from "./way";

export interface PictureHeader {
  viewport: string;
  generation: number;
  series: number;
  version: number;
  frame: number;
  quality: "preview" | "refined" | "tile";
  media_type: string;
  width: number;
  height: number;
  window_center: number | null;
  window_width: number | null;
  voi: string;
  backend: string;
  source_rect: [number, number, number, number];
  render_ms: number;
  encode_ms: number;
  /** Of a tile (rule 21): its level and its column and row there. */
  level?: number;
  tile?: [number, number];
}

export interface StreamEvents {
  picture(header: PictureHeader, bytes: ArrayBuffer): void;
  /** Any text message but hello and pong. */
  message(message: Record<string, unknown>): void;
  online(connected: boolean): void;
  ended(code: string): void;
}

const WINDOW = 512 * 1024;
const PING_MS = 25_000;
/** While pictures come the server is told of the round trip so often (rule 22). */
const MEASURE_MS = 1_000;

/** Binary message -> header and picture bytes. Throws on a message that is none. */
export function decodePicture(data: ArrayBuffer): { header: PictureHeader; bytes: ArrayBuffer } {
  const length = new DataView(data).getUint32(0);
  if (length + 4 > data.byteLength) throw new Error("stream: header length");
  const text = new TextDecoder().decode(new Uint8Array(data, 4, length));
  return { header: JSON.parse(text) as PictureHeader, bytes: data.slice(4 + length) };
}

/** The message of a view state for a viewport of `width` x `height` device pixels. */
export function viewMessage(
  state: ViewState,
  generation: number,
  width: number,
  height: number,
  viewport = "main",
): Record<string, unknown> {
  return {
    t: "view",
    viewport,
    generation,
    series: state.series,
    frame: state.frame,
    width,
    height,
    voi: state.voi,
    window_center: state.windowCenter,
    window_width: state.windowWidth,
    zoom: state.zoom,
    center_x: state.centerX,
    center_y: state.centerY,
    rotation_degrees: state.rotation,
    flip_horizontal: state.flipHorizontal,
    flip_vertical: state.flipVertical,
    invert: state.invert,
  };
}

export class Stream {
  private socket: WebSocket | null = null;
  private readonly views = new Map<string, Record<string, unknown>>();
  private ready = false;
  private attempts = 0;
  private timer = 0;
  private stopped = false;
  private heard = 0;
  private pinging = 0;
  private pinged = Number.NEGATIVE_INFINITY;
  readonly way = new Way();

  constructor(
    private readonly study: number,
    private readonly webp: boolean,
    private readonly events: StreamEvents,
  ) {
    this.connect();
    window.addEventListener("online", () => this.replace());
    window.addEventListener("pageshow", () => this.wake());
    document.addEventListener("visibilitychange", () => {
      if (!document.hidden) this.wake();
    });
  }

  /** The newest wish of a viewport; sent now, and again after a lost socket is back (rule 16). Null: it has all. */
  want(viewport: string, view: Record<string, unknown> | null): void {
    if (!view) {
      this.views.delete(viewport);
      return;
    }
    this.views.set(viewport, view);
    this.send(view);
  }

  send(message: Record<string, unknown>): void {
    if (this.ready && this.socket?.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify(message));
  }

  /** A phone that slept, or changed its network, may hold a dead line: what does not answer soon is replaced. */
  private wake(): void {
    if (this.stopped) return;
    if (this.socket?.readyState !== WebSocket.OPEN) {
      this.attempts = 0;
      this.connect();
      return;
    }
    const { socket, heard } = this;
    this.ping();
    window.setTimeout(() => {
      if (this.socket === socket && this.heard === heard) this.replace();
    }, this.way.deadMs);
  }

  /** Another network is there, or the line is dead: a new one now, with the same wishes (rule 16). */
  private replace(): void {
    if (this.stopped) return;
    const { socket } = this;
    this.attempts = 0;
    this.way.forget();
    this.lost();
    socket?.close();
    this.connect();
  }

  private ping(): void {
    this.pinged = performance.now();
    const told = this.way.roundTripMs;
    this.send({ t: "ping", at: this.pinged, ...(told === null ? {} : { rtt_ms: told }) });
  }

  private connect(): void {
    window.clearTimeout(this.timer);
    if (this.socket && this.socket.readyState <= WebSocket.OPEN) return;
    window.clearInterval(this.pinging);
    const socket = new WebSocket(`${location.origin.replace(/^http/, "ws")}/api/stream`);
    socket.binaryType = "arraybuffer";
    this.socket = socket;
    this.pinging = window.setInterval(() => this.ping(), PING_MS);
    socket.onopen = () => {
      socket.send(JSON.stringify({ t: "hello", v: 1, window: WINDOW, webp: this.webp }));
      socket.send(JSON.stringify({ t: "open", study: this.study }));
      this.ready = true;
      for (const view of this.views.values()) socket.send(JSON.stringify(view));
      this.ping();
    };
    socket.onmessage = (event) => this.receive(event.data as string | ArrayBuffer);
    socket.onclose = (event) => {
      if (this.socket !== socket) return;
      window.clearInterval(this.pinging);
      if (event.code >= 4400 && event.code < 4408) {
        this.stopped = true;
        this.ready = false;
        this.events.ended(event.reason);
        return;
      }
      this.lost();
      this.attempts += 1;
      this.timer = window.setTimeout(
        () => this.connect(),
        Math.min(5000, 200 * 2 ** Math.min(5, this.attempts)),
      );
    };
  }

  private lost(): void {
    this.ready = false;
    this.socket = null;
    this.events.online(false);
  }

  private receive(data: string | ArrayBuffer): void {
    this.heard += 1;
    if (typeof data !== "string") {
      this.send({ t: "credit", bytes: data.byteLength });
      if (performance.now() - this.pinged > MEASURE_MS) this.ping();
      const { header, bytes } = decodePicture(data);
      this.events.picture(header, bytes);
      return;
    }
    const message = JSON.parse(data) as Record<string, unknown>;
    if (message["t"] === "hello") {
      this.attempts = 0;
      this.events.online(true);
    } else if (message["t"] === "pong") {
      this.way.answered(Number(message["at"]), performance.now());
    } else {
      this.events.message(message);
    }
  }
}
