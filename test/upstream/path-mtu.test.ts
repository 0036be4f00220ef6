/** The size of the way to an address, from the kernel. */
import assert from "node:assert/strict";
import { describe } from "node:test";
import { EMFILE, ENETUNREACH, EPERM } from "../../src/sys/errno.ts";
import type { Libc } from "../../src/sys/libc.ts";
import { AF_INET, AF_INET6, SOCKADDR_IN6_SIZE } from "../../src/sys/linux.ts";
import { writeIpv6 } from "../../src/sys/sockaddr.ts";
import { PathProbe } from "../../src/upstream/path-mtu.ts";
import { systemTest } from "../sys/support.ts";
import { LOOPBACK, udpSocket } from "./rig.ts";

const LOOPBACK6 = Uint8Array.of(...new Array<number>(15).fill(0), 1);

describe("path-mtu", () => {
  systemTest(
    "loopback takes the largest there is, in both versions, asked again and again",
    [],
    (sys) => {
      const probe = new PathProbe(sys);
      assert.equal(writeIpv6(sys.scratch, 64, LOOPBACK6, 9), SOCKADDR_IN6_SIZE);
      for (let i = 0; i < 3; i += 1) {
        assert.equal(probe.ask(LOOPBACK), 65_535);
        assert.equal(probe.ask6(sys.scratch.address + 64), 65_536);
      }
      probe.close();
      probe.close();
    },
  );

  systemTest("where there is no way it is the errno; closed, nothing stays open", [], (sys) => {
    const free = udpSocket(sys);
    sys.close(free.fd);
    const probe = new PathProbe(sys);
    assert.ok(probe.ask(0xffffffff) < 0, "broadcast needs a permission");
    probe.close();
    const next = udpSocket(sys);
    assert.equal(next.fd, free.fd);
    sys.close(next.fd);
  });

  systemTest("one socket for each version is made, once, whatever its number", [], (sys) => {
    const calls: string[] = [];
    let next = 0;
    const note =
      (name: string, result: (...args: number[]) => number) =>
      (...args: number[]): number => {
        calls.push(`${name} ${args[0]}`);
        return result(...args);
      };
    const fake: Libc = Object.create(sys, {
      socket: { value: note("socket", () => next++) },
      connect: { value: note("connect", () => 0) },
      setsockopt: { value: () => 0 },
      getsockopt: { value: () => 0 },
      close: { value: note("close", () => 0) },
    });
    const probe = new PathProbe(fake);
    for (let i = 0; i < 2; i += 1) probe.ask(LOOPBACK);
    for (let i = 0; i < 2; i += 1) probe.ask6(1);
    probe.close();
    probe.close();
    const [four, six] = [`socket ${AF_INET}`, `socket ${AF_INET6}`];
    const wanted = [four, "connect 0", "connect 0", six, "connect 1", "connect 1"];
    assert.deepEqual(calls.splice(0), [...wanted, "close 0", "close 1"]);
    next = 0;
    for (let i = 0; i < 2; i += 1) probe.ask6(1);
    probe.close();
    assert.deepEqual(calls, [six, "connect 0", "connect 0", "close 0"]);
  });

  systemTest("where no socket can be had, or none connected, it is the errno", [], (sys) => {
    for (const errno of [EMFILE, EPERM]) {
      const full: Libc = Object.create(sys, {
        socket: { value: () => -errno },
        connect: { value: () => assert.fail("there is no socket") },
      });
      const probe = new PathProbe(full);
      assert.deepEqual([probe.ask(LOOPBACK), probe.ask6(1)], [-errno, -errno]);
    }
    for (const errno of [ENETUNREACH, EPERM]) {
      const lost: Libc = Object.create(sys, { connect: { value: () => -errno } });
      const probe = new PathProbe(lost);
      assert.deepEqual([probe.ask(LOOPBACK), probe.ask6(1)], [-errno, -errno]);
      probe.close();
    }
  });
});
