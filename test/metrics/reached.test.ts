/**
 * Every row of the catalogue is made to count, and counts what it says: a scenario for each, read
 * the way a scrape reads it. A row without a scenario fails, whoever adds it.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import packageJson from "../../package.json" with { type: "json" };
import type { DropName } from "../../src/engine/stats.ts";
import { seriesOfDrop } from "../../src/metrics/catalogue.ts";
import { FAMILIES } from "../../src/metrics/families.ts";
import { written } from "./page.ts";
import { COUNTERS } from "./reached/counters.ts";
import { TCP_COUNTERS } from "./reached/counters-tcp.ts";
import { FLOW_DROPS } from "./reached/drops-flow.ts";
import { LOCAL_DROPS } from "./reached/drops-local.ts";
import { PACKET_DROPS } from "./reached/drops-packet.ts";
import { TCP_DROPS } from "./reached/drops-tcp.ts";
import { FLOW_ROWS, type Found } from "./reached/flows.ts";
import { PEER_ROWS } from "./reached/peers.ts";
import { engineRows, familyOf, type Rows, scrapedRows } from "./reached/rows.ts";
import { type Running, runNetworks } from "./reached/running.ts";
import type { Scenario } from "./reached/scenario.ts";

type Reason = Exclude<DropName, "dropNone" | "dropLink">;

const DROPS: Readonly<Record<Reason, Scenario>> = {
  ...PACKET_DROPS,
  ...LOCAL_DROPS,
  ...FLOW_DROPS,
  ...TCP_DROPS,
};
/** What only a running network counts. */
const RUNNING_ROWS: Readonly<
  Record<string, { readonly of: keyof Running; readonly value?: number }>
> = {
  [`slirp_build_info{version="${packageJson.version}"}`]: { of: "stream", value: 1 },
  slirp_network_up: { of: "stream", value: 1 },
  slirp_engine_failures_total: { of: "stream", value: 1 },
  slirp_connect_seconds: { of: "stream" },
  slirp_link_blocked_seconds: { of: "stream" },
  slirp_loop_turn_seconds: { of: "stream" },
  slirp_link_broken_queues_total: { of: "card", value: 1 },
  process_resident_memory_bytes: { of: "stream" },
  process_cpu_seconds_total: { of: "stream" },
  process_open_fds: { of: "stream" },
  process_start_time_seconds: { of: "stream" },
};
const STATS: Readonly<Record<string, Scenario>> = { ...COUNTERS, ...TCP_COUNTERS };

/** Every row that there is, whatever happens. */
const ROWS = [...(await scrapedRows({})).keys()];

/** Rows of a family that are not zero; nothing that happens adds any. */
function moved(rows: Rows, family: string): Record<string, number> {
  assert.deepEqual([...rows.keys()], ROWS);
  const of = [...rows].filter(([row, value]) => value !== 0 && familyOf(row) === family);
  return Object.fromEntries(of);
}

/** The row says what it has to, and of its family no other row says anything. */
function says(row: string, { rows, value }: Found): void {
  const found = moved(rows, familyOf(row));
  assert.deepEqual(found, { [row]: value ?? found[row] });
  assert.ok((found[row] ?? 0) > 0, row);
}

/** The scenario moves its row, by what it says, and of the same family no other row. */
function counts(row: string, scenario: Scenario): void {
  test(`${row} counts that, and of its family nothing else does`, async () => {
    const { engine, value, beside } = scenario();
    assert.deepEqual(moved(await engineRows(engine), familyOf(row)), { ...beside, [row]: value });
  });
}

function rowOfDrop(name: Reason): string {
  return written(seriesOfDrop(name));
}

describe("what the engine counts", () => {
  for (const [row, scenario] of Object.entries(STATS)) counts(row, scenario);
});

describe("drops", () => {
  for (const [name, scenario] of Object.entries(DROPS)) counts(rowOfDrop(name as Reason), scenario);
});

describe("flows, memory, and times of connections", () => {
  for (const [row, read] of Object.entries(FLOW_ROWS)) {
    test(row, async () => says(row, await read()));
  }
});

describe("peers of a link", () => {
  for (const [row, read] of Object.entries(PEER_ROWS)) {
    test(row, async () => says(row, await read()));
  }
});

test("running networks", async () => {
  const running = await runNetworks();
  for (const [row, { of, ...found }] of Object.entries(RUNNING_ROWS)) {
    says(row, { rows: running[of], ...found });
  }
});

test("every row of a scrape has a scenario above, every family has a row", () => {
  const reached = [
    ...Object.keys(DROPS).map((name) => rowOfDrop(name as Reason)),
    ...[STATS, FLOW_ROWS, PEER_ROWS, RUNNING_ROWS].flatMap((rows) => Object.keys(rows)),
  ];
  const notReached = ROWS.filter((row) => !reached.includes(row));
  assert.deepEqual(notReached, [], "rows that nothing makes count: give each a scenario");
  const unknown = reached.filter((row) => !ROWS.includes(row));
  assert.deepEqual(unknown, [], "scenarios of no row");
  assert.equal(reached.length, ROWS.length, "each once");
  assert.deepEqual([...new Set(ROWS.map(familyOf))].toSorted(), Object.keys(FAMILIES).toSorted());
});
