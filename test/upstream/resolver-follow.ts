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
import { ipText } from "../support/packet.ts";
import { World6 } from "../support/world6.ts";
import { attachOptions, logTo } from "./resolver-support.ts";

const INTERVAL = 1_000_000;

// Nothing is written unless this really is the test's file.
const [marker = ""] = process.argv.slice(2);
assert.ok(marker !== "" && readFileSync(RESOLV_CONF_PATH, "utf8").includes(marker));

const lines: string[] = [];
const world = new World6({ resolvers: [] });
const { engine } = world;
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
assert.deepEqual(lines, ["info resolvers changed resolvers_changed 192.0.2.7 192.0.2.8"]);

/** Octets of the DHCP and DHCPv6 options the guest may ask for. */
function options(): readonly string[] {
  const { octets, view, bases } = engine;
  const places = [
    [abi.CONFIG_DHCP_OPTIONS_LENGTH_OFFSET, abi.CONFIG_DHCP_OPTIONS_OFFSET],
    [abi.CONFIG_DHCP6_OPTIONS_LENGTH_OFFSET, abi.CONFIG_DHCP6_OPTIONS_OFFSET],
  ] as const;
  return places.map(([length, offset]) => {
    const at = bases.config + offset;
    const size = view.getUint32(bases.config + length, true);
    return new TextDecoder("latin1").decode(octets.subarray(at, at + size));
  });
}

writeFileSync(RESOLV_CONF_PATH, "nameserver 192.0.2.7\nsearch new.test\n");
now += INTERVAL;
watch.poll(engine, now);
for (const text of options()) assert.ok(text.includes("\x03new\x04test\0"));
assert.deepEqual(lines.slice(-2), ["info search list changed 1", "debug search list new.test"]);
writeFileSync(RESOLV_CONF_PATH, "nameserver 192.0.2.7\nsearch newer.test a.test\n");
now += INTERVAL;
lines.length = 0;
watch.poll(engine, now);
const searched = ["info search list changed 2", "debug search list newer.test a.test"];
assert.deepEqual(lines, searched, "the resolvers are as they were");
world.take();
world.advance(3_000_000);
const [advertisement] = world.take();
assert.ok(advertisement?.kind === "icmp6" && advertisement.type === 134, "all hear of it");

// The user's own list stays, and so does the file's where its resolvers do not count.
const own = new ResolverWatch(attachOptions([], ["own.test"]), logTo([]));
const fixed = new ResolverWatch(attachOptions(["192.0.2.9"]), logTo([]));
const told: string[] = [];
engine.setDhcpOptions = () => void told.push("options");
engine.setResolvers = () => void told.push("resolvers");
writeFileSync(RESOLV_CONF_PATH, "nameserver 192.0.2.1\nsearch newer.test\n");
own.poll(engine, now);
assert.deepEqual(told.splice(0), ["resolvers"]);
fixed.poll(engine, now);
assert.deepEqual(told.splice(0), ["options"]);
Reflect.deleteProperty(engine, "setDhcpOptions");
Reflect.deleteProperty(engine, "setResolvers");

writeFileSync(RESOLV_CONF_PATH, "# nobody\n");
now += INTERVAL;
watch.poll(engine, now);
assert.deepEqual(resolvers(), []);
assert.equal(lines.filter((line) => line.startsWith("warn")).length, 1);
