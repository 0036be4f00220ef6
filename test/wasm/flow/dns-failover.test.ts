/** DNS: what a query does when its resolver is changed, dead, slow, or says no. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { EACCES, ENETUNREACH } from "../../support/datagram-host.ts";
import { DatagramWorld } from "../../support/datagram-world.ts";
import {
  answer,
  asked,
  failure,
  lastAsked,
  QUESTION,
  query,
  RESOLVERS,
  SECOND_RESOLVER,
  socketTo,
  THIRD_RESOLVER,
  unreachable,
} from "../../support/dns.ts";
import { DNS, RESOLVER } from "../../support/engine-settings.ts";
import { hex } from "../../support/hex.ts";
import { concat, ip, u16 } from "../../support/packet.ts";

const TWO = [ip(RESOLVER), ip(SECOND_RESOLVER)];

const SERVFAIL = 2;

const REFUSED = 5;

/** Sends a query from the guest's usual port. */
function ask(world: DatagramWorld, id: number): void {
  world.guest(world.udp(DNS, 53, query(id)));
}

/** Answers the guest has got, as identifiers and codes. */
function heard(world: DatagramWorld): (readonly [id: number, code: number])[] {
  return world.datagrams().map(({ payload, source, sourcePort, destinationPort }) => {
    assert.deepEqual([source, sourcePort, destinationPort], [DNS, 53, 40000]);
    return [((payload[0] ?? 0) << 8) | (payload[1] ?? 0), (payload[3] ?? 0) & 15];
  });
}

describe("a query goes to the resolver that is right when it is sent", () => {
  test("a socket kept for ever follows a change of the list, dead or alive the old one", () => {
    const world = new DatagramWorld();
    for (let id = 1; id <= 20; id += 1) {
      if (id === 10) world.engine.setResolvers([ip(SECOND_RESOLVER)]);
      ask(world, id);
      if (id % 3 !== 0) world.socket().receive(answer(id));
      world.advance(1);
    }
    const seen = asked(world).filter((_, i, all) => i === 0 || all[i - 1] !== all[i]);
    assert.deepEqual(seen, [RESOLVER, SECOND_RESOLVER]);
    assert.equal(asked(world).indexOf(SECOND_RESOLVER), 9, "from the very next query on");
  });

  test("the old one's late answer is still taken, its flow then ends by itself", () => {
    const world = new DatagramWorld();
    ask(world, 1);
    world.engine.setResolvers([ip(SECOND_RESOLVER)]);
    ask(world, 2);
    socketTo(world, RESOLVER).receive(answer(1));
    assert.deepEqual(heard(world), [[1, 0]]);
    for (let id = 3; id < 16; id += 1) {
      ask(world, id);
      world.socket().receive(answer(id));
      world.advance(1);
    }
    assert.deepEqual(
      world.host.live.map(({ address }) => address),
      [SECOND_RESOLVER],
    );
  });

  test("a query under way is sent to a list that was put in the place of a dead resolver", () => {
    const world = new DatagramWorld();
    ask(world, 1);
    world.engine.setResolvers([ip(SECOND_RESOLVER)]);
    world.advance(1.1);
    assert.deepEqual(asked(world), [RESOLVER, SECOND_RESOLVER]);
    socketTo(world, SECOND_RESOLVER).receive(answer(1));
    assert.deepEqual(heard(world), [[1, 0]]);
  });

  test("the first of two dies: its query is answered, the next ones go to the second", () => {
    const world = new DatagramWorld({ resolvers: TWO });
    ask(world, 1);
    world.advance(0.9);
    assert.deepEqual(asked(world), [RESOLVER]);
    world.advance(0.2);
    assert.deepEqual(asked(world), [RESOLVER, SECOND_RESOLVER]);
    socketTo(world, SECOND_RESOLVER).receive(answer(1));
    assert.deepEqual(heard(world), [[1, 0]]);
    for (let id = 2; id < 9; id += 1) {
      ask(world, id);
      socketTo(world, SECOND_RESOLVER).receive(answer(id));
      assert.deepEqual(heard(world), [[id, 0]]);
      world.advance(1);
    }
    assert.equal(asked(world).filter((address) => address === RESOLVER).length, 1);
    assert.equal(world.stats.dnsRetried, 1);
  });

  test("a dead one is asked beside its stand-in every 10 s, and is first again at once", () => {
    const world = new DatagramWorld({ resolvers: TWO });
    ask(world, 1);
    world.advance(1.1);
    const second = (id: number): void => {
      ask(world, id);
      socketTo(world, SECOND_RESOLVER).receive(answer(id));
      assert.deepEqual(heard(world), [[id, 0]], "no time is lost by it");
      world.advance(1);
    };
    for (let id = 2; id < 34; id += 1) second(id);
    const probes = asked(world).filter((address) => address === RESOLVER).length - 1;
    assert.equal(probes, 3);
    world.advance(10);
    ask(world, 50);
    socketTo(world, RESOLVER).receive(answer(50));
    assert.deepEqual(heard(world), [[50, 0]]);
    socketTo(world, SECOND_RESOLVER).receive(answer(50));
    assert.deepEqual(heard(world), [], "the slower one");
    assert.equal(world.stats.dropDnsAnswer, 1);
    ask(world, 51);
    assert.deepEqual(asked(world).slice(-1), [RESOLVER]);
  });

  test("a slow question is not a dead resolver", () => {
    const world = new DatagramWorld({ resolvers: TWO });
    ask(world, 1);
    world.advance(0.5);
    ask(world, 2);
    world.socket().receive(answer(2));
    world.advance(0.6);
    assert.deepEqual(asked(world), [RESOLVER, RESOLVER, SECOND_RESOLVER], "only this one moved on");
    ask(world, 3);
    assert.equal(lastAsked(world), RESOLVER);
    world.socket().receive(answer(3));
    socketTo(world, RESOLVER).receive(answer(1));
    assert.deepEqual(
      heard(world)
        .map(([id]) => id)
        .sort(),
      [1, 2],
    );
  });

  test("messages over TLS' port keep to one resolver as long as it is listed", () => {
    const world = new DatagramWorld({ resolvers: TWO });
    world.guest(world.udp(DNS, 853, "hello"));
    world.guest(world.udp(DNS, 53, query(1)));
    world.advance(1.1); // the first one counts as down
    world.guest(world.udp(DNS, 853, "again"));
    assert.equal(lastAsked(world), RESOLVER);
    world.engine.setResolvers([ip(THIRD_RESOLVER)]);
    world.guest(world.udp(DNS, 853, "hello"));
    assert.equal(lastAsked(world), THIRD_RESOLVER);
  });
});

