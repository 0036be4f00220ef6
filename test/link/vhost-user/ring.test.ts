/**
 * A split ring against a driver in the test's hands: chains of every shape, the round of indexes,
 * calls and kicks with and without event indexes. In memory that cannot shrink, and in memory that
 * can.
 */
import assert from "node:assert/strict";
import { describe } from "node:test";
import { DirtyLog } from "../../../src/link/vhost-user/dirty-log.ts";
import { ForeignMemory } from "../../../src/sys/foreign-memory.ts";
import { systemTest } from "../../sys/support.ts";
import { GuestRam } from "./guest-ram.ts";
import { partsOf, withRing } from "./ring-stage.ts";

for (const isSealed of [true, false]) {
  describe(`split ring in memory that can${isSealed ? "not" : ""} shrink`, () => {
    systemTest(
      "gives chains in order, of one buffer, several, and an indirect table",
      [],
      (sys) => {
        withRing(sys, { isSealed }, (stage) => {
          const { driver, ring, parts } = stage;
          assert.equal(ring.take(parts), -1);
          driver.add([{ at: 0x10000, size: 100 }]);
          driver.add([
            { at: 0x20000, size: 10 },
            { at: 0x30000, size: 0 },
            { at: 0x40000, size: 1500 },
          ]);
          driver.addIndirect([
            { at: 0x50000, size: 12 },
            { at: 0x60000, size: 60 },
          ]);
          assert.equal(ring.count, 3);
          assert.equal(ring.take(parts), 0);
          assert.deepEqual(partsOf(stage), [[0x10000, 100]]);
          parts.clear();
          assert.equal(ring.take(parts), 1);
          assert.deepEqual(partsOf(stage), [
            [0x20000, 10],
            [0x40000, 1500],
          ]);
          parts.clear();
          assert.equal(ring.take(parts), 4);
          assert.deepEqual(partsOf(stage), [
            [0x50000, 12],
            [0x60000, 60],
          ]);
          assert.equal(parts.octets, 72);
          assert.equal(ring.take(parts), -1);
          assert.equal(ring.problem, "");
        });
      },
    );

    systemTest("shows what is given back only when it is published", [], (sys) => {
      withRing(sys, { isSealed }, ({ driver, ring, parts }) => {
        driver.add([{ at: 0x10000, size: 100 }]);
        driver.add([{ at: 0x20000, size: 100 }]);
        const [a, b] = [ring.take(parts), ring.take(parts)];
        ring.push(a, 7);
        ring.push(b, 9);
        assert.deepEqual(driver.used(), []);
        ring.publish();
        assert.deepEqual(driver.used(), [
          [0, 7],
          [1, 9],
        ]);
      });
    });

    systemTest("what is untaken is taken again", [], (sys) => {
      withRing(sys, { isSealed }, ({ driver, ring, parts }) => {
        for (const at of [0x10000, 0x20000, 0x30000]) driver.add([{ at, size: 1 }]);
        assert.deepEqual([ring.take(parts), ring.take(parts), ring.take(parts)], [0, 1, 2]);
        ring.untake(2);
        assert.deepEqual([ring.next, ring.count, ring.take(parts)], [1, 2, 1]);
      });
    });

    systemTest("what was taken is given back unread if its reader is gone", [], (sys) => {
      withRing(sys, { isSealed }, ({ driver, ring, parts }) => {
        for (let i = 0; i < 4; i += 1) driver.add([{ at: 0x10000 * (i + 1), size: 100 }]);
        ring.push(ring.take(parts), 0);
        const heads = [ring.take(parts), ring.take(parts)];
        assert.equal(ring.release(), 2);
        ring.publish();
        assert.deepEqual(
          driver.used().slice(1),
          heads.map((head) => [head, 0]),
        );
        assert.equal(ring.release(), 0, "each once");
        parts.clear();
        assert.equal(ring.take(parts), 3, "the next one is another one");
      });
    });

    systemTest("buffers to write to are available again then", [], (sys) => {
      withRing(sys, { isSealed, isWritable: true }, ({ driver, ring, parts }) => {
        for (let i = 0; i < 3; i += 1) driver.add([{ at: 0x10000 * (i + 1), size: 100 }]);
        ring.push(ring.take(parts), 10);
        ring.take(parts);
        ring.take(parts);
        assert.equal(ring.release(), 0);
        assert.equal(ring.take(parts), 1);
        ring.untake(1);
        assert.equal(ring.release(), 0);
        assert.equal(ring.take(parts), 1, "what was untaken does not count twice");
      });
    });

    systemTest("indexes go round at 65536", [], (sys) => {
      withRing(
        sys,
        { isSealed, base: 65533 },
        ({ driver, ring, parts }) => {
          for (let i = 0; i < 20; i += 1) {
            const head = driver.add([{ at: 0x10000, size: 5 }]);
            parts.clear();
            assert.equal(ring.take(parts), head);
            ring.push(head, i);
            ring.publish();
            assert.deepEqual(driver.used(), [[head, i]]);
          }
          assert.equal(ring.next, 17);
        },
        (driver) => driver.startAt(65533),
      );
    });

    systemTest("calls once for the entry that the driver waits for", [], (sys) => {
      withRing(sys, { isSealed }, ({ driver, ring, parts }) => {
        const turn = (): boolean => {
          driver.add([{ at: 0x10000, size: 5 }]);
          parts.clear();
          ring.push(ring.take(parts), 0);
          return ring.publish();
        };
        driver.usedEvent = 3;
        assert.equal(turn(), true, "at first a call may have been missed");
        assert.deepEqual([turn(), turn(), turn(), turn()], [false, false, true, false]);
        driver.usedEvent = 5;
        assert.deepEqual([turn(), turn()], [true, false]);
      });
    });

    systemTest("without event indexes the flag says whether it calls", [], (sys) => {
      withRing(sys, { isSealed, hasEventIndex: false }, ({ driver, ring, parts }) => {
        for (const [flags, expected] of [
          [0, true],
          [1, false],
          [0, true],
        ] as const) {
          driver.availableFlags = flags;
          driver.add([{ at: 0x10000, size: 5 }]);
          ring.push(ring.take(parts), 0);
          assert.equal(ring.publish(), expected);
        }
      });
    });

    systemTest(
      "asks for kicks by the entry after those it has seen, and looks again",
      [],
      (sys) => {
        withRing(sys, { isSealed }, ({ driver, ring, parts }) => {
          assert.equal(driver.availableEvent, 0);
          driver.add([{ at: 0x10000, size: 5 }]);
          assert.equal(ring.listen(), true, "one has come meanwhile");
          assert.equal(ring.listen(), false);
          assert.equal(driver.availableEvent, 1, "it is the next one that matters, not those seen");
          ring.take(parts);
          ring.ignore();
          assert.equal(driver.availableEvent, 1);
        });
      },
    );

    systemTest("without event indexes by the flag", [], (sys) => {
      withRing(sys, { isSealed, hasEventIndex: false }, ({ driver, ring }) => {
        assert.equal(driver.usedFlags, 0);
        ring.ignore();
        assert.equal(driver.usedFlags, 1);
        assert.equal(ring.listen(), false);
        assert.equal(driver.usedFlags, 0);
      });
    });
  });
}

