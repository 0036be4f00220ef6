/**
 * Record and replay of simulated runs: equal on every runtime, and whatever is changed is found and
 * named.
 */

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { dhcpOptionsOf, encodeDhcpOptions } from "../../src/config/dhcp-options.ts";
import { encodeDhcp6Options } from "../../src/config/dhcp6-options.ts";
import type { Engine } from "../../src/engine/engine.ts";
import { HostEngine } from "../../src/engine/host-engine.ts";
import { instantiateEngine } from "../../src/engine/instance.ts";
import { simulateSeed } from "../../src/lab/sim/simulate.ts";
import { simulatedEngine } from "../../src/lab/sim/simulated-engine.ts";
import { mappedOctetsOf } from "../../src/lib/addr6.ts";
import { KIND } from "../../src/replay/format.ts";
import { Recorder } from "../../src/replay/recorder.ts";
import * as abi from "../../wasm/abi.ts";
import {
  GATEWAY_MAC,
  GUEST,
  GUEST_MAC,
  IPV6,
  PEER,
  worldConfig,
} from "../support/engine-settings.ts";
import { ethernet, ip, ipv4, PROTOCOL_UDP, udp } from "../support/packet.ts";
import { BUILD, MemorySink, type RecordedRun, recordSeed, replay, resealed } from "./support.ts";

/** Crowds, offloads, errors, datagrams in runs, resets: between them, all kinds of operations. */
const SEEDS = [1, 2, 4, 6, 8, 11];

describe("replay: simulated runs", () => {
  for (const seed of SEEDS) {
    test(`seed ${seed} is equal, and recording changes nothing`, () => {
      const { result, octets, stops } = recordSeed(seed);
      assert.equal(result.hash, simulateSeed(seed).hash);
      const replayed = replay(octets);
      assert.equal(replayed.difference, undefined);
      assert.equal(replayed.ending, "closed");
      assert.equal(replayed.framesIn, result.framesToEngine);
      assert.equal(replayed.framesOut, result.framesToGuest);
      assert.deepEqual(stops, []);
    });
  }

  test("another build of the engine is noted", () => {
    const { octets } = recordSeed(10);
    assert.equal(replay(octets).isOtherBuild, false);
    assert.equal(replay(octets, "fedcba9876543210").isOtherBuild, true);
  });

  test("at its limit a recording ends, the run goes on, and what is there is equal", () => {
    const { result, octets, stops } = recordSeed(10, 30_000);
    assert.equal(result.hash, simulateSeed(10).hash);
    assert.deepEqual(stops, ["limit"]);
    assert.ok(octets.length <= 30_000 && octets.length > 20_000, `${octets.length} octets`);
    const replayed = replay(octets);
    assert.equal(replayed.difference, undefined);
    assert.equal(replayed.ending, "limit");
  });
});

/** A UDP datagram of the guest in the first receive slot. */
function putDatagram(engine: Engine): void {
  const ends = { source: GUEST, destination: PEER };
  const datagram = udp({ ...ends, sourcePort: 4000, destinationPort: 9 }, "x");
  const link = { destination: GATEWAY_MAC, source: GUEST_MAC };
  const frame = ethernet(link, ipv4({ ...ends, protocol: PROTOCOL_UDP }, datagram));
  const { octets, words, bases } = engine;
  octets.set(frame, bases.rxBuffers);
  words.set([bases.rxBuffers, frame.length], bases.rxDescriptors >> 2);
}

test("replay: a machine that leaves does so again, and its socket is closed again", () => {
  const sink = new MemorySink();
  const limit = Number.POSITIVE_INFINITY;
  const module = instantiateEngine(simulatedEngine());
  const recorder = new Recorder(module, { sink, build: BUILD, limit });
  const engine = new HostEngine(recorder.module);
  engine.start(worldConfig());
  const kinds: number[] = [];
  const work = (now: number): void => {
    engine.step(now);
    for (; engine.opCount > 0; engine.complete(now)) {
      const at = engine.opBase >> 2;
      kinds.push(engine.integers[at] ?? 0);
      engine.integers[at + (abi.OP_RESULT_OFFSET >> 2)] = kinds.length === 2 ? 1 : 0;
    }
  };
  putDatagram(engine);
  engine.guestRx(1, 1_000_000);
  work(1_000_000);
  engine.guestGone(1_500_000);
  assert.equal(engine.nextDeadline(), 3_500_000);
  work(3_500_000);
  assert.deepEqual(kinds, [abi.OP_UDP_OPEN, abi.OP_UDP_SEND, abi.OP_CLOSE]);
  recorder.close();
  const replayed = replay(sink.octets);
  assert.equal(replayed.difference, undefined);
  assert.equal(replayed.operations, 3);
});

