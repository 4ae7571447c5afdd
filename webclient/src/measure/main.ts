// Comes when something is measured (measure.js): the tools, the measurements over the picture, and their figures.

import { element } from "../viewer/dom";
import type { Viewer } from "../viewer/viewer";
import styles from "./measure.css?inline";
import { Measurer } from "./measurer";

/** Puts the tools on the page. */
export function start(viewer: Viewer): Measurer {
  document.head.append(element("style", {}, styles));
  const measurer = new Measurer(viewer);
  viewer.onDisplay(() => measurer.refresh());
  return measurer;
}
