// The side panel of a wide screen (the series strip): folded or not, as it was left in this browser.

const KEPT_AS = "cloudfilm.panel";
const FOLDED = "narrow";

/** As it was left. */
export function restorePanel(root: HTMLElement): void {
  try {
    root.classList.toggle(FOLDED, localStorage.getItem(KEPT_AS) === "folded");
  } catch {
    // A browser that keeps nothing: unfolded.
  }
}

export function togglePanel(root: HTMLElement): void {
  const isFolded = root.classList.toggle(FOLDED);
  try {
    localStorage.setItem(KEPT_AS, isFolded ? "folded" : "open");
  } catch {
    // It stays as it is as long as the page lives.
  }
}
