/** What the commands that look into a program were asked. */
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  readDrops,
  readEvents,
  readFlows,
  readInstances,
  readLog,
  readStats,
  readTop,
} from "../../src/config/inspect.ts";
import { settingsOf } from "./support.ts";

const TARGET = { instance: undefined, admin: undefined, hooksDir: "/var/run/kubevirt-hooks" };

test("flows, all and chosen", () => {
  assert.deepEqual(readFlows(new Map()), {
    about: "flows",
    target: TARGET,
    filter: "",
    network: "",
    state: [],
    sort: undefined,
    watch: false,
    intervalSeconds: 1,
    json: false,
  });
  const given = { filter: ["tcp", "and", "port", "22"], state: ["syn_sent", "Established"] };
  const more = { interface: "net1", sort: "idle", watch: "true", interval: "5", json: "true" };
  const { filter, state, network, sort, watch, intervalSeconds, json } = readFlows(
    settingsOf({ ...given, ...more }),
  );
  assert.deepEqual([filter, state], ["tcp and port 22", ["SYN-SENT", "ESTABLISHED"]]);
  assert.deepEqual([network, sort, watch, intervalSeconds, json], ["net1", "idle", true, 5, true]);
});

test("a filter is read before anybody is asked", () => {
  for (const filter of [["tcp", "prt"], ["from", "guest"], ["dropped"]]) {
    assert.throws(() => readFlows(settingsOf({ filter })), /^ConfigError: parse --filter "/);
    assert.throws(() => readTop(settingsOf({ filter })), /^ConfigError: parse --filter "/);
  }
});

test("the others, with nothing said", () => {
  const form = { network: "", json: false };
  assert.deepEqual(readTop(new Map()), {
    ...{ about: "top", target: TARGET, filter: "", network: "", sort: undefined },
    intervalSeconds: 1,
  });
  assert.deepEqual(readStats(settingsOf({ pattern: ["drops", "tcp*"] })), {
    ...{ about: "stats", target: TARGET, patterns: ["drops", "tcp*"], ...form },
    ...{ all: false, watch: false, intervalSeconds: 1 },
  });
  assert.deepEqual(readEvents(new Map()), {
    about: "events",
    target: TARGET,
    ...form,
    watch: false,
  });
  assert.deepEqual(readDrops(new Map()), { about: "drops", target: TARGET, ...form });
  assert.deepEqual(readLog(new Map()), { about: "log", target: TARGET, lines: 256, follow: false });
  assert.deepEqual(readInstances(new Map()), {
    ...{ about: "instances", json: false, hooksDir: TARGET.hooksDir },
  });
});

test("values out of their bounds are refused", () => {
  assert.throws(() => readFlows(settingsOf({ interval: "0" })), /from 1 to 60/);
  assert.throws(() => readFlows(settingsOf({ sort: "size" })), /wanted one of "bytes"/);
  assert.throws(() => readLog(settingsOf({ lines: "257" })), /from 0 to 256/);
  assert.throws(() => readStats(settingsOf({ pattern: "" })), /wanted a name/);
});
