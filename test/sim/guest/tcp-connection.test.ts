/** Connections of two guests over links of every quality, and every way for them to end. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { TcpConnection } from "../../../src/lab/sim/guest/tcp-connection.ts";
import type { CloseReason, TcpSettings } from "../../../src/lab/sim/guest/tcp-options.ts";
import type { WireFaults } from "../../../src/lab/sim/wire.ts";
import { LEFT, Pair, type PairOptions, pattern, RIGHT } from "./pair.ts";

const SECOND = 1_000_000;
const PORT = 80;

/** One end of a connection: sends `outgoing`, then closes; keeps what it reads. */
class End {
  readonly outgoing: Uint8Array;
  incoming = new Uint8Array(0);
  reason: CloseReason | undefined;
  connection: TcpConnection | undefined;
  hasOpened = false;
  hasEnded = false;
  #written = 0;
  /** Octets read at a time; 0 = does not read. */
  appetite = 1 << 20;

  constructor(outgoing: Uint8Array) {
    this.outgoing = outgoing;
  }

  readonly events = {
    opened: (connection: TcpConnection) => {
      this.hasOpened = true;
      this.write(connection);
    },
    writable: (connection: TcpConnection) => this.write(connection),
    readable: (connection: TcpConnection) => this.read(connection),
    ended: () => {
      this.hasEnded = true;
    },
    closed: (reason: CloseReason) => {
      this.reason = reason;
    },
  };

