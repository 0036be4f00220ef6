/**
 * Weaknesses that other user-space stacks had, played against the whole engine: one test for each
 * class that no test of a single part has. `docs/cve-tests.md` says which test is whose.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { EngineWorld } from "../support/engine-harness.ts";
import { GATEWAY, GATEWAY_MAC, GUEST, GUEST_MAC, PEER } from "../support/engine-settings.ts";
import { ethernet, PROTOCOL_UDP, pattern, udp } from "../support/packet.ts";
import { established, TcpGuest } from "../support/tcp-guest.ts";

const ETHERTYPES = { ipv4: 0x0800, arp: 0x0806, ipv6: 0x86dd, ncsi: 0x88f8 } as const;

function frameOf(type: number, body: Uint8Array): Uint8Array {
  return ethernet({ destination: GATEWAY_MAC, source: GUEST_MAC, type }, body);
}

/** The engine still does what it should. */
function stillWorks(world: EngineWorld): void {
  world.take();
  world.guest(world.udp({ to: PEER, port: 4000, from: 41000 }, "after"));
  const sent = world.host.sockets.at(-1)?.datagrams.at(-1)?.payload;
  assert.equal(new TextDecoder().decode(sent), "after");
  world.checkBalance();
}

describe("wasm/cve: frames", () => {
  test("CVE-2007-5729 class: frames longer than the MTU, up to 64 KiB and more", () => {
    const world = new EngineWorld();
    const fields = { source: GUEST, destination: PEER, sourcePort: 1, destinationPort: 9 };
    const sizes = [1515, 1600, 9014, 32_768, 65_549, 69_000];
    for (const size of sizes) {
      const payload = pattern(Math.min(size, 65_000));
      const packet = world.ip({ destination: PEER, protocol: PROTOCOL_UDP }, udp(fields, payload));
      const frame = new Uint8Array(size);
      frame.set(packet.subarray(0, size));
      world.guest(frame);
    }
    assert.equal(world.stats.dropOversized, sizes.length);
    assert.equal(world.host.sockets.length, 0);
    world.expectNothing();
    stillWorks(world);
  });

  test("CVE-2020-29129 class: a known type of frame without a body, or with too little", () => {
    const world = new EngineWorld();
    let count = 0;
    for (const type of Object.values(ETHERTYPES)) {
      for (let size = 0; size < 20; size += 1) {
        world.guest(frameOf(type, pattern(size)));
        count += 1;
      }
    }
    assert.equal(world.accounted, count);
    world.expectNothing();
    stillWorks(world);
  });
});

describe("wasm/cve: lives of connections", () => {
  test("CVE-2017-13711 class: a connection ends while octets wait on both sides", () => {
    for (const end of ["reset", "failure"] as const) {
      const { guest, socket, world } = established();
      socket.sendRoom = 10;
      guest.send({ payload: pattern(1000) });
      guest.send({ seq: 3000, payload: pattern(1000) });
      socket.push(pattern(100_000));
      world.run();
      assert.ok(world.engine.chunkCount > 0);
      if (end === "reset") guest.send({ flags: "R", seq: 11 });
      else socket.fail(104);
      world.run();
      assert.equal(world.engine.chunkCount, 0, end);
      assert.equal(world.host.live.length, 0, end);
      guest.send({ payload: pattern(1000) }); // and once more to what is gone
      stillWorks(world);
    }
  });

  test("CVE-2024-10026, CVE-2024-10603 class: sequence numbers cannot be told from others", () => {
    const numbers = (seed: number): number[] => {
      const world = new EngineWorld({ seed });
      return Array.from({ length: 32 }, (_, i) => {
        const guest = new TcpGuest(world, { port: 40_000 + i });
        guest.send({ flags: "S" });
        return guest.expect({ flags: "SA" }).seq;
      });
    };
    const [one, two] = [numbers(1), numbers(2)];
    // The difference of two numbers of a weak hash would not depend on the secret.
    const steps = (found: readonly number[]): number[] =>
      found.slice(1).map((number, i) => (number - (found[i] ?? 0)) >>> 0);
    const same = steps(one).filter((step, i) => step === steps(two)[i]);
    assert.deepEqual(same, []);
    assert.equal(new Set(steps(one)).size, 31);
  });
});

describe("wasm/cve: nothing is looked into, nothing is offered", () => {
  const dialects: readonly (readonly [string, number, string])[] = [
    ["FTP", 21, "PORT 10,0,2,15,4,1\r\n"],
    ["ident", 113, `${"9".repeat(600)} , ${"9".repeat(600)}\r\n`],
    ["IRC", 6667, `PRIVMSG a :\u0001DCC SEND f 167772687 ${"1".repeat(700)} 9\u0001\r\n`],
    ["RealAudio", 7070, `PNA\u0000\n\u0000\u0001${"\u0000".repeat(80)}`],
  ];
  for (const [name, port, text] of dialects) {
    test(`CVE-2019-6778, CVE-2020-7039, CVE-2020-8608 class: ${name} passes as it is`, () => {
      const { guest, socket } = established({ guest: { peerPort: port } });
      guest.send({ payload: text });
      assert.equal(socket.text, text);
    });
  }

  test("CVE-2020-7211, CVE-2021-3595 class: there is no TFTP server to ask for files", () => {
    const world = new EngineWorld();
    for (const name of ["../etc/passwd", "..\\..\\secret", "/etc/shadow", "", "a\0b\0"]) {
      world.guest(world.udp({ to: GATEWAY, port: 69 }, `\0\u0001${name}\0octet\0`));
      const frame = world.take().find(({ kind }) => kind === "icmp");
      assert.ok(frame !== undefined, "port unreachable");
    }
    world.guest(world.udp({ to: GATEWAY, port: 69 }, "\0"));
    assert.equal(world.host.sockets.length, 0);
  });

  test("CVE-2020-22284 class: a datagram of a protocol within UDP is only a datagram", () => {
    const world = new EngineWorld();
    for (const size of [0, 1, 2, 5, 31, 32, 127]) {
      world.guest(world.udp({ to: PEER, port: 17_754 }, pattern(size)));
    }
    assert.deepEqual(
      world.host.socket().datagrams.map(({ payload }) => payload.length),
      [0, 1, 2, 5, 31, 32, 127],
    );
  });

  const control = [80, 2375, 7777, 8080, 9090];
  test("CVE-2021-4024, CVE-2025-9074 class: the guest reaches no service of the host", () => {
    const world = new EngineWorld();
    for (const peer of [GATEWAY, "127.0.0.1", "10.0.2.3"]) {
      for (const peerPort of control) {
        const guest = new TcpGuest(world, { peer, peerPort });
        guest.send({ flags: "S" });
        world.guest(world.udp({ to: peer, port: peerPort }, "GET /"));
      }
    }
    assert.equal(world.host.sockets.length, 0);
  });

  test("CVE-2021-20199 class: a connection from outside has its own source, never loopback", () => {
    const world = new EngineWorld();
    world.guest(world.arp({ targetAddress: GATEWAY }));
    world.take();
    world.inboundTcp(80, PEER, 50_000);
    world.inboundTcp(80, "127.0.0.1", 50_001);
    world.run();
    const sources = world.take().map((frame) => (frame.kind === "tcp" ? frame.source : frame.kind));
    assert.deepEqual(sources, [PEER, GATEWAY]);
  });
});
