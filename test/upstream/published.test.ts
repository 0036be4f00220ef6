/** Parked sockets of published UDP ports: who is numbered how, found, taken and closed. */
import assert from "node:assert/strict";
import { describe } from "node:test";
import { mappedOctetsOf } from "../../src/lib/addr6.ts";
import { check } from "../../src/sys/errno.ts";
import type { Libc } from "../../src/sys/libc.ts";
import { IP_RECVERR, SOL_IP } from "../../src/sys/linux.ts";
import { getOption } from "../../src/sys/socket.ts";
import { PublishedPorts } from "../../src/upstream/published.ts";
import { openUdpPort } from "../../src/upstream/udp.ts";
import { SPOT_COUNT } from "../../wasm/abi.ts";
import { systemTest } from "../sys/support.ts";
import { LOOPBACK } from "./rig.ts";

/** Ports whose sockets need not be real. */
function portsOf(sys: Libc, closed: number[] = []): PublishedPorts {
  const fake: Libc = {
    ...sys,
    setsockopt: () => 0,
    close: (fd) => {
      closed.push(fd);
      return 0;
    },
  };
  return new PublishedPorts(fake);
}

describe("published", () => {
  systemTest("the first socket by which others can be reached is spot 0", [], (sys) => {
    const ports = portsOf(sys);
    assert.equal(ports.number(53, 4, false), 1, "loopback");
    assert.equal(ports.number(53, 4, true), 0);
    assert.equal(ports.number(53, 4, true), 2);
    assert.equal(ports.number(53, 6, true), 0, "the other version has a first one of its own");
    assert.equal(ports.number(53, 6, true), 3, "and no number twice");
    assert.equal(ports.number(54, "both", true), 0);
    assert.deepEqual([ports.isFree(53), ports.isFree(54), ports.isFree(55)], [false, false, true]);
    assert.equal(ports.number(54, 4, true), 1);
    ports.number(56, 4, true);
    ports.number(57, 6, true);
    assert.deepEqual([ports.isFree(56), ports.isFree(57)], [false, false], "taken in one version");
    assert.equal(ports.number(56, "both", true), 1, "as it is not free in both");
  });

  systemTest("one is made ready when a flow takes it", [], (sys) => {
    const ports = new PublishedPorts(sys);
    const fd = check(openUdpPort(sys, 4, mappedOctetsOf(LOOPBACK), 0), "Open");
    const index = ports.add(fd, 4, 53, 5300, 0);
    assert.equal(getOption(sys, fd, SOL_IP, IP_RECVERR), 0);
    assert.equal(ports.take(index), fd);
    assert.equal(getOption(sys, fd, SOL_IP, IP_RECVERR), 1);
    sys.close(fd);
  });

  systemTest("a guest port has a bounded number of sockets", [], (sys) => {
    const ports = portsOf(sys);
    for (let i = 0; i < SPOT_COUNT; i += 1) assert.equal(ports.number(53, 4, true), i);
    assert.equal(ports.number(53, 4, true), -1);
    assert.equal(ports.number(53, 6, false), -1);
    assert.equal(ports.number(54, 4, true), 0);
  });

  systemTest("one is found by guest port, spot and version while it is parked", [], (sys) => {
    const closed: number[] = [];
    const ports = portsOf(sys, closed);
    const four = ports.add(10, 4, 53, 5300, 0);
    const second = ports.add(11, 4, 53, 5301, 1);
    const both = ports.add(12, "both", 54, 5302, 0);
    assert.deepEqual([ports.find(53, 0, 4), ports.find(53, 1, 4)], [four, second]);
    assert.deepEqual(
      [ports.find(53, 0, 6), ports.find(53, 2, 4), ports.find(99, 0, 4)],
      [-1, -1, -1],
    );
    assert.deepEqual([ports.find(54, 0, 4), ports.find(54, 0, 6)], [both, both]);
    assert.equal(ports.take(four), 10);
    assert.equal(ports.find(53, 0, 4), -1, "a flow has it");
    ports.park(four);
    assert.equal(ports.find(53, 0, 4), four);
    const indices = [four, second, both];
    assert.deepEqual(
      indices.map((index) => ports.hostPortOf(index)),
      [5300, 5301, 5302],
    );
    assert.deepEqual(
      indices.map((index) => ports.spotOf(index)),
      [0, 1, 0],
    );
    ports.take(second);
    const third = ports.add(14, 4, 53, 5304, 2);
    assert.deepEqual(
      [...indices, third].map((index) => ports.isParked(index)),
      [true, false, true, true],
    );
    assert.equal(ports.find(53, 0, 4), four, "behind two others of its port");
    const none = 99;
    assert.deepEqual(
      [ports.hostPortOf(none), ports.spotOf(none), ports.guestPortOf(none)],
      [0, 0, 0],
    );
    assert.deepEqual([ports.guestPortOf(four), ports.guestPortOf(both)], [53, 54]);
    const six = ports.add(13, 6, 55, 5303, 0, 0x0a000232);
    assert.deepEqual(
      [four, both, six].map((index) => ports.familyOf(index)),
      [4, 4, 6],
    );
    assert.deepEqual(
      [ports.guestAddressOf(six), ports.guestAddressOf(four)],
      [0x0a000232, undefined],
    );
    assert.equal(ports.count, 5);
    ports.leave();
    ports.leave();
    assert.deepEqual([closed, ports.count], [[], 0], "they are their opener's to close");
    assert.equal(ports.isParked(four), false);
  });
});
