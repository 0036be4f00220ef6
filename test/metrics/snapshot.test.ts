/** Values of all series: where each comes from, histograms that add up, networks side by side. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { MAILBOX_SIZE, Mailbox } from "../../src/binding/mailbox.ts";
import { METERS_SIZE, Meters } from "../../src/binding/meters.ts";
import { FAMILIES, type FamilyName } from "../../src/metrics/families.ts";
import { type Sample, takeSnapshot } from "../../src/metrics/snapshot.ts";
import * as abi from "../../wasm/abi.ts";
import { EngineWorld } from "../support/engine-harness.ts";
import { NO_PEERS } from "../support/no-peers.ts";

const FIGURES = {
  version: "1.2.3",
  residentBytes: 50_000_000,
  cpuSeconds: 1.5,
  descriptors: 20,
  startSeconds: 1_700_000_000,
};

/** A network whose counter i says i + 1, with one connection's times. */
function network(name: string, isUp = true) {
  const world = new EngineWorld();
  const { engine } = world;
  for (let i = 0; i < abi.STAT_COUNT + abi.DROP_COUNT; i += 1) {
    engine.view.setBigUint64(engine.bases.stats + 8 * i, BigInt(i + 1), true);
  }
  const counters = new Mailbox(new SharedArrayBuffer(MAILBOX_SIZE));
  counters.noteFailure();
  counters.publish(engine, { refused: 77 }, { ...NO_PEERS, hasPeer: true, connections: 4 });
  const meters = new Meters(new SharedArrayBuffer(METERS_SIZE));
  meters.look(engine);
  for (const seconds of [0.0004, 0.02, 90]) meters.histograms.connect.observe(seconds);
  return { interface: name, isUp, counters, meters };
}

function find(
  samples: readonly Sample[] | undefined,
  labels: Record<string, string>,
  suffix = "",
): number | undefined {
  const text = JSON.stringify(labels);
  const found = samples?.filter(
    (sample) => JSON.stringify(sample.labels) === text && sample.suffix === suffix,
  );
  assert.ok((found?.length ?? 0) <= 1, `${text} twice`);
  return found?.[0]?.value;
}

describe("snapshot", () => {
  const snapshot = takeSnapshot([network("blue"), network("red", false)], FIGURES);

  test("every family is there, each series once", () => {
    assert.deepEqual([...snapshot.keys()].sort(), Object.keys(FAMILIES).sort());
    for (const [name, samples] of snapshot) {
      const keys = samples.map(({ suffix, labels }) => `${suffix}${JSON.stringify(labels)}`);
      assert.equal(new Set(keys).size, keys.length, name);
    }
  });

  test("labels are the interface and those of the family, but for the process", () => {
    for (const [name, samples] of snapshot) {
      const family: { labels?: readonly string[]; isOfProcess?: boolean; type: string } =
        FAMILIES[name];
      const wanted = [
        ...(family.isOfProcess === true ? [] : ["interface"]),
        ...(family.labels ?? []),
      ];
      for (const { labels } of samples) {
        assert.deepEqual(
          Object.keys(labels).filter((label) => label !== "le"),
          wanted,
          name,
        );
      }
    }
  });

  test("values are the engine's, the link's and the process'", () => {
    const value = (family: FamilyName, labels: Record<string, string>) =>
      find(snapshot.get(family), labels);
    const of = { interface: "blue" };
    assert.equal(value("slirp_guest_receive_packets_total", of), abi.STAT_GUEST_RX_FRAMES + 1);
    const checksum = { ...of, reason: "tcp_checksum" };
    const drops = abi.STAT_COUNT + abi.DROP_TCP_CHECKSUM;
    assert.equal(value("slirp_drops_total", checksum), drops + 1);
    assert.equal(value("slirp_drops_total", { ...of, reason: "link" }), 77);
    assert.equal(value("slirp_link_peer", of), 1);
    assert.equal(value("slirp_engine_failures_total", of), 1);
    assert.equal(value("slirp_link_connections_total", of), 4);
    assert.equal(value("slirp_network_up", of), 1);
    assert.equal(value("slirp_network_up", { interface: "red" }), 0);
    assert.equal(value("slirp_flows", { ...of, kind: "tcp", state: "established" }), 0);
    assert.equal(value("slirp_flows", { ...of, kind: "dns", state: "" }), 0);
    assert.ok((value("slirp_flows_limit", of) ?? 0) > 0);
    assert.equal((value("slirp_buffer_limit_bytes", of) ?? 1) % abi.CHUNK_SIZE, 0);
    assert.equal(value("slirp_build_info", { version: "1.2.3" }), 1);
    assert.equal(value("process_open_fds", {}), 20);
  });

  test("ranges of a histogram add up", () => {
    const samples = snapshot.get("slirp_connect_seconds");
    const at = (le: string) => find(samples, { interface: "blue", le }, "_bucket");
    assert.deepEqual(
      [at("0.0005"), at("0.01"), at("0.025"), at("30"), at("+Inf")],
      [1, 1, 2, 2, 3],
    );
    assert.equal(find(samples, { interface: "blue" }, "_count"), 3);
    assert.equal(find(samples, { interface: "blue" }, "_sum"), 90.0204);
  });

  test("a network that nobody watches has counters alone", () => {
    const { interface: name, isUp, counters } = network("grey");
    const found = takeSnapshot([{ interface: name, isUp, counters, meters: undefined }], FIGURES);
    assert.equal(found.get("slirp_flows"), undefined);
    assert.ok(found.get("slirp_drops_total") !== undefined);
  });
});
