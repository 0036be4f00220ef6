/**
 * An upstream that keeps its contract and nothing more: takes and gives as little as it likes,
 * tells news twice, late and for nothing, fails at any time. Streams are whole or they fail, and
 * nothing is left over.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { dial, type Network, readFlows } from "../../src/network/index.ts";
import { type Connection, StreamPair } from "../../src/network/stream-pair.ts";
import type { TcpEvents, TcpSocket, Upstream } from "../../src/network/upstream.ts";
import { pattern } from "../support/packet.ts";
import { twoNetworks } from "../support/two-networks.ts";

/** A generator of numbers from 0 to 1 (Park and Miller's, CACM 31:10). */
function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state * 48_271) % 0x7fffffff;
    return state / 0x7fffffff;
  };
}

/** The first octets of these pieces, `length` at most. */
function cut(pieces: readonly Uint8Array[], length: number): Uint8Array[] {
  let left = length;
  return pieces.flatMap((piece) => {
    const part = piece.subarray(0, left);
    left -= part.length;
    return part.length > 0 ? part : [];
  });
}

class MoodySocket implements TcpSocket {
  readonly #pair: StreamPair;
  readonly #events: TcpEvents;
  readonly #chance: () => number;
  closes = 0;

  constructor(pair: StreamPair, events: TcpEvents, chance: () => number) {
    this.#pair = pair;
    this.#events = events;
    this.#chance = chance;
    const later = (run: () => void): void => void setTimeout(run, 5 * chance());
    const tell = { ...told(events), connected: () => later(() => events.connected()) };
    pair.open(tell);
    const nag = (): void => {
      if (this.closes > 0) return;
      events.readable();
      events.writable();
      later(nag);
    };
    later(nag);
    if (chance() < 0.4) later(() => events.failed("ECONNREFUSED"));
  }

  send(pieces: readonly Uint8Array[]): number {
    if (this.#chance() < 0.2) return 0;
    const total = pieces.reduce((sum, { length }) => sum + length, 0);
    return this.#pair.send(cut(pieces, 1 + Math.floor(this.#chance() * total)));
  }

  receive(pieces: readonly Uint8Array[]): number {
    if (this.#chance() < 0.2) return 0;
    const total = pieces.reduce((sum, { length }) => sum + length, 0);
    return this.#pair.receive(cut(pieces, 1 + Math.floor(this.#chance() * total)));
  }

  shutdown(): void {
    this.#pair.shutdown();
  }

  close(abort: boolean): void {
    this.closes += 1;
    this.#pair.close(abort);
    // Whatever is told now is nobody's.
    this.#events.readable();
    this.#events.writable();
    this.#events.failed("ECONNRESET");
  }
}

/** The events as an object of their own. */
function told(events: TcpEvents): TcpEvents {
  return {
    connected: () => events.connected(),
    readable: () => events.readable(),
    writable: () => events.writable(),
    failed: (code) => events.failed(code),
  };
}

function moody(chance: () => number, sockets: MoodySocket[]): Upstream {
  return {
    connect: (_target, events) => {
      if (chance() < 0.1) throw Object.assign(new Error("no"), { code: "ECONNREFUSED" });
      const pair = new StreamPair();
      const { readable, writable } = pair.connection;
      readable.pipeTo(writable).catch(() => {});
      const socket = new MoodySocket(pair, events, chance);
      sockets.push(socket);
      return socket;
    },
    openUdp: () => undefined,
    close: () => {},
  };
}

async function echo({ readable, writable }: Connection, octets: Uint8Array): Promise<number> {
  const writer = writable.getWriter();
  const sent = writer.write(octets).then(() => writer.close());
  sent.catch(() => {});
  let at = 0;
  for await (const part of readable) {
    assert.deepEqual(part, octets.slice(at, at + part.length), `octets from ${at} on`);
    at += part.length;
  }
  await sent;
  return at;
}

for (const seed of [1, 2, 3, 4]) {
  test(`streams are whole or they fail, seed ${seed}`, async () => {
    const chance = random(seed);
    const sockets: MoodySocket[] = [];
    const { caller, server, dispose } = twoNetworks([], {}, moody(chance, sockets));
    let whole = 0;
    let failed = 0;
    await Promise.all(
      Array.from({ length: 40 }, async (_, i) => {
        const octets = pattern(30_000 + 1000 * i, i);
        try {
          assert.equal(await echo(dial(caller, 80), octets), octets.length);
          whole += 1;
        } catch (error) {
          if (error instanceof assert.AssertionError) throw error;
          failed += 1;
        }
      }),
    );
    assert.equal(whole > 0 && failed > 0, true, `${whole} were whole, ${failed} failed`);
    const isOpen = (network: Network): boolean => {
      const flows = network.inspect(readFlows);
      return flows.some(({ state }) => state !== "TIME_WAIT" && state !== "CLOSED");
    };
    while (isOpen(caller) || isOpen(server)) {
      await new Promise((resolve) => setImmediate(resolve));
    }
    assert.deepEqual(
      sockets.map(({ closes }) => closes),
      sockets.map(() => 1),
    );
    dispose();
  });
}
