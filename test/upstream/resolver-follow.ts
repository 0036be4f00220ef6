/**
 * Program of resolver.test.ts, run in a mount namespace where /etc/resolv.conf is the test's own:
 * follows the file through changes and throws when the engine is told anything else.
 */
import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import process from "node:process";
import { RESOLV_CONF_PATH } from "../../src/config/resolv.ts";
import { ResolverWatch } from "../../src/upstream/resolver.ts";
import * as abi from "../../wasm/abi.ts";
import { EngineWorld } from "../support/engine-harness.ts";
import { ipText } from "../support/packet.ts";
import { attachOptions, logTo } from "./resolver-support.ts";

const INTERVAL = 1_000_000;

// Nothing is written unless this really is the test's file.
const [marker = ""] = process.argv.slice(2);
assert.ok(marker !== "" && readFileSync(RESOLV_CONF_PATH, "utf8").includes(marker));

const lines: string[] = [];
const { engine } = new EngineWorld({ resolvers: [] });
const watch = new ResolverWatch(attachOptions(), logTo(lines));
assert.deepEqual(watch.conf.nameservers, ["192.0.2.1"]);

/** What the engine forwards questions to. */
function resolvers(): string[] {
  const at = engine.bases.config;
  const count = engine.view.getUint32(at + abi.CONFIG_RESOLVERS_COUNT_OFFSET, true);
  return Array.from({ length: count }, (_, i) =>
    ipText(engine.view.getUint32(at + abi.CONFIG_RESOLVERS_OFFSET + 4 * i, true)),
  );
}

let now = 5_000_000;
watch.poll(engine, now);
assert.deepEqual(resolvers(), [], "an unchanged file is no news");

writeFileSync(RESOLV_CONF_PATH, "nameserver 192.0.2.7\nnameserver 192.0.2.8\n");
watch.poll(engine, now + INTERVAL - 1);
assert.deepEqual(resolvers(), [], "not before it is time");
now += INTERVAL;
watch.poll(engine, now);
assert.deepEqual(resolvers(), ["192.0.2.7", "192.0.2.8"]);
assert.deepEqual(watch.conf.nameservers, ["192.0.2.7", "192.0.2.8"]);
assert.deepEqual(lines, ["info resolvers changed 192.0.2.7 192.0.2.8"]);

writeFileSync(RESOLV_CONF_PATH, "# nobody\n");
now += INTERVAL;
watch.poll(engine, now);
assert.deepEqual(resolvers(), []);
assert.equal(lines.filter((line) => line.startsWith("warn")).length, 1);
