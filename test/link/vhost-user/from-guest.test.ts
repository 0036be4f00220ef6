/** Frames of the guest, whichever way they are cut, with the header that was agreed on. */
import assert from "node:assert/strict";
import { describe } from "node:test";
import { concat } from "../../../src/lib/bytes.ts";
import type { Libc } from "../../../src/sys/libc.ts";
import { RX_SLOT_SIZE } from "../../../wasm/abi.ts";
import { systemTest } from "../../sys/support.ts";
import { testFrame } from "../suite.ts";
import { RING_SIZE } from "./driver.ts";
import { F, MODERN } from "./front-end.ts";
import { withStage } from "./stage.ts";

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

  systemTest("that fill the ring are taken, and a kick is asked for at the next one", [], (sys) => {
    withStage(sys, (stage) => {
      stage.front.start();
      stage.pump();
      const { driver } = stage.front.queues[1];
      const good = concat(HEADER, testFrame(60, 1));
      for (const [octets, count] of [
        [good, RING_SIZE],
        [good.subarray(0, 25), 0],
      ] as const) {
        for (let i = 0; i < RING_SIZE; i += 1) stage.send(octets);
        assert.equal(stage.receive().length, count);
        assert.equal(driver.usedFlags, 0, "nobody would look at the ring again");
        assert.equal(driver.used().length, RING_SIZE);
      }
      assert.deepEqual(stage.news, ["connected"]);
    });
  });

  systemTest("that come without end while they are taken stop the queue", [], (sys) => {
    let more = (): void => {};
    const memcpy: Libc["memcpy"] = (...args) => {
      more();
      return sys.memcpy(...args);
    };
    withStage({ ...sys, memcpy }, (stage) => {
      stage.front.start();
      stage.pump();
      const { driver } = stage.front.queues[1];
      const head = stage.send(concat(HEADER, testFrame(60, 1)));
      more = () => driver.offer(head);
      assert.equal(stage.receive().length, RING_SIZE);
      assert.deepEqual(stage.news, [
        "connected",
        "broken: transmit: more chains made available than it has entries",
      ]);
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
