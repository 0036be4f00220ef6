/** README.md's tables are made of what the benchmarks write, gaps included. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { keyOf } from "../../bench/qemu-plan.ts";
import { ipv6Line, qemuTable, speedTable, testpmdTable } from "../../bench/readme-tables.ts";

const ok = (value: number) => ({ ok: true as const, value, cpu: 1 });
const failed = { ok: false as const, error: "no end" };

test("speeds: medians, and the ratio within repetitions to the better peer", () => {
  const results = {
    rr: {
      "ours 1500": [ok(30), ok(20), ok(40)],
      "slirp4netns 1500": [ok(10), ok(40), ok(10)],
      "pasta 1500": [ok(15), ok(10), failed],
    },
    up1: { "ours 1500": [ok(12.34)], "slirp4netns 1500": [failed], "pasta 1500": [ok(123.4)] },
  };
  const footprint = {
    ...{ kind: "ours" as const, ready_ms: [80, 82], idle_mib: 40.4, loaded_mib: 50 },
    ...{ active_mib: undefined, idleFlowsUp: undefined, idleFlowsDown: undefined, errors: [] },
  };
  const lines = speedTable({ results, footprints: [footprint] }).split("\n");
  const row = (title: string): string | undefined =>
    lines.find((line) => line.startsWith(`| ${title}`));
  assert.equal(lines[1], "|---|---|---|---|---|");
  assert.equal(
    row("TCP request/response, MTU 1500"),
    // The third repetition has no figure of pasta, so nothing to compare with.
    "| TCP request/response, MTU 1500, 1/s | 30.0 | 10.0 | 12.5 | 1.25 x the better (0.50..2.00) |",
  );
  assert.equal(row("TCP up, MTU 1500"), "| TCP up, MTU 1500, Gbit/s | 12.3 | – | 123 | – |");
  assert.equal(row("exec to ready"), "| exec to ready, ms | 81 | – | – |  |");
  assert.equal(row("memory"), "| memory, idle / 1,000 busy flows, MiB | 40 / – | – | – |  |");
});

test("IPv6 is told as a share of IPv4", () => {
  const results = { up1: { "ours 1500 IPv6": [ok(9), ok(8)], "ours 1500": [ok(10), ok(10)] } };
  const text = ipv6Line({ results, footprints: [] });
  assert.match(text, /^IPv6 as a share of IPv4: up1 1500: 0\.85 \(0\.80\.\.0\.90\), dn1 1500: – ,/);
});

test("QEMU: three links, their ratios to QEMU's own, processor time of vhost-user", () => {
  const sample = (value: number) => ({ value, cpu_s: 0.5, work: 10 });
  const results = {
    [keyOf("up1", "vhost-user", 1500)]: [sample(4), null, sample(8)],
    [keyOf("up1", "stream", 1500)]: [sample(1), sample(1), sample(1)],
    [keyOf("up1", "user", 1500)]: [sample(1), sample(1), sample(4)],
  };
  const [, , first] = qemuTable({ results }).split("\n");
  assert.equal(
    first,
    "| TCP up, MTU 1500, Gbit/s | 6.00 | – | 1.00 | 1.00 | 3.00 x, – x, 1.00 x | 50.0 ms/Gbit |",
  );
});

test("testpmd: frames a second and the processor time of one", () => {
  const sample = { seconds: 2, frames: 2e6, user_s: 0.4, system_s: 0.6, drops: {} };
  const row = { direction: "up" as const, size: 64 };
  const rows = [
    { ...row, memory: "sealed" as const, samples: [sample, null] },
    { ...row, memory: "unsealed" as const, samples: [null] },
  ];
  assert.deepEqual(testpmdTable({ rows }).split("\n").slice(2), [
    "| up | 64 | 1000 (1000..1000) | 0.50 |",
    "| up, not sealed | 64 | –  | – |",
  ]);
});
