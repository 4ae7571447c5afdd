// Exact figures of ellipses and probed points: from the stored values in the page (values.js), never from a preview. Until
// they are there a measurement says that they are on their way.

import { hasValues } from "../values/describe";
import type { ValuesLayer } from "../values/layer";
import { keyOf } from "../values/loading";
import type { Probe, Statistics } from "../values/statistics";
import type { Measurement } from "../viewport/state";
import { rectOf } from "./geometry";

export type Figures =
  | { readonly state: "loading" }
  | { readonly state: "none"; readonly why: "noValues" | "colour" | "empty" }
  | { readonly state: "statistics"; readonly statistics: Statistics }
  | { readonly state: "probe"; readonly probe: Probe };

/** The image in the series that is open. */
export interface Place {
  readonly series: number;
  readonly frame: number;
}

const LOADING: Figures = { state: "loading" };
const MOST = 256;

function valuesLayer(): ValuesLayer | null {
  const page = window as unknown as { cloudfilmValues?: { layer: ValuesLayer | null } };
  return page.cloudfilmValues?.layer ?? null;
}

export class FiguresOf {
  private readonly known = new Map<string, Figures>();
  private readonly asked = new Set<string>();

  /** `offered`: the page has a script of values at all. `changed`: figures have come. */
  constructor(
    private readonly offered: boolean,
    private readonly changed: () => void,
  ) {}

  of(measurement: Measurement, place: Place): Figures {
    if (measurement.kind !== "ellipse" && measurement.kind !== "probe") return LOADING;
    const key = JSON.stringify([measurement.sopInstanceUid, measurement.frameNumber, measurement.points]);
    const found = this.known.get(key);
    if (found) return found;
    const refusal = this.refusal(measurement, place);
    if (refusal) return refusal;
    if (!this.asked.has(key)) void this.ask(key, measurement, place);
    return LOADING;
  }

  /** Why there will be none; null while there may be. */
  private refusal(measurement: Measurement, place: Place): Figures | null {
    if (!this.offered) return { state: "none", why: "noValues" };
    const { loading } = valuesLayer() ?? {};
    const described = loading?.description(keyOf(place.series, place.frame))?.frame;
    if (!described) return null;
    if (!hasValues(described) || loading?.isRefused(place.series, place.frame))
      return { state: "none", why: "noValues" };
    const isColour = described.shape.length > 2 || described.palette !== null;
    return isColour && measurement.kind === "ellipse" ? { state: "none", why: "colour" } : null;
  }

  private async ask(key: string, measurement: Measurement, place: Place): Promise<void> {
    const layer = valuesLayer();
    if (!layer?.holds(place)) return;
    this.asked.add(key);
    try {
      const figures = await figuresOf(layer, measurement, place);
      if (!figures) return;
      if (this.known.size >= MOST) this.known.clear();
      this.known.set(key, figures);
      this.changed();
    } catch {
      // The values went while they were asked for: the next drawing asks again.
    } finally {
      this.asked.delete(key);
    }
  }
}

async function figuresOf(
  layer: ValuesLayer,
  { kind, points }: Measurement,
  place: Place,
): Promise<Figures | null> {
  const [a, b] = points;
  if (!a) return null;
  if (kind === "probe" || !b) {
    const probe = await layer.valueAt(a[0], a[1], place);
    return probe && { state: "probe", probe };
  }
  const statistics = await layer.statistics(rectOf(a, b), "ellipse", place);
  if (statistics) return { state: "statistics", statistics };
  return layer.holds(place) ? { state: "none", why: "empty" } : null;
}