describe("failures lead to the next resolver", () => {
  for (const [name, code] of [
    ["FORMERR", 1],
    ["SERVFAIL", 2],
    ["NOTIMP", 4],
    ["REFUSED", 5],
  ] as const) {
    test(`${name}: at once, and the guest hears the good answer alone`, () => {
      const world = new DatagramWorld({ resolvers: RESOLVERS });
      ask(world, 7);
      world.socket().receive(failure(7, code));
      world.run();
      assert.deepEqual(asked(world), [RESOLVER, SECOND_RESOLVER]);
      assert.deepEqual(world.host.deliveries[1]?.payload, query(7), "octet for octet");
      socketTo(world, SECOND_RESOLVER).receive(answer(7));
      assert.deepEqual(heard(world), [[7, 0]]);
      ask(world, 8);
      assert.equal(lastAsked(world), RESOLVER, "it says so of this question");
    });
  }

  test("no such name is an answer", () => {
    const world = new DatagramWorld({ resolvers: TWO });
    ask(world, 7);
    world.socket().receive(failure(7, 3));
    assert.deepEqual(heard(world), [[7, 3]]);
    assert.deepEqual(asked(world), [RESOLVER]);
  });

  test("all refuse: the guest gets the best failure as it was written", () => {
    const world = new DatagramWorld({ resolvers: RESOLVERS });
    ask(world, 7);
    for (const [address, code] of [
      [RESOLVER, REFUSED],
      [SECOND_RESOLVER, SERVFAIL],
      [THIRD_RESOLVER, REFUSED],
    ] as const) {
      assert.deepEqual(world.take(), []);
      socketTo(world, address).receive(failure(7, code));
      world.run();
    }
    assert.deepEqual(world.datagrams()[0]?.payload, failure(7, SERVFAIL));
    assert.equal(world.stats.dropDnsAnswer, 0);
    ask(world, 7);
    assert.equal(asked(world).length, 4, "a new query");
  });

  test("a failure and then silence: the failure, 2 s after the last was asked", () => {
    const world = new DatagramWorld({ resolvers: TWO });
    ask(world, 7);
    world.socket().receive(failure(7, REFUSED));
    world.advance(2.9);
    assert.deepEqual(heard(world), []);
    world.advance(0.2);
    assert.deepEqual(heard(world), [[7, REFUSED]]);
    assert.deepEqual(asked(world), [RESOLVER, SECOND_RESOLVER]);
  });

  test("a failure without its question, and one too large to keep", () => {
    const world = new DatagramWorld({ resolvers: TWO });
    ask(world, 7);
    world.socket().receive(hex("0007 8181 0000 0000 0000 0000"));
    world.run();
    assert.equal(lastAsked(world), SECOND_RESOLVER);
    world.socket().receive(concat(failure(7, SERVFAIL), new Uint8Array(1000)));
    const wanted = concat(hex("0007 8182 0001 0000 0000 0000"), QUESTION);
    assert.deepEqual(world.datagrams()[0]?.payload, wanted);
  });

  test("with one resolver its failure passes as it is", () => {
    const world = new DatagramWorld();
    ask(world, 7);
    world.socket().receive(failure(7, REFUSED));
    assert.deepEqual(world.datagrams()[0]?.payload, failure(7, REFUSED));
  });

  test("all are silent: so are we, and an answer that comes late is taken", () => {
    const world = new DatagramWorld({ resolvers: RESOLVERS });
    ask(world, 7);
    world.advance(8);
    assert.deepEqual(asked(world), [RESOLVER, SECOND_RESOLVER, THIRD_RESOLVER]);
    assert.deepEqual(heard(world), []);
    socketTo(world, SECOND_RESOLVER).receive(answer(7));
    assert.deepEqual(heard(world), [[7, 0]]);
    socketTo(world, THIRD_RESOLVER).receive(answer(7));
    assert.deepEqual(heard(world), []);
    assert.equal(world.stats.dropDnsAnswer, 1);
  });

  test("a query nobody answers is forgotten, and nothing is left to do", () => {
    const world = new DatagramWorld({ resolvers: TWO });
    ask(world, 7);
    world.advance(60);
    assert.equal(world.engine.flowCount, 0);
    ask(world, 7);
    assert.equal(asked(world).length, 3);
  });

  test("nobody can be reached: SERVFAIL, and once alone", () => {
    const world = new DatagramWorld({ resolvers: TWO });
    ask(world, 7);
    unreachable(socketTo(world, RESOLVER), query(7));
    world.run();
    unreachable(socketTo(world, SECOND_RESOLVER), query(7));
    assert.deepEqual(heard(world), [[7, SERVFAIL]]);
    assert.equal(world.stats.servfailSent, 1);
  });

  test("a socket that refuses to send: the next one, and no ICMP", () => {
    const world = new DatagramWorld({ resolvers: TWO });
    const refusals = [-EACCES, -EACCES];
    world.host.onSend = () => refusals.shift();
    ask(world, 7);
    assert.deepEqual(asked(world), [SECOND_RESOLVER]);
    assert.deepEqual(world.take(), []);
    assert.equal(world.stats.dropUdpSend, 1);
  });

  test("no route to the first two, then an answer; the books balance", () => {
    const world = new DatagramWorld({ resolvers: RESOLVERS });
    world.host.openResults.push(-ENETUNREACH, -ENETUNREACH);
    ask(world, 7);
    world.socket().receive(answer(7));
    assert.deepEqual(heard(world), [[7, 0]]);
    const { consumedLocal, udpToHost, guestRxFrames } = world.stats;
    assert.deepEqual([consumedLocal + udpToHost, guestRxFrames], [1, 1]);
  });
});

