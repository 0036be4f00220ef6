/** What a report says of a run: plots without empty ones, tables that add up, marks, rates. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { DROP_NAMES, readStats } from "../../../src/engine/stats.ts";
import type { Plan } from "../../../src/lab/sim/plan.ts";
import type { RunReport } from "../../../src/lab/sim/report/model.ts";
import { reasonName } from "../../../src/lab/sim/report/names.ts";
import { reportOf } from "../../../src/lab/sim/report/report-of.ts";
import { Sampler } from "../../../src/lab/sim/sampler.ts";
import { planFromSeed } from "../../../src/lab/sim/scenario.ts";
import { simulatedEngine } from "../../../src/lab/sim/simulated-engine.ts";
import { Trace } from "../../../src/lab/sim/trace.ts";
import { World } from "../../../src/lab/sim/world.ts";

function runPlan(plan: Plan): { report: RunReport; world: World } {
  const sampler = new Sampler();
  const world = new World(simulatedEngine(), plan, new Trace(), { sampler });
  return { report: reportOf(world, world.run(), sampler, { title: "run" }), world };
}

describe("report of a run", () => {
  const runs = [4, 13, 82, 89, 144].map((seed) => runPlan(planFromSeed(seed)));

  test("no plot is empty, and every series has one value for each time", () => {
    for (const { report } of runs) {
      assert.ok(report.plots.length > 0);
      for (const { title, series } of report.plots) {
        assert.ok(series.length > 0, title);
        for (const { name, values } of series) {
          assert.equal(values.length, report.times.length, `${title}: ${name}`);
          assert.ok(
            values.some((value) => value !== null && value !== 0),
            `${title}: ${name}`,
          );
        }
      }
    }
  });

  test("the plots begin with the part in which frames move", () => {
    for (const { report } of runs) {
      assert.ok(report.activeUntil > 0 && report.activeUntil <= (report.times.at(-1) ?? 0));
    }
  });

  test("drops by reason are those of the engine, the most frequent first", () => {
    for (const { report, world } of runs) {
      const stats = readStats(world.engine);
      const wanted = DROP_NAMES.filter((name) => stats[name] > 0).map((name) => reasonName(name));
      const table = report.tables.find(({ title }) => title === "Drops by reason");
      const rows = table?.rows ?? [];
      assert.deepEqual(rows.map(([name]) => name).sort(), wanted.sort());
      const counts = rows.map(([, count = ""]) => Number(count.replaceAll(",", "")));
      assert.deepEqual(
        counts,
        [...counts].sort((a, b) => b - a),
      );
    }
  });

  test("every table has as many cells in a row as in its head", () => {
    for (const { report } of runs) {
      for (const { title, head, rows } of report.tables) {
        for (const row of rows) assert.equal(row.length, head.length, title);
      }
    }
  });

  test("what the plan does at a time of its own is marked, while frames move", () => {
    const base = planFromSeed(82);
    const { report } = runPlan({ ...base, outage: { at: 1000, duration: 2000 } });
    assert.deepEqual(report.marks.slice(0, 2), [
      { at: 0.001, text: "host cut off" },
      { at: 0.003, text: "host back" },
    ]);
    assert.equal(runPlan({ ...base, outage: undefined }).report.marks.length, 0);
  });

  test("a violation has its time and its text, and belongs to the part shown first", () => {
    const { report } = runPlan({ ...planFromSeed(82), patience: 1 });
    assert.equal(report.ok, false);
    const [first] = report.violations;
    assert.ok(first !== undefined && first.at > 0);
    assert.equal(first.text, "out of patience");
    assert.ok(report.activeUntil >= first.at);
  });
});

describe("names", () => {
  test("reasons are words", () => {
    assert.equal(reasonName("dropTcpAfterFin"), "TCP after FIN");
    assert.equal(reasonName("dropEthertype"), "EtherType");
    assert.equal(reasonName("dropVnetHeader"), "virtio-net header");
    assert.equal(new Set(DROP_NAMES.map((name) => reasonName(name))).size, DROP_NAMES.length);
  });
});
