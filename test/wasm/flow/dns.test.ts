/** DNS: what goes to a resolver, which one, and the answer when there is none. */

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { flowsOf } from "../../../src/engine/flows.ts";
import * as abi from "../../../wasm/abi.ts";
import { ENETUNREACH } from "../../support/datagram-host.ts";
import { DatagramWorld } from "../../support/datagram-world.ts";
import {
  answer,
  lastAsked,
  QUESTION,
  query,
  RESOLVERS,
  SECOND_RESOLVER,
  THIRD_RESOLVER,
  unreachable,
} from "../../support/dns.ts";
import { EngineWorld } from "../../support/engine-harness.ts";
import { DNS, GUEST, PEER, RESOLVER } from "../../support/engine-settings.ts";
import { hex } from "../../support/hex.ts";
import { concat, ip, pattern, u16 } from "../../support/packet.ts";
import { TcpGuest } from "../../support/tcp-guest.ts";

describe("DNS forwarding", () => {
  test("F01: queries and answers pass unchanged", () => {
    const world = new DatagramWorld();
    const odd = concat(u16(7), hex("7bff 0002 0003 0004 0005"), pattern(200));
    world.guest(world.udp(DNS, 53, query(7)), world.udp(DNS, 53, odd));
    const socket = world.socket();
    const sent = concat(...socket.sent.map(({ payload }) => payload));
    assert.deepEqual(sent, concat(query(7), odd));
    assert.deepEqual([socket.address, socket.port], [RESOLVER, 53]);
    assert.equal(socket.sent[0]?.address, "0.0.0.0", "connected, no destination");
    const reply = concat(u16(7), hex("fbf3 0002 ffff ffff ffff"), pattern(99));
    socket.receive(reply);
    const [frame] = world.datagrams();
    assert.deepEqual([frame?.source, frame?.sourcePort], [DNS, 53]);
    assert.deepEqual([frame?.destination, frame?.destinationPort], [GUEST, 40000]);
    assert.deepEqual(frame?.payload, reply);
  });

  test("F02: large answers arrive, over the MTU as fragments, truncated ones with TC", () => {
    const world = new DatagramWorld();
    world.guest(world.udp(DNS, 53, query(7)));
    world.socket().receive(answer(7, pattern(4000)));
    const frames = world.take();
    assert.deepEqual(
      frames.map(({ kind }) => kind),
      ["fragment", "fragment", "fragment"],
    );
    world.guest(world.udp(DNS, 53, query(8)));
    const truncated = concat(u16(8), hex("8380 0001 0000 0000 0000"), QUESTION);
    world.socket().receive(truncated);
    assert.deepEqual(world.datagrams()[0]?.payload, truncated);
  });

  test("F03: the source port is the host's choice, the socket connected to one resolver", () => {
    const world = new DatagramWorld();
    world.guest(world.udp(DNS, 53, query(1)));
    world.guest(world.udp(DNS, 53, query(1), { sourcePort: 40001 }));
    assert.deepEqual(
      world.host.sockets.map(({ preferred, address, port }) => [preferred, address, port]),
      [
        [0, RESOLVER, 53],
        [0, RESOLVER, 53],
      ],
    );
  });

  test("resolvers on a port of their own are asked there, over TLS at 853 still", () => {
    const world = new DatagramWorld({ dnsPort: 5353 });
    world.guest(world.udp(DNS, 53, query(1)));
    world.guest(world.udp(DNS, 853, query(1)));
    world.guest(world.udp(PEER, 53, query(1)));
    assert.deepEqual(
      world.host.sockets.slice(0, 2).map(({ address, port }) => [address, port]),
      [
        [RESOLVER, 5353],
        [RESOLVER, 853],
      ],
    );
    assert.equal(world.host.sockets[2]?.sent[0]?.port, 53);
    world.host.sockets[0]?.receive(answer(1));
    assert.equal(world.datagrams()[0]?.sourcePort, 53);
  });

  test("F04: no port is opened to others: only flows of the guest own sockets", () => {
    const world = new DatagramWorld();
    assert.equal(world.host.sockets.length, 0);
    world.guest(world.udp(DNS, 53, query(1)));
    assert.equal(flowsOf(world.engine)[0]?.kind, "dns");
    world.advance(11);
    assert.ok(world.socket().closed);
    assert.equal(world.engine.flowCount, 0);
  });

  test("the flow ends 10 s after the last word of either side", () => {
    const world = new DatagramWorld();
    world.guest(world.udp(DNS, 53, query(1)));
    world.advance(8);
    world.socket().receive(answer(1));
    world.take();
    world.advance(8);
    assert.ok(!world.socket().closed);
    world.advance(3);
    assert.ok(world.socket().closed);
  });

  test("the same guest port keeps its mapping for others", () => {
    const world = new DatagramWorld();
    world.guest(world.udp(DNS, 53, query(1)), world.udp(PEER, 53, query(1)));
    const kinds = flowsOf(world.engine).map(({ kind }) => kind);
    assert.deepEqual(kinds.sort(), ["dns", "udp"]);
  });

  test("F06: DNS flows take a quarter of the table at most", () => {
    const world = new DatagramWorld({ flowsMax: 64 });
    for (let i = 0; i < 40; i += 1) {
      world.guest(world.udp(DNS, 53, query(i), { sourcePort: 2000 + i }));
    }
    assert.equal(world.engine.flowCount, 16);
    assert.equal(world.stats.dnsEvicted, 24);
    assert.equal(world.host.live.length, 16);
  });

  test("F06: a resolver on the host's loopback is reachable, and port 853 is treated alike", () => {
    const world = new DatagramWorld({ resolvers: [ip("127.0.0.53")] });
    world.guest(world.udp(DNS, 53, query(1)));
    assert.equal(world.socket().address, "127.0.0.53");
    world.guest(world.udp(DNS, 853, pattern(100)));
    assert.deepEqual([world.socket().address, world.socket().port], ["127.0.0.53", 853]);
    world.socket().receive(pattern(50));
    const [frame] = world.datagrams();
    assert.deepEqual([frame?.source, frame?.sourcePort], [DNS, 853]);
  });
});

