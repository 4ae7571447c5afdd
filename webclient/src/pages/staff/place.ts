// The study list as it was left: filters stand in the address, how far it was read and scrolled in the tab's storage.

export interface Filters {
  q: string;
  modality: string;
  from: string;
  to: string;
}

const LIST = "cloudfilm.list";
const FROM_LIST = "cloudfilm.from";
const PLACE = "cloudfilm.place";

export function filtersOf(search: string): Filters {
  const query = new URLSearchParams(search);
  const text = (name: string, pattern: RegExp) => {
    const value = query.get(name) ?? "";
    return pattern.test(value) ? value : "";
  };
  const day = /^\d{4}-\d{2}-\d{2}$/;
  return {
    q: text("q", /^.{1,64}$/u),
    modality: text("modality", /^[A-Z]{2}$/),
    from: text("from", day),
    to: text("to", day),
  };
}

/** `/studies?q=…`: only what is set. */
export function addressOf(filters: Filters): string {
  const query = new URLSearchParams(Object.entries(filters).filter(([, value]) => value !== ""));
  return query.size === 0 ? "/studies" : `/studies?${query}`;
}

/** What the list must load and where it was scrolled to, when its page was left by the address `address`. */
export interface Place {
  readonly count: number;
  readonly scroll: number;
}

/** Storage that the browser forbids loses the place, nothing else. */
function storage<T>(act: (kept: Storage) => T, otherwise: T): T {
  try {
    return act(sessionStorage);
  } catch {
    return otherwise;
  }
}

export function leaveList(address: string, place: Place): void {
  storage((kept) => {
    kept.setItem(LIST, address);
    kept.setItem(PLACE, JSON.stringify({ address, ...place }));
  }, undefined);
}

/** The viewer of this study is opened from the list: its ✕ comes back here. */
export function openFromList(study: number): void {
  storage((kept) => kept.setItem(FROM_LIST, String(study)), undefined);
}

/** The place that was left at this address, once. */
export function placeOf(address: string): Place | null {
  return storage((kept) => {
    const text = kept.getItem(PLACE);
    kept.removeItem(PLACE);
    const found = JSON.parse(text ?? "null") as (Place & { address: string }) | null;
    return found?.address === address ? { count: found.count, scroll: found.scroll } : null;
  }, null);
}
