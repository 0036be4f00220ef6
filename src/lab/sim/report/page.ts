/**
 * The report page: one HTML file that needs nothing else and asks nobody for anything.
 *
 * Theory of operation
 *   Verdict, facts and tables are plain HTML and are there without a script; the plots are drawn by
 *   the page's own script (`browser/`, bundled with uPlot when the program is built) from data in a
 *   block of JSON. The content security policy allows that very script and that very style, by
 *   their hashes, and no request of any kind.
 *
 *   Titles, violations and commands come from scenario files and from the code under test: nothing
 *   of them reaches the page unescaped, in HTML or in JSON.
 */

import { createHash } from "node:crypto";
import { pageParts } from "../../../assets.ts";
import { formatUnit } from "../../../lib/units.ts";
import { escapeHtml } from "./html.ts";
import type { PageData, ReportFact, ReportTable, RunReport } from "./model.ts";

/** The page of a report. Pure: the same report, the same octets. */
export function renderReport(report: RunReport): string {
  const { times, activeUntil, marks, violations, plots } = report;
  const data: PageData = { times, activeUntil, marks, violations, plots };
  const { script, style } = pageParts("report");
  const policy = [
    "default-src 'none'",
    `script-src '${digest(script)}'`,
    `style-src '${digest(style)}'`,
    "base-uri 'none'",
    "form-action 'none'",
  ].join("; ");
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="referrer" content="no-referrer">
<title>${escapeHtml(`${report.ok ? "Passed" : "Failed"}: ${report.title}`)}</title>
<style>${style}</style>
</head>
<body>
<main>
${head(report)}
${violationList(report)}
${facts(report.facts)}
${plotList(report)}
<h2>Numbers</h2>
<div class="tables">
${report.tables.map(table).join("\n")}
</div>
</main>
<script type="application/json" id="run">${escapeJson(JSON.stringify(data))}</script>
<script>${script}</script>
</body>
</html>
`;
}

function digest(text: string): string {
  return `sha256-${createHash("sha256").update(text).digest("base64")}`;
}

/** JSON that can end neither the script element nor a line of JavaScript. */
function escapeJson(json: string): string {
  const code = (letter: string): string =>
    `\\u${letter.charCodeAt(0).toString(16).padStart(4, "0")}`;
  return json.replace(/[<>&\u2028\u2029]/g, code);
}

// ---------------------------------------------------------------- parts

function head({ title, description, seed, ok, hash, violations, reproduce }: RunReport): string {
  const word = ok ? "Passed" : "Failed";
  const told = toldOf(ok, violations);
  const text = description === "" ? "" : `<p class="lead">${escapeHtml(description)}</p>`;
  const verdict = `<strong>${word}</strong> <span>${told}</span>`;
  return `<header>
<p class="kicker">slirp-binding simulation</p>
<h1>${escapeHtml(title)}</h1>
${text}
<p class="verdict ${ok ? "ok" : "bad"}" role="status">${verdict}</p>
<dl class="origin">
<div><dt>Seed</dt><dd><code>${seed}</code></dd></div>
<div><dt>Trace</dt><dd><code>${escapeHtml(hash)}</code></dd></div>
<div class="command"><dt>Run it again</dt><dd><code>${escapeHtml(reproduce)}</code></dd></div>
</dl>
</header>`;
}

function toldOf(ok: boolean, violations: RunReport["violations"]): string {
  const [first] = violations;
  const count = violations.length;
  if (first !== undefined) {
    return `${count} violation${count === 1 ? "" : "s"}, the first at ${seconds(first.at)}`;
  }
  const clean = "No violation: streams exact, windows kept, books balanced";
  return ok ? clean : `${clean}. Not as the scenario expects`;
}

function seconds(at: number): string {
  return formatUnit("duration", Math.round(at * 1e6));
}

function violationList({ violations }: RunReport): string {
  if (violations.length === 0) return "";
  const items = violations.map(
    ({ at, text }) => `<li><time>${at.toFixed(6)} s</time> <span>${escapeHtml(text)}</span></li>`,
  );
  return `<section class="violations">
<h2>Violations</h2>
<ol>
${items.join("\n")}
</ol>
</section>`;
}

function facts(facts: readonly ReportFact[]): string {
  const items = facts.map(
    ({ name, value, note }) =>
      `<div><dt>${escapeHtml(name)}</dt><dd>${escapeHtml(value)}</dd>` +
      `<dd class="note">${escapeHtml(note)}</dd></div>`,
  );
  return `<dl class="facts">
${items.join("\n")}
</dl>`;
}

function plotList({ plots }: RunReport): string {
  if (plots.length === 0) return "";
  const items = plots.map(
    ({ title, note }, i) => `<figure>
<figcaption><h3>${escapeHtml(title)}</h3><p>${escapeHtml(note)}</p></figcaption>
<div class="plot" id="plot-${i}" role="img" aria-label="${escapeHtml(title)} over time"></div>
</figure>`,
  );
  return `<section class="plots">
<div class="bar"><h2>Over time</h2>
<p class="hint">Drag to zoom, double-click to go back</p>
<p class="zoom"><button type="button" id="zoom-active">Active part</button>
<button type="button" id="zoom-all">Whole run</button></p></div>
<noscript><p class="hint">Plots need JavaScript; the tables below have the numbers</p></noscript>
${items.join("\n")}
</section>`;
}

function table({ title, note, head, rows }: ReportTable): string {
  const cells = (tag: "th" | "td", row: readonly string[], scope: string): string =>
    row.map((cell) => `<${tag}${scope}>${escapeHtml(cell)}</${tag}>`).join("");
  const body = rows.map(([first = "", ...rest]) => {
    const name = `<th scope="row">${escapeHtml(first)}</th>`;
    return `<tr>${name}${cells("td", rest, "")}</tr>`;
  });
  const hint = note === undefined ? "" : `<p class="hint">${escapeHtml(note)}</p>`;
  return `<section class="${head.length > 3 ? "wide" : "narrow"}">
<h3>${escapeHtml(title)}</h3>
${hint}
<div class="scroll"><table>
<thead><tr>${cells("th", head, ' scope="col"')}</tr></thead>
<tbody>
${body.join("\n")}
</tbody>
</table></div>
</section>`;
}