describe("DNS resolvers", () => {
  test("F06: a change of the resolvers counts for the next flow", () => {
    const world = new DatagramWorld();
    world.guest(world.udp(DNS, 53, query(1)));
    world.engine.setResolvers([ip(SECOND_RESOLVER)]);
    world.guest(world.udp(DNS, 53, query(1), { sourcePort: 40001 }));
    assert.equal(world.socket().address, SECOND_RESOLVER);
  });

  test("a question that comes again unanswered goes to the next resolver", () => {
    const world = new DatagramWorld({ resolvers: RESOLVERS });
    const seen: string[] = [];
    for (let i = 0; i < 4; i += 1) {
      world.guest(world.udp(DNS, 53, query(5)));
      seen.push(lastAsked(world));
      world.advance(0.2);
    }
    assert.deepEqual(seen, [RESOLVER, SECOND_RESOLVER, THIRD_RESOLVER, RESOLVER]);
    assert.equal(world.host.live.length, 3);
    world.socket().receive(answer(5));
    assert.equal(world.datagrams().length, 1);
  });

  test("letters of other case, and an answer in between", () => {
    const world = new DatagramWorld({ resolvers: RESOLVERS });
    const spelled = hex("03 775777 07 4578616d506c65 03 434f6d 00 0001 0001");
    world.guest(world.udp(DNS, 53, query(5)));
    world.guest(world.udp(DNS, 53, query(5, spelled)));
    assert.equal(world.socket().address, SECOND_RESOLVER);
    world.socket().receive(answer(5));
    world.take();
    world.guest(world.udp(DNS, 53, query(5)));
    assert.equal(world.socket().address, SECOND_RESOLVER, "it has answered");
    world.guest(world.udp(DNS, 53, query(6)));
    assert.equal(world.host.sockets.length, 2, "another question");
  });

  test("two questions on one port that come again move on once", () => {
    const world = new DatagramWorld({ resolvers: RESOLVERS });
    world.guest(world.udp(DNS, 53, query(5)), world.udp(DNS, 53, query(6)));
    world.guest(world.udp(DNS, 53, query(5)), world.udp(DNS, 53, query(6)));
    assert.equal(world.host.sockets.length, 2);
    assert.equal(world.socket().address, SECOND_RESOLVER);
    const sent = concat(...world.socket().sent.map(({ payload }) => payload));
    assert.deepEqual(sent, concat(query(5), query(6)));
  });

  test("with one resolver a repeated question is simply sent again", () => {
    const world = new DatagramWorld();
    world.guest(world.udp(DNS, 53, query(5)));
    world.guest(world.udp(DNS, 53, query(5)));
    assert.equal(world.host.sockets.length, 1);
    assert.equal(world.socket().sent.length, 2);
  });

  test("a resolver that refuses, or never answers, is nobody's first choice any more", () => {
    const world = new DatagramWorld({ resolvers: RESOLVERS });
    world.guest(world.udp(DNS, 53, query(1)));
    unreachable(world.socket(), query(1));
    world.run();
    assert.equal(lastAsked(world), SECOND_RESOLVER);
    assert.deepEqual(world.take(), [], "the guest hears nothing of it");
    world.guest(world.udp(DNS, 53, query(2), { sourcePort: 40001 }));
    assert.equal(lastAsked(world), SECOND_RESOLVER);
    world.advance(2);
    world.guest(world.udp(DNS, 53, query(3), { sourcePort: 40002 }));
    assert.equal(lastAsked(world), RESOLVER, "none has said a word: in order");
  });

  test("a resolver without route is passed over at once, the query is not lost", () => {
    const world = new DatagramWorld({ resolvers: RESOLVERS });
    world.host.openResults.push(-ENETUNREACH, -ENETUNREACH);
    world.guest(world.udp(DNS, 53, query(1)));
    assert.equal(world.socket().address, THIRD_RESOLVER);
    assert.deepEqual(world.socket().sent[0]?.payload, query(1));
  });
});

