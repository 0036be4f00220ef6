/**
 * Where each row of the catalogue is counted. Of the engine's counters that is found in its
 * sources; the rest is said here, by family.
 */
import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { DROP_NAMES, type DropName, STAT_NAMES, type StatName } from "../../src/engine/stats.ts";
import type { FamilyName } from "../../src/metrics/families.ts";
import * as abi from "../../wasm/abi.ts";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
/** Where constants are declared, and where they are but told on. */
const NOT_COUNTING = /^wasm\/(?:abi\/|memory\.ts$|stats\.ts$)/;
const [DOOR, SOCKET, METERS] = [
  "src/link/stream-door.ts",
  "src/link/peer-socket.ts",
  "src/binding/meters.ts",
];
const [INPUT4, INPUT6] = ["wasm/input4.ts", "wasm/input6.ts"];

/** Drops whose constants no source names: what a check of the header found, and the link's own. */
const UNNAMED: Readonly<Partial<Record<DropName, readonly string[]>>> = {
  dropIpVersion: [INPUT4, INPUT6],
  dropIpHeaderLength: [INPUT4],
  dropIpTotalLength: [INPUT4, INPUT6],
  dropIpChecksum: [INPUT4],
  dropIpOptions: [INPUT4],
  dropLink: ["src/link/stream.ts", "src/link/tap.ts", "src/link/vhost-user/back-end.ts"],
};

/** Sources of what the engine does not count, by family. */
export const OUTSIDE_ENGINE: Readonly<Partial<Record<FamilyName, readonly string[]>>> = {
  slirp_build_info: ["src/metrics/process-figures.ts"],
  slirp_network_up: ["src/metrics/server.ts"],
  slirp_engine_failures_total: ["src/binding/worker.ts"],
  slirp_flows: [METERS],
  slirp_flows_limit: [METERS],
  slirp_connect_seconds: ["src/upstream/connect-times.ts"],
  slirp_tcp_guest_rtt_seconds: [METERS],
  slirp_tcp_window_limited_seconds_total: [METERS],
  slirp_buffer_bytes: ["src/binding/mailbox.ts"],
  slirp_buffer_limit_bytes: [METERS],
  slirp_link_peer: [SOCKET],
  slirp_link_connections_total: [SOCKET],
  slirp_link_peers_closed_total: [DOOR, SOCKET],
  slirp_link_crowds_total: [DOOR],
  slirp_link_broken_queues_total: ["src/link/vhost-user/back-end.ts"],
  slirp_link_blocked_seconds: ["src/loop/loop.ts"],
  slirp_loop_turn_seconds: ["src/loop/loop.ts"],
  process_resident_memory_bytes: ["src/metrics/process-figures.ts"],
  process_cpu_seconds_total: ["src/metrics/process-figures.ts"],
  process_open_fds: ["src/metrics/process-figures.ts"],
  process_start_time_seconds: ["src/cli/metrics.ts"],
};

/** Sources of the engine by the constants that they use, `STAT_…` and `DROP_…`. */
const users = new Map<string, string[]>();
for (const file of engineSources()) {
  const names = new Set(
    readFileSync(`${ROOT}${file}`, "utf8").match(/\b(?:STAT|DROP)_[A-Z0-9_]+/g),
  );
  for (const name of names) users.set(name, [...(users.get(name) ?? []), file]);
}

function engineSources(): string[] {
  return readdirSync(`${ROOT}wasm`, { recursive: true, encoding: "utf8" })
    .map((name) => `wasm/${name}`)
    .filter((file) => file.endsWith(".ts") && !NOT_COUNTING.test(file))
    .toSorted();
}

/** Sources that count this counter of the engine. */
export function whereStat(name: StatName): readonly string[] {
  return users.get(constantOf("STAT_", STAT_NAMES.indexOf(name))) ?? [];
}

/** Sources that drop something for this reason. */
export function whereDrop(name: DropName): readonly string[] {
  return users.get(constantOf("DROP_", DROP_NAMES.indexOf(name))) ?? UNNAMED[name] ?? [];
}

/** The constant of this prefix that has this value. */
function constantOf(prefix: string, value: number): string {
  const found = Object.entries(abi).find(
    ([name, number]) => name.startsWith(prefix) && number === value,
  );
  return found?.[0] ?? "";
}
