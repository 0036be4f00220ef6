/** What deploy/ has for metrics: series that there are, and what a PodMonitor needs. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, test } from "node:test";
import { parse } from "yaml";
import { FAMILIES, type Family } from "../../src/metrics/families.ts";

const read = (name: string): string =>
  readFileSync(new URL(`../../deploy/${name}`, import.meta.url), "utf8");

/** Names of series that a family has. */
const SERIES = new Set(
  Object.entries<Family>(FAMILIES).flatMap(([name, { type }]) =>
    type === "histogram" ? ["_bucket", "_sum", "_count"].map((end) => `${name}${end}`) : [name],
  ),
);

interface Panel {
  readonly title: string;
  readonly gridPos: { readonly x: number; readonly y: number; readonly w: number };
  readonly targets?: readonly { readonly expr: string }[];
}

describe("dashboard", () => {
  const { panels }: { panels: readonly Panel[] } = JSON.parse(read("dashboard.json"));

  test("every series it asks for exists, and by labels that it has", () => {
    const expressions = panels.flatMap(({ targets = [] }) => targets.map(({ expr }) => expr));
    assert.ok(expressions.length > 20);
    for (const expression of expressions) {
      const names = expression.match(/\b(?:slirp|process)_\w+/g) ?? [];
      assert.ok(names.length > 0, expression);
      for (const name of names) assert.ok(SERIES.has(name), name);
      const known = new Set(["instance", "interface", "le"]);
      for (const name of names) {
        const family = name.replace(/_(?:bucket|sum|count)$/, "");
        const { labels = [] }: Family = FAMILIES[family as keyof typeof FAMILIES];
        for (const label of labels) known.add(label);
      }
      for (const [, by = ""] of expression.matchAll(/by \(([^)]+)\)/g)) {
        for (const label of by.split(",")) assert.ok(known.has(label.trim()), `${label} of ${by}`);
      }
    }
  });

  test("no two panels lie in the same place, none sticks out", () => {
    const places = panels.map(({ gridPos: { x, y } }) => `${x} ${y}`);
    assert.equal(new Set(places).size, places.length);
    assert.ok(panels.every(({ gridPos: { x, w } }) => x + w <= 24));
  });
});

test("the PodMonitor scrapes sidecars alone, at the port that its comment gives the image", () => {
  const text = read("podmonitor.yaml");
  const { kind, spec } = parse(text);
  assert.equal(kind, "PodMonitor");
  assert.deepEqual(spec.selector.matchLabels, { "kubevirt.io": "virt-launcher" });
  const [endpoint] = spec.podMetricsEndpoints;
  assert.equal(endpoint.path, "/metrics");
  const [keep, address] = endpoint.relabelings;
  assert.equal(keep.action, "keep");
  assert.match("hook-sidecar-0", new RegExp(`^(?:${keep.regex})$`));
  assert.doesNotMatch("compute", new RegExp(`^(?:${keep.regex})$`));
  assert.equal(address.targetLabel, "__address__");
  const port = /ENV SLIRP_METRICS=0\.0\.0\.0:([0-9]+)/.exec(text)?.[1];
  assert.equal(address.replacement, `$1:${port}`);
});
