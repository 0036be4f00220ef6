/** Sockets of published ports that the next engine gets as they are. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { mappedOctetsOf } from "../../src/lib/addr6.ts";
import { Epoll } from "../../src/sys/epoll.ts";
import { EADDRINUSE, EAGAIN } from "../../src/sys/errno.ts";
import type { Libc } from "../../src/sys/libc.ts";
import { accept } from "../../src/sys/socket.ts";
import { Listeners } from "../../src/upstream/listener.ts";
import { type PortSocket, PortSockets, portsOf } from "../../src/upstream/port-sockets.ts";
import { HostSockets } from "../../src/upstream/sockets.ts";
import type { Spot } from "../../src/upstream/spots.ts";
import { systemTest } from "../sys/support.ts";
import { connect, freeRow, rule } from "./listener-rig.ts";
import { freePort, LOOPBACK, listen, rigTest } from "./rig.ts";

const SPOT: Spot = { family: 4, address: LOOPBACK, octets: mappedOctetsOf(LOOPBACK) };
const ALL6: Spot = { family: 6, address: 0, octets: new Array<number>(16).fill(0) };
const ALL4: Spot = { family: 4, address: 0, octets: mappedOctetsOf(0) };

describe("port sockets", () => {
  systemTest("a port has a socket for each spot; all of them are closed once", [], (sys) => {
    const closed: number[] = [];
    const watched: Libc = { ...sys, close: (fd) => closed.push(fd) && sys.close(fd) };
    const sockets = new PortSockets(watched);
    const found: PortSocket[] = [];
    const [tcp, udp] = [freePort(sys, "tcp"), freePort(sys, "udp")];
    for (const each of [rule(tcp, 80), rule(udp, 53, "udp")]) {
      assert.equal(sockets.open(portsOf(each, 0), [SPOT], true, found), 0);
      sockets.keep({ rule: each, isAdded: false, sockets: found.slice(-1) });
    }
    assert.deepEqual(
      found.map(({ ports, family, isTaken, mayBeFirst }) => [ports, family, isTaken, mayBeFirst]),
      [
        [{ protocol: "tcp", hostPort: tcp, guestPort: 80 }, 4, false, false],
        [{ protocol: "udp", hostPort: udp, guestPort: 53 }, 4, false, false],
      ],
    );
    assert.deepEqual(sockets.rules, [rule(tcp, 80), rule(udp, 53, "udp")]);
    sockets.close();
    sockets.close();
    assert.deepEqual(
      closed,
      found.map(({ fd }) => fd),
    );
    assert.deepEqual(sockets.rules, []);
  });

  systemTest("UDP on all addresses is one socket where it may be", [], (sys) => {
    const sockets = new PortSockets(sys);
    const all = { protocol: "udp", hostAddress: 0, hostPort: freePort(sys, "udp") } as const;
    for (const [isFree, families] of [
      [true, ["both"]],
      [false, [4, 6]],
    ] as const) {
      const found: PortSocket[] = [];
      const ports = portsOf({ ...all, guestPort: 53 }, 0);
      assert.equal(sockets.open(ports, [ALL4, ALL6], isFree, found), 0);
      assert.deepEqual(
        found.map(({ family, mayBeFirst }) => [family, mayBeFirst]),
        families.map((family) => [family, true]),
      );
      for (const each of found) sockets.discard(each);
    }
  });

  systemTest("what cannot be had is told, and what could be is there", [], (sys) => {
    const sockets = new PortSockets(sys);
    const taken = listen(sys);
    const found: PortSocket[] = [];
    const ports = portsOf(rule(taken.port, 80), 0);
    assert.equal(sockets.open(ports, [SPOT], true, found), -EADDRINUSE);
    assert.deepEqual(found, []);
    sys.close(taken.fd);
  });

  test("a port of a range", () => {
    const range = { ...rule(8000, 80), guestAddress: 0x0a000232, count: 10 };
    assert.deepEqual(portsOf(range, 9), {
      protocol: "tcp",
      hostPort: 8009,
      guestPort: 89,
      guestAddress: 0x0a000232,
    });
  });
});

describe("published ports of the next engine", () => {
  rigTest("who waits to be accepted is accepted, datagrams are there", (rig) => {
    const { sys, engine } = rig;
    const tcp = freeRow(sys, "tcp", 1);
    const sockets = new PortSockets(sys);
    const rules = [rule(tcp, 80)];
    const first = new Listeners(sys, engine, rig.sockets, undefined, sockets);
    first.open(rules, rig.epoll);
    first.answer(true);
    const client = connect(rig, tcp);
    first.leave();
    const epoll = new Epoll(sys);
    const next = new Listeners(
      sys,
      engine,
      new HostSockets(sys, epoll, engine, 0),
      undefined,
      sockets,
    );
    next.resume(epoll);
    assert.equal(epoll.wait(8, 1_000_000), 1, "it is watched, and has news");
    assert.equal(next.accept(epoll.dataLo(0), 1e6), 1);
    assert.equal(sys.recv(client, sys.scratch.address, 1, 0), -EAGAIN, "nobody has reset it");
    assert.equal(next.answer(false), true);
    assert.ok(connect(rig, tcp) < 0 || accept(sys, client) < 0);
    next.close();
    epoll.close();
    sys.close(client);
  });

  rigTest("a connection that the engine fails at costs no descriptor", (rig) => {
    const { sys, engine } = rig;
    const tcp = freeRow(sys, "tcp", 1);
    const listeners = new Listeners(sys, engine, rig.sockets);
    listeners.open([rule(tcp, 80)], rig.epoll);
    listeners.answer(true);
    const client = connect(rig, tcp);
    engine.inboundTcp = () => {
      throw new Error("trap");
    };
    assert.throws(() => listeners.accept(0, 1e6), /trap/);
    assert.notEqual(sys.recv(client, sys.scratch.address, 1, 0), -EAGAIN, "it has been reset");
    assert.equal(rig.sockets.openCount, 0);
    listeners.close();
    sys.close(client);
  });
});
