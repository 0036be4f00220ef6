/** Drivers that break the rules of a split ring, each in its own way. */
import assert from "node:assert/strict";
import { describe } from "node:test";
import { PARTS_MAX } from "../../../src/link/vhost-user/ring.ts";
import { systemTest } from "../../sys/support.ts";
import type { Driver } from "./driver.ts";
import { withRing } from "./ring-stage.ts";

/** Each breaks the rules in its own way; what is then told. */
const BROKEN: readonly [name: string, problem: RegExp, act: (driver: Driver) => void][] = [
  [
    "more available than there are",
    /9 entries available in a ring of 8/,
    (driver) => {
      driver.availableIndex = 9;
    },
  ],
  [
    "an index that goes back",
    /65535 entries available/,
    (driver) => {
      driver.availableIndex = 65535;
    },
  ],
  ["a head beyond the ring", /descriptor 8 in a ring of 8/, (driver) => driver.offer(8)],
  [
    "a next beyond the ring",
    /descriptor 200 in a ring of 8/,
    (driver) => {
      driver.descriptor(0, { address: 0, length: 1, flags: 1, next: 200 });
      driver.offer(0);
    },
  ],
  [
    "a loop",
    /a chain of more than 8 descriptors/,
    (driver) => {
      driver.descriptor(0, { address: 0, length: 1, flags: 1, next: 0 });
      driver.offer(0);
    },
  ],
  [
    "a buffer of the wrong direction",
    /a buffer to write/,
    (driver) => {
      driver.descriptor(0, { address: 0, length: 1, flags: 2, next: 0 });
      driver.offer(0);
    },
  ],
  [
    "a table with a next",
    /an indirect table that is not allowed there/,
    (driver) => {
      driver.descriptor(0, { address: driver.tableAddress, length: 16, flags: 5, next: 1 });
      driver.offer(0);
    },
  ],
  [
    "an empty table",
    /an indirect table of 0 octets/,
    (driver) => {
      driver.descriptor(0, { address: driver.tableAddress, length: 0, flags: 4, next: 0 });
      driver.offer(0);
    },
  ],
  [
    "a table of odd length",
    /an indirect table of 24 octets/,
    (driver) => {
      driver.descriptor(0, { address: driver.tableAddress, length: 24, flags: 4, next: 0 });
      driver.offer(0);
    },
  ],
  [
    "a table that is too large",
    /an indirect table of 16400 octets/,
    (driver) => {
      const length = (PARTS_MAX + 1) * 16;
      driver.descriptor(0, { address: driver.tableAddress, length, flags: 4, next: 0 });
      driver.offer(0);
    },
  ],
  [
    "a table that is nowhere",
    /an indirect table outside guest memory/,
    (driver) => {
      driver.descriptor(0, { address: 2 ** 60, length: 16, flags: 4, next: 0 });
      driver.offer(0);
    },
  ],
  [
    "a table in a table",
    /an indirect table in another one/,
    (driver) => {
      driver.descriptor(0, { address: driver.tableAddress, length: 16, flags: 4, next: 0 });
      driver.tableEntry(0, { address: 0, length: 16, flags: 4, next: 0 });
      driver.offer(0);
    },
  ],
  [
    "a next beyond the table",
    /descriptor 2 in an indirect table of 2/,
    (driver) => {
      driver.descriptor(0, { address: driver.tableAddress, length: 32, flags: 4, next: 0 });
      driver.tableEntry(0, { address: 0, length: 16, flags: 1, next: 2 });
      driver.offer(0);
    },
  ],
  [
    "a loop in a table",
    /more than 2 descriptors in an indirect table/,
    (driver) => {
      driver.descriptor(0, { address: driver.tableAddress, length: 32, flags: 4, next: 0 });
      driver.tableEntry(0, { address: 0, length: 16, flags: 1, next: 0 });
      driver.offer(0);
    },
  ],
];

describe("split ring: drivers that break the rules", () => {
  for (const [name, problem, act] of BROKEN) {
    systemTest(`${name}: it is broken for good`, [], (sys) => {
      withRing(sys, {}, ({ driver, ring, parts }) => {
        act(driver);
        assert.equal(ring.take(parts), -1);
        assert.match(ring.problem, problem);
        driver.startAt(0);
        driver.add([{ at: 0x10000, size: 1 }]);
        assert.equal(ring.take(parts), -1);
        assert.equal(ring.count, 0);
        assert.match(ring.problem, problem);
      });
    });
  }

  systemTest("a table where none was agreed to", [], (sys) => {
    withRing(sys, { hasIndirect: false }, ({ driver, ring, parts }) => {
      driver.addIndirect([{ at: 0x10000, size: 1 }]);
      assert.equal(ring.take(parts), -1);
      assert.match(ring.problem, /not allowed there/);
    });
  });

  systemTest("a buffer to read where frames are to go", [], (sys) => {
    withRing(sys, { isWritable: true }, ({ driver, ring, parts }) => {
      driver.descriptor(0, { address: 0, length: 1, flags: 0, next: 0 });
      driver.offer(0);
      assert.equal(ring.take(parts), -1);
      assert.match(ring.problem, /a buffer to read/);
    });
  });

  systemTest("memory that is taken away", [], (sys) => {
    withRing(sys, { isSealed: false }, ({ driver, ring, parts, ram }) => {
      driver.add([{ at: 0x10000, size: 1 }]);
      ram.shrink();
      assert.equal(ring.take(parts), -1);
      assert.equal(ring.problem, "its memory is gone");
      ring.push(0, 0);
      assert.equal(ring.publish(), false);
    });
  });

  systemTest("more parts than a frame may have", [], (sys) => {
    withRing(sys, {}, ({ driver, ring, parts }) => {
      while (parts.add(0, 1));
      assert.equal(parts.count, PARTS_MAX);
      driver.add([{ at: 0x10000, size: 1 }]);
      assert.equal(ring.take(parts), -1);
      assert.match(ring.problem, /a frame of more than 1024 buffers/);
    });
  });
});
