/** Frames for the guest: one buffer or several, headers, offloads, and a guest without buffers. */
import assert from "node:assert/strict";
import { describe } from "node:test";
import { concat } from "../../../src/lib/bytes.ts";
import { systemTest } from "../../sys/support.ts";
import { testFrame } from "../suite.ts";
import { F, MODERN } from "./front-end.ts";
import { type Stage, withStage } from "./stage.ts";

const PLAIN = new Uint8Array(12);
const CSUM = Uint8Array.from([1, 0, 54, 0, 0, 0, 34, 0, 16, 0, 0, 0]);
const TSO4 = Uint8Array.from([1, 1, 54, 0, 0x78, 5, 34, 0, 16, 0, 0, 0]);
const TSO6 = Uint8Array.from([1, 4, 54, 0, 0x78, 5, 34, 0, 16, 0, 0, 0]);
const USO = Uint8Array.from([1, 5, 54, 0, 0x78, 5, 34, 0, 16, 0, 0, 0]);

/** The header as the guest gets it. */
function withBuffers(header: Uint8Array, count: number): Uint8Array {
  const copy = header.slice();
  copy[10] = count;
  return copy;
}

function started(stage: Stage, features: bigint): void {
  stage.front.start(features);
  stage.pump();
}

describe("vhost-user: frames for the guest", () => {
  systemTest("fill one buffer or several, and say how many", [], (sys) => {
    for (const isSealed of [true, false]) {
      withStage(
        sys,
        (stage) => {
          started(stage, MODERN);
          const frame = testFrame(1514, 1);
          stage.offer(2048, 1000, 500, 26);
          assert.equal(
            stage.transmit(
              [concat(PLAIN, frame)],
              [TSO4, frame.subarray(0, 14), frame.subarray(14)],
            ),
            2,
          );
          const [one, ...parts] = stage.got();
          assert.deepEqual(one, concat(withBuffers(PLAIN, 1), frame));
          assert.deepEqual(
            parts.map(({ length }) => length),
            [1000, 500, 26],
          );
          assert.deepEqual(concat(...parts), concat(withBuffers(TSO4, 3), frame));
          assert.equal(stage.link.refused, 0);
        },
        isSealed,
      );
    }
  });

  systemTest("leave alone what is behind them in a buffer", [], (sys) => {
    withStage(sys, (stage) => {
      started(stage, MODERN);
      const [at = 0] = stage.offer(200);
      assert.equal(stage.transmit([concat(PLAIN, testFrame(60, 1))]), 1);
      assert.deepEqual([...stage.front.ram.bytes.subarray(at + 72, at + 76)], [165, 165, 165, 165]);
    });
  });

  systemTest("have ten octets of header for a legacy guest", [], (sys) => {
    withStage(sys, (stage) => {
      started(stage, F.protocol);
      stage.offer(2048);
      const frame = testFrame(60, 1);
      assert.equal(stage.transmit([PLAIN, frame]), 1);
      assert.deepEqual(stage.got(), [concat(PLAIN.subarray(0, 10), frame)]);
    });
  });

  systemTest("wait for buffers, all or none of one, and for a kick", [], (sys) => {
    withStage(sys, (stage) => {
      started(stage, MODERN | F.eventIndex);
      const { driver, kick } = stage.front.queues[0];
      const [a, b] = [testFrame(60, 1), testFrame(1000, 2)];
      stage.offer(100, 512);
      assert.equal(stage.transmit([PLAIN, a], [PLAIN, b]), 1);
      assert.deepEqual(stage.got(), [concat(withBuffers(PLAIN, 1), a)]);
      assert.equal(driver.availableEvent, 2, "the next buffer is what matters");
      assert.equal(stage.link.transmit(stage.memory, 1, 2), 0);
      stage.offer(512);
      kick.signal();
      stage.pump();
      assert.equal(stage.link.transmit(stage.memory, 1, 2), 1);
      assert.deepEqual(concat(...stage.got()), concat(withBuffers(PLAIN, 2), b));
      assert.equal(stage.link.refused, 0);
    });
  });

  systemTest("that can never fit are skipped", [], (sys) => {
    withStage(sys, (stage) => {
      started(stage, F.version1 | F.protocol);
      stage.offer(100, 100);
      const small = testFrame(60, 1);
      // Without merging a buffer is for one frame; it stays for the next one.
      assert.equal(stage.transmit([PLAIN, testFrame(200, 2)], [PLAIN, small]), 2);
      assert.deepEqual(stage.got(), [concat(withBuffers(PLAIN, 1), small)]);
      assert.equal(stage.link.refused, 1);
    });
    withStage(sys, (stage) => {
      started(stage, MODERN);
      stage.offer(9, 9, 9, 9, 9, 9, 9, 9);
      assert.equal(stage.transmit([PLAIN, testFrame(60, 1)]), 1, "exactly all of them");
      assert.equal(stage.got().length, 8);
      stage.offer(9, 9, 9, 9, 9, 9, 9, 9);
      assert.equal(stage.transmit([PLAIN, testFrame(61, 1)]), 1);
      assert.equal(stage.link.refused, 1);
    });
  });

  systemTest("with an offload that was not agreed to are skipped", [], (sys) => {
    const frame = testFrame(60, 1);
    const taken = (features: bigint): number[] => {
      let found: number[] = [];
      withStage(sys, (stage) => {
        started(stage, F.version1 | F.protocol | features);
        found = [PLAIN, CSUM, TSO4, TSO6, USO].map((header) => {
          stage.offer(100);
          assert.equal(stage.transmit([header, frame]), 1);
          return stage.got().length;
        });
      });
      return found;
    };
    assert.deepEqual(taken(0n), [1, 0, 0, 0, 0]);
    assert.deepEqual(taken(F.guestCsum), [1, 1, 0, 0, 0]);
    assert.deepEqual(taken(F.guestCsum | F.guestTso4), [1, 1, 1, 0, 0]);
    assert.deepEqual(taken(F.guestCsum | F.guestTso6), [1, 1, 0, 1, 0]);
    assert.deepEqual(taken(F.guestCsum | (1n << 54n)), [1, 1, 0, 0, 1]);
    assert.deepEqual(taken(F.guestTso4), [1, 0, 0, 0, 0]);
  });

  systemTest("to a buffer outside its memory stop the queue", [], (sys) => {
    withStage(sys, (stage) => {
      started(stage, MODERN);
      const { driver } = stage.front.queues[0];
      driver.descriptor(0, { address: 2 ** 40, length: 72, flags: 2, next: 0 });
      driver.offer(0);
      assert.equal(stage.transmit([PLAIN, testFrame(60, 1)]), 1);
      assert.deepEqual(stage.news, ["connected", "broken: receive: a buffer outside guest memory"]);
      assert.equal(stage.link.refused, 1);
      assert.equal(stage.transmit([PLAIN, testFrame(60, 1)]), 1, "from then on they are dropped");
      assert.equal(stage.link.refused, 2);
    });
  });
});
