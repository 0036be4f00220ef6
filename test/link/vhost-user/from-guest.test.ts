/** Frames of the guest, whichever way they are cut, with the header that was agreed on. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { GuestRing } from "../../../src/lab/sim/card/guest-ring.ts";
import { SimMachine } from "../../../src/lab/sim/card/machine.ts";
import { Random } from "../../../src/lab/sim/random.ts";
import { concat } from "../../../src/lib/bytes.ts";
import type { LinkLoans } from "../../../src/link/link.ts";
import { negotiated } from "../../../src/link/vhost-user/features.ts";
import { FromGuest } from "../../../src/link/vhost-user/from-guest.ts";
import { Queue } from "../../../src/link/vhost-user/queue.ts";
import { GuestMemory } from "../../../src/link/vhost-user/regions.ts";
import type { Libc } from "../../../src/sys/libc.ts";
import {
  LENT_SHIFT,
  RX_DESCRIPTOR_LENGTH_OFFSET,
  RX_DESCRIPTOR_SIZE,
  RX_SLOT_SIZE,
} from "../../../wasm/abi.ts";
import { ethernet, ipv4, PROTOCOL_TCP, pattern, tcp } from "../../support/packet.ts";
import { systemTest } from "../../sys/support.ts";
import { testFrame } from "../suite.ts";
import { TestMemory } from "../test-memory.ts";
import { F, MODERN } from "./front-end.ts";
import { type Stage, withStage } from "./stage.ts";

/** A ring of any size, on a machine of the simulator's. */
function simulated(size: number) {
  const machine = new SimMachine();
  const guest = new GuestMemory(machine);
  const kind = { isWritable: false, hasEventIndex: false, isSealed: true };
  const ring = new GuestRing({ size, start: 0 }, new Random(1), kind, assert.fail);
  const { descriptors, available, used } = ring.files;
  [descriptors, available, used].forEach((file, i) => {
    const at = (i + 1) * 2 ** 20;
    const layout = { guestAddress: at, userAddress: at, size: file.bytes.length, offset: 0 };
    assert.equal(guest.add(layout, machine.openFile(file)), 0);
  });
  const queue = new Queue(machine, guest, false);
  queue.setSize(size);
  const places = { descriptors: 2 ** 20, available: 2 * 2 ** 20, used: 3 * 2 ** 20 };
  queue.setPlaces({ ...places, index: 1, isLogged: false, log: 0 });
  queue.setFd(
    "kick",
    machine.openEvent(() => {}),
  );
  assert.equal(queue.update({ ...negotiated(0n), hasProtocolFeatures: false }), "");
  const memory = new TestMemory((buffer) => machine.address(buffer));
  return { fromGuest: new FromGuest(guest), queue, ring, memory };
}

const HEADER = Uint8Array.from([1, 4, 54, 0, 0x78, 5, 34, 0, 16, 0, 0, 0]);

