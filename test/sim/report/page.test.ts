/**
 * The report page: needs nothing from outside, lets nothing of a scenario out of its text, shows
 * what is there and leaves out what is not.
 */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { describe, test } from "node:test";
import { escapeHtml } from "../../../src/lab/sim/report/html.ts";
import type { RunReport } from "../../../src/lab/sim/report/model.ts";
import { renderReport } from "../../../src/lab/sim/report/page.ts";
import { reportOf } from "../../../src/lab/sim/report/report-of.ts";
import { Sampler } from "../../../src/lab/sim/sampler.ts";
import { planFromSeed } from "../../../src/lab/sim/scenario.ts";
import { simulatedEngine } from "../../../src/lab/sim/simulated-engine.ts";
import { Trace } from "../../../src/lab/sim/trace.ts";
import { World } from "../../../src/lab/sim/world.ts";

const HOSTILE = `</script><script>alert(1)</script>"'<img src=x onerror=alert(2)>&\u2028`;

function reportOfSeed(seed: number, hostile = ""): RunReport {
  const sampler = new Sampler();
  const world = new World(simulatedEngine(), planFromSeed(seed), new Trace(), { sampler });
  if (hostile !== "") world.violation(hostile);
  const about = { title: `seed ${seed}${hostile}`, description: hostile };
  const result = world.run();
  return reportOf(
    world,
    result,
    sampler,
    hostile === "" ? about : { ...about, reproduce: hostile },
  );
}

/** Contents of the elements of that name. */
function elements(page: string, name: string): string[] {
  const pattern = new RegExp(`<${name}\\b[^>]*>([\\s\\S]*?)</${name}>`, "g");
  return [...page.matchAll(pattern)].map(([, text = ""]) => text);
}

describe("report page", () => {
  const page = renderReport(reportOfSeed(82));
  const [data = "", script = ""] = elements(page, "script");
  const [style = ""] = elements(page, "style");
  const markup = page.replace(script, "").replace(style, "").replace(data, "");

  test("nothing is loaded from anywhere", () => {
    assert.doesNotMatch(markup, /\b(?:src|href|action|srcset)\s*=/i);
    assert.doesNotMatch(markup, /https?:|\/\//);
    assert.doesNotMatch(style, /@import|url\s*\(/);
    assert.doesNotMatch(script, /\bfetch\s*\(|XMLHttpRequest|\bimport\s*\(|WebSocket|sendBeacon/);
  });

  test("the policy allows this script and this style and nothing else", () => {
    const [, policy = ""] = /Content-Security-Policy" content="([^"]*)"/.exec(page) ?? [];
    const hash = (text: string): string =>
      `'sha256-${createHash("sha256").update(text).digest("base64")}'`;
    assert.deepEqual(policy.split("; "), [
      "default-src 'none'",
      `script-src ${hash(script)}`,
      `style-src ${hash(style)}`,
      "base-uri 'none'",
      "form-action 'none'",
    ]);
    assert.doesNotMatch(markup, /\son\w+\s*=|\sstyle\s*=/);
  });

  test("the script and the style end where they should", () => {
    assert.equal(elements(page, "script").length, 2);
    assert.equal(elements(page, "style").length, 1);
    assert.doesNotMatch(script, /<\/script|<!--/i);
  });

  test("the data is what the report has, and every plot has its place", () => {
    const report = reportOfSeed(82);
    const { times, plots } = JSON.parse(data) as RunReport;
    assert.deepEqual(times, report.times);
    assert.deepEqual(plots, report.plots);
    for (const [i, { title }] of plots.entries()) {
      assert.ok(markup.includes(`id="plot-${i}"`), title);
      assert.ok(markup.includes(`<h3>${title}</h3>`), title);
    }
  });

  test("the same report is the same page", () => {
    assert.equal(renderReport(reportOfSeed(82)), page);
  });

  test("a clean run says so", () => {
    assert.match(markup, /<p class="verdict ok" role="status"><strong>Passed<\/strong>/);
    assert.doesNotMatch(markup, /class="violations"/);
    assert.match(markup, /<code>slirp-binding simulate --seed 82<\/code>/);
  });
});

describe("report page of a hostile scenario", () => {
  const report = reportOfSeed(82, HOSTILE);
  const page = renderReport(report);
  const [data = ""] = elements(page, "script");

  test("its texts stay text, in HTML and in JSON", () => {
    const parts = page.split(/<script[^>]*>/);
    assert.equal(parts.length, 3);
    assert.doesNotMatch(page, /<img|alert\(1\)<\/script>/);
    assert.doesNotMatch(data, /[<>&\u2028]/);
    const { violations } = JSON.parse(data) as RunReport;
    assert.deepEqual(violations, report.violations);
    assert.ok(violations[0]?.text.includes(HOSTILE));
  });

  test("it failed: verdict, times and texts of violations, the command", () => {
    assert.match(page, /<p class="verdict bad" role="status"><strong>Failed<\/strong>/);
    assert.match(page, /1 violation, the first at 0 µs/);
    const text = escapeHtml(HOSTILE);
    assert.ok(page.includes(`<li><time>0.000000 s</time> <span>${text}</span></li>`));
    assert.ok(page.includes(`<dd><code>${text}</code></dd>`));
    assert.ok(page.includes(`<h1>seed 82${text}</h1>`));
  });

  test("quotes are escaped for attributes of either kind", () => {
    assert.equal(escapeHtml(`<a b="c" d='e'>&`), "&lt;a b=&quot;c&quot; d=&#39;e&#39;&gt;&amp;");
  });
});
