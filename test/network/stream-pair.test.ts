/** Connections between two networks, octet by octet: whole, both ways, half-closed, bounded. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { deferred } from "../../src/lib/deferred.ts";
import {
  dial,
  type Network,
  type NetworkSettings,
  readFlows,
  readStats,
} from "../../src/network/index.ts";
import type { Connection } from "../../src/network/stream-pair.ts";
import type { Endpoint } from "../../src/network/upstream.ts";
import { pattern } from "../support/packet.ts";
import { twoNetworks } from "../support/two-networks.ts";

const CHUNK = 50_000;

async function digest(parts: readonly Uint8Array[]): Promise<string> {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", whole));
  return Array.from(hash, (octet) => octet.toString(16).padStart(2, "0")).join("");
}

const known = new Map<string, readonly Uint8Array[]>();

/** Octets of a stream, in pieces, different for each number. */
function pieces(count: number, seed: number): readonly Uint8Array[] {
  const key = `${count} ${seed}`;
  const found =
    known.get(key) ?? Array.from({ length: count }, (_, i) => pattern(CHUNK + i, seed + 7 * i));
  known.set(key, found);
  return found;
}

async function write({ writable }: Connection, parts: readonly Uint8Array[]): Promise<void> {
  const writer = writable.getWriter();
  for (const part of parts) {
    await writer.ready;
    await writer.write(part);
  }
  await writer.close();
}

async function read({ readable }: Connection): Promise<string> {
  const parts: Uint8Array[] = [];
  for await (const part of readable) parts.push(part);
  return digest(parts);
}

/** A service that reads: when somebody has come, and what was heard or what that failed with. */
function reader() {
  const accepted = deferred();
  const heard = deferred<unknown>();
  const serve = (connection: Connection): void => {
    accepted.resolve();
    read(connection).then(heard.resolve, heard.resolve);
  };
  return { accepted: accepted.promise, heard: heard.promise, serve };
}

const LINKS: Readonly<Record<string, NetworkSettings>> = {
  "MTU 1500": {},
  "MTU 65520": { mtu: 65_520 },
  offloads: { mtu: 65_520, offloads: true },
  "offloads of TCP": { mtu: 1500, offloads: "tcp" },
  "a window of few chunks": { bufferMib: 1 },
};