describe("vhost-user: frames of the guest", () => {
  systemTest("come whole, however they are cut, and their buffers go back", [], (sys) => {
    for (const isSealed of [true, false]) {
      withStage(
        sys,
        (stage) => {
          stage.front.start(MODERN | F.indirect);
          stage.pump();
          const frame = testFrame(1514, 3);
          const whole = concat(HEADER, frame);
          for (const sizes of [[1526], [12, 1514], [5, 7, 14, 1500], [1, 1525]]) {
            stage.send(whole, sizes);
            assert.deepEqual(stage.receive(), [whole]);
            assert.equal(stage.front.queues[1].driver.used().length, 1);
          }
          stage.send(whole, [12, 14, 1500], true);
          assert.deepEqual(stage.receive(), [whole]);
          assert.equal(stage.link.refused, 0);
        },
        isSealed,
      );
    }
  });

  systemTest("with a header of ten octets are moved behind one of twelve", [], (sys) => {
    withStage(sys, (stage) => {
      stage.front.start(F.protocol);
      stage.pump();
      const frame = testFrame(60, 1);
      for (const sizes of [[70], [10, 60], [3, 67]]) {
        stage.send(concat(HEADER.subarray(0, 10), frame), sizes);
        const [got] = stage.receive();
        assert.deepEqual(got?.subarray(0, 10), HEADER.subarray(0, 10));
        assert.deepEqual(got?.subarray(12), frame);
      }
    });
  });

  systemTest("that no engine would have are skipped, counted and given back", [], (sys) => {
    withStage(sys, (stage) => {
      stage.front.start();
      stage.pump();
      const good = concat(HEADER, testFrame(14, 1));
      stage.send(good.subarray(0, 25));
      stage.send(good);
      const most = concat(HEADER, testFrame(RX_SLOT_SIZE - 12, 2));
      stage.send(most);
      assert.deepEqual(stage.receive(), [good, most]);
      stage.send(concat(most, Uint8Array.of(0)));
      assert.deepEqual(stage.receive(), []);
      assert.equal(stage.link.refused, 2);
      assert.equal(stage.front.queues[1].driver.used().length, 4);
    });
  });

  test("that are bad, a thousand at once, break the queue", () => {
    const { fromGuest, queue, ring, memory } = simulated(2048);
    for (let i = 0; i < 1023; i += 1) ring.fill([{ address: 0, length: 25 }]);
    ring.publish();
    assert.equal(fromGuest.receive(queue, 12, memory, 32), 0);
    assert.equal(fromGuest.skipped, 1023);
    assert.equal(queue.takeProblem(), "");
    assert.equal(ring.unseenCount, 1023, "given back");
    for (let i = 0; i < 1024; i += 1) ring.fill([{ address: 0, length: 25 }]);
    ring.publish();
    assert.equal(fromGuest.receive(queue, 12, memory, 32), 0);
    assert.match(queue.takeProblem(), /^1024 frames at once that are too short or too long$/);
  });

  systemTest("fill a ring smaller than a batch: the next kick is asked for", [], (sys) => {
    for (const features of [MODERN, MODERN | F.eventIndex]) {
      withStage(sys, (stage) => {
        stage.front.start(features);
        stage.pump();
        const { driver } = stage.front.queues[1];
        for (let i = 0; i < driver.size; i += 1) stage.send(concat(HEADER, testFrame(60, i)));
        assert.equal(stage.receive().length, driver.size);
        assert.equal(driver.usedFlags, 0, "a kick is not unwanted");
        const hasEventIndex = features !== MODERN;
        if (hasEventIndex) assert.equal(driver.availableEvent, driver.size);
      });
    }
  });

  systemTest("outside its memory stop the queue, which is told and marked once", [], (sys) => {
    withStage(sys, (stage) => {
      stage.front.start();
      stage.pump();
      const { driver, err } = stage.front.queues[1];
      stage.send(concat(HEADER, testFrame(60, 1)));
      driver.descriptor(1, { address: 2 ** 40, length: 72, flags: 0, next: 0 });
      driver.offer(1);
      assert.equal(stage.receive().length, 1);
      assert.deepEqual(stage.receive(), []);
      assert.deepEqual(stage.news, [
        "connected",
        "broken: transmit: a buffer outside guest memory",
      ]);
      assert.equal(stage.link.peers.brokenQueues, 1);
      assert.equal(err.drain(), 1);
    });
  });

  systemTest("are taken a batch at a time; while they are, no kick is asked for", [], (sys) => {
    withStage(sys, (stage) => {
      stage.front.start();
      stage.pump();
      const { driver, call } = stage.front.queues[1];
      for (let i = 0; i < 5; i += 1) stage.send(concat(HEADER, testFrame(60, i)));
      call.drain();
      assert.equal(stage.receive(3).length, 3);
      assert.equal(driver.usedFlags, 1);
      assert.equal(call.drain(), 1, "one call for all three");
      assert.equal(stage.receive(0).length, 0);
      assert.equal(stage.receive(3).length, 2);
      assert.equal(driver.usedFlags, 0, "it was found empty");
      assert.equal(call.drain(), 1);
      assert.equal(stage.receive(3).length, 0);
      assert.equal(call.drain(), 0);
    });
  });
});

