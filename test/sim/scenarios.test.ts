/**
 * The scenarios that are shipped: each runs without violation and as it expects; and a run in which
 * an expectation is not met fails. Under Bun and Deno the shortest ones only: that runs are the
 * same everywhere is for `simulate.test.ts` to show.
 */
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { describe, test } from "node:test";
import { type CheckedRun, runScenario } from "../../src/lab/sim/run.ts";
import { readScenario } from "../../src/lab/sim/scenario-file.ts";
import { textReport } from "../../src/lab/sim/text-report.ts";

const FOLDER = new URL("./scenarios/", import.meta.url);
const isNode = !("bun" in process.versions || "deno" in process.versions);
const SHORT = ["path-mtu-told.yaml", "resolver-failover.yaml"];

function textOf(name: string): string {
  return readFileSync(new URL(name, FOLDER), "utf8");
}

function missedOf(run: CheckedRun): string[] {
  const missed = run.expectations.filter(({ ok }) => !ok).map(({ text }) => text);
  return [...run.summary.result.violations, ...missed];
}

describe("sim: scenarios that are shipped", () => {
  const files = readdirSync(FOLDER).filter((name) => name.endsWith(".yaml"));
  for (const name of isNode ? files : SHORT) {
    test(name, () => {
      const run = runScenario(readScenario(textOf(name)));
      assert.deepEqual(missedOf(run), []);
      assert.ok(run.expectations.length > 0);
      assert.equal(run.ok, true);
    });
  }

  test("another seed is other luck with the same flows", () => {
    const document = readScenario(textOf("half-close.yaml").replaceAll(/count: \d+/g, "count: 10"));
    const [a, b] = [runScenario(document, 2), runScenario(document, 3)];
    assert.notEqual(a.summary.result.hash, b.summary.result.hash);
    assert.deepEqual(
      a.summary.groups.map(({ up, down }) => [up, down]),
      b.summary.groups.map(({ up, down }) => [up, down]),
    );
  });
});

/** Every expectation there is, none of which comes true. */
const DISAPPOINTED = `
title: disappointed
duration: 10 s
flows:
  - name: stream
    kind: tcp
    count: 2
    down: 10 kB
    latency: 10 ms
    expect:
      refused-min: 1
      throughput-min: 1 Gbit/s
      throughput-max: 1 kbit/s
      time-max: 1 ms
      connect-max: 1 us
  - name: broken
    kind: tcp
    down: 10 kB
    peer-resets-at: 5 kB
    expect: { reset-max: 0, finished-min: 100 % }
  - name: datagrams
    kind: udp
    service: silent
    expect: { answered-min: 1, refused-min: 50 % }
  - name: echoes
    kind: ping
    requests: 2
    expect: { answered-max: 0, rtt-max: 1 us }
  - name: names
    kind: dns
    expect: { answered-min: 2, rtt-max: 0 }
expect:
  time-max: 1 ms
  flows-at-once-min: 100
  drops-min: { tcpGaps: 1 }
`;

describe("sim: expectations", () => {
  test("each that is not met is told with what came instead, and the run fails", () => {
    const run = runScenario(readScenario(DISAPPOINTED));
    assert.deepEqual(run.summary.result.violations, []);
    assert.equal(run.ok, false);
    const missed = run.expectations.map(({ ok, text }) => `${ok} ${text.replace(/, was.*/, "")}`);
    assert.deepEqual(missed, [
      "false stream: refused at least 1",
      "false stream: throughput of each at least 1.00 Gbit/s",
      "false stream: throughput of each at most 1.0 kbit/s",
      "false stream: time of each at most 1.0 ms",
      "false stream: time to connect at most 1 us",
      "false broken: finished at least 100 %",
      "false broken: reset at most 0",
      "false datagrams: answered at least 1",
      "false datagrams: told of at least 50 %",
      "false echoes: answered at most 0",
      "false echoes: round trip at most 1 us",
      "false names: answered at least 2",
      "false names: round trip at most 0 us",
      "false run: time at most 1.0 ms",
      "false run: flows at once at least 100",
      "false run: drops tcpGaps at least 1",
    ]);
    const lines = textReport(run, { reproduce: "simulate it" });
    assert.equal(lines[0], "disappointed, seed 1: 16 expectations missed");
    assert.equal(lines.at(-1), "repeat it: simulate it");
    assert.ok(lines.includes("  missed     stream: refused at least 1, was 0 of 2"));
  });

  test("met ones are told too", () => {
    const text = DISAPPOINTED.replaceAll(/^ +(?:expect: .*|(?:\S+-m(?:in|ax): .*))\n/gm, "");
    const expected = `${text.replaceAll(/^ +expect:\n/gm, "").replace(/^expect:\n/m, "")}
expect: { drops-max: { tcpGaps: 0 } }`;
    const run = runScenario(readScenario(expected));
    assert.deepEqual(missedOf(run), []);
    const lines = textReport(run, { real: 1000, reproduce: "" });
    assert.equal(lines[0], "disappointed, seed 1: clean, as expected");
    assert.ok(lines.includes("  held       run: drops tcpGaps at most 0, was 0"));
    assert.ok(lines.some((line) => /^ {2}real time +1.0 ms: [\d,]+ x faster/.test(line)));
    assert.ok(lines.some((line) => /2 flows: 2 finished$/.test(line)));
    assert.ok(lines.some((line) => /2 requests, 2 answered$/.test(line)));
  });
});
