/**
 * The script of the report page: draws the plots that the page names, from the data it carries.
 *
 * It runs in a browser and nowhere else; the build bundles it behind uPlot, which is a global here.
 * Zoom and cursor are shared by all plots. Colours come from the style sheet, so that a change of
 * the colour scheme, or printing, draws everything anew in others.
 */
import type { PageData } from "../model.ts";
import { type DrawnPlot, drawPlot } from "./plot.ts";

const PRINT_WIDTH = 680;

const root = document.documentElement;
const data: PageData = JSON.parse(document.getElementById("run")?.textContent ?? "{}");
const last = data.times.at(-1) ?? 0;
/** A little room behind the last frame, so that what ends there is seen to end. */
const active = Math.min(data.activeUntil * 1.03, last);
let drawn: DrawnPlot[] = [];
let range: readonly [number, number] = [0, active > 0 ? active : last];

function draw(width?: number): void {
  for (const each of drawn) each.destroy();
  drawn = data.plots.flatMap((plot, i) => {
    const place = document.getElementById(`plot-${i}`);
    if (place === null) return [];
    const ways = { range, onZoom: zoom, onReset: reset };
    return [drawPlot(place, data, plot, { ...ways, width: width ?? place.clientWidth })];
  });
}

function zoom(from: number, to: number): void {
  if (from === range[0] && to === range[1]) return;
  range = [from, to];
  for (const each of drawn) each.zoom(from, to);
}

/** Back to the part in which frames move; from there to the whole run. */
function reset(): void {
  const isActive = range[0] === 0 && range[1] === active;
  zoom(0, isActive ? last : active);
}

function fit(): void {
  for (const each of drawn) each.fit();
}

// Only what is shown has a width.
root.classList.add("drawn");
draw();
addEventListener("resize", fit);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => draw());
addEventListener("beforeprint", () => {
  root.dataset["theme"] = "light";
  draw(PRINT_WIDTH);
});
addEventListener("afterprint", () => {
  delete root.dataset["theme"];
  draw();
});
document.getElementById("zoom-active")?.addEventListener("click", () => zoom(0, active));
document.getElementById("zoom-all")?.addEventListener("click", () => zoom(0, last));
