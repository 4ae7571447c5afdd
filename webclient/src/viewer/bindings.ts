// Which key does what: the usual ones, and what a person changed in this browser.

export type Group = "paging" | "windows" | "picture" | "measuring" | "cine" | "other";

export interface Key {
  /** Under which a change of it is kept. */
  readonly id: string;
  readonly group: Group;
  readonly label: string;
  /** The usual ones, as `KeyboardEvent.key` in lower case; `^` before it with Ctrl or ⌘. */
  readonly keys: readonly string[];
  /** Cannot be changed. */
  readonly isFixed?: boolean;
  /** False where the key is none here and stays the page's. */
  readonly isHere?: () => boolean;
  act(): void;
}

/** Where changes are kept; `localStorage` outside of tests. */
export interface Shelf {
  getItem(name: string): string | null;
  setItem(name: string, value: string): void;
  removeItem(name: string): void;
}

export const KEPT_AS = "cloudfilm.keys";
const VERSION = 1;
const MOST_KEYS = 4;
const NAMED = [
  "arrowup",
  "arrowdown",
  "arrowleft",
  "arrowright",
  "home",
  "end",
  "pageup",
  "pagedown",
  "insert",
  "delete",
  "backspace",
];

/** Whether a person may give this key something to do: one letter, digit or sign, or one of a few with a name. */
export function isAssignable(name: string): boolean {
  const isSign = [...name].length === 1 && name >= " " && name !== "\u007f" && name === name.toLowerCase();
  return isSign || NAMED.includes(name);
}

/** The keys of each changed row as they were kept; whatever is not as we write it is nothing. */
function readChanges(text: string | null, known: readonly Key[]): Map<string, readonly string[]> {
  const changes = new Map<string, readonly string[]>();
  let kept: unknown;
  try {
    kept = JSON.parse(text ?? "null");
  } catch {
    return changes;
  }
  const { version, keys } = (kept ?? {}) as { version?: unknown; keys?: unknown };
  if (version !== VERSION || typeof keys !== "object" || keys === null) return changes;
  for (const { id, isFixed } of known) {
    const names = (keys as Record<string, unknown>)[id];
    if (isFixed || !Array.isArray(names) || names.length > MOST_KEYS) continue;
    if (names.every((name) => typeof name === "string" && isAssignable(name))) changes.set(id, names);
  }
  return changes;
}

export class Bindings {
  private changes: Map<string, readonly string[]>;
  /** Who has each key. */
  private owners = new Map<string, Key>();

  constructor(
    readonly all: readonly Key[],
    private readonly shelf: Shelf | null,
  ) {
    this.changes = new Map();
    this.load();
  }

  /** As it is kept now (another tab may have changed it). */
  load(): void {
    let text: string | null = null;
    try {
      text = this.shelf?.getItem(KEPT_AS) ?? null;
    } catch {
      // Storage that the browser forbids: the usual keys.
    }
    this.changes = readChanges(text, this.all);
    this.settle();
  }

  /** A key has one owner: the fixed ones first, then what was changed, then the usual. */
  private settle(): void {
    const { all, changes } = this;
    this.owners = new Map();
    const rank = ({ id, isFixed }: Key) => (isFixed ? 0 : changes.has(id) ? 1 : 2);
    for (const wanted of [0, 1, 2])
      for (const key of all)
        if (rank(key) === wanted)
          for (const name of changes.get(key.id) ?? key.keys)
            if (!this.owners.has(name)) this.owners.set(name, key);
  }

  owner(name: string): Key | null {
    return this.owners.get(name) ?? null;
  }

  /** The keys that do it now. */
  of(key: Key): string[] {
    return (this.changes.get(key.id) ?? key.keys).filter((name) => this.owners.get(name) === key);
  }

  get isChanged(): boolean {
    return this.changes.size > 0;
  }

  /** From now on `name` alone does it; whoever had that key has it no longer. */
  assign(key: Key, name: string): void {
    if (key.isFixed || !isAssignable(name)) return;
    const before = this.owner(name);
    if (before?.isFixed) return;
    if (before && before !== key)
      this.note(
        before,
        this.of(before).filter((one) => one !== name),
      );
    this.note(key, [name]);
    this.settle();
    this.keep();
  }

  /** Of a row that has its usual keys again nothing is kept. */
  private note(key: Key, names: readonly string[]): void {
    if (names.join("\n") === key.keys.join("\n")) this.changes.delete(key.id);
    else this.changes.set(key.id, names);
  }

  reset(): void {
    this.changes.clear();
    this.settle();
    this.keep();
  }

  private keep(): void {
    try {
      if (!this.isChanged) this.shelf?.removeItem(KEPT_AS);
      else {
        const keys: Record<string, readonly string[]> = {};
        for (const [id, names] of this.changes) keys[id] = names;
        this.shelf?.setItem(KEPT_AS, JSON.stringify({ version: VERSION, keys }));
      }
    } catch {
      // A browser that keeps nothing: the change lives as long as the page.
    }
  }
}
