/**
 * Every row of the catalogue is made to count, and counts what it says: a scenario for each, read
 * the way a scrape reads it. A row without a scenario fails, whoever adds it.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { DROP_NAMES, type DropName } from "../../src/engine/stats.ts";
import { seriesOfDrop } from "../../src/metrics/catalogue.ts";
import { written } from "./page.ts";
import { FLOW_DROPS } from "./reached/drops-flow.ts";
import { LOCAL_DROPS } from "./reached/drops-local.ts";
import { PACKET_DROPS } from "./reached/drops-packet.ts";
import { TCP_DROPS } from "./reached/drops-tcp.ts";
import { engineRows, familyOf, type Rows } from "./reached/rows.ts";
import type { Scenario } from "./reached/scenario.ts";

type Reason = Exclude<DropName, "dropNone">;

const DROPS: Readonly<Record<Reason, Scenario>> = {
  ...PACKET_DROPS,
  ...LOCAL_DROPS,
  ...FLOW_DROPS,
  ...TCP_DROPS,
};

function moved(rows: Rows, family: string): Record<string, number> {
  const of = [...rows].filter(([row, value]) => value !== 0 && familyOf(row) === family);
  return Object.fromEntries(of);
}

describe("drops", () => {
  for (const name of DROP_NAMES) {
    if (name === "dropNone") continue;
    const row = written(seriesOfDrop(name));
    test(`${row} counts that, and no other reason does`, async () => {
      const { engine, value } = DROPS[name]();
      assert.deepEqual(moved(await engineRows(engine), "slirp_drops_total"), { [row]: value });
    });
  }
});
