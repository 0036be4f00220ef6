/**
 * Record and replay of simulated runs: equal on every runtime, and whatever is changed, missing or
 * foreign is found and named.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { dhcpOptionsOf, encodeDhcpOptions } from "../../src/config/dhcp-options.ts";
import { encodeDhcp6Options } from "../../src/config/dhcp6-options.ts";
import { Engine } from "../../src/engine/engine.ts";
import { instantiateEngine } from "../../src/engine/module.ts";
import { mappedOctetsOf } from "../../src/lib/addr6.ts";
import { concat } from "../../src/lib/bytes.ts";
import { FILE_HEADER_SIZE, KIND, RecordingError } from "../../src/replay/format.ts";
import { RecordReader, recordingOf } from "../../src/replay/record-reader.ts";
import { Recorder } from "../../src/replay/recorder.ts";
import { replayRecording } from "../../src/replay/replayer.ts";
import { simulatedEngine, simulateSeed } from "../../src/sim/simulate.ts";
import * as abi from "../../wasm/abi.ts";
import {
  GATEWAY_MAC,
  GUEST,
  GUEST_MAC,
  IPV6,
  PEER,
  worldConfig,
} from "../support/engine-harness.ts";
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
  const engine = new Engine(recorder.module);
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
    const engine = new Engine(recorder.module);
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
    const engine = new Engine(recorder.module);
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
    assert.equal(difference.came, undefined, "the checksum is wrong: no answer");
  });

  test("a frame that was recorded otherwise is named, with both sides", () => {
    // Words of TX_DONE: count, then of each frame length, hash twice, and the head.
    const { difference } = replay(change(run, KIND.txDone, 2, 2, 1));
    assert.ok(difference !== undefined);
    assert.match(difference.what, /^frame 1 of \d+$/);
    assert.ok(difference.expected?.kind === "frame" && difference.came?.kind === "frame");
    assert.equal(difference.expected.low, difference.came.low ^ 1);
    assert.deepEqual(difference.expected.head, difference.came.head);
    assert.ok(difference.time > 0 && difference.call > 2);
  });

  test("an operation that was recorded otherwise is named", () => {
    // Words of COMPLETE: time twice, count, then code, handle, A …
    const { difference } = replay(change(run, KIND.complete, 1, 4, 1));
    assert.match(difference?.what ?? "", /^operation 1 of/);
    assert.ok(difference?.expected?.kind === "operation" && difference.came?.kind === "operation");
    assert.equal(difference.expected.handle, difference.came.handle ^ 1);
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

describe("replay: traps", () => {
  const trap = (): RangeError => new RangeError("unreachable");

  /** An engine that traps in its `last` step. */
  const record = (last: number): Uint8Array => {
    const sink = new MemorySink();
    const whole = instantiateEngine(simulatedEngine());
    let steps = 0;
    const step = (now: number): void => {
      steps += 1;
      if (steps === last) throw trap();
      whole.functions.step(now);
    };
    const module = { ...whole, functions: { ...whole.functions, step } };
    const recorder = new Recorder(module, { sink, build: BUILD, limit: 1 << 20 });
    const { functions } = recorder.module;
    functions.init();
    for (let now = 1; now < last; now += 1) functions.step(now);
    assert.throws(() => functions.step(last), /unreachable/);
    recorder.close();
    return sink.octets;
  };

  test("a trap that was recorded and does not come is a difference", () => {
    const { difference } = replay(record(5));
    assert.equal(difference?.what, "trap");
    assert.equal(difference?.call, 6);
  });

  test("a trap that comes again is equal", () => {
    const octets = record(5);
    const result = replayRecording(recordingOf(octets), () => {
      const whole = instantiateEngine(simulatedEngine());
      const step = (now: number): void => {
        if (now === 5) throw trap();
        whole.functions.step(now);
      };
      return { module: { ...whole, functions: { ...whole.functions, step } }, build: BUILD };
    });
    assert.equal(result.difference, undefined);
    assert.equal(result.ending, "trap");
  });

  test("a trap that was not recorded is a difference", () => {
    const sink = new MemorySink();
    const whole = instantiateEngine(simulatedEngine());
    const recorder = new Recorder(whole, { sink, build: BUILD, limit: 1 << 20 });
    recorder.module.functions.init();
    recorder.module.functions.step(7);
    recorder.close();
    const { difference } = replayRecording(recordingOf(sink.octets), () => {
      const other = instantiateEngine(simulatedEngine());
      const step = (): void => {
        throw trap();
      };
      return { module: { ...other, functions: { ...other.functions, step } }, build: BUILD };
    });
    assert.deepEqual(difference?.came, { kind: "value", text: "unreachable" });
  });
});

