// Pages without TLS have no clipboard object (a hospital's inner address, for one): a selection is copied there.

/** Copies a text; false when the browser refuses both ways. `within`: an element that may take the focus. */
export async function copyText(text: string, within: HTMLElement): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const area = document.createElement("textarea");
    area.value = text;
    area.readOnly = true;
    area.style.cssText = "position:fixed;opacity:0";
    within.append(area);
    area.select();
    const done = document.execCommand("copy");
    area.remove();
    return done;
  }
}
