// The phone's Back closes what lies on top (a sheet, a dialog) before it leaves the page: each has an entry in the history.

export class Back {
  private readonly open: (() => void)[] = [];
  /** Entries of what was closed in another way: the next that opens takes one, Back passes over them. */
  private spare = 0;

  constructor() {
    window.addEventListener("popstate", () => {
      const close = this.open.pop();
      if (close) close();
      else if (this.spare > 0) {
        const rest = this.spare;
        this.spare = 0;
        history.go(-rest);
      }
    });
  }

  /** Something opened; `close` is called when the person goes back. */
  push(close: () => void): void {
    this.open.push(close);
    if (this.spare > 0) this.spare -= 1;
    else history.pushState(history.state, "");
  }

  /** It was closed in another way. Its entry stays: going back takes time in which another may open. */
  drop(close: () => void): void {
    const index = this.open.lastIndexOf(close);
    if (index < 0) return;
    this.open.splice(index, 1);
    this.spare += 1;
  }

  /** To the page before this one. */
  leave(): void {
    history.go(-1 - this.spare - this.open.length);
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

/** To where the page was opened from: the list, the page before, or away. */
export function leavePage(back: Back, fromList: boolean, listUrl: string): void {
  if (fromList) back.leave();
  else if (listUrl) location.assign(listAddress(listUrl));
  else if (history.length > 1) back.leave();
  else window.close();
}
