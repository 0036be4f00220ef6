/** Ping through the host's ping sockets. */

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { flowsOf } from "../../../src/engine/flows.ts";
import { EACCES, EHOSTUNREACH } from "../../support/datagram-host.ts";
import { DatagramWorld } from "../../support/datagram-world.ts";
import { DNS, GATEWAY, GUEST, PEER } from "../../support/engine-settings.ts";
import type { FragmentFrame } from "../../support/frame.ts";
import { hex } from "../../support/hex.ts";
import { checksum, icmp, icmpEcho, pattern, u16 } from "../../support/packet.ts";
import { reassemble } from "../../support/packet-decode.ts";

const OTHER = "203.0.113.9";
/** The identifier the host's kernel uses instead of the guest's. */
const HOST_ID = 0x7777;
const ECHO_REPLY = 0;

/** A reply as a ping socket delivers it. */
function reply(sequence: number, payload: Uint8Array | string): Uint8Array {
  return icmpEcho(HOST_ID, sequence, payload, ECHO_REPLY);
}

describe("ping", () => {
  test("requests leave with TTL and TOS, replies come back with the guest's identifier", () => {
    const world = new DatagramWorld();
    world.guest(world.ping(PEER, 0x1234, 1, "hello"));
    world.guest(world.ping(PEER, 0x1234, 2, "hello", { ttl: 9, tos: 0x10 }));
    const socket = world.socket();
    assert.equal(socket.kind, "ping");
    assert.equal(socket.preferred, 0, "the identifier is the host's choice");
    assert.deepEqual(
      socket.sent.map(({ address, ttl, tos }) => [address, ttl, tos]),
      [
        [PEER, 0, 0],
        [PEER, 8, 0x10],
      ],
    );
    assert.deepEqual(socket.sent[0]?.payload, icmpEcho(0x1234, 1, "hello"));
    socket.receive(reply(1, "hello"), PEER, 0, { ttl: 50 });
    const frame = world.icmp();
    assert.deepEqual([frame.type, frame.code, frame.source], [0, 0, PEER]);
    assert.deepEqual([frame.destination, frame.rest, frame.ttl], [GUEST, 0x12340001, 49]);
    assert.equal(new TextDecoder().decode(frame.payload), "hello");
    assert.equal(world.stats.pingToHost, 2);
    assert.equal(world.stats.pingToGuest, 1);
  });

  test("the identifier of the host's choice is the flow's port on its side, else 0", () => {
    const world = new DatagramWorld();
    world.host.openResults.push(HOST_ID, 0);
    world.guest(world.ping(PEER, 0x1234, 1, "a"), world.ping(PEER, 0x4321, 1, "a"));
    const ports = flowsOf(world.engine).map(({ guestPort, hostPort }) => [guestPort, hostPort]);
    assert.deepEqual(
      ports.sort(([a = 0], [b = 0]) => a - b),
      [
        [0x1234, HOST_ID],
        [0x4321, 0],
      ],
    );
  });

  test("N15: two pingers have two sockets and get their own replies only", () => {
    const world = new DatagramWorld();
    world.guest(world.ping(PEER, 1, 7, "a"), world.ping(PEER, 2, 7, "b"));
    world.guest(world.ping(OTHER, 1, 8, "c"));
    const [one, two, ...others] = world.host.sockets;
    assert.equal(others.length, 0, "one socket per identifier, whatever the destination");
    assert.deepEqual(
      one?.sent.map(({ address }) => address),
      [PEER, OTHER],
    );
    two?.receive(reply(7, "b"), PEER, 0);
    assert.equal(world.icmp().rest, 0x00020007);
    one?.receive(reply(8, "c"), OTHER, 0);
    assert.equal(world.icmp().rest, 0x00010008);
  });

  test("N15: a mapping lives 60 s and is refreshed", () => {
    const world = new DatagramWorld();
    world.guest(world.ping(PEER, 1, 1, "a"));
    world.advance(59);
    world.guest(world.ping(PEER, 1, 2, "a"));
    world.advance(59);
    assert.ok(!world.socket().closed);
    world.advance(2);
    assert.ok(world.socket().closed);
    assert.equal(world.engine.flowCount, 0);
  });

  test("N15: errors quote the guest's request, identifier and checksum restored", () => {
    const world = new DatagramWorld();
    const request = icmpEcho(0x1234, 5, "hello");
    world.guest(world.ping(PEER, 0x1234, 5, "hello"));
    const sent = icmpEcho(HOST_ID, 5, "hello");
    const at = { address: PEER, port: 0, payload: sent };
    const error = { errno: EHOSTUNREACH, type: 11, code: 0, offender: "192.0.2.1" };
    world.socket().queueError({ ...error, ...at });
    const frame = world.icmp();
    assert.deepEqual([frame.type, frame.code, frame.source], [11, 0, "192.0.2.1"]);
    assert.deepEqual(frame.payload.subarray(20), request);
    assert.deepEqual(frame.payload.subarray(12, 20), hex("0a00020f c6336450"));
    world.socket().queueError({ ...error, ...at, payload: sent.subarray(0, 8) });
    assert.deepEqual(world.icmp().payload.subarray(20), request.subarray(0, 8));
    world.socket().queueError({ errno: EHOSTUNREACH, origin: 1, address: PEER, port: 0 });
    const local = world.icmp();
    assert.deepEqual([local.type, local.code, local.source], [3, 1, GATEWAY]);
    assert.deepEqual(local.payload.subarray(20), hex("0800 0000 1234 0000"));
  });

  test("N08: no error ends a ping mapping", () => {
    const world = new DatagramWorld();
    world.guest(world.ping(PEER, 1, 1, "a"));
    const at = { address: PEER, port: 0, payload: icmpEcho(HOST_ID, 1, "a"), offender: PEER };
    for (let code = 0; code < 16; code += 1) {
      world.socket().queueError({ errno: EHOSTUNREACH, type: 3, code, ...at });
    }
    assert.equal(world.take().length, 16);
    world.socket().receive(reply(1, "a"), PEER, 0);
    assert.equal(world.icmp().type, 0);
  });

  test("large pings go out whole and come back as fragments", () => {
    const world = new DatagramWorld({ mtu: 65_520 });
    const payload = pattern(60_000);
    world.guest(world.ping(PEER, 1, 1, payload));
    assert.deepEqual(world.socket().sent[0]?.payload, icmpEcho(1, 1, payload));

    const narrow = new DatagramWorld();
    narrow.guest(narrow.ping(PEER, 1, 1, "x"));
    narrow.socket().receive(reply(1, payload), PEER, 0);
    const parts = narrow
      .take()
      .filter((frame): frame is FragmentFrame => frame.kind === "fragment");
    const frame = reassemble(parts);
    assert.ok(frame.kind === "icmp");
    assert.equal(frame.rest, 0x00010001);
    assert.deepEqual(frame.payload, payload);
  });

  test("without ping sockets each is answered prohibited, and the host not asked again", () => {
    const world = new DatagramWorld();
    world.host.openResults.push(-EACCES);
    for (let i = 0; i < 10; i += 1) {
      world.guest(world.ping(PEER, 1, i, "a"));
      const error = world.icmp();
      assert.deepEqual([error.type, error.code, error.source], [3, 13, GATEWAY]);
    }
    assert.equal(world.host.log.length, 1);
    assert.equal(world.stats.dropPingSend, 10);
    assert.equal(world.take().length, 0);
    world.advance(61);
    world.guest(world.ping(PEER, 1, 11, "a"));
    assert.equal(world.socket().sent.length, 1, "asked once more after a minute");
  });

  test("only replies are delivered, never what is forged or cut off", () => {
    const world = new DatagramWorld();
    world.guest(world.ping(PEER, 1, 1, "a"));
    const socket = world.socket();
    socket.receive(icmpEcho(HOST_ID, 1, "request"), PEER, 0);
    socket.receive(icmp({ type: 3, code: 3 }, "x"), PEER, 0);
    socket.receive(hex("00 00 ff ff 77 77 00"), PEER, 0);
    socket.receive(reply(1, "a"), "224.0.0.1", 0);
    assert.equal(world.take().length, 0);
    const { dropIcmpType, dropIcmpTruncated, dropUdpFiltered } = world.stats;
    assert.deepEqual([dropIcmpType, dropIcmpTruncated, dropUdpFiltered], [2, 1, 1]);
  });

  test("a wrong checksum is not made right by the host", () => {
    const world = new DatagramWorld();
    const broken = icmpEcho(1, 1, "a");
    broken.set(u16(checksum(broken) ^ 0x1111), 2);
    world.guest(world.ip({ destination: PEER, protocol: 1 }, broken));
    assert.equal(world.stats.dropIcmpChecksum, 1);
    assert.equal(world.host.sockets.length, 0);
  });

  test("a TTL of 1 ends here, destinations that lead nowhere are dropped", () => {
    const world = new DatagramWorld();
    world.guest(world.ping(PEER, 1, 1, "a", { ttl: 1 }));
    const error = world.icmp();
    assert.deepEqual([error.type, error.code, error.source], [11, 0, GATEWAY]);
    world.guest(world.ping("224.0.0.1", 1, 1, "a"), world.ping("10.0.2.99", 1, 1, "a"));
    assert.equal(world.stats.dropIpDestination, 2);
    assert.equal(world.take().length, 0);
    assert.equal(world.host.sockets.length, 0);
  });

  test("our own addresses answer without the host", () => {
    const world = new DatagramWorld();
    world.guest(world.ping(GATEWAY, 1, 1, "a"), world.ping(DNS, 1, 1, "a"));
    assert.equal(world.take().length, 2);
    assert.equal(world.host.sockets.length, 0);
  });

  test("N16: a full table evicts idle pings before UDP flows", () => {
    const world = new DatagramWorld({ flowsMax: 16 });
    world.guest(world.udp(PEER, 9, "x"));
    for (let id = 1; id <= 40; id += 1) world.guest(world.ping(PEER, id, 1, "a"));
    assert.equal(world.engine.flowCount, 10); // the rest is kept for TCP and DNS
    assert.equal(flowsOf(world.engine).filter(({ kind }) => kind === "udp").length, 1);
    assert.equal(world.host.live.length, 10);
    assert.equal(world.stats.dropPingTableFull, 0);
  });
});
