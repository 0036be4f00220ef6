/**
 * A function as an HTTP server: for Node's own client in a guest, and for requests that are no
 * requests.
 */
import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { Agent, type IncomingMessage, type RequestOptions, request } from "node:http";
import process from "node:process";
import type { Duplex } from "node:stream";
import { after, before, describe, test } from "node:test";
import { dial, END, StreamPair, type TcpEvents } from "../../../src/network/index.ts";
import {
  type FetchHandler,
  type FetchServiceOptions,
  fetchService,
  webUpstream,
} from "../../../src/network/web/index.ts";
import { type BackToBack, backToBack } from "../../support/web/back-to-back.ts";
import { ConnectionDuplex } from "../../support/web/connection-duplex.ts";

const MIB = 1 << 20;
const TARGET = { address: "192.0.2.80", port: 80, tos: 0 };
const hashOf = (octets: Uint8Array): string => createHash("sha256").update(octets).digest("hex");

const handler: FetchHandler = async (incoming, { headers }) => {
  const { pathname } = new URL(incoming.url);
  if (pathname === "/echo") return new Response(incoming.body);
  if (pathname === "/length") {
    return new Response("12345", {
      headers: { "content-length": "5", "x-cookie": headers.get("cookie") ?? "" },
    });
  }
  if (pathname === "/none") return new Response(null, { status: 204 });
  if (pathname === "/throws") throw new Error("secret");
  if (pathname === "/short") return new Response("123", { headers: { "content-length": "5" } });
  if (pathname === "/long") return new Response("1234567", { headers: { "content-length": "5" } });
  return new Response(`${incoming.method} ${incoming.url}\n`);
};

/** All that comes back for these octets, after which the guest has no more to say. */
function answerTo(text: string, options: Partial<FetchServiceOptions> = {}): Promise<string> {
  const service = fetchService({ address: TARGET.address, fetch: handler, ...options });
  const pair = new StreamPair();
  let unsent = Uint8Array.from(text, (letter) => letter.charCodeAt(0));
  let answer = "";
  return new Promise((resolve) => {
    const send = (): void => {
      const piece = unsent.subarray(0, 65_536);
      const taken = pair.send([piece]);
      unsent = unsent.subarray(taken);
      if (unsent.length === 0) pair.shutdown();
      else if (taken > 0) send();
    };
    const receive = (): void => {
      const room = new Uint8Array(65_536);
      const got = pair.receive([room]);
      if (got === END) resolve(answer);
      if (got <= 0) return;
      answer += Buffer.from(room.subarray(0, got)).toString("latin1");
      receive();
    };
    const failed = (): void => resolve(`${answer}<reset>`);
    pair.open({ connected() {}, readable: receive, writable: send, failed });
    send();
    const { connection } = pair;
    Promise.resolve(service.serve(connection, TARGET)).catch(() => connection.abort());
  });
}

const GET = "GET / HTTP/1.1\r\nhost: web.test\r\n";
const POST = "POST /echo HTTP/1.1\r\nhost: web.test\r\n";

