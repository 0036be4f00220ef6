/** `instances`: what programs say of themselves, and those that say nothing. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { AdminClient } from "../../../src/admin/client.ts";
import { NoInstanceError } from "../../../src/cli/admin/failures.ts";
import { type InstancesParts, showInstances } from "../../../src/cli/admin/instances.ts";
import { readInstances } from "../../../src/config/inspect.ts";
import { settingsOf } from "../../config/support.ts";
import { type Stage, stage } from "./support.ts";

const NETWORKS = [
  { name: "tap0", isUp: true, hasGuest: true },
  { name: "net1", isUp: true },
  { name: "bad", hasGuest: true },
];

function parts(names: readonly string[]): InstancesParts & Stage {
  const at = stage({
    getInstance: () => ({
      name: "serve-7",
      version: "0.1.0",
      pid: 7,
      command: "serve",
      startedUs: 1_000_000n,
      networks: NETWORKS,
    }),
  });
  const silent = stage({});
  return {
    ...at,
    find: async () => names.map((name) => ({ name, path: `/run/${name}.sock` })),
    connect: (path): AdminClient => {
      const { calls, flows } = path.includes("silent") ? silent : at;
      return { calls, flows, close: () => {} };
    },
    now: 8_000_000,
    nobody: "nobody is here",
  };
}

test("instances are listed by the names that they say", async () => {
  const all = parts(["sidecar", "silent"]);
  await showInstances(readInstances(settingsOf({})), all);
  assert.deepEqual(
    all.output.lines.map((line) => line.split(/ {2,}/)),
    [
      ["NAME", "COMMAND", "PID", "UP", "NETWORKS", "VERSION", "SOCKET"],
      [
        "serve-7",
        "serve",
        "7",
        "7.0s",
        "tap0, net1 (no guest), bad (down)",
        "0.1.0",
        "/run/sidecar.sock",
      ],
    ].map((cells) => cells),
  );
  assert.deepEqual(all.notes, ["silent does not answer: /run/silent.sock"]);
});

test("as JSON with their networks", async () => {
  const all = parts(["sidecar"]);
  await showInstances(readInstances(settingsOf({ json: "true" })), all);
  const [record] = all.output.records;
  assert.deepEqual(
    [record?.["name"], record?.["socket"], record?.["started_us"]],
    ["serve-7", "/run/sidecar.sock", 1_000_000],
  );
  assert.ok(Array.isArray(record?.["networks"]));
});

test("none is an end of its own", async () => {
  for (const names of [[], ["silent"]]) {
    const question = readInstances(settingsOf({}));
    await assert.rejects(showInstances(question, parts(names)), NoInstanceError);
  }
});
