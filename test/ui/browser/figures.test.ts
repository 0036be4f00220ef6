/** Rates from two states of the counters, and that their names are those of the catalogue. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { FAMILIES } from "../../../src/metrics/families.ts";
import { dropCounts, figuresOf } from "../../../src/ui/browser/figures.ts";
import type { Families } from "../../../src/ui/browser/model.ts";

type Counts = readonly (readonly [network: string, value: number, reason?: string])[];

function families(values: Readonly<Record<string, Counts>>): Families {
  return new Map(
    Object.entries(values).map(([name, samples]) => [
      name,
      samples.map(([network, value, reason = ""]) => {
        return { labels: { interface: network, reason }, value, count: 0, sum: 0 };
      }),
    ]),
  );
}

const TO_GUEST = "slirp_guest_transmit_bytes_total";
const DROPS = "slirp_drops_total";
const BUFFERS = "slirp_buffer_bytes";
const RTT = "slirp_tcp_guest_rtt_seconds";

const BEFORE = families({
  [TO_GUEST]: [
    ["a", 1000],
    ["b", 0],
  ],
  [DROPS]: [
    ["a", 5, "runt"],
    ["b", 1, "ip_ttl"],
  ],
});
const NOW = families({
  [TO_GUEST]: [
    ["a", 3000],
    ["b", 500],
  ],
  [DROPS]: [
    ["a", 5, "runt"],
    ["b", 9, "ip_ttl"],
    ["a", 0, "udp_port"],
  ],
  [BUFFERS]: [["a", 7]],
});

describe("figures", () => {
  test("names are those of the catalogue", () => {
    const asked = new Set<string>();
    const all: Families = new Map();
    const get = (name: string) => {
      asked.add(name);
      return undefined;
    };
    const spied = Object.assign(all, { get });
    figuresOf(spied, spied, 1, "");
    dropCounts(spied, spied, 1, "");
    assert.equal(asked.size, 9);
    for (const name of asked) assert.ok(name in FAMILIES, name);
  });

  test("bits per second of one network, and of all", () => {
    assert.equal(figuresOf(NOW, BEFORE, 2, "a").toGuest, 8000);
    assert.equal(figuresOf(NOW, BEFORE, 2, "").toGuest, 10_000);
    assert.equal(figuresOf(NOW, BEFORE, 2, "").buffers, 7);
  });

  test("a counter that begins anew is no traffic backwards, and no time is no rate", () => {
    assert.equal(figuresOf(BEFORE, NOW, 1, "a").toGuest, 0);
    assert.equal(figuresOf(NOW, BEFORE, 0, "a").toGuest, 0);
  });

  test("the mean round trip is that of the time between, and none where none was measured", () => {
    const of = (count: number, sum: number): Families =>
      new Map([[RTT, [{ labels: { interface: "a" }, value: 0, count, sum }]]]);
    assert.equal(figuresOf(of(30, 0.02), of(10, 0.01), 1, "a").rtt_us, 500);
    assert.equal(figuresOf(of(10, 0.01), of(10, 0.01), 1, "a").rtt_us, null);
  });

  test("reasons that have counted, those that count now first", () => {
    assert.deepEqual(dropCounts(NOW, BEFORE, 2, ""), [
      { reason: "ip_ttl", total: 9, rate: 4 },
      { reason: "runt", total: 5, rate: 0 },
    ]);
    const ofOne = dropCounts(NOW, BEFORE, 2, "a").map(({ reason }) => reason);
    assert.deepEqual(ofOne, ["runt"]);
  });
});