describe("replay: files that are not whole", () => {
  const { octets } = recordShort();

  /** A run of a few calls. */
  function recordShort(): { octets: Uint8Array } {
    const sink = new MemorySink();
    const module = instantiateEngine(simulatedEngine());
    const recorder = new Recorder(module, { sink, build: BUILD, limit: 1 << 20 });
    const { functions } = recorder.module;
    functions.init();
    functions.step(10);
    functions.next_deadline();
    functions.upstream_event(77, 1, 20);
    functions.step(20);
    recorder.close();
    return { octets: sink.octets };
  }

  /** Reads every record, without an engine. */
  const readAll = (file: Uint8Array): void => {
    const reader = new RecordReader(recordingOf(file));
    while (reader.next() !== KIND.end);
    reader.finish();
  };

  const problemOf = (file: Uint8Array, use: (file: Uint8Array) => unknown): RecordingError => {
    try {
      use(file);
    } catch (error) {
      assert.ok(error instanceof RecordingError, String(error));
      return error;
    }
    assert.fail("it was taken");
  };

  test("whole, it is equal", () => {
    assert.equal(replay(octets).difference, undefined);
    assert.equal(replay(octets).calls, 5);
  });

  test("cut short after any octet", () => {
    for (let length = 0; length < octets.length; length += 1) {
      const { message, offset } = problemOf(octets.subarray(0, length), readAll);
      if (length < 8) assert.match(message, /not a recording/);
      else assert.match(message, /cut short/);
      assert.ok(offset <= length, `${offset} of ${length}`);
    }
  });

  test("with any octet changed", () => {
    for (let at = 0; at < octets.length; at += 1) {
      const file = octets.slice();
      file[at] = (file[at] ?? 0) ^ 0x40;
      const { message } = problemOf(file, readAll);
      assert.match(message, /damaged|cut short|refuse|not a recording/, `octet ${at}`);
    }
  });

  test("with octets behind its end", () => {
    assert.match(
      problemOf(concat(octets, Uint8Array.of(0)), readAll).message,
      /octets follow the end/,
    );
  });

  test("of another version of the ABI, another layout or another format", () => {
    const changed = (at: number): Uint8Array => {
      const file = octets.slice();
      file[at] = (file[at] ?? 0) + 1;
      return file;
    };
    const abiVersion = `ABI version "${abi.ABI_VERSION + 1}": wanted "${abi.ABI_VERSION}"`;
    assert.match(problemOf(changed(12), replay).message, new RegExp(abiVersion));
    assert.match(problemOf(changed(8), replay).message, /recording of version "3": wanted "2"/);
    assert.match(problemOf(changed(16), replay).message, /another memory layout/);
  });

  test("with records that contradict themselves", () => {
    const first = (kind: number, change: (body: Int32Array) => void): Uint8Array =>
      resealed(octets, (found, body) => {
        if (found === kind) change(body);
      });
    const wrong = (file: Uint8Array, problem: RegExp): void => {
      assert.match(problemOf(file, replay).message, problem);
    };
    wrong(
      first(KIND.start, (body) => {
        body[0] = 1 << 30;
      }),
      /at most 4400 can be/,
    );
    wrong(
      first(KIND.end, (body) => {
        body[0] = 9;
      }),
      /an end without a reason/,
    );
    wrong(
      first(KIND.step, (body) => {
        body.fill(-1);
      }),
      /time NaN/,
    );
  });

  test("whose records change places", () => {
    const size = (at: number): number => new DataView(octets.buffer).getUint32(at, true) >>> 8;
    const one = FILE_HEADER_SIZE;
    const two = one + 8 + size(one);
    const three = two + 8 + size(two);
    const parts = [octets.subarray(0, one), octets.subarray(two, three), octets.subarray(one, two)];
    assert.match(
      problemOf(concat(...parts, octets.subarray(three)), replay).message,
      /damaged at octet 48/,
    );
  });
});