/** A segment of 5000 octets of payload, its checksum vouched for. */
function largeSegment(mark: number): Uint8Array {
  const ends = { source: "10.0.2.15", destination: "198.51.100.80" };
  const fields = { sourcePort: 40000, destinationPort: 80, flags: "A", seq: mark, ack: 1 };
  const packet = ipv4({ ...ends, protocol: PROTOCOL_TCP }, tcp({ ...ends, ...fields }, BODY));
  const mac = { destination: "52:55:0a:00:02:02", source: "52:54:00:12:34:56" };
  return concat(Uint8Array.of(2, ...new Uint8Array(11)), ethernet(mac, packet));
}

const BODY = pattern(5000, 11);
const PAYLOAD_AT = 12 + 14 + 20 + 20;

/** Notes what is lent, and copies it at once. */
class Loans implements LinkLoans {
  hasFaulted = false;
  readonly read = () => 0;
  room = 100;
  readonly frames = new Map<number, { from: number; pieces: Uint8Array[] }>();
  readonly #sys: Libc;

  constructor(sys: Libc) {
    this.#sys = sys;
  }

  begin(i: number, from: number): void {
    this.frames.set(i, { from, pieces: [] });
  }

  add(i: number, address: number, length: number): boolean {
    if (this.room === 0) return false;
    this.room -= 1;
    const piece = new Uint8Array(this.#sys.view(address, Math.max(length, 1))).slice(0, length);
    this.frames.get(i)?.pieces.push(piece);
    return true;
  }

  cancel(i: number): void {
    this.frames.delete(i);
  }

  clear(): void {
    this.frames.clear();
  }

  /** Of frame `i`, with what is in its slot before it. */
  whole(stage: Stage, i: number): Uint8Array | undefined {
    const { from = 0, pieces } = this.frames.get(i) ?? {};
    const slot = stage.memory.frame(i).subarray(0, from);
    return pieces === undefined ? undefined : concat(slot, ...pieces);
  }
}

/** Runs a test on a stage whose link may lend. */
function withLoans(
  sys: Libc,
  run: (stage: Stage, loans: Loans) => void,
  features = MODERN | F.indirect,
  isSealed = true,
): void {
  withStage(
    sys,
    (stage) => {
      const loans = new Loans(sys);
      stage.memory.loans = loans;
      stage.front.start(features);
      stage.pump();
      run(stage, loans);
    },
    isSealed,
  );
}

describe("vhost-user: batches", () => {
  systemTest("are of 64 frames, and of 32 while frames are large", [], (sys) => {
    withStage(sys, (stage) => {
      stage.front.start();
      stage.pump();
      const batchAfter = (size: number): number | undefined => {
        for (let i = 0; i < 3; i += 1) stage.send(concat(HEADER, testFrame(size, i)));
        assert.equal(stage.receive().length, 3);
        return stage.link.batchFrames;
      };
      assert.equal(stage.link.batchFrames, 64);
      assert.equal(batchAfter(1514), 64);
      assert.equal(batchAfter(60_000), 32);
      assert.equal(batchAfter(43_600), 64);
    });
  });
});

describe("vhost-user: frames whose payload stays where it is", () => {
  systemTest(
    "have their headers copied, and their pieces told, however they are cut",
    [],
    (sys) => {
      withLoans(sys, (stage, loans) => {
        const segment = largeSegment(5);
        for (const sizes of [[5066], [12, 5054], [66, 5000], [40, 30, 1000, 3996]]) {
          stage.send(segment, sizes);
          assert.equal(stage.receive().length, 1);
          assert.deepEqual(loans.whole(stage, 0), segment);
          assert.equal(loans.frames.get(0)?.from, PAYLOAD_AT);
          assert.equal(rxLent(stage, 0), PAYLOAD_AT);
          stage.link.release?.(stage.memory);
          assert.equal(stage.front.queues[1].driver.used().length, 1);
        }
      });
    },
  );

  systemTest("with a header of ten octets, too", [], (sys) => {
    withLoans(
      sys,
      (stage, loans) => {
        const segment = largeSegment(5);
        const short = concat(segment.subarray(0, 10), segment.subarray(12));
        stage.send(short, [10, 5054]);
        assert.equal(stage.receive().length, 1);
        const whole = loans.whole(stage, 0);
        assert.deepEqual(whole?.subarray(12), segment.subarray(12));
        assert.deepEqual(whole?.subarray(0, 10), segment.subarray(0, 10));
      },
      F.protocol,
    );
  });

  systemTest("keep their buffers, and those behind them, until they are released", [], (sys) => {
    withLoans(sys, (stage) => {
      const { driver, call } = stage.front.queues[1];
      const small = concat(HEADER, testFrame(60, 1));
      stage.send(small);
      stage.send(largeSegment(1));
      stage.send(small);
      call.drain();
      assert.equal(stage.receive().length, 3);
      assert.deepEqual(
        driver.used().map(([head]) => head),
        [0],
      );
      stage.link.release?.(stage.memory);
      assert.deepEqual(
        driver.used().map(([head]) => head),
        [1, 2],
      );
      assert.ok(call.drain() > 0);
      stage.link.release?.(stage.memory);
      assert.equal(call.drain(), 0);
    });
  });

  systemTest("go back unread if the engine they were lent to has failed", [], (sys) => {
    withLoans(sys, (stage) => {
      const { driver } = stage.front.queues[1];
      stage.send(largeSegment(1));
      assert.equal(stage.receive().length, 1);
      stage.handOver();
      assert.deepEqual(driver.used(), [[0, 0]]);
      stage.pump();
      stage.send(concat(HEADER, testFrame(60, 1)));
      assert.equal(stage.receive().length, 1);
    });
  });

  systemTest("are copied where they may not be lent", [], (sys) => {
    const segment = largeSegment(5);
    const isCopied = (stage: Stage, loans: Loans): void => {
      stage.send(segment, [1000, 4066]);
      assert.deepEqual(stage.receive(), [segment]);
      assert.equal(loans.frames.size, 0);
      assert.equal(stage.front.queues[1].driver.used().length, 1);
    };
    withLoans(sys, isCopied, MODERN, false); // memory that can shrink
    withLoans(sys, (stage, loans) => {
      loans.room = 1; // fewer pieces than there are
      isCopied(stage, loans);
    });
    withLoans(sys, (stage, loans) => {
      const bare = Uint8Array.from(segment);
      bare[0] = 0; // nobody vouches for the checksum
      stage.send(bare);
      assert.deepEqual(stage.receive(), [bare]);
      assert.equal(loans.frames.size, 0);
    });
  });

  systemTest("outside guest memory break the queue", [], (sys) => {
    withLoans(sys, (stage, loans) => {
      stage.send(largeSegment(5), [100, 4966]);
      const { driver } = stage.front.queues[1];
      driver.descriptor(1, { address: 2 ** 40, length: 4966, flags: 0, next: 0 });
      assert.deepEqual(stage.receive(), []);
      assert.equal(loans.frames.size, 0);
      assert.equal(stage.link.peers.brokenQueues, 1);
    });
  });

  systemTest("whose memory a system call did not find break the queue", [], (sys) => {
    withLoans(sys, (stage, loans) => {
      stage.send(largeSegment(5));
      assert.equal(stage.receive().length, 1);
      loans.hasFaulted = true;
      stage.link.release?.(stage.memory);
      assert.deepEqual(stage.news, [
        "connected",
        "broken: transmit: a buffer whose memory is gone",
      ]);
    });
  });

  systemTest("are given back before anything else happens to the link", [], (sys) => {
    withLoans(sys, (stage) => {
      stage.send(largeSegment(5));
      assert.equal(stage.receive().length, 1);
      assert.throws(() => stage.link.event(0, 0), /nothing is lent between turns/);
      assert.throws(() => stage.receive(), /what was lent has been given back/);
    });
  });
});

/** What the descriptor of frame `i` says is in its slot. */
function rxLent({ memory }: Stage, i: number): number {
  const word = memory.rxDescriptors + i * RX_DESCRIPTOR_SIZE + RX_DESCRIPTOR_LENGTH_OFFSET;
  return (memory.u32[word >> 2] ?? 0) >>> LENT_SHIFT;
}