describe("DNS over TCP", () => {
  /** The host addresses a connection and a datagram to the DNS address reach now. */
  function reached(world: EngineWorld, port: number): readonly string[] {
    const guest = new TcpGuest(world, { port, peer: DNS, peerPort: 53 });
    guest.send({ flags: "S" });
    guest.expect({ flags: "SA" });
    guest.send({ flags: "R" });
    const connection = world.host.socket().address;
    world.guest(world.udp({ to: DNS, port: 53, from: port }, query(port)));
    return [connection, world.host.socket().address];
  }

  test("a connection goes to the resolver that is the first choice of datagrams", () => {
    const world = new EngineWorld({ resolvers: RESOLVERS });
    assert.deepEqual(reached(world, 40000), [RESOLVER, RESOLVER]);
    world.advance(1_500_000); // without an answer
    assert.deepEqual(reached(world, 40001), [SECOND_RESOLVER, SECOND_RESOLVER]);
    world.engine.setResolvers([ip(THIRD_RESOLVER)]);
    assert.deepEqual(reached(world, 40002), [THIRD_RESOLVER, THIRD_RESOLVER]);
  });

  test("resolvers on a port of their own are asked there", () => {
    const world = new EngineWorld({ dnsPort: 5353 });
    const peers = [
      [DNS, 53, 5353],
      [DNS, 853, 853],
      [PEER, 53, 53],
    ] as const;
    for (const [peer, peerPort, port] of peers) {
      new TcpGuest(world, { port: 40_000, peer, peerPort }).send({ flags: "S" });
      assert.equal(world.host.socket().port, port);
    }
  });

  test("a resolver of address 0 is passed over", () => {
    const world = new EngineWorld({ resolvers: [0, ip(SECOND_RESOLVER)] });
    assert.deepEqual(reached(world, 40000), [SECOND_RESOLVER, SECOND_RESOLVER]);
  });

  for (const [what, resolvers] of [
    ["none", []],
    ["none but of address 0", [0, 0]],
  ] as const) {
    test(`with ${what} the connection is refused`, () => {
      const world = new EngineWorld({ resolvers });
      const guest = new TcpGuest(world, { peer: DNS, peerPort: 53 });
      guest.send({ flags: "S" });
      guest.expect({ flags: "RA" });
      assert.equal(world.host.sockets.length, 0);
    });
  }
});