describe("replay: own addresses of the host", () => {
  const record = (): Uint8Array => {
    const sink = new MemorySink();
    const limit = Number.POSITIVE_INFINITY;
    const module = instantiateEngine(simulatedEngine());
    const recorder = new Recorder(module, { sink, build: BUILD, limit });
    const engine = new HostEngine(recorder.module);
    engine.start(worldConfig({ refusesHost: true }));
    engine.addHostPort("tcp", mappedOctetsOf(0), 80);
    engine.setHostAddresses([mappedOctetsOf(ip(PEER))]);
    putDatagram(engine);
    engine.guestRx(1, 1_000_000);
    engine.step(1_000_000);
    assert.equal(engine.txCount, 1, "it is refused");
    engine.txDone();
    recorder.close();
    return sink.octets;
  };

  test("they are recorded, and what they forbid is forbidden again", () => {
    const octets = record();
    const replayed = replay(octets);
    assert.equal(replayed.difference, undefined);
    assert.equal(replayed.framesOut, 1);
    // Words of HOST_ADDRESS: kind, address of four words, result; the third is the own address.
    let seen = 0;
    const other = resealed(octets, (kind, body) => {
      if (kind !== KIND.hostAddress) return;
      seen += 1;
      if (seen === 3) body[4] = (body[4] ?? 0) ^ 1;
    });
    assert.equal(seen, 3);
    assert.equal(replay(other).difference?.expected?.kind, "frame");
  });
});

describe("replay: DHCP options that change", () => {
  test("they are recorded, and advertised again", () => {
    const sink = new MemorySink();
    const limit = Number.POSITIVE_INFINITY;
    const recorder = new Recorder(instantiateEngine(simulatedEngine()), {
      ...{ sink, build: BUILD, limit },
    });
    const engine = new HostEngine(recorder.module);
    engine.start(worldConfig({ ipv6: IPV6 }));
    const said = (now: number): number => {
      engine.step(now);
      const { txCount } = engine;
      if (txCount > 0) engine.txDone();
      return txCount;
    };
    assert.equal(said(1_000_000), 1);
    const search = ["new.test"];
    engine.setDhcpOptions(encodeDhcpOptions(dhcpOptionsOf({ search })), encodeDhcp6Options(search));
    assert.equal(said(5_000_000), 1);
    engine.setDhcpOptions(new Uint8Array(0), new Uint8Array(0));
    assert.equal(said(9_000_000), 2, "withdrawn, and told anew");
    recorder.close();
    const replayed = replay(sink.octets);
    assert.equal(replayed.difference, undefined);
    assert.equal(replayed.framesOut, 4);
  });
});

describe("replay: differences", () => {
  /** One record of a run is changed, and the check values made to agree. */
  const change = (
    run: RecordedRun,
    kind: number,
    which: number,
    word: number,
    mask: number,
  ): Uint8Array => {
    let seen = 0;
    return resealed(run.octets, (found, body) => {
      if (found !== kind) return;
      seen += 1;
      if (seen === which) body[word] = (body[word] ?? 0) ^ mask;
    });
  };
  const run = recordSeed(10);

  test("a changed frame shows at the frames that answer it", () => {
    // Words of GUEST_RX: time twice, count, place and length; then DHCPDISCOVER, in it the id.
    const place = 5 + (46 >> 2);
    const { difference } = replay(change(run, KIND.guestRx, 1, place, 0x01000000));
    assert.ok(difference !== undefined);
    assert.equal(difference.name, "tx_done");
    assert.equal(difference.expected?.kind, "frame");
    assert.equal(difference.actual, undefined, "the checksum is wrong: no answer");
  });

  test("a frame that was recorded otherwise is named, with both sides", () => {
    // Words of TX_DONE: count, then of each frame length, hash twice, and the head.
    const { difference } = replay(change(run, KIND.txDone, 2, 2, 1));
    assert.ok(difference !== undefined);
    assert.match(difference.what, /^frame 1 of \d+$/);
    assert.ok(difference.expected?.kind === "frame" && difference.actual?.kind === "frame");
    assert.equal(difference.expected.low, difference.actual.low ^ 1);
    assert.deepEqual(difference.expected.head, difference.actual.head);
    assert.ok(difference.time > 0 && difference.call > 2);
  });

  test("an operation that was recorded otherwise is named", () => {
    // Words of COMPLETE: time twice, count, then code, handle, A …
    const { difference } = replay(change(run, KIND.complete, 1, 4, 1));
    assert.match(difference?.what ?? "", /^operation 1 of/);
    assert.ok(
      difference?.expected?.kind === "operation" && difference.actual?.kind === "operation",
    );
    assert.equal(difference.expected.handle, difference.actual.handle ^ 1);
  });

  test("a deadline that was recorded otherwise is named", () => {
    const { difference } = replay(change(run, KIND.deadline, 3, 0, 1));
    assert.equal(difference?.what, "deadline");
    assert.equal(difference?.name, "next_deadline");
  });

  test("an event that is left out shows", () => {
    const { difference } = replay(change(run, KIND.event, 1, 2, 0xffff));
    assert.ok(difference !== undefined);
  });

  test("times that go back are refused", () => {
    const file = change(run, KIND.step, 5, 1, 0x00f00000);
    assert.throws(() => replay(file), /contradicts itself: time/);
  });
});
