// Comes after the viewer (values.js): exact values for its shown frames, a probe under the pointer, the debug panel.

import { type Account, ownMemoryBudget } from "../net/memory";
import type { Viewer } from "../viewer/viewer";
import { debugPanel } from "./debug";
import { ValuesLayer } from "./layer";
import { Loading } from "./loading";
import { followPointer } from "./pointer";
import { Pool } from "./pool";
import { type Transfer, ValueSource } from "./source";
import { ValueStore } from "./store";
import { type ValueWords, valueWords } from "./words";

interface Page {
  readonly viewer: Viewer | null;
  readonly accounts: Map<string, () => Account>;
}

const KEPT = "cloudfilm.values.uncompressed";
const UNCOMPRESSED: Transfer = { coding: "raw", packed: false };

/** `?values=raw`: uncompressed; `gzip`: packed but no codestream; else what this person chose before. */
function transferOf(search: string): Transfer {
  const wished = new URLSearchParams(search).get("values") ?? (remembered() ? "raw" : "");
  return wished === "raw" ? UNCOMPRESSED : { coding: wished === "gzip" ? "raw" : "htj2k", packed: true };
}

function remembered(): boolean {
  try {
    return localStorage.getItem(KEPT) === "1";
  } catch {
    return false; // storage may be forbidden
  }
}

function remember(on: boolean): void {
  try {
    localStorage.setItem(KEPT, on ? "1" : "0");
  } catch {
    // The choice holds for this page then.
  }
}

/** The row of the sheet that chooses the uncompressed mode and back. */
function addChoice(viewer: Viewer, words: ValueWords, isOn: () => boolean, set: (on: boolean) => void): void {
  const label = () => (isOn() ? words.useCompressed : words.useUncompressed);
  const row = viewer.sheet.add("", label(), () => {
    set(!isOn());
    row.textContent = label();
  });
}

function start(page: Page): ValuesLayer | null {
  const { viewer } = page;
  const files = viewer?.boot.files ?? {};
  const [worker, decoder] = [files["values-worker.js"], files["openjph.wasm"]];
  if (!viewer || !worker) return null;
  const budget = ownMemoryBudget();
  const words = valueWords(viewer.boot.language);
  let transfer = transferOf(location.search);
  const address = decoder ? `${location.origin}/${decoder}` : "";
  const pool = new Pool(`/${worker}`, address, budget.workers);
  const store = new ValueStore(budget.values);
  const loading: Loading = new Loading(
    new ValueSource(viewer.boot.values ?? null),
    pool,
    store,
    budget,
    () => transfer,
    (arrival) => layer.arrived(arrival),
  );
  const layer: ValuesLayer = new ValuesLayer(viewer, pool, store, loading, words);
  page.accounts.set("values", () => ({ used: store.usedBytes, budget: budget.values }));
  page.accounts.set("decoders", () => ({
    used: loading.heapBytes * pool.size,
    budget: budget.total - budget.previews - budget.tiles - budget.values,
  }));
  viewer.add(() => layer);
  followPointer(viewer.stage, layer);
  addChoice(
    viewer,
    words,
    () => !transfer.packed,
    (on) => {
      transfer = on ? UNCOMPRESSED : { coding: "htj2k", packed: true };
      remember(on);
      layer.forget(viewer.view.series);
    },
  );
  if (new URLSearchParams(location.search).has("debug")) debugPanel(page.accounts, budget, store, layer);
  return layer;
}

const page = (window as unknown as { cloudfilm?: Page }).cloudfilm;
/** The layer, for tools that come later (`cloudfilmValues.layer`). */
export const layer = page ? start(page) : null;
