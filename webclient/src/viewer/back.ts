// The phone's Back closes what lies on top (a sheet, a dialog) before it leaves the page: each has an entry in the history.

export class Back {
  private readonly open: (() => void)[] = [];
  private ours = 0;

  constructor() {
    window.addEventListener("popstate", () => {
      if (this.ours > 0) this.ours -= 1;
      else this.open.pop()?.();
    });
  }

  /** Something opened; `close` is called when the person goes back. */
  push(close: () => void): void {
    this.open.push(close);
    history.pushState(history.state, "");
  }

  /** It was closed in another way: its entry goes too. */
  drop(close: () => void): void {
    const index = this.open.lastIndexOf(close);
    if (index < 0) return;
    this.open.splice(index, 1);
    this.ours += 1;
    history.back();
  }
}

const FROM_LIST = "cloudfilm.from";
const LIST = "cloudfilm.list";

/** Whether this page was opened from the study list in this tab: then Back is the list, with filters and place. */
export function cameFromList(study: number): boolean {
  try {
    const mine = sessionStorage.getItem(FROM_LIST) === String(study);
    sessionStorage.removeItem(FROM_LIST);
    if (mine) history.replaceState({ ...(history.state as object | null), fromList: true }, "");
  } catch {
    // Storage that the browser forbids: the address of the list serves.
  }
  return (history.state as { fromList?: boolean } | null)?.fromList === true;
}

/** The list's address as it was left, else `fallback`. */
export function listAddress(fallback: string): string {
  try {
    const kept = sessionStorage.getItem(LIST);
    return kept?.startsWith("/studies") ? kept : fallback;
  } catch {
    return fallback;
  }
}
