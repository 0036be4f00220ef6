/** Counters of a guest network as they are logged. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Binding } from "../../src/binding/binding.ts";
import { countersOf, logCounters } from "../../src/cli/counters.ts";
import { STAT_NAMES } from "../../src/engine/stats.ts";
import { prettyLogger } from "../../src/lib/log.ts";
import type { PeerCounters } from "../../src/link/stream-peer.ts";
import { DROP_TCP_CHECKSUM, STAT_COUNT, STAT_TCP_RETRANSMITS } from "../../wasm/abi.ts";
import { NO_PEERS } from "../support/no-peers.ts";

const ONE_PEER: PeerCounters = { ...NO_PEERS, hasPeer: true };

function bindingOf(counts: ReadonlyMap<number, number>, peers = ONE_PEER, failures = 0): Binding {
  const counters = {
    failures,
    flows: 3,
    chunks: 0,
    counter: (index: number) => counts.get(index) ?? 0,
    peers,
  };
  return { counters } as unknown as Binding;
}

test("flows and chunks always, everything else where it is not zero", () => {
  assert.deepEqual(countersOf(bindingOf(new Map())), { flows: 3, chunks: 0 });
  const counts = new Map([
    [STAT_TCP_RETRANSMITS, 7],
    [STAT_COUNT + DROP_TCP_CHECKSUM, 1],
  ]);
  const peers = { ...ONE_PEER, connections: 2, peersRefused: 1, silentPeers: 4, peerCrowds: 5 };
  assert.deepEqual(countersOf(bindingOf(counts, peers, 2)), {
    flows: 3,
    chunks: 0,
    engine_failures: 2,
    tcp_retransmits: 7,
    'drop{reason="tcp_checksum"}': 1,
    connections: 2,
    peers_refused: 1,
    silent_peers: 4,
    peer_crowds: 5,
  });
  assert.equal(STAT_NAMES.length, STAT_COUNT, "drops come after what happened");
});

test("counters are asked for, and logged once there was time for an answer", async () => {
  const counts = new Map<number, number>();
  let asked = 0;
  const binding: Binding = {
    ...bindingOf(counts),
    refresh: async () => {
      asked += 1;
      await Promise.resolve(); // the worker's answer comes a moment later
      counts.set(STAT_TCP_RETRANSMITS, 7);
      return true;
    },
  };
  const line = (about?: Record<string, string>): Promise<string> =>
    new Promise((resolve) => logCounters(prettyLogger("info", resolve), binding, about));
  assert.equal(await line(), "info  counters flows=3 chunks=0 tcp_retransmits=7\n");
  const about = { iface: "net" };
  assert.equal(await line(about), "info  counters iface=net flows=3 chunks=0 tcp_retransmits=7\n");
  assert.equal(asked, 2);
});
