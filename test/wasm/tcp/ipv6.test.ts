/** TCP over IPv6: the same code as for IPv4, seen from outside; transfers over both. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import * as abi from "../../../wasm/abi.ts";
import { DNS6, GATEWAY6, GUEST6, groups, PEER, PEER6 } from "../../support/engine-settings.ts";
import { ECONNREFUSED, EHOSTUNREACH, ENETUNREACH } from "../../support/fake-host.ts";
import { concat, ip6Text, PROTOCOL_TCP, pattern, u16 } from "../../support/packet.ts";
import { icmp6, ipv6, PROTOCOL_ICMPV6 } from "../../support/packet6.ts";
import { type Conversation, TcpGuest } from "../../support/tcp-guest.ts";
import { World6 } from "../../support/world6.ts";

const TSO = abi.LINK_CSUM | abi.LINK_TSO6;

/** An open connection over IPv6. */
function open(world: World6, options = {}): Conversation {
  const guest = new TcpGuest(world, { peer: PEER6, ...options }).open();
  return { world, guest, socket: guest.socket };
}

describe("wasm/tcp over IPv6", () => {
  test("T33 SYN is answered once the host is connected, by a socket of IPv6", () => {
    const w = new World6();
    w.host.connect = () => "pending";
    const guest = new TcpGuest(w, { peer: PEER6 });
    guest.send({ flags: "S" });
    guest.expectNothing();
    assert.equal(guest.socket.address, PEER6);
    guest.socket.connected();
    guest.expect({ flags: "SA", ack: 1 });
  });

  test("T08 T10 the MSS is the MTU less 60, and bounds what is sent", () => {
    for (const [mtu, mss] of [
      [1280, 1220],
      [1500, 1440],
    ] as const) {
      const w = new World6({ mtu });
      const guest = new TcpGuest(w, { peer: PEER6, options: { mss: 9000 } });
      guest.send({ flags: "S" });
      guest.expect({ flags: "SA", options: { mss } });
      guest.send();
      guest.socket.push(pattern(4000));
      guest.expect({ length: mss });
    }
  });

  test("T09 without an MSS option the guest is taken to accept 1220 octets", () => {
    const w = new World6();
    const guest = new TcpGuest(w, { peer: PEER6, options: {} }).open();
    guest.socket.push(pattern(3000));
    guest.expect({ length: 1220 });
  });

  for (const [name, peer] of [
    ["IPv4", PEER],
    ["IPv6", PEER6],
  ] as const) {
    test(`data goes both ways over ${name} and ends in order`, () => {
      const w = new World6();
      const guest = new TcpGuest(w, { peer }).open();
      const { socket } = guest;
      for (let i = 0; i < 20; i += 1) guest.send({ payload: pattern(1400, i * 1400) });
      assert.deepEqual(socket.stream, pattern(28000));
      w.take();
      socket.push(pattern(50000));
      assert.deepEqual(guest.receiveAll(), pattern(50000));
      w.take();
      guest.send({ flags: "FA" });
      guest.expect({ flags: "A" });
      socket.end();
      guest.expect({ flags: "FA" });
      guest.send();
      assert.equal(guest.state, "CLOSED");
    });
  }

  test("T01 a wrong checksum is dropped; the link may vouch for it", () => {
    const { world, guest } = open(new World6());
    guest.send({ payload: "x", checksum: 1 });
    assert.equal(world.stats.dropTcpChecksum, 1);
    const w = new World6({ vnetSize: 10 });
    const { guest: other, socket } = open(w);
    const header = Uint8Array.of(1, 0, 0, 0, 0, 0, 54, 0, 16, 0);
    w.guestRaw(concat(header, other.frame({ payload: "y", checksum: 1 })));
    assert.equal(socket.text, "y");
  });

  test("an offload frame of the guest (GSO_TCPV6) is taken as one segment", () => {
    const w = new World6({ vnetSize: 10 });
    const { guest, socket } = open(w);
    const header = Uint8Array.of(1, 4, 74, 0, 0xa0, 5, 54, 0, 16, 0);
    w.guestRaw(concat(header, guest.frame({ payload: pattern(30000) })));
    assert.deepEqual(socket.stream, pattern(30000));
    const wrong = Uint8Array.of(1, 1, 74, 0, 0xa0, 5, 54, 0, 16, 0);
    const before = w.stats;
    w.guestRaw(concat(wrong, guest.frame({ payload: "z" })));
    w.expectCounted(before, { dropVnetHeader: 1 });
  });

  test("data leaves as one frame where the link segments IPv6 (TSO6), else as segments", () => {
    const w = new World6({ vnetSize: 10, linkFlags: TSO, mtu: 65520 });
    const { guest, socket } = open(w, { options: { mss: 1440 } });
    socket.push(pattern(14400));
    const frame = guest.expect({ length: 14400 });
    assert.deepEqual([frame.vnet?.gsoType, frame.vnet?.gsoSize], [4, 1440]);
    const four = new World6({ vnetSize: 10, linkFlags: abi.LINK_CSUM | abi.LINK_TSO4 });
    const plain = open(four, { options: { mss: 1440 } });
    plain.socket.push(pattern(14400));
    assert.equal(plain.guest.expect().payload.length, 1440);
  });

  const failures: readonly (readonly [string, number, number | undefined])[] = [
    ["refused becomes RST", ECONNREFUSED, undefined],
    ["no route becomes an ICMPv6 error", ENETUNREACH, 0],
    ["an unreachable host becomes an ICMPv6 error", EHOSTUNREACH, 3],
  ];
  for (const [name, errno, code] of failures) {
    test(`T32 ${name}`, () => {
      const w = new World6();
      w.host.connect = () => ({ errno });
      const guest = new TcpGuest(w, { peer: PEER6 });
      guest.send({ flags: "S" });
      if (code === undefined) {
        guest.expect({ flags: "RA", ack: 1 });
        return;
      }
      const frame = w.expect("icmp6", { type: 1, code, source: GATEWAY6, destination: GUEST6 });
      assert.equal(ip6Text(frame.payload.subarray(24, 40)), PEER6);
      assert.deepEqual(frame.payload.subarray(40, 44), concat(u16(guest.port), u16(80)));
    });
  }

  test("the gateway refuses unless it stands for ::1; DNS over TCP reaches the resolver", () => {
    const w = new World6({ resolvers: [{ groups: groups("2001:db8::53"), scope: 0 }] });
    const guest = new TcpGuest(w, { peer: GATEWAY6 });
    guest.send({ flags: "S" });
    guest.expect({ flags: "RA" });
    const asking = new TcpGuest(w, { peer: DNS6, peerPort: 53, port: 41000 });
    asking.send({ flags: "S" });
    assert.equal(w.host.socket("2001:db8::53", 53).kind, "tcp");
    const allowed = new World6({ hostLoopback: true });
    new TcpGuest(allowed, { peer: GATEWAY6 }).send({ flags: "S" });
    assert.equal(allowed.host.socket().address, "::1");
  });

  test("inbound: the peer's own address, the gateway's for loopback and link-local peers", () => {
    const w = new World6();
    for (const [peer, seen] of [
      [PEER6, PEER6],
      ["::1", GATEWAY6],
      ["fe80::77", GATEWAY6],
    ] as const) {
      w.inboundTcp(22, peer, 50000);
      w.advance(0);
      w.expect("tcp", { source: seen, destination: GUEST6, destinationPort: 22, flags: "S" });
    }
  });

  /** An ICMPv6 error of the guest about the segment it was just sent. */
  function complain(talk: Conversation, type: number, code: number, rest: number): void {
    const { guest, world } = talk;
    const segment = guest.expect();
    const quoted = segment.octets.subarray(14);
    const ends = { source: GUEST6, destination: PEER6 };
    const message = icmp6({ ...ends, type, code, rest }, quoted.subarray(0, 1000));
    world.guest(world.ip({ ...ends, protocol: PROTOCOL_ICMPV6 }, message));
  }

  test("T71 packet too big lowers the segments to 1220 at least, and sends again", () => {
    for (const [mtu, length] of [
      [1400, 1340],
      [100, 1220],
    ] as const) {
      const talk = open(new World6());
      talk.socket.push(pattern(1440));
      complain(talk, 2, 0, mtu);
      talk.guest.expect({ seq: 1, length });
    }
  });

  test("T68 unreachable is soft, but ends a connection that is opening", () => {
    const talk = open(new World6());
    talk.socket.push(pattern(100));
    complain(talk, 1, 4, 0);
    assert.equal(talk.guest.state, "ESTABLISHED");
    const world = new World6({ ipv4: false });
    world.inboundTcp(8080, PEER6, 80);
    world.advance(0);
    const guest = new TcpGuest(world, { peer: PEER6, port: 8080 });
    guest.expect({ flags: "S" });
    const segment = concat(u16(guest.peerPort), u16(8080), new Uint8Array(16));
    const view = new DataView(segment.buffer);
    view.setUint32(4, guest.irs);
    const quote = ipv6({ source: PEER6, destination: GUEST6, protocol: PROTOCOL_TCP }, segment);
    const ends = { source: GUEST6, destination: PEER6 };
    const message = icmp6({ ...ends, type: 1, code: 4 }, quote);
    world.guest(world.ip({ ...ends, protocol: PROTOCOL_ICMPV6 }, message));
    assert.equal(guest.flow, undefined);
  });

  test("T22 initial sequence numbers depend on the address, not on its place in the table", () => {
    const irs = (before: number): number => {
      const w = new World6();
      for (let i = 0; i < before; i += 1)
        w.guest(w.udp({ to: `2001:db8:1::${i + 1}`, port: 9 }, ""));
      const guest = new TcpGuest(w, { peer: PEER6 });
      guest.send({ flags: "S" });
      return guest.expect({ flags: "SA" }).seq;
    };
    assert.equal(irs(0), irs(5));
  });
});
