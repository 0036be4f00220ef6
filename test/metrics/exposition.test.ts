/** A snapshot as text, in both formats; promtool reads it in test/e2e/metrics.test.ts. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { expose } from "../../src/metrics/exposition.ts";
import type { Snapshot } from "../../src/metrics/snapshot.ts";

const SNAPSHOT: Snapshot = new Map([
  [
    "slirp_drops_total",
    [{ suffix: "", labels: { interface: 'a"b\\c\n', reason: "link" }, value: 2 ** 53 }],
  ],
  ["slirp_link_peer", [{ suffix: "", labels: { interface: "x" }, value: 1 }]],
  [
    "slirp_connect_seconds",
    [
      { suffix: "_bucket", labels: { interface: "x", le: "0.5" }, value: 1 },
      { suffix: "_bucket", labels: { interface: "x", le: "+Inf" }, value: 2 },
      { suffix: "_sum", labels: { interface: "x" }, value: 1.25 },
      { suffix: "_count", labels: { interface: "x" }, value: 2 },
    ],
  ],
]);

describe("exposition", () => {
  test("Prometheus' text format", async () => {
    const { contentType, text } = await expose(SNAPSHOT, "text/plain;version=0.0.4");
    assert.match(contentType, /^text\/plain; version=0\.0\.4/);
    const lines = text.trimEnd().split("\n");
    assert.ok(lines.includes("# TYPE slirp_drops_total counter"));
    const label = String.raw`interface="a\"b\\c\n",reason="link"`;
    assert.ok(lines.includes(`slirp_drops_total{${label}} 9007199254740992`), text);
    assert.ok(lines.includes("# TYPE slirp_connect_seconds histogram"));
    assert.ok(lines.includes('slirp_connect_seconds_bucket{interface="x",le="+Inf"} 2'));
    assert.ok(lines.includes('slirp_connect_seconds_sum{interface="x"} 1.25'));
    assert.ok(lines.includes('slirp_link_peer{interface="x"} 1'));
  });

  test("OpenMetrics where it is asked for, more than once", async () => {
    const accept = "application/openmetrics-text;version=1.0.0,text/plain;q=0.5";
    for (let i = 0; i < 2; i += 1) {
      const { contentType, text } = await expose(SNAPSHOT, accept);
      assert.match(contentType, /^application\/openmetrics-text; version=1\.0\.0/);
      assert.ok(text.includes("# TYPE slirp_drops counter\n"));
      assert.match(text, /^slirp_drops_total\{/m);
      assert.ok(text.includes('slirp_connect_seconds_bucket{interface="x",le="0.5"} 1\n'));
      assert.ok(text.endsWith("\n# EOF\n"));
    }
  });
});
