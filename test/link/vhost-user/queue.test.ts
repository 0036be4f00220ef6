/** When a queue has a ring, by what it was told, in any order. */
import assert from "node:assert/strict";
import { describe } from "node:test";
import { negotiated } from "../../../src/link/vhost-user/features.ts";
import { Queue } from "../../../src/link/vhost-user/queue.ts";
import { GuestMemory } from "../../../src/link/vhost-user/regions.ts";
import { Block } from "../../../src/sys/block.ts";
import { EINVAL } from "../../../src/sys/errno.ts";
import { EventFd } from "../../../src/sys/fd.ts";
import type { Libc } from "../../../src/sys/libc.ts";
import { descriptorsInUse } from "../../../src/sys/rlimit.ts";
import { systemTest } from "../../sys/support.ts";
import { Driver } from "./driver.ts";
import { F } from "./front-end.ts";
import { GuestRam } from "./guest-ram.ts";

const FEATURES = negotiated(F.version1 | F.protocol);

function withQueue(sys: Libc, run: (queue: Queue, driver: Driver) => void): void {
  using ram = new GuestRam(sys);
  const guest = new GuestMemory(sys);
  assert.equal(guest.add(ram.layout, ram.fd), 0);
  const queue = new Queue(sys, guest, false);
  try {
    run(queue, new Driver(ram, 0, false));
  } finally {
    queue.close();
    guest.close();
  }
}

/** A descriptor that the queue closes. */
function eventFd(sys: Libc): number {
  return new EventFd(sys).release();
}

/** How often an event was signalled; it is at rest afterwards. */
function calls(sys: Libc, fd: number): number {
  const word = new Block(sys, 8);
  return sys.read(fd, word.address, 8) === 8 ? word.getU64(0) : 0;
}

describe("vhost-user queue", () => {
  systemTest("runs once the last thing it needs is there, whichever that is", [], (sys) => {
    const steps: ((queue: Queue, driver: Driver) => void)[] = [
      (queue) => assert.equal(queue.setSize(8), 0),
      (queue, driver) => queue.setPlaces(driver.places(0)),
      (queue) => queue.setFd("kick", eventFd(sys)),
      (queue) => queue.setEnabled(true),
    ];
    for (let first = 0; first < steps.length; first += 1) {
      withQueue(sys, (queue, driver) => {
        const turned = [...steps.slice(first), ...steps.slice(0, first)];
        for (const [i, step] of turned.entries()) {
          assert.equal(queue.ring, undefined);
          step(queue, driver);
          assert.equal(queue.update(FEATURES), "");
          assert.equal(queue.ring !== undefined, i === 3);
        }
      });
    }
  });

  systemTest("ends with the entry where it was, and needs a kick anew", [], (sys) => {
    withQueue(sys, (queue, driver) => {
      driver.startAt(7);
      queue.setSize(8);
      queue.setPlaces(driver.places(0));
      queue.setBase(0x10007);
      queue.setFd("kick", -1);
      queue.setEnabled(true);
      queue.update(FEATURES);
      assert.equal(queue.ring?.next, 7);
      assert.equal(queue.end(), 7);
      queue.update(FEATURES);
      assert.equal(queue.ring, undefined);
    });
  });

  systemTest("calls a driver that may wait for a call of somebody before", [], (sys) => {
    withQueue(sys, (queue, driver) => {
      const [first, second, third] = [eventFd(sys), eventFd(sys), eventFd(sys)];
      queue.setSize(8);
      queue.setPlaces(driver.places(0));
      queue.setFd("call", first);
      queue.setFd("kick", -1);
      queue.update(FEATURES);
      assert.equal(calls(sys, first), 0, "it is not enabled");
      queue.setEnabled(true);
      queue.update(FEATURES);
      assert.equal(calls(sys, first), 1);
      queue.setFd("call", second);
      assert.equal(calls(sys, second), 1);
      queue.end();
      queue.setFd("call", third);
      assert.equal(calls(sys, third), 0, "it does not run");
    });
  });

  systemTest("is not of any size", [], (sys) => {
    withQueue(sys, (queue) => {
      for (const size of [0, 3, 65536, 0xffffffff]) assert.equal(queue.setSize(size), -EINVAL);
      for (const size of [1, 256, 32768]) assert.equal(queue.setSize(size), 0);
    });
  });

  systemTest("closes the descriptors it has been given", [], (sys) => {
    const before = descriptorsInUse();
    withQueue(sys, (queue) => {
      for (const name of ["kick", "call", "err", "kick"] as const) queue.setFd(name, eventFd(sys));
    });
    assert.equal(descriptorsInUse() <= before, true);
  });
});