describe("split ring: what is written is logged", () => {
  systemTest("the used ring's page, where that is asked for", [], (sys) => {
    const logged = (log: number): number[] => {
      using memory = new GuestRam(sys, true, 4096);
      let pages: number[] = [];
      withRing(sys, { log }, ({ driver, ring, parts, guest }) => {
        const there = ForeignMemory.map(sys, memory.fd, 0, 4096);
        assert.ok(typeof there !== "number");
        guest.setLog(new DirtyLog(sys, there));
        guest.setLogging(true);
        driver.add([{ at: 0x10000, size: 1 }]);
        ring.push(ring.take(parts), 1);
        ring.publish();
        pages = [...memory.bytes.entries()].filter(([, bits]) => bits !== 0).map(([at]) => at);
      });
      return pages;
    };
    assert.deepEqual(logged(-1), []);
    assert.deepEqual(logged(0x9000), [1]);
  });
});

describe("split ring: parts", () => {
  systemTest("an address has 64 bits", [], (sys) => {
    withRing(sys, {}, ({ driver, ring, parts }) => {
      driver.descriptor(0, { address: 0x1234_5678_9abc, length: 0xffff_ffff, flags: 0, next: 0 });
      driver.offer(0);
      assert.equal(ring.take(parts), 0);
      assert.equal(parts.addresses[0], 0x1234_5678_9abc);
      assert.equal(parts.lengths[0], 0xffff_ffff);
    });
  });
});