describe("answers that are taken", () => {
  test("to what was asked alone: identifier, question, port, resolver", () => {
    const world = new DatagramWorld({ resolvers: TWO });
    ask(world, 7);
    world.guest(world.udp(DNS, 53, query(9), { sourcePort: 40001 }));
    const [socket] = world.host.sockets;
    const other = hex("03 777777 07 6578616d706c66 03 636f6d 00 0001 0001");
    socket?.receive(answer(8));
    socket?.receive(answer(9));
    socket?.receive(failure(7, 0, other));
    socket?.receive(query(7));
    socket?.receive(hex("0007"));
    socket?.receive("");
    assert.deepEqual(heard(world), []);
    assert.equal(world.stats.dropDnsAnswer, 6);
    socket?.receive(answer(7));
    assert.deepEqual(heard(world), [[7, 0]]);
    socket?.receive(answer(7));
    assert.deepEqual(heard(world), [], "twice");
  });

  test("each of a run that the kernel made of several", () => {
    const world = new DatagramWorld({ resolvers: TWO });
    ask(world, 1);
    ask(world, 2);
    const run = concat(answer(1), answer(3), answer(2));
    world.socket().receive(run, RESOLVER, 53, { segment: answer(1).length });
    assert.deepEqual(heard(world), [
      [1, 0],
      [2, 0],
    ]);
    assert.equal(world.stats.dropDnsAnswer, 1);
  });

  test("a query too large to keep is relayed, and its answer passes", () => {
    const world = new DatagramWorld({ resolvers: TWO });
    world.guest(world.udp(DNS, 53, concat(query(7), new Uint8Array(1300))));
    world.socket().receive(failure(7, REFUSED));
    assert.deepEqual(heard(world), [[7, REFUSED]]);
    world.advance(5);
    assert.deepEqual(asked(world), [RESOLVER]);
  });

  test("an update is never sent twice", () => {
    const world = new DatagramWorld({ resolvers: TWO });
    const update = concat(u16(7), hex("2800 0001 0000 0000 0000"), QUESTION);
    world.guest(world.udp(DNS, 53, update));
    world.socket().receive(concat(u16(7), hex("a805 0001 0000 0000 0000"), QUESTION));
    assert.deepEqual(heard(world), [[7, REFUSED]]);
    world.advance(5);
    assert.deepEqual(asked(world), [RESOLVER]);
  });
});

