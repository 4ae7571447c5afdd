// In the viewer's core: fetches the script of exact values when the page has its first picture.

/** `files`: names of built files, as the page's boot gives them. */
export function loadValues(files: Readonly<Record<string, string>> | undefined): void {
  const address = files?.["values.js"];
  if (!address || typeof Worker !== "function" || typeof AbortController !== "function") return;
  const script = document.createElement("script");
  script.src = `/${address}`;
  document.head.append(script);
}