  write(connection: TcpConnection): void {
    this.connection = connection;
    this.#written += connection.write(this.outgoing.subarray(this.#written));
    if (this.#written === this.outgoing.length) connection.close();
  }

  read(connection: TcpConnection): void {
    const buffer = new Uint8Array(Math.min(this.appetite, connection.available));
    const count = connection.read(buffer);
    const whole = new Uint8Array(this.incoming.length + count);
    whole.set(this.incoming);
    whole.set(buffer.subarray(0, count), this.incoming.length);
    this.incoming = whole;
  }
}

interface Exchange {
  readonly pair: Pair;
  readonly client: End;
  readonly server: End;
}

function connect(options: PairOptions, up: Uint8Array, down: Uint8Array): Exchange {
  const pair = new Pair(options);
  const client = new End(up);
  const server = new End(down);
  pair.right.listenTcp(PORT, () => server.events);
  pair.left.openTcp(RIGHT, PORT, client.events);
  return { pair, client, server };
}

function finish({ pair, client, server }: Exchange, seconds = 600): void {
  const isOver = (): boolean => client.reason !== undefined && server.reason !== undefined;
  assert.ok(pair.run(seconds * SECOND, isOver), `${client.reason} ${server.reason}`);
  assert.deepEqual([client.reason, server.reason], ["finished", "finished"]);
  assert.deepEqual(server.incoming, client.outgoing);
  assert.deepEqual(client.incoming, server.outgoing);
  assert.deepEqual(pair.faults, []);
  assert.ok(pair.run(10 * SECOND, () => pair.left.tcp.count + pair.right.tcp.count === 0));
}

describe("sim/guest/tcp: both streams arrive whole", () => {
  const links: Readonly<Record<string, Partial<WireFaults>>> = {
    "a perfect link": {},
    loss: { loss: 50_000 },
    duplication: { duplicate: 200_000 },
    reordering: { late: 100_000, lateness: 5000 },
    corruption: { corrupt: 50_000 },
    everything: { loss: 30_000, duplicate: 30_000, late: 50_000, lateness: 3000, corrupt: 20_000 },
    outages: { outages: 10_000, outage: 500_000 },
  };
  const stacks: Readonly<Record<string, Partial<TcpSettings>>> = {
    "all options": {},
    "no options": { sack: false, timestamps: false, windowScale: undefined },
    "no SACK": { sack: false },
    "tiny buffers": { sendBuffer: 3000, receiveBuffer: 2000, windowScale: 0 },
    "a tiny MSS": { mss: 100 },
    "every segment acknowledged": { delayedAck: 0 },
  };
  for (const [link, faults] of Object.entries(links)) {
    for (const [stack, tcp] of Object.entries(stacks)) {
      test(`${link}, ${stack}`, () => {
        const tcpBoth = { left: { tcp }, right: { tcp } };
        finish(connect({ faults, ...tcpBoth, seed: 7 }, pattern(60_000), pattern(30_000, 5)));
      });
    }
  }

  test("large packets, a slow link, a short queue", () => {
    const wire = { rate: 1_000_000, delay: 20_000, queueFrames: 8 };
    finish(connect({ mtu: 9000, wire }, pattern(300_000), pattern(10)));
  });

  test("empty streams", () => finish(connect({}, pattern(0), pattern(0))));

  test("sequence numbers that wrap", () => {
    for (let seed = 1; seed < 6; seed += 1) {
      finish(connect({ seed: seed * 1_000_003 }, pattern(5000), pattern(5000)));
    }
  });
});

describe("sim/guest/tcp: windows", () => {
  test("a reader that pauses shuts the window; probes find out when it opens", () => {
    const tcp = { receiveBuffer: 4000, windowScale: 0 };
    const exchange = connect({ right: { tcp } }, pattern(20_000), pattern(0));
    const { pair, server, client } = exchange;
    server.appetite = 0;
    pair.run(20 * SECOND);
    assert.equal(client.reason, undefined);
    assert.equal(client.connection?.state, "close-wait");
    server.appetite = 1 << 20;
    const { connection } = server;
    assert.ok(connection !== undefined);
    server.read(connection);
    finish(exchange);
  });
});

describe("sim/guest/tcp: ends", () => {
  test("a half-closed connection carries data the other way", () => {
    const pair = new Pair();
    const client = new End(pattern(100));
    const server = new End(pattern(5000));
    let held: TcpConnection | undefined;
    pair.right.listenTcp(PORT, () => ({
      ...server.events,
      opened: (connection) => {
        held = connection;
      },
    }));
    pair.left.openTcp(RIGHT, PORT, client.events);
    pair.run(SECOND);
    assert.equal(server.hasEnded, true);
    assert.ok(held !== undefined);
    assert.equal(client.connection?.state, "fin-wait-2");
    assert.equal(held.state, "close-wait");
    server.write(held);
    assert.ok(pair.run(5 * SECOND, () => client.reason !== undefined));
    assert.deepEqual(client.incoming, pattern(5000));
  });

  test("a closed port refuses", () => {
    const pair = new Pair();
    const client = new End(pattern(1));
    pair.left.openTcp(RIGHT, 81, client.events);
    assert.ok(pair.run(SECOND, () => client.reason !== undefined));
    assert.equal(client.reason, "refused");
    assert.equal(client.hasOpened, false);
    assert.equal(pair.right.tcp.strays, 1);
  });

  test("an acceptor may refuse", () => {
    const pair = new Pair();
    const client = new End(pattern(1));
    pair.right.listenTcp(PORT, () => undefined);
    pair.left.openTcp(RIGHT, PORT, client.events);
    assert.ok(pair.run(SECOND, () => client.reason === "refused"));
  });

  test("a reset ends both sides", () => {
    const { pair, client, server } = connect({}, pattern(1_000_000), pattern(10));
    pair.run(4000);
    client.connection?.reset();
    assert.ok(pair.run(SECOND, () => server.reason !== undefined));
    assert.deepEqual([client.reason, server.reason], ["aborted", "reset"]);
    assert.equal(pair.left.tcp.count + pair.right.tcp.count, 0);
  });

  test("a peer that has vanished is given up", () => {
    const tcp = { giveUpAfter: 30 * SECOND };
    const pair = new Pair({ left: { tcp }, faults: { loss: 1_000_000 } });
    const client = new End(pattern(10));
    pair.left.openTcp(RIGHT, PORT, client.events);
    assert.ok(pair.run(3 * SECOND) === false);
    // The neighbour's address is known, but its answers are lost.
    assert.equal(client.reason, undefined);
    pair.run(100 * SECOND);
    assert.equal(client.reason, "timeout");
  });

  test("both open at once: one connection (RFC 9293 §3.5)", () => {
    const pair = new Pair();
    const client = new End(pattern(500));
    const server = new End(pattern(700));
    pair.left.ping(RIGHT, 1, 1, pattern(1));
    pair.run(SECOND);
    pair.left.openTcp(RIGHT, 2000, client.events, {}, 1000);
    pair.right.openTcp(LEFT, 1000, server.events, {}, 2000);
    finish({ pair, client, server });
  });

  test("both close at once: CLOSING, TIME-WAIT on both sides", () => {
    const exchange = connect({}, pattern(10), pattern(10));
    finish(exchange);
    assert.equal(exchange.pair.left.tcp.strays, 0);
  });

  test("a port is not used twice for the same peer", () => {
    const { left } = new Pair();
    left.openTcp(RIGHT, PORT, {}, {}, 5000);
    assert.throws(() => left.openTcp(RIGHT, PORT, {}, {}, 5000), RangeError);
    assert.notEqual(left.openTcp(RIGHT, PORT, {}).localPort, 5000);
  });
});
