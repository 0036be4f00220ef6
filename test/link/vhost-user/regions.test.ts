/** Guest memory: regions that come and go, addresses of three kinds, ranges across borders. */
import assert from "node:assert/strict";
import { describe } from "node:test";
import { GuestMemory, REGION_COUNT_MAX } from "../../../src/link/vhost-user/regions.ts";
import { Block } from "../../../src/sys/block.ts";
import { EEXIST, EINVAL, ENOENT, ENOSPC } from "../../../src/sys/errno.ts";
import { systemTest } from "../../sys/support.ts";
import { GUEST_BASE, GuestRam, USER_BASE } from "./guest-ram.ts";

const SIZE = 0x4000;

describe("guest memory", () => {
  systemTest(
    "reads and writes by the guest's addresses, up to a region's last octet",
    [],
    (sys) => {
      for (const isSealed of [true, false]) {
        using ram = new GuestRam(sys, isSealed, SIZE);
        const memory = new GuestMemory(sys);
        const own = new Block(sys, 16);
        assert.equal(memory.read(ram.guest(0), 1, own.address), false);
        assert.equal(memory.add(ram.layout, ram.fd), 0);
        assert.equal(memory.canShrink, !isSealed);
        ram.bytes.set([1, 2, 3], SIZE - 3);
        assert.equal(memory.read(ram.guest(SIZE - 3), 3, own.address), true);
        assert.deepEqual([...own.bytes.subarray(0, 4)], [1, 2, 3, 0]);
        assert.equal(memory.write(ram.guest(0), 3, own.address), true);
        assert.deepEqual([...ram.bytes.subarray(0, 4)], [1, 2, 3, 0]);
        for (const [at, length] of [
          [ram.guest(SIZE - 3), 4],
          [ram.guest(SIZE), 1],
          [ram.guest(-1), 1],
          [2 ** 63, 1],
        ] as const) {
          assert.equal(memory.read(at, length, own.address), false);
          assert.equal(memory.write(at, length, own.address), false);
        }
        memory.close();
      }
    },
  );

  systemTest("a range goes on in the next region, whichever came first", [], (sys) => {
    using high = new GuestRam(sys, true, SIZE, SIZE);
    using low = new GuestRam(sys, false, SIZE, 0);
    const memory = new GuestMemory(sys);
    assert.deepEqual([memory.add(high.layout, high.fd), memory.add(low.layout, low.fd)], [0, 0]);
    const own = new Block(sys, 8);
    own.bytes.set([1, 2, 3, 4, 5, 6, 7, 8]);
    assert.equal(memory.write(GUEST_BASE + SIZE - 3, 8, own.address), true);
    assert.deepEqual([...low.bytes.subarray(SIZE - 4)], [0, 1, 2, 3]);
    assert.deepEqual([...high.bytes.subarray(0, 6)], [4, 5, 6, 7, 8, 0]);
    own.bytes.fill(0);
    assert.equal(memory.read(GUEST_BASE + SIZE - 3, 8, own.address), true);
    assert.deepEqual([...own.bytes], [1, 2, 3, 4, 5, 6, 7, 8]);
    memory.close();
  });

  systemTest("the front end's ranges lie in one region as a whole", [], (sys) => {
    using low = new GuestRam(sys, true, SIZE, 0);
    using high = new GuestRam(sys, false, SIZE, SIZE);
    const memory = new GuestMemory(sys);
    memory.add(low.layout, low.fd);
    memory.add(high.layout, high.fd);
    low.bytes[0x10] = 42;
    const place = memory.place(USER_BASE + 0x10, SIZE - 0x10);
    assert.ok(place);
    assert.equal(new Uint8Array(sys.view(place.address, 1))[0], 42);
    assert.equal(place.canShrink, false);
    assert.equal(memory.place(USER_BASE + SIZE, 1)?.canShrink, true);
    assert.equal(memory.place(USER_BASE + 0x10, SIZE), undefined);
    assert.equal(memory.place(USER_BASE - 1, 2), undefined);
    memory.close();
  });

  systemTest("regions do not overlap, and their ends are numbers", [], (sys) => {
    using ram = new GuestRam(sys, true, SIZE);
    const memory = new GuestMemory(sys);
    const { layout } = ram;
    assert.equal(memory.add(layout, ram.fd), 0);
    const guestAddress = layout.guestAddress + 2 * SIZE;
    const userAddress = layout.userAddress + 2 * SIZE;
    assert.equal(memory.add({ ...layout, userAddress }, ram.fd), -EEXIST);
    assert.equal(memory.add({ ...layout, guestAddress }, ram.fd), -EEXIST);
    const beside = { ...layout, guestAddress, userAddress };
    assert.equal(memory.add({ ...beside, size: 0 }, ram.fd), -EINVAL);
    assert.equal(memory.add({ ...beside, guestAddress: 2 ** 64 - 1 }, ram.fd), -EINVAL);
    assert.equal(memory.add({ ...beside, userAddress: 2 ** 64 - 1 }, ram.fd), -EINVAL);
    assert.equal(memory.add({ ...beside, offset: SIZE }, ram.fd), -EINVAL);
    assert.equal(memory.add(beside, ram.fd), 0);
    assert.equal(memory.count, 2);
    memory.close();
    assert.equal(memory.count, 0);
  });

  systemTest("a region goes by its place and size, and others stay", [], (sys) => {
    using ram = new GuestRam(sys, true, SIZE);
    using other = new GuestRam(sys, true, SIZE, SIZE);
    const memory = new GuestMemory(sys);
    memory.add(ram.layout, ram.fd);
    memory.add(other.layout, other.fd);
    const own = new Block(sys, 1);
    assert.equal(memory.read(ram.guest(0), 1, own.address), true);
    for (const wrong of [{ guestAddress: 1 }, { userAddress: 1 }, { size: 1 }]) {
      assert.equal(memory.remove({ ...ram.layout, ...wrong }), -ENOENT);
    }
    assert.equal(memory.remove(ram.layout), 0);
    assert.equal(memory.read(ram.guest(0), 1, own.address), false);
    assert.equal(memory.read(other.guest(0), 1, own.address), true);
    memory.close();
  });

  systemTest("there are so many at most", [], (sys) => {
    using ram = new GuestRam(sys, true, SIZE);
    const memory = new GuestMemory(sys);
    const at = (i: number) => ({
      ...ram.layout,
      guestAddress: i * SIZE,
      userAddress: USER_BASE + i * SIZE,
    });
    for (let i = 0; i < REGION_COUNT_MAX; i += 1) assert.equal(memory.add(at(i), ram.fd), 0);
    assert.equal(memory.add(at(REGION_COUNT_MAX), ram.fd), -ENOSPC);
    memory.close();
  });

  systemTest("memory that was taken away is found out in a copy", [], (sys) => {
    using ram = new GuestRam(sys, false, SIZE);
    const memory = new GuestMemory(sys);
    memory.add(ram.layout, ram.fd);
    ram.shrink();
    const own = new Block(sys, 8);
    assert.equal(memory.read(ram.guest(0), 8, own.address), false);
    assert.equal(memory.write(ram.guest(0), 8, own.address), false);
    memory.close();
  });
});
