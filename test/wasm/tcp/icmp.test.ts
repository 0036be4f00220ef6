/** ICMP errors of the guest about segments it was sent (RFC 5927). */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { GUEST } from "../../support/engine-settings.ts";
import { icmp, ipv4, PROTOCOL_ICMP, PROTOCOL_TCP, pattern, tcp } from "../../support/packet.ts";
import { type Conversation, established, reach, type TcpGuest } from "../../support/tcp-guest.ts";

const MSS = 1460;
const UNREACHABLE = 3;
const TOO_BIG = 4;

interface ErrorFields {
  readonly type?: number;
  readonly code: number;
  readonly mtu?: number;
  /** Relative sequence number quoted. */
  readonly seq?: number;
  readonly sourcePort?: number;
  readonly protocol?: number;
  /** Octets quoted behind the IP header. */
  readonly quoted?: number;
}

/** The guest complains about a segment of this connection. */
function complain(guest: TcpGuest, fields: ErrorFields): void {
  const { type = UNREACHABLE, code, mtu = 0, seq = 1, quoted = 8 } = fields;
  const { protocol = PROTOCOL_TCP, sourcePort = guest.peerPort } = fields;
  const addresses = { source: guest.peer, destination: GUEST };
  const segment = tcp({
    ...addresses,
    sourcePort,
    destinationPort: guest.port,
    seq: (guest.irs + seq) >>> 0,
    flags: "A",
  });
  const quote = ipv4({ ...addresses, protocol }, segment).subarray(0, 20 + quoted);
  const message = icmp({ type, code, rest: mtu }, quote);
  guest.world.run();
  guest.world.guest(guest.world.ip({ destination: guest.peer, protocol: PROTOCOL_ICMP }, message));
}

/** A connection with three full segments on the way. */
function flying(): Conversation {
  const conversation = established();
  conversation.socket.push(pattern(3 * MSS));
  assert.equal(conversation.world.take().length, 3);
  return conversation;
}

describe("wasm/tcp/icmp: errors are soft", () => {
  const soft: readonly [what: string, type: number, code: number][] = [
    ["network unreachable", 3, 0],
    ["host unreachable", 3, 1],
    // Departs from SHLD-26, as RFC 5927 §6 advises: not once the connection stands.
    ["protocol unreachable", 3, 2],
    ["port unreachable", 3, 3],
    ["source route failed", 3, 5],
    ["administratively prohibited", 3, 13],
    ["source quench", 4, 0],
    ["time exceeded", 11, 0],
    ["reassembly time exceeded", 11, 1],
    ["parameter problem", 12, 0],
  ];
  for (const [what, type, code] of soft) {
    test(`T68: ${what} changes nothing`, () => {
      const { guest, socket, world } = flying();
      const before = world.stats;
      complain(guest, { type, code });
      guest.expectNothing();
      assert.equal(guest.state, "ESTABLISHED");
      world.expectCounted(before, { icmpErrorsFromGuest: 1, consumedLocal: 1 });
      guest.send({ ack: 1 + 3 * MSS });
      socket.push("on");
      guest.expect({ payload: "on" });
    });
  }

  for (const [code, ends] of [
    [0, false],
    [1, false],
    [2, true],
    [3, true],
    [5, false],
  ] as const) {
    test(`T68: code ${code} ${ends ? "ends" : "does not end"} a connection we open`, () => {
      const { guest, socket, world } = reach("SYN_SENT");
      complain(guest, { code, seq: 0 });
      assert.equal(guest.state, ends ? "CLOSED" : "SYN_SENT");
      world.run();
      assert.equal(socket.closed, ends ? "abort" : "no");
    });
  }
});

describe("wasm/tcp/icmp: whose error it is", () => {
  const others: readonly [what: string, fields: ErrorFields][] = [
    ["a sequence number that is acknowledged", { code: TOO_BIG, mtu: 600, seq: 0 }],
    ["a sequence number not sent yet", { code: TOO_BIG, mtu: 600, seq: 1 + 3 * MSS }],
    ["one half the space away", { code: TOO_BIG, mtu: 600, seq: 2 ** 31 }],
    ["another port", { code: TOO_BIG, mtu: 600, sourcePort: 81 }],
    ["another protocol", { code: TOO_BIG, mtu: 600, protocol: 132 }],
    ["less than 8 octets of TCP", { code: TOO_BIG, mtu: 600, quoted: 7 }],
  ];
  for (const [what, fields] of others) {
    test(`T69: a quote of ${what} is ignored`, () => {
      const { guest, world } = flying();
      const before = world.stats;
      complain(guest, fields);
      guest.expectNothing();
      world.expectCounted(before, { dropIcmpQuote: 1 });
    });
  }

  for (const seq of [1, 1 + MSS, 3 * MSS]) {
    test(`T69: a quote of ${seq}, which is on the way, counts`, () => {
      const { guest, world } = flying();
      complain(guest, { code: TOO_BIG, mtu: 600, seq });
      assert.ok(world.take().length > 0);
    });
  }

  test("T69: nothing on the way, nothing to complain about", () => {
    const { guest, world } = established();
    const before = world.stats;
    complain(guest, { code: TOO_BIG, mtu: 600 });
    world.expectCounted(before, { dropIcmpQuote: 1 });
  });
});

describe("wasm/tcp/icmp: fragmentation needed", () => {
  const sizes: readonly [mtu: number, mss: number][] = [
    [1499, 1459],
    [1280, 1240],
    [576, 536],
    [575, 536],
    [68, 536],
    [1, 536],
    [0, 536], // a router that does not say (RFC 1191 §5)
  ];
  for (const [mtu, mss] of sizes) {
    test(`T71: MTU ${mtu} makes segments of ${mss}, again and at once`, () => {
      const { guest, socket } = flying();
      complain(guest, { code: TOO_BIG, mtu });
      guest.expect({ seq: 1, length: mss });
      guest.wanted = 1;
      guest.send({ ack: 1 + mss });
      guest.wanted = 1 + mss;
      socket.push(pattern(10_000, 3 * MSS));
      assert.deepEqual(guest.receiveAll().at(-1), pattern(1, 3 * MSS + 9999)[0]);
    });
  }

  test("T71: timestamps are allowed for", () => {
    const { guest, socket, world } = established({ guest: { timestamps: true } });
    socket.push(pattern(3 * MSS));
    world.take();
    complain(guest, { code: TOO_BIG, mtu: 1000 });
    guest.expect({ seq: 1, length: 1000 - 40 - 12 });
  });

  for (const mtu of [1500, 1501, 65535]) {
    test(`T71: MTU ${mtu} is no news`, () => {
      const { guest } = flying();
      complain(guest, { code: TOO_BIG, mtu });
      guest.expectNothing();
    });
  }

  for (const state of ["SYN_RECEIVED", "SYN_SENT"] as const) {
    test(`T71: about our SYN in ${state}: the engine rests, smaller segments follow`, () => {
      const { guest, socket, world } = reach(state);
      complain(guest, { code: TOO_BIG, mtu: 600, seq: 0 });
      guest.expectNothing();
      guest.send(state === "SYN_SENT" ? { flags: "SA" } : {});
      world.take();
      socket.push(pattern(3000));
      assert.ok(guest.expect({ seq: 1 }).payload.length <= MSS);
      world.checkBalance();
    });
  }

  test("T71: with only our FIN on the way it goes again", () => {
    const { guest } = reach("FIN_WAIT_1");
    complain(guest, { code: TOO_BIG, mtu: 600 });
    guest.expect({ flags: "FA", seq: 1 });
  });
});
