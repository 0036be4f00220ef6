/** Requests into the guest: to Node's own server there, and to servers that are none. */
import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { createServer } from "node:http";
import { afterEach, describe, test } from "node:test";
import {
  type Connection,
  ConnectionError,
  readFlows,
  withServices,
} from "../../../src/network/index.ts";
import { guestFetch, HttpError, webUpstream } from "../../../src/network/web/index.ts";
import { type BackToBack, backToBack } from "../../support/web/back-to-back.ts";
import { ConnectionDuplex } from "../../support/web/connection-duplex.ts";

const MIB = 1 << 20;
const hashOf = (octets: Uint8Array): string => createHash("sha256").update(octets).digest("hex");
const NOBODY = webUpstream({});

describe("requests into the guest", () => {
  let pair: BackToBack | undefined;
  afterEach(() => {
    pair?.dispose();
    pair = undefined;
  });

  /** Serves port 80 of the guest. */
  const serve = async (run: (connection: Connection) => unknown) => {
    const service = { address: "127.0.0.1", port: 80, serve: run };
    pair = await backToBack(NOBODY, withServices([service], NOBODY));
    return guestFetch(pair.network, 80);
  };
  /** Answers with this text, whatever is asked. */
  const say = (text: string) =>
    serve(async ({ writable }) => {
      const writer = writable.getWriter();
      await writer.write(new TextEncoder().encode(text));
      await writer.close();
    });

  test("Node's server answers, with bodies both ways", async () => {
    const server = createServer(async (incoming, response) => {
      const chunks: Buffer[] = [];
      for await (const chunk of incoming) chunks.push(chunk);
      response
        .setHeader("x-path", incoming.url ?? "")
        .setHeader("x-host", incoming.headers.host ?? "");
      response.statusCode = 201;
      response.end(Buffer.concat(chunks));
    });
    const fetchGuest = await serve((connection) => {
      server.emit("connection", new ConnectionDuplex(connection));
    });
    const body = randomBytes(3 * MIB);
    const response = await fetchGuest("/a?b=c", { method: "PUT", body });
    assert.equal(response.status, 201);
    assert.equal(response.headers.get("x-path"), "/a?b=c");
    assert.equal(response.headers.get("x-host"), "guest");
    assert.equal(hashOf(new Uint8Array(await response.arrayBuffer())), hashOf(body));
    const head = await fetchGuest(new Request("http://other/", { method: "HEAD" }));
    assert.equal(await head.text(), "");
    assert.equal(head.headers.get("x-host"), "other");
    server.closeAllConnections();
  });

  test("a body ends with the connection where nothing else is said", async () => {
    const fetchGuest = await say("HTTP/1.0 200 Fine\r\n\r\nall of it");
    const response = await fetchGuest("/");
    assert.equal(response.statusText, "Fine");
    assert.equal(await response.text(), "all of it");
  });

  test("interim answers are passed over", async () => {
    const fetchGuest = await say(
      "HTTP/1.1 103 Early\r\n\r\nHTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 None\r\n\r\n",
    );
    assert.equal((await fetchGuest("/")).status, 204);
  });

  for (const [what, text] of [
    ["garbage", "SSH-2.0-OpenSSH_9.2\r\n"],
    ["nothing", ""],
    ["half a head", "HTTP/1.1 200 OK\r\nx: "],
    ["both lengths", "HTTP/1.1 200 OK\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n"],
    ["a status of its own", "HTTP/1.1 999 OK\r\n\r\n"],
    ["another protocol", "HTTP/1.1 101 Switching\r\n\r\n"],
    ["a head of 100,000 octets", `HTTP/1.1 200 OK\r\nx: ${"a".repeat(100_000)}\r\n\r\n`],
    ["interim answers alone", "HTTP/1.1 100 Continue\r\n\r\n".repeat(100)],
  ] as const) {
    test(`a server that says ${what} is refused`, async () => {
      const fetchGuest = await say(text);
      await assert.rejects(fetchGuest("/"), HttpError);
    });
  }

  test("a body that is cut short fails", async () => {
    const fetchGuest = await say("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n12345");
    const response = await fetchGuest("/");
    await assert.rejects(response.text());
  });

  /** Answers with this text and keeps the connection; `ended` = how the guest hears its end. */
  const keep = async (text: string) => {
    let tell = (_end: unknown): void => {};
    const ended = new Promise<unknown>((resolve) => {
      tell = resolve;
    });
    const fetchGuest = await serve(async ({ readable, writable }) => {
      const reader = readable.getReader();
      const writer = writable.getWriter();
      writer.closed.catch(tell);
      await reader.read();
      await writer.write(new TextEncoder().encode(text));
      await new Promise(() => {});
    });
    return { fetchGuest, ended };
  };

  const CHUNKED = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
  for (const [what, text, take] of [
    ["a malformed body", `${CHUNKED}ZZZ\r\n`, (body) => assert.rejects(body.text(), HttpError)],
    ["a body that is given up", `${CHUNKED}1\r\na\r\n`, (body) => body.body?.cancel()],
    [
      "a whole answer that the guest does not end",
      "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok",
      async (body) => assert.equal(await body.text(), "ok"),
    ],
    [
      "an answer without a body that the guest does not end",
      "HTTP/1.1 204 None\r\n\r\n",
      async (body) => assert.equal(await body.text(), ""),
    ],
  ] as readonly (readonly [string, string, (response: Response) => unknown])[]) {
    test(`${what} has the connection reset`, async () => {
      const { fetchGuest, ended } = await keep(text);
      await take(await fetchGuest("/"));
      assert.ok((await ended) instanceof ConnectionError);
      for (const network of [pair?.guest, pair?.network]) {
        while (network?.inspect(readFlows).length !== 0) {
          await new Promise((resolve) => setTimeout(resolve));
        }
      }
    });
  }

  test("a port that refuses is an error of the connection", async () => {
    await say("");
    assert.ok(pair);
    await assert.rejects(guestFetch(pair.network, 81)("/"), ConnectionError);
  });

  test("a signal ends it, before and within the answer", async () => {
    const fetchGuest = await serve(() => new Promise(() => {}));
    await assert.rejects(fetchGuest("/", { signal: AbortSignal.abort() }), { name: "AbortError" });
    const aborter = new AbortController();
    const answer = fetchGuest("/", { signal: aborter.signal });
    setImmediate(() => aborter.abort());
    await assert.rejects(answer, { name: "AbortError" });
  });
});
