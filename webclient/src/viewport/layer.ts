// Layers draw pictures on the stage: prepared previews, tiles, exact values. The viewer tells them what should be shown
// and asks what is; the uppermost layer that shows the wanted image names quality, window and place.

import type { PictureHeader } from "../net/stream";
import type { FrameInfo, Manifest, SeriesEntry } from "../viewer/manifest";
import type { ImageSize, Matrix, Size } from "./placement";
import type { ViewState } from "./state";

/** `refined`: rendered from the full data by the server; `lossless`: from values whose hash is the manifest's. */
export type Quality = "loading" | "preview" | "refined" | "lossless";

/** What should be on screen. Told to each layer when anything of it changed. */
export interface DisplayState {
  readonly view: ViewState;
  readonly series: SeriesEntry;
  /** Missing until the server has told of the series; then `image` is a guess from the first picture. */
  readonly manifest: Manifest | undefined;
  readonly info: FrameInfo | null;
  readonly image: ImageSize;
  readonly stage: Size;
  readonly pixelRatio: number;
  /** Image pixels to CSS px of the stage. */
  readonly toScreen: Matrix;
  /** A finger or button is down: cheap pictures now, good ones when it rests. */
  readonly moving: boolean;
}

/** What a layer has on screen. */
export interface ShownPicture {
  readonly view: ViewState;
  /** The series' version that the picture was made from. */
  readonly version: number;
  readonly quality: Quality;
  /** Part of the image that is covered: x, y, width, height in image pixels. */
  readonly sourceRect: readonly [number, number, number, number];
  readonly windowCenter: number | null;
  readonly windowWidth: number | null;
  /** Stands behind the quality's word (the uncompressed mode). */
  readonly note?: string;
  /** Told where the quality is pointed at: size, decoder, hash. */
  readonly detail?: string;
}

export interface PictureLayer {
  readonly name: string;
  /** Lies on the stage above the layers added before it. */
  readonly canvas: HTMLCanvasElement;
  /** Null: nothing of use is drawn (the canvas is empty or hidden). */
  readonly shown: ShownPicture | null;
  /** The wish changed: place or redraw what is there, ask for what is missing. */
  display(state: DisplayState): void;
  /** A picture came; true when it was asked for by this layer. */
  receive?(header: PictureHeader, bytes: ArrayBuffer): boolean;
  /** A text message of the stream; true when nobody else needs it. */
  message?(message: Record<string, unknown>): boolean;
  /** The line is up (what was wanted has been sent again) or lost (what was asked otherwise never comes). */
  online?(connected: boolean): void;
  /** The series' images are other ones now (it grew): forget them. */
  forget?(series: number): void;
  /** This view is drawn here without the server (exact values are in memory): layers beneath need not ask for it. */
  covers?(view: ViewState): boolean;
  /** A layer beneath shows another picture: an old one that was kept here for want of a nearer one may go. */
  giveWay?(beneath: ShownPicture): void;
  /** The right is gone: nothing of the pictures stays. */
  clear(): void;
}

/** What a layer may ask of the viewer. */
export interface LayerHost {
  readonly stage: HTMLElement;
  /** The version of a series as the server last told it; pictures of another one are of other images. */
  versionOf(series: number): number;
  /** To the server, when the line is up; lost otherwise. */
  send(message: Record<string, unknown>): void;
  /** The newest wish of a viewport: sent now, and again when a lost line is back; null when it has all it needs. */
  want(viewport: string, message: Record<string, unknown> | null): void;
  /** Whether a layer above this one covers the view. When that changes `display` is told again. */
  isCovered(layer: PictureLayer, view: ViewState): boolean;
  /** `shown` of the layer is another one: texts and letters follow. */
  changed(layer: PictureLayer): void;
}
