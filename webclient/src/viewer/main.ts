import type { Boot } from "./manifest";
import { Viewer } from "./viewer";
import "./viewer.css";

const text = document.getElementById("boot")?.textContent;
if (text) new Viewer(JSON.parse(text) as Boot);