describe("stream pair", () => {
  for (const [name, settings] of Object.entries(LINKS)) {
    test(`8 streams both ways are whole: ${name}`, async () => {
      const got: Promise<string>[] = [];
      const serve = async (connection: Connection): Promise<void> => {
        got.push(read(connection));
        await write(connection, pieces(20, 5));
      };
      const { caller, dispose } = twoNetworks([{ port: 80, serve }], settings);
      const answers = await Promise.all(
        Array.from({ length: 8 }, async () => {
          const connection = dial(caller, 80);
          const answer = read(connection);
          await write(connection, pieces(20, 1));
          return answer;
        }),
      );
      assert.deepEqual(answers, new Array(8).fill(await digest(pieces(20, 5))));
      assert.deepEqual(await Promise.all(got), new Array(8).fill(await digest(pieces(20, 1))));
      dispose();
    });
  }

  test("frames that are lost on the way are sent again, and the streams are whole", async () => {
    const isLost = (frame: number): boolean => frame % 41 === 40 || frame % 97 < 2;
    const serve = async (connection: Connection): Promise<void> => {
      const [heard] = await Promise.all([read(connection), write(connection, pieces(8, 5))]);
      assert.equal(heard, await digest(pieces(8, 1)));
    };
    const services = [{ port: 80, serve }];
    const { caller, server, dispose } = twoNetworks(services, {}, undefined, isLost);
    const answers = await Promise.all(
      Array.from({ length: 4 }, async () => {
        const connection = dial(caller, 80);
        const [answer] = await Promise.all([read(connection), write(connection, pieces(8, 1))]);
        return answer;
      }),
    );
    assert.deepEqual(answers, new Array(4).fill(await digest(pieces(8, 5))));
    const [resent = 0, more = 0] = [caller, server].map(
      (network) => network.inspect(readStats).tcpRetransmits,
    );
    assert.equal(resent + more > 50, true, `${resent + more} segments were sent again`);
    dispose();
  });

  test("either side may end first, and the other still has its say", async () => {
    const serve = async (connection: Connection): Promise<void> => {
      const heard = await read(connection); // to the end, before a word is said
      await write(connection, [new TextEncoder().encode(heard)]);
    };
    const early = async (connection: Connection): Promise<void> => {
      await write(connection, pieces(3, 9));
      assert.equal(await read(connection), await digest(pieces(3, 2)));
    };
    const services = [
      { port: 80, serve },
      { port: 81, serve: early },
    ];
    const { caller, dispose } = twoNetworks(services);
    const first = dial(caller, 80);
    await write(first, pieces(3, 4));
    let text = "";
    for await (const part of first.readable) text += new TextDecoder().decode(part);
    assert.equal(text, await digest(pieces(3, 4)));
    const second = dial(caller, 81);
    assert.equal(await read(second), await digest(pieces(3, 9)), "the end has come");
    await write(second, pieces(3, 2));
    dispose();
  });

  test("who does not read stops who writes, and nothing piles up", async () => {
    const { promise: held, resolve: letGo } = deferred();
    const serve = async (connection: Connection): Promise<void> => {
      await held;
      await read(connection);
    };
    const { caller, server, dispose } = twoNetworks([{ port: 80, serve }], { bufferMib: 2 });
    const writer = dial(caller, 80).writable.getWriter();
    let written = 0;
    let isStuck = false;
    while (!isStuck) {
      isStuck = await Promise.race([
        writer.write(new Uint8Array(65_536)).then(() => false),
        untilQuiet(() => readTotal(server) + written),
      ]);
      if (!isStuck) written += 65_536;
    }
    assert.equal(written < 8 << 20, true, `${written} octets are on their way`);
    letGo();
    await writer.close();
    dispose();
  });

  test("a port that nobody serves is an error of both streams", async () => {
    const { caller, dispose } = twoNetworks([]);
    const connection = dial(caller, 80);
    await assert.rejects(read(connection), { name: "ConnectionError", code: "ECONNRESET" });
    await assert.rejects(write(connection, pieces(1, 1)), { name: "ConnectionError" });
    dispose();
  });

  test("an abort is a reset on the other side", async () => {
    const { accepted, heard, serve } = reader();
    const { caller, dispose } = twoNetworks([{ port: 80, serve }]);
    const connection = dial(caller, 80);
    await accepted;
    connection.abort();
    assert.equal((await heard) instanceof Error, true);
    dispose();
  });

  test("one that is given up before its turn has come never reaches the guest", async () => {
    const { caller, server, dispose } = twoNetworks([{ port: 80, serve: () => {} }]);
    dial(caller, 80).abort();
    const kept = dial(caller, 80);
    await kept.writable.getWriter().write(new Uint8Array(1));
    await untilQuiet(() => server.inspect(readStats).tcpBytesToHost);
    assert.equal(caller.inspect(readFlows).length, 1);
    dispose();
  });

  test("what has been written is the writer's again: its buffer serves for the next", async () => {
    const { promise, resolve } = deferred<string>();
    const serve = ({ readable }: Connection): void => {
      new Response(readable).text().then(resolve);
    };
    const { caller, dispose } = twoNetworks([{ port: 80, serve }]);
    const writer = dial(caller, 80).writable.getWriter();
    const buffer = new Uint8Array(4);
    for (const word of ["aaaa", "bbbb", "cccc"]) {
      buffer.set(new TextEncoder().encode(word));
      await writer.write(buffer);
    }
    await writer.close();
    assert.equal(await promise, "aaaabbbbcccc");
    dispose();
  });

  const NO_CHUNKS: Readonly<Record<string, unknown>> = {
    "a text": "hello",
    "a buffer": new ArrayBuffer(8),
    "an array of another type": new Uint16Array(4),
    nothing: undefined,
  };
  for (const [name, chunk] of Object.entries(NO_CHUNKS)) {
    test(`${name} is no chunk: its connection is reset, the network goes on`, async () => {
      const { accepted, heard, serve } = reader();
      const { caller, dispose } = twoNetworks([{ port: 80, serve }]);
      const writer = dial(caller, 80).writable.getWriter();
      writer.closed.catch(() => {});
      await writer.write(new Uint8Array(3));
      await accepted;
      await assert.rejects(writer.write(chunk as Uint8Array), TypeError);
      assert.ok((await heard) instanceof Error, "three octets are not all of it");
      await write(dial(caller, 80), pieces(1, 1));
      dispose();
    });
  }

  test("a caller without an address and a port is an error, and nothing happens", () => {
    const { caller, dispose } = twoNetworks([]);
    const wrong: unknown[] = [
      ...[null, "x", {}, { port: 5 }, { address: "10.0.0.1" }, { address: "x", port: 5 }],
      ...[-1, 0, 1.5, 70_000, "80"].map((port) => ({ address: "10.0.0.1", port })),
    ];
    for (const from of wrong) {
      assert.throws(() => dial(caller, 80, from as Endpoint), { code: "CONFIG" });
    }
    dispose();
  });

  test("a service that throws resets its connection, and the next one is served", async () => {
    let calls = 0;
    const serve = (connection: Connection): Promise<void> => {
      calls += 1;
      if (calls === 1) throw new Error("not today");
      if (calls === 2) return Promise.reject(new Error("not now"));
      return write(connection, pieces(1, 1));
    };
    const { caller, dispose } = twoNetworks([{ port: 80, serve }]);
    await assert.rejects(read(dial(caller, 80)));
    await assert.rejects(read(dial(caller, 80)));
    assert.equal(await read(dial(caller, 80)), await digest(pieces(1, 1)));
    dispose();
  });

  test("the end of a network is the end of its connections", async () => {
    const { caller, dispose } = twoNetworks([{ port: 80, serve: () => {} }]);
    const connection = dial(caller, 80);
    const end = assert.rejects(read(connection), { name: "ConnectionError" });
    dispose();
    await end;
  });

  test("1,000 connections, one after the other and all at once", async () => {
    const serve = (connection: Connection): Promise<void> =>
      connection.readable.pipeTo(connection.writable);
    const { caller, server, dispose } = twoNetworks([{ port: 7, serve }]);
    const one = async (i: number): Promise<void> => {
      const connection = dial(caller, 7);
      const answer = read(connection);
      await write(connection, [pattern(100, i)]);
      assert.equal(await answer, await digest([pattern(100, i)]));
    };
    await Promise.all(Array.from({ length: 1000 }, (_, i) => one(i)));
    assert.equal(server.inspect(readStats).tcpOpened, 1000);
    dispose();
  });
});

function readTotal(network: Network): number {
  return network.inspect(readStats).tcpBytesToHost;
}

/** Fulfilled with true once a figure has stayed the same for many turns. */
async function untilQuiet(figure: () => number): Promise<boolean> {
  let last = -1;
  for (let same = 0; same < 2000; same += 1) {
    await new Promise((resolve) => setImmediate(resolve));
    const now = figure();
    if (now !== last) same = 0;
    last = now;
  }
  return true;
}
