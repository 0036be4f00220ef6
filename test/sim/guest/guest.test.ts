/** The whole guest against another one: neighbours, ping, UDP, fragments, errors, and faults. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { Guest } from "../../../src/lab/sim/guest/guest.ts";
import type { EchoReply } from "../../../src/lab/sim/guest/icmp.ts";
import type { ErrorReport } from "../../../src/lab/sim/guest/network.ts";
import { get16, set16 } from "../../../src/lab/sim/guest/octets.ts";
import type { UdpDatagram } from "../../../src/lab/sim/guest/udp.ts";
import { LEFT, Pair, pattern, RIGHT } from "./pair.ts";

const SECOND = 1_000_000;

describe("sim/guest: neighbours and ping", () => {
  test("the first packet waits for the neighbour, and nothing is lost", () => {
    const pair = new Pair();
    const replies: EchoReply[] = [];
    pair.left.onEchoReply = (reply) => replies.push(reply);
    for (let i = 0; i < 5; i += 1) pair.left.ping(RIGHT, 7, i, pattern(100, i));
    assert.ok(pair.run(SECOND, () => replies.length === 5));
    assert.deepEqual(
      replies.map(({ from, identifier, sequence }) => [from, identifier, sequence]),
      [0, 1, 2, 3, 4].map((sequence) => [RIGHT, 7, sequence]),
    );
    assert.deepEqual(replies[3]?.payload, pattern(100, 3));
    assert.deepEqual(pair.faults, []);
  });

  test("a neighbour that is not there is asked for three times, then given up", () => {
    const pair = new Pair();
    pair.left.ping("192.0.2.99", 1, 1, pattern(8));
    pair.run(10 * SECOND);
    assert.equal(pair.toRight.counts.sent, 3);
    assert.equal(pair.left.packetsLost, 1);
  });

  test("packets for elsewhere go to the gateway's MAC address", () => {
    const pair = new Pair();
    pair.left.ping("198.51.100.7", 1, 1, pattern(8));
    pair.run(SECOND);
    assert.deepEqual(pair.faults, ['packet for "198.51.100.7", not for us']);
  });

  test("a guest told not to answer does not", () => {
    const pair = new Pair();
    pair.right.icmp.answers = false;
    let replies = 0;
    pair.left.onEchoReply = () => {
      replies += 1;
    };
    pair.left.ping(RIGHT, 1, 1, pattern(8));
    pair.run(SECOND);
    assert.equal(replies, 0);
  });
});

describe("sim/guest: UDP", () => {
  for (const size of [0, 1, 1472, 1473, 20_000, 65_507]) {
    test(`a datagram of ${size} octets arrives whole and is answered`, () => {
      const pair = new Pair();
      const found: UdpDatagram[] = [];
      const server = pair.right.openUdp(9, {
        received: ({ from, fromPort, payload }) => server.send(from, fromPort, payload),
      });
      const socket = pair.left.openUdp(0, { received: (datagram) => found.push(datagram) });
      socket.send(RIGHT, 9, pattern(size));
      assert.ok(pair.run(SECOND, () => found.length === 1));
      assert.equal(found[0]?.from, RIGHT);
      assert.equal(found[0]?.fromPort, 9);
      assert.deepEqual(found[0]?.payload, pattern(size));
      assert.deepEqual(pair.faults, []);
    });
  }

  test("fragments that come late, twice and out of order make one datagram", () => {
    const faults = { late: 300_000, lateness: 5000, duplicate: 200_000 };
    const pair = new Pair({ faults, seed: 3 });
    const found: UdpDatagram[] = [];
    pair.right.openUdp(9, { received: (datagram) => found.push(datagram) });
    const socket = pair.left.openUdp(0, {});
    for (let i = 0; i < 20; i += 1) {
      socket.send(RIGHT, 9, pattern(9000, i));
      pair.run(SECOND / 10);
    }
    // A packet all of whose fragments came twice may arrive twice.
    const different = new Set(found.map(({ payload }) => payload.join()));
    assert.equal(different.size, 20);
    assert.deepEqual(pair.faults, []);
  });

  test("a closed port is answered by an ICMP error, which finds the socket", () => {
    const pair = new Pair();
    const reports: ErrorReport[] = [];
    const socket = pair.left.openUdp(5000, { failed: (report) => reports.push(report) });
    socket.send(RIGHT, 9, pattern(50));
    assert.ok(pair.run(SECOND, () => reports.length === 1));
    const [report] = reports;
    assert.deepEqual([report?.type, report?.code, report?.localPort], [3, 3, 5000]);
    assert.equal(report?.remotePort, 9);
  });

  test("a port is had once, and again after it was closed", () => {
    const { left } = new Pair();
    const socket = left.openUdp(9, {});
    assert.throws(() => left.openUdp(9, {}), RangeError);
    socket.close();
    assert.equal(left.openUdp(9, {}).port, 9);
  });
});

describe("sim/guest: what must never come is a fault", () => {
  /** A ping that was spoilt on its way. */
  function spoilt(change: (frame: Uint8Array) => Uint8Array | undefined): string[] {
    const faults: string[] = [];
    const frames: Uint8Array[] = [];
    const right = new Guest({
      ...{ mac: "52:54:00:00:00:02", mtu: 1500, seed: 2, transmit: () => true },
      onFault: (text) => faults.push(text),
    });
    const left = new Guest({
      ...{ mac: "52:54:00:00:00:01", mtu: 1500, seed: 1 },
      transmit: (frame) => frames.push(frame.slice()) > 0,
    });
    left.configure({ address: LEFT, prefixLength: 24, gateway: RIGHT });
    right.configure({ address: RIGHT, prefixLength: 24, gateway: LEFT });
    const arp = Uint8Array.of(
      ...[0x52, 0x54, 0, 0, 0, 1, 0x52, 0x54, 0, 0, 0, 2, 8, 6, 0, 1, 8, 0, 6, 4, 0, 2],
      ...[0x52, 0x54, 0, 0, 0, 2, 192, 0, 2, 2, 0x52, 0x54, 0, 0, 0, 1, 192, 0, 2, 1],
    );
    left.ping(RIGHT, 1, 1, pattern(30));
    left.input(arp, 1);
    const [ping = new Uint8Array(0)] = frames;
    right.input(change(ping) ?? ping, 1);
    return faults;
  }

  const cases: readonly (readonly [string, (frame: Uint8Array) => Uint8Array | undefined])[] = [
    ["frame of 10 octets", (frame) => frame.subarray(0, 10)],
    ["frame of 1600 octets, the MTU is 1500", () => new Uint8Array(1600)],
    ["frame for another MAC address", (frame) => void frame.fill(0x02, 0, 6)],
    ["frame from a group address", (frame) => void frame.fill(0x01, 6, 7)],
    ["frame of type 0x8899", (frame) => void set16(frame, 12, 0x8899)],
    ["IPv4 packet of 6 octets", (frame) => frame.subarray(0, 20)],
    ["IPv4 packet of version 6", (frame) => void frame.fill(0x65, 14, 15)],
    ["IPv4 header of 16 octets", (frame) => void frame.fill(0x44, 14, 15)],
    ["IPv4 length 59, but 58 octets came", (frame) => void set16(frame, 16, 59)],
    ["wrong IPv4 header checksum", (frame) => void set16(frame, 18, get16(frame, 18) + 1)],
    ["wrong ICMP checksum", (frame) => void frame.fill(0x77, 50, 51)],
  ];
  for (const [text, change] of cases) {
    test(text, () => assert.deepEqual(spoilt(change), [text]));
  }

  test("an unspoilt one is none", () =>
    assert.deepEqual(
      spoilt(() => undefined),
      [],
    ));

  test("without a listener a fault is an error", () => {
    const options = { mac: "52:54:00:00:00:02", mtu: 1500, seed: 2, transmit: () => true };
    assert.throws(() => new Guest(options).input(new Uint8Array(3), 1), /frame of 3 octets/);
  });
});