describe("DNS without resolver", () => {
  test("F06: no resolver, the answer is SERVFAIL with id and question", () => {
    const world = new DatagramWorld({ resolvers: [] });
    world.guest(world.udp(DNS, 53, query(0xbeef)));
    const [frame] = world.datagrams();
    assert.deepEqual([frame?.source, frame?.sourcePort], [DNS, 53]);
    assert.deepEqual([frame?.destination, frame?.destinationPort], [GUEST, 40000]);
    const want = concat(hex("beef 8182 0001 0000 0000 0000"), QUESTION);
    assert.deepEqual(frame?.payload, want);
    assert.equal(world.stats.servfailSent, 1);
    assert.equal(world.stats.consumedLocal, 1);
    assert.equal(world.engine.flowCount, 0);
    assert.equal(world.host.sockets.length, 0);
  });

  test("F06: no resolver reachable, the same", () => {
    const world = new DatagramWorld({ resolvers: RESOLVERS });
    world.host.openResults.push(-ENETUNREACH, -ENETUNREACH, -ENETUNREACH);
    world.guest(world.udp(DNS, 53, query(1)), world.udp(DNS, 53, query(2)));
    const answers = world.datagrams().map(({ payload }) => [payload[1], payload[3]]);
    assert.deepEqual(answers, [
      [1, 0x82],
      [2, 0x82],
    ]);
    assert.equal(world.stats.servfailSent, 2);
    assert.equal(world.engine.flowCount, 0);
  });

  test("what is no query gets no answer", () => {
    const world = new DatagramWorld({ resolvers: [] });
    world.guest(world.udp(DNS, 53, answer(1)), world.udp(DNS, 53, pattern(11)));
    assert.equal(world.stats.dropNoResolver, 2);
    const kinds = world.take().map(({ kind }) => kind);
    assert.deepEqual(kinds, ["icmp", "icmp"]);
    world.guest(world.udp(DNS, 853, query(1)));
    assert.equal(world.icmp().code, 3);
  });

  test("malformed questions are left out of the answer", () => {
    const world = new DatagramWorld({ resolvers: [] });
    const names = [
      hex("c00c 0001 0001"), // a pointer
      hex("3f 61"), // a label that is cut off
      hex("00 0001 00"), // no room for class
      concat(...Array.from({ length: 60 }, () => hex("04 61616161")), hex("00 0001 0001")),
      hex(""),
    ];
    for (const name of names) {
      world.guest(world.udp(DNS, 53, query(3, name, hex(""))));
      assert.deepEqual(world.datagrams()[0]?.payload, hex("0003 8182 0000 0000 0000 0000"));
    }
    const two = concat(hex("0004 0100 0002 0000 0000 0000"), QUESTION, QUESTION);
    world.guest(world.udp(DNS, 53, two));
    assert.deepEqual(world.datagrams()[0]?.payload, hex("0004 8182 0000 0000 0000 0000"));
  });

  test("with DNS switched off the address refuses", () => {
    const world = new DatagramWorld({ dns: false });
    world.guest(world.udp(DNS, 53, query(1)));
    assert.deepEqual([world.icmp().code, world.host.sockets.length], [3, 0]);
    assert.equal(world.host.log.includes(abi.OP_UDP_OPEN), false);
  });
});
