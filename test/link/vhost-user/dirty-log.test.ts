/** The log of written pages: which bits are set, by what, and when. */
import assert from "node:assert/strict";
import { describe } from "node:test";
import { DirtyLog } from "../../../src/link/vhost-user/dirty-log.ts";
import { GuestMemory } from "../../../src/link/vhost-user/regions.ts";
import { Block } from "../../../src/sys/block.ts";
import { ForeignMemory } from "../../../src/sys/foreign-memory.ts";
import type { Libc } from "../../../src/sys/libc.ts";
import { systemTest } from "../../sys/support.ts";
import { GuestRam } from "./guest-ram.ts";

const SIZE = 0x4000;
const LOG_SIZE = 8;

function openLog(sys: Libc, ram: GuestRam): DirtyLog {
  const memory = ForeignMemory.map(sys, ram.fd, 0, LOG_SIZE);
  assert.ok(typeof memory !== "number");
  return new DirtyLog(sys, memory);
}

describe("dirty log", () => {
  systemTest("a bit for each page that a range touches, and others stay", [], (sys) => {
    using ram = new GuestRam(sys, true, 4096);
    const log = openLog(sys, ram);
    ram.bytes[0] = 0b1000_0000;
    log.mark(0x1000, 1);
    assert.equal(ram.bytes[0], 0b1000_0010);
    log.mark(0x2fff, 2);
    assert.equal(ram.bytes[0], 0b1000_1110);
    log.mark(0x8000, 0x2000);
    assert.equal(ram.bytes[1], 0b11);
    log.close();
  });

  systemTest("pages that it does not reach are left out", [], (sys) => {
    using ram = new GuestRam(sys, true, 4096);
    const log = openLog(sys, ram);
    log.mark(LOG_SIZE * 8 * 4096 - 1, 2);
    log.mark(2 ** 50, 1);
    assert.deepEqual([...ram.bytes.subarray(0, 10)], [0, 0, 0, 0, 0, 0, 0, 128, 0, 0]);
    log.close();
  });

  systemTest("guest memory marks what it writes, while that is asked for", [], (sys) => {
    using ram = new GuestRam(sys, true, SIZE);
    using bits = new GuestRam(sys, true, 4096);
    const memory = new GuestMemory(sys);
    memory.add({ ...ram.layout, guestAddress: 0x1000 }, ram.fd);
    memory.setLog(openLog(sys, bits));
    const own = new Block(sys, 8);
    memory.write(0x1000, 8, own.address);
    memory.mark(0x1000, 8);
    assert.equal(bits.bytes[0], 0);
    memory.setLogging(true);
    memory.read(0x3000, 8, own.address);
    memory.write(2 ** 40, 8, own.address);
    assert.equal(bits.bytes[0], 0);
    memory.write(0x1ffe, 4, own.address);
    assert.equal(bits.bytes[0], 0b110);
    memory.mark(0x4000, 1);
    assert.equal(bits.bytes[0], 0b10110);
    memory.close();
  });
});