describe("very many queries", () => {
  test("512 are kept; who gives way is answered all the same, if not asked again elsewhere", () => {
    const world = new DatagramWorld({ resolvers: TWO });
    for (let id = 0; id < 600; id += 1) ask(world, id);
    assert.equal(world.stats.dnsEvicted, 600 - 512);
    const socket = world.socket();
    for (let id = 0; id < 600; id += 1) socket.receive(answer(id));
    assert.equal(heard(world).length, 600);
    assert.equal(world.stats.dropDnsAnswer, 0);
    assert.equal(world.host.sockets.length, 1);
  });

  test("all of them move on, in several turns", () => {
    const world = new DatagramWorld({ resolvers: TWO });
    for (let id = 0; id < 500; id += 1) ask(world, id);
    world.advance(1.1);
    const again = concat(...world.host.deliveries.slice(500).map(({ payload }) => payload));
    assert.deepEqual(again, concat(...Array.from({ length: 500 }, (_, id) => query(id))));
    assert.equal(world.stats.dnsRetried, 500);
    unreachable(socketTo(world, SECOND_RESOLVER), query(1));
    world.advance(3);
    assert.equal(heard(world).length, 500, "SERVFAIL, as one cannot be reached");
    assert.equal(world.engine.nextDeadline() > 0, true);
    world.advance(30);
    assert.equal(world.engine.flowCount, 0);
  });

  test("a flood of ports asks for no more sockets than DNS may have", () => {
    const world = new DatagramWorld({ resolvers: RESOLVERS, flowsMax: 64 });
    for (let i = 0; i < 60; i += 1) {
      world.guest(world.udp(DNS, 53, query(i), { sourcePort: 2000 + i }));
    }
    world.advance(1.5);
    assert.ok(world.host.live.length <= 16);
    world.advance(30);
    assert.equal(world.engine.flowCount, 0);
    const { udpOpened, udpClosed } = world.stats;
    assert.equal(udpOpened, udpClosed);
  });
});
