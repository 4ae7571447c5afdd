import { loadValues } from "../values/load";
import { TileLayer } from "../viewport/tilelayer";
import { offerVolume } from "../volume/load";
import type { Boot } from "./manifest";
import { Viewer } from "./viewer";
import "./viewer.css";
import "./stage.css";
import "./bars.css";
import "./elder.css";

const text = document.getElementById("boot")?.textContent;
/** The page's viewer, also for scripts that come later (`cloudfilm.viewer`); null on a page without pictures. */
export const viewer = text ? new Viewer(JSON.parse(text) as Boot) : null;
viewer?.add((host) => new TileLayer(host));
loadValues(viewer?.boot.files);
offerVolume(viewer);

export { accounts } from "../net/memory";
