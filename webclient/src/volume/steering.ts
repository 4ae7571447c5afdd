// Which tool is in the hand and which picture is meant, and what buttons and keys do to that picture.

import type { VolumeCut } from "../viewport/state";
import { Acts } from "./acts";
import { fits } from "./cuts";
import { laid } from "./fusion";
import type { Notice } from "./notice";
import type { PlanePane, PlaneTool } from "./plane";
import type { RenderingPane, VolumeTool } from "./rendering";
import { forget, type SavedTransfer } from "./saved";
import { BLADES, type Blade } from "./scalpel";
import type { Kind, Shown } from "./state";
import { type Panel, PLANE_TOOLS, VOLUME_TOOLS } from "./tools";

const includes = <T extends string>(list: readonly T[], name: string): name is T =>
  (list as readonly string[]).includes(name);

export abstract class Steering extends Acts {
  planeTool: PlaneTool = "page";
  volumeTool: VolumeTool = "rotate";
  blade: Blade = "curve";
  radiusMm = 10;
  panel: Panel = "page";
  /** The picture that tools and keys mean. */
  active: Kind = "axial";
  protected panels: Record<"plane" | "volume", Panel> = { plane: "page", volume: "look" };
  protected isOpen = true;
  protected abstract readonly planes: readonly PlanePane[];
  protected abstract readonly rendering: RenderingPane;
  protected abstract readonly notice: Notice;

  /** Room for panels beside the pictures. */
  protected abstract get isWide(): boolean;

  abstract show(shown: Shown): void;
  protected abstract refreshSoon(): void;

  toggleAlone(kind: Kind): void {
    this.show(this.state.shown === "all" ? kind : "all");
  }

  touched(kind: Kind): void {
    if (kind === this.active) return;
    const changes = (kind === "volume") !== (this.active === "volume");
    this.active = kind;
    // The row of the other kind of picture is of no use here.
    if (changes) this.panel = this.panels[kind === "volume" ? "volume" : "plane"];
    this.refreshSoon();
  }

  choose(panel: Panel): void {
    this.panel = panel;
    if (includes(VOLUME_TOOLS, panel)) {
      if (panel === "rotate" || panel === "move" || panel === "scalpel") this.volumeTool = panel;
      this.panels.volume = panel;
      this.active = "volume";
    } else if (panel === "fusion" && this.active === "volume") {
      this.panels.volume = panel;
    } else if (includes(PLANE_TOOLS, panel)) {
      this.panels.plane = panel;
      if (panel !== "slab" && panel !== "fusion") this.planeTool = panel;
      if (this.active === "volume") this.active = "axial";
    }
    // On a phone the panel leaves no room for four pictures.
    const isCramped = panel === "curve" && this.state.shown === "all" && !this.isWide;
    const isSeen = !isCramped && (this.state.shown === "all" || this.state.shown === this.active);
    if (!isSeen) this.show(this.active);
    this.refreshSoon();
  }

  private get plane(): PlanePane | undefined {
    return this.planes.find((pane) => pane.kind === this.active);
  }

  step(layers: number): void {
    this.plane?.step(layers);
  }

  end(which: 1 | -1): void {
    this.plane?.end(which);
  }

  zoom(factor: number): void {
    this.rest();
    (this.plane ?? this.rendering).zoom(factor);
    this.rest();
  }

  fit(): void {
    this.rest();
    (this.plane ?? this.rendering).fit();
    this.rest();
  }

  turn(right: number, down: number): void {
    this.rest();
    this.rendering.rotate(right, down);
    this.rest();
  }

  lookFrom(side: string): void {
    this.rest();
    this.rendering.lookFrom(side);
    this.rest();
  }

  /** The first that can be in colour is. */
  fuseFirst(): void {
    const [first] = this.overlays;
    if (!first) return;
    this.fuse(laid(null, first.series));
    this.choose("fusion");
  }

  toggleEditor(): void {
    this.choose(this.panel === "curve" ? "look" : "curve");
  }

  keepAs(name: string): void {
    if (!this.keep(name)) this.notice.say(this.words.notKept);
    this.refreshSoon();
  }

  forgetSaved(saved: SavedTransfer): void {
    if (!forget(saved.name, saved.modality)) this.notice.say(this.words.notKept);
    this.refreshSoon();
  }

  /** Of the scalpel: what a drag draws. */
  takeBlade(blade: Blade, radiusMm = this.radiusMm): void {
    this.rendering.scalpel.cancel();
    [this.blade, this.radiusMm] = [blade, radiusMm];
    this.refreshSoon();
  }

  nextBlade(): void {
    const isHeld = this.panel === "scalpel";
    this.choose("scalpel");
    if (isHeld) this.takeBlade(BLADES[(BLADES.indexOf(this.blade) + 1) % BLADES.length] as Blade);
  }

  cut(cut: VolumeCut): void {
    // The last place of a stroke may come when the page is closed.
    if (!this.isOpen) return;
    const cuts = [...this.state.cuts, cut];
    if (fits(cuts)) this.set({ cuts });
    else this.notice.say(this.words.tooManyCuts);
  }

  /** The side of the curve or line that was drawn; false where none waits. */
  chooseSide(): boolean {
    const { asking } = this.rendering.scalpel;
    this.rendering.scalpel.choose("inside");
    return asking;
  }
}
