/**
 * A guest's connections through the relay that nobody here wrote, to servers of Node's: a second
 * network is the guest.
 */
import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { createServer, type Server, type Socket } from "node:net";
import { after, afterEach, before, describe, test } from "node:test";
import { WebSocket } from "ws";
import { type Connection, ConnectionError, dial } from "../../../src/network/index.ts";
import { type RelayStats, type WebUpstream, webUpstream } from "../../../src/network/web/index.ts";
import { type BackToBack, backToBack } from "../../support/web/back-to-back.ts";
import { startWispRelay, type WispRelay } from "../../support/web/wisp-relay.ts";

const MIB = 1 << 20;
const STREAMS = 8;

const hashOf = (octets: Uint8Array): string => createHash("sha256").update(octets).digest("hex");

/** Waits for a state of the relay. */
class Watch {
  readonly #waiting = new Set<(stats: RelayStats) => void>();
  readonly onChange = (stats: RelayStats): void => {
    for (const each of [...this.#waiting]) each(stats);
  };
  until(state: RelayStats["state"]): Promise<void> {
    return new Promise((resolve) => {
      const check = (stats: RelayStats): void => {
        if (stats.state !== state) return;
        this.#waiting.delete(check);
        resolve();
      };
      this.#waiting.add(check);
    });
  }
}

async function listen(serve: (socket: Socket) => void): Promise<{ port: number; server: Server }> {
  const server = createServer({ allowHalfOpen: false }, (socket) => {
    socket.on("error", () => {});
    serve(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  assert.ok(address !== null && typeof address === "object");
  return { port: address.port, server };
}

async function write(connection: Connection, octets: Uint8Array): Promise<void> {
  const writer = connection.writable.getWriter();
  for (let at = 0; at < octets.length; at += 64 * 1024) {
    await writer.write(octets.subarray(at, at + 64 * 1024));
  }
}

async function readAll(connection: Connection, octets: number): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of connection.readable) {
    chunks.push(chunk);
    size += chunk.length;
    if (size >= octets) break;
  }
  return Buffer.concat(chunks);
}

describe("guest, relay, servers", () => {
  let relay: WispRelay;
  let upstream: WebUpstream;
  let pair: BackToBack;
  let watch: Watch;
  const servers: Server[] = [];

  const open = async (options: { streamMib?: number; totalMib?: number } = {}): Promise<void> => {
    watch = new Watch();
    const { onChange } = watch;
    upstream = webUpstream({
      relay: { url: relay.url, webSocket: WebSocket, onChange, ...options },
    });
    pair = await backToBack(upstream);
  };
  const serve = async (run: (socket: Socket) => void): Promise<number> => {
    const { port, server } = await listen(run);
    servers.push(server);
    return port;
  };

  before(async () => {
    relay = await startWispRelay();
  });
  afterEach(() => {
    pair.dispose();
    for (const server of servers.splice(0)) server.close();
  });
  after(() => relay.kill());

  test("eight streams at once are byte-exact both ways", async () => {
    await open();
    const port = await serve((socket) => socket.pipe(socket));
    const results = Array.from({ length: STREAMS }, async () => {
      const sent = randomBytes(2 * MIB);
      const connection = dial(pair.guest, port);
      const [, got] = await Promise.all([
        write(connection, sent),
        readAll(connection, sent.length),
      ]);
      assert.equal(hashOf(got), hashOf(sent));
    });
    await Promise.all(results);
    const stats = upstream.relayStats();
    assert.equal(stats?.overflowed, 0);
    assert.equal(stats?.malformed, 0);
    assert.equal(stats?.connections, 1);
  });

  test("the far side's end comes after its last octet", async () => {
    await open();
    const body = randomBytes(3 * MIB);
    const port = await serve((socket) => socket.end(body));
    const got = await readAll(dial(pair.guest, port), Number.POSITIVE_INFINITY);
    assert.equal(hashOf(got), hashOf(body));
  });

  test("a guest that does not read holds no more than the bound, and gets all of it", async () => {
    await open({ streamMib: 2, totalMib: 2 });
    const body = randomBytes(24 * MIB);
    const port = await serve((socket) => socket.end(body));
    const connection = dial(pair.guest, port);
    const held = (): number => upstream.relayStats()?.held ?? 0;
    const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
    while (held() <= MIB) await turn();
    // All of it would be here soon, did the relay not wait.
    for (let i = 0; i < 1000; i += 1) {
      await turn();
      assert.ok(held() <= 2 * MIB);
    }
    const hash = createHash("sha256");
    for await (const chunk of connection.readable) {
      hash.update(chunk);
      assert.ok(held() <= 2 * MIB);
    }
    assert.equal(hash.digest("hex"), createHash("sha256").update(body).digest("hex"));
    assert.equal(upstream.relayStats()?.overflowed, 0);
  });

  test("a port where nobody listens refuses", async () => {
    await open();
    const port = await serve(() => {});
    servers.pop()?.close();
    const connection = dial(pair.guest, port);
    await assert.rejects(
      readAll(connection, 1),
      (error) => error instanceof ConnectionError && error.code === "ECONNRESET",
    );
    assert.equal(upstream.relayStats()?.streams, 0);
  });

  test("a relay that goes resets what it had, and serves what comes when it is back", async () => {
    await open();
    const port = await serve((socket) => socket.pipe(socket));
    const first = dial(pair.guest, port);
    await write(first, Uint8Array.of(1));
    const reader = first.readable.getReader();
    assert.deepEqual((await reader.read()).value, Uint8Array.of(1));
    const lost = watch.until("waiting");
    await relay.kill();
    await lost;
    await assert.rejects(reader.read(), ConnectionError);
    const waits = dial(pair.guest, port);
    await write(waits, Uint8Array.of(7));
    const ready = watch.until("ready");
    await relay.restart();
    await ready;
    assert.deepEqual([...(await readAll(waits, 1))], [7]);
    assert.equal(upstream.relayStats()?.lost, 1);
  });
});
