/** Frames of the guest, whichever way they are cut, with the header that was agreed on. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { GuestRing } from "../../../src/lab/sim/card/guest-ring.ts";
import { SimMachine } from "../../../src/lab/sim/card/machine.ts";
import { Random } from "../../../src/lab/sim/random.ts";
import { concat } from "../../../src/lib/bytes.ts";
import { negotiated } from "../../../src/link/vhost-user/features.ts";
import { FromGuest } from "../../../src/link/vhost-user/from-guest.ts";
import { Queue } from "../../../src/link/vhost-user/queue.ts";
import { GuestMemory } from "../../../src/link/vhost-user/regions.ts";
import { RX_SLOT_SIZE } from "../../../wasm/abi.ts";
import { systemTest } from "../../sys/support.ts";
import { testFrame } from "../suite.ts";
import { TestMemory } from "../test-memory.ts";
import { F, MODERN } from "./front-end.ts";
import { withStage } from "./stage.ts";

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
