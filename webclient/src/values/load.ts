// In the viewer's core: fetches the script of exact values when the page has its first picture.

/** `files`: names of built files, as the page's boot gives them. */
export function loadValues(files: Readonly<Record<string, string>> | undefined): void {
  const address = files?.["values.js"];
  if (!address || typeof Worker !== "function" || typeof AbortController !== "function") return;
  const script = document.createElement("script");
  script.src = `/${address}`;
  document.head.append(script);
  // What it needs comes beside it, not behind it: one after the other, each would cost a round trip.
  for (const name of ["values-worker.js", "openjph.wasm"])
    if (files[name])
      fetch(`/${files[name]}`)
        .then((answer) => answer.arrayBuffer())
        .catch(() => undefined);
}
