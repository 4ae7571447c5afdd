// ?debug=1: what the page holds in memory and how the last values came.

import type { Account, MemoryBudget } from "../net/memory";
import type { ValuesLayer } from "./layer";
import type { ValueStore } from "./store";

const LOOK_MS = 500;
const megabytes = (bytes: number) => (bytes / 1024 / 1024).toFixed(1);

export function debugPanel(
  accounts: Map<string, () => Account>,
  budget: MemoryBudget,
  store: ValueStore,
  layer: ValuesLayer,
): void {
  const panel = document.createElement("pre");
  panel.id = "debug";
  panel.style.cssText =
    "position:absolute;left:8px;top:72px;margin:0;padding:6px 8px;font:11px/15px monospace;color:#D8E0E8;" +
    "background:rgba(0,0,0,.66);pointer-events:none;white-space:pre;z-index:9";
  layer.canvas.after(panel);
  const refresh = () => {
    const lines: string[] = [];
    let total = 0;
    for (const [name, tell] of accounts) {
      const { used, budget: most } = tell();
      total += used;
      lines.push(`${name} ${megabytes(used)} / ${megabytes(most)} MB`);
    }
    panel.dataset["total"] = String(total);
    panel.dataset["budget"] = String(budget.total);
    lines.push(`total ${megabytes(total)} / ${megabytes(budget.total)} MB, ${store.size} frames`);
    const { last, refused } = layer.loading;
    if (refused) lines.push(`refused ${refused}`);
    if (last) {
      const ms = [last.fetchMs, last.decodeMs, last.hashMs, layer.drawMs].map((part) => part.toFixed(1));
      lines.push(`${last.key} ${last.coding} ${last.bytes} B`);
      lines.push(`fetch ${ms[0]} decode ${ms[1]} hash ${ms[2]} draw ${ms[3]} ms`);
      lines.push(`sha256 ${last.sha256.slice(0, 32)}`);
    }
    panel.textContent = lines.join("\n");
  };
  window.setInterval(refresh, LOOK_MS);
  refresh();
}