describe("requests that are refused", () => {
  for (const [what, text, status] of [
    ["garbage", "hello\r\n\r\n", 400],
    ["nothing but an end", "GET / HTTP/1.1\r\n", 400],
    ["a bare LF", "GET / HTTP/1.1\nhost: a\n\n", 400],
    ["a bare CR in a field", `${GET}x: a\rb\r\n\r\n`, 400],
    ["a NUL in a field", `${GET}x: a\0b\r\n\r\n`, 400],
    ["a folded field", `${GET}x: a\r\n b\r\n\r\n`, 400],
    ["white space before a colon", `${GET}content-length : 3\r\n\r\nabc`, 400],
    ["a field without a name", `${GET}: a\r\n\r\n`, 400],
    ["two spaces in the first line", "GET  / HTTP/1.1\r\nhost: a\r\n\r\n", 400],
    ["a method that is no token", "G(T / HTTP/1.1\r\nhost: a\r\n\r\n", 400],
    ["no host", "GET / HTTP/1.1\r\n\r\n", 400],
    ["two hosts", `${GET}host: other\r\n\r\n`, 400],
    ["a host with a path", "GET / HTTP/1.1\r\nhost: a/b\r\n\r\n", 400],
    ["a host with a user", "GET / HTTP/1.1\r\nhost: a@b\r\n\r\n", 400],
    ["a target that is no path", "GET a HTTP/1.1\r\nhost: a\r\n\r\n", 400],
    ["both lengths", `${POST}content-length: 3\r\ntransfer-encoding: chunked\r\n\r\nabc`, 400],
    ["two lengths", `${POST}content-length: 3\r\ncontent-length: 3\r\n\r\nabc`, 400],
    ["a list of lengths", `${POST}content-length: 3, 3\r\n\r\nabc`, 400],
    ["a signed length", `${POST}content-length: +3\r\n\r\nabc`, 400],
    ["a length in hex", `${POST}content-length: 0x3\r\n\r\nabc`, 400],
    ["a length beyond numbers", `${POST}content-length: 99999999999999999999\r\n\r\n`, 400],
    ["two codings", `${POST}transfer-encoding: gzip, chunked\r\n\r\n`, 501],
    ["chunked twice", `${POST}transfer-encoding: chunked, chunked\r\n\r\n`, 501],
    ["a coding with a vertical tab", `${POST}transfer-encoding: \x0bchunked\r\n\r\n`, 400],
    ["chunks in HTTP/1.0", "POST / HTTP/1.0\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n", 400],
    ["CONNECT", "CONNECT a:1 HTTP/1.1\r\nhost: a:1\r\n\r\n", 501],
    ["TRACE", "TRACE / HTTP/1.1\r\nhost: a\r\n\r\n", 501],
    ["HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505],
    ["an unknown expectation", `${POST}expect: tea\r\ncontent-length: 1\r\n\r\na`, 417],
    ["a first line of 9,000 octets", `GET /${"a".repeat(9000)} HTTP/1.1\r\n`, 414],
    ["a field of 70,000 octets", `${GET}x: ${"a".repeat(70_000)}\r\n\r\n`, 431],
    ["fields of 70,000 octets", `${GET}${`x: ${"a".repeat(998)}\r\n`.repeat(70)}\r\n`, 431],
    ["300 fields", `${GET}${"x: a\r\n".repeat(300)}\r\n`, 431],
  ] as const) {
    test(`${what}: ${status}, and nothing after it is read`, async () => {
      const answer = await answerTo(`${text}${GET}\r\n`);
      assert.match(answer, new RegExp(`^HTTP/1.1 ${status} `));
      assert.match(answer, /connection: close/);
      assert.equal(answer.match(/HTTP\/1\.1/g)?.length, 1, answer);
    });
  }

  for (const [what, body] of [
    ["no number", "x\r\n"],
    ["a sign", "-1\r\n"],
    ["too large a number", "fffffffff\r\n"],
    ["a chunk that goes on", "1\r\nab\r\n0\r\n\r\n"],
    ["a bare LF", "1\na\n0\n\n"],
    ["extensions of 2,000 octets", `1;${"a".repeat(2000)}\r\na\r\n0\r\n\r\n`],
    ["trailers of 20,000 octets", `0\r\n${`x: ${"a".repeat(996)}\r\n`.repeat(20)}\r\n`],
    ["an end within", "5\r\nab"],
  ] as const) {
    test(`chunks with ${what}: the connection ends, and no request comes of the rest`, async () => {
      const answer = await answerTo(`${POST}transfer-encoding: chunked\r\n\r\n${body}${GET}\r\n`);
      assert.equal(answer.includes("GET "), false, answer);
      assert.match(answer, /<reset>$/);
    });
  }

  test("a body beyond its bound: 413", async () => {
    const text = `${POST}content-length: 11\r\n\r\n12345678901${GET}\r\n`;
    const answer = await answerTo(text, { bodyMax: 10 });
    assert.match(answer, /^HTTP\/1\.1 413 /);
    assert.equal(answer.match(/HTTP\/1\.1/g)?.length, 1);
  });
});

describe("requests one after the other", () => {
  test("what is pipelined is answered in order", async () => {
    const one = (path: string): string => `GET ${path} HTTP/1.1\r\nhost: web.test\r\n\r\n`;
    const answer = await answerTo(`${one("/a")}${one("/none")}${one("/b")}`);
    assert.deepEqual(answer.match(/HTTP\/1\.1 \d+|GET \S+/g), [
      "HTTP/1.1 200",
      "GET http://web.test/a",
      "HTTP/1.1 204",
      "HTTP/1.1 200",
      "GET http://web.test/b",
    ]);
  });

  test("bodies that nobody reads are skipped", async () => {
    const text = `POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 4\r\n\r\nGET ${GET}\r\n`;
    const answer = await answerTo(text);
    assert.deepEqual(answer.match(/(?:GET|POST) \S+/g), ["POST http://a/", "GET http://web.test/"]);
  });

  test("but not more than 256 KiB of them", async () => {
    const head = `POST / HTTP/1.1\r\nhost: a\r\ncontent-length: ${MIB}\r\n\r\n`;
    const answer = await answerTo(`${head}${"x".repeat(MIB)}${GET}\r\n`);
    assert.equal(answer.match(/HTTP\/1\.1/g)?.length, 1);
  });

  test("chunks, extensions and trailers are read as one body", async () => {
    const body = "3;a=b\r\nabc\r\n2 \r\nde\r\n0\r\nx: y\r\n\r\n";
    const answer = await answerTo(`${POST}transfer-encoding: chunked\r\n\r\n${body}${GET}\r\n`);
    assert.equal(answer.match(/^[a-e]+$/gm)?.join(""), "abcde");
    assert.equal(answer.match(/HTTP\/1\.1/g)?.length, 2);
  });

  test("who waits for 100 Continue gets it once the body is asked for", async () => {
    const text = `${POST}expect: 100-continue\r\ncontent-length: 3\r\n\r\nabc`;
    const answer = await answerTo(text);
    assert.match(answer, /HTTP\/1\.1 100 Continue\r\n\r\n/);
    assert.match(answer, /abc/);
    const other = await answerTo(text.replace("/echo", "/"));
    assert.doesNotMatch(other, /100 Continue/);
    assert.match(other, /connection: close/);
  });

  test("HEAD has no body; HTTP/1.0 has no chunks and ends", async () => {
    const head = await answerTo("HEAD /length HTTP/1.1\r\nhost: a\r\n\r\n");
    assert.match(head, /content-length: 5\r\n/);
    assert.match(head, /\r\n\r\n$/);
    const old = await answerTo("GET / HTTP/1.0\r\n\r\n");
    assert.match(old, /connection: close\r\n\r\nGET http:\/\/192\.0\.2\.80\/\n$/);
    const kept = await answerTo("GET /length HTTP/1.0\r\nconnection: keep-alive\r\n\r\n");
    assert.match(kept, /connection: keep-alive\r\n\r\n12345$/);
  });

  test("what the handler throws is a 500 that says nothing of it", async () => {
    const answer = await answerTo(`GET /throws HTTP/1.1\r\nhost: a\r\n\r\n${GET}\r\n`);
    assert.match(answer, /^HTTP\/1\.1 500 /);
    assert.equal(answer.includes("secret"), false);
    assert.equal(answer.match(/HTTP\/1\.1/g)?.length, 2);
  });

  test("what is no Response, or one of old, is a 500, and Response.error() a 502", async () => {
    const used = new Response("used");
    await used.text();
    for (const [given, status] of [
      [undefined, 500],
      [null, 500],
      ["text", 500],
      [{}, 500],
      [used, 500],
      [Response.error(), 502],
    ] as readonly (readonly [unknown, number])[]) {
      const fetch = (() => given) as FetchHandler;
      const answer = await answerTo(`${GET}\r\n${GET}\r\n`, { fetch });
      const one = `HTTP/1.1 ${status}`;
      assert.deepEqual(answer.match(/HTTP\/1\.1 \d+/g), [one, one]);
      assert.doesNotMatch(answer, /<reset>/);
    }
  });

  test("many requests of one connection leave no listeners behind", async () => {
    const warnings: Error[] = [];
    const warn = (warning: Error): void => void warnings.push(warning);
    process.on("warning", warn);
    const options = { headers: { "content-length": "2" } };
    const count = 1600;
    const signals = new Set<AbortSignal>();
    const fetch: FetchHandler = ({ signal }) => {
      signals.add(signal); // kept: what is collected has no listener any more
      return new Response("ok", options);
    };
    const answer = await answerTo(`${GET}\r\n`.repeat(count), { fetch });
    await new Promise((resolve) => setImmediate(resolve));
    process.off("warning", warn);
    assert.equal(answer.match(/HTTP\/1\.1 200/g)?.length, count);
    assert.deepEqual(warnings, []);
  });

  test("a body of another length than the one it has told ends in a reset", async () => {
    for (const path of ["/short", "/long"]) {
      const answer = await answerTo(`GET ${path} HTTP/1.1\r\nhost: a\r\n\r\n${GET}\r\n`);
      assert.match(answer, /<reset>$/);
      assert.equal(answer.match(/HTTP\/1\.1/g)?.length, 1);
    }
  });

  test("256 connections at a time", async () => {
    const service = fetchService({ address: TARGET.address, fetch: handler });
    const served = Array.from({ length: 257 }, () =>
      service.serve(new StreamPair().connection, TARGET),
    );
    await assert.rejects(Promise.resolve(served[256]), /too many/);
  });

  test("a guest that resets aborts the request", async () => {
    const seen = new Promise<AbortSignal>((resolve) => {
      const service = fetchService({
        address: TARGET.address,
        fetch: ({ signal }) => {
          resolve(signal);
          return new Promise<Response>(() => {});
        },
      });
      const pair = new StreamPair();
      const events: TcpEvents = { connected() {}, readable() {}, writable() {}, failed() {} };
      pair.open(events);
      Promise.resolve(service.serve(pair.connection, TARGET)).catch(() => {});
      pair.send([new TextEncoder().encode(`${GET}\r\n`)]);
      seenPair = pair;
    });
    const signal = await seen;
    assert.equal(signal.aborted, false);
    seenPair?.close(true);
    await new Promise((resolve) => setImmediate(resolve));
    assert.equal(signal.aborted, true);
  });
});

let seenPair: StreamPair | undefined;

describe("Node's client in a guest", () => {
  let pair: BackToBack;
  before(async () => {
    const services = [fetchService({ address: "127.0.0.1", fetch: handler })];
    pair = await backToBack(webUpstream({ services }));
  });
  after(() => pair.dispose());

  const call = async (
    options: RequestOptions,
    body?: Uint8Array,
  ): Promise<[IncomingMessage, Buffer]> => {
    const createConnection = (): Duplex => {
      return new ConnectionDuplex(dial(pair.guest, 80));
    };
    const outgoing = request({ host: "web.test", createConnection, ...options } as RequestOptions);
    const answered = new Promise<IncomingMessage>((resolve, reject) => {
      outgoing.on("response", resolve);
      outgoing.on("error", reject);
    });
    outgoing.end(body);
    const response = await answered;
    const chunks: Buffer[] = [];
    for await (const chunk of response) chunks.push(chunk);
    return [response, Buffer.concat(chunks)];
  };

  test("a body of 8 MiB comes back, in chunks", async () => {
    const body = randomBytes(8 * MIB);
    const headers = { "transfer-encoding": "chunked" };
    const [{ statusCode }, echo] = await call({ method: "POST", path: "/echo", headers }, body);
    assert.equal(statusCode, 200);
    assert.equal(hashOf(echo), hashOf(body));
  });

  test("one connection serves several requests", async () => {
    let connections = 0;
    class Counted extends Agent {
      override createConnection(): Duplex {
        connections += 1;
        return new ConnectionDuplex(dial(pair.guest, 80));
      }
    }
    const agent = new Counted({ keepAlive: true, maxSockets: 1 });
    for (let i = 0; i < 5; i += 1) {
      const headers = { cookie: `n=${i}` };
      const options = { path: "/length", agent, headers, createConnection: undefined };
      const [{ headers: got }, body] = await call(options);
      assert.equal(body.toString(), "12345");
      assert.equal(got["x-cookie"], `n=${i}`);
    }
    agent.destroy();
    assert.equal(connections, 1);
  });
});
