/**
 * The way from a request to a service, and what does not get there: unknown paths, compression, too
 * long messages, other content types, late answers. Each leaves a server that answers.
 */
import assert from "node:assert/strict";
import {
  connect as connectHttp2,
  type IncomingHttpHeaders,
  type OutgoingHttpHeaders,
} from "node:http2";
import { connect } from "node:net";
import { after, afterEach, before, describe, test } from "node:test";
import { MESSAGE_BYTES_MAX } from "../../src/hooks/calls.ts";
import { encodeStatusText } from "../../src/hooks/status-text.ts";
import {
  call,
  callback,
  callOver,
  EMPTY,
  INFO,
  openClient,
  refusal,
} from "../support/hook-client.ts";
import { startTestServer, type TestServer } from "../support/hook-server.ts";
import { message } from "../support/protobuf.ts";

const ON_DEFINE = callback("v1alpha3", "OnDefineDomain");
const PRE_CLOUD_INIT = callback("v1alpha3", "PreCloudInitIso");

/** One request over a new connection with headers as given, and what came back. */
function request(
  path: string,
  headers: OutgoingHttpHeaders,
  body: Uint8Array,
): Promise<{ headers: IncomingHttpHeaders; trailers: IncomingHttpHeaders }> {
  return new Promise((resolve, reject) => {
    const session = connectHttp2("http://localhost", { createConnection: () => connect(path) });
    session.on("error", reject);
    const stream = session.request(headers, { endStream: false });
    let head: IncomingHttpHeaders = {};
    let trailers: IncomingHttpHeaders = {};
    stream.on("error", reject);
    stream.on("response", (received) => {
      head = received;
    });
    stream.on("trailers", (received) => {
      trailers = received;
    });
    stream.on("close", () => {
      session.close();
      resolve({ headers: head, trailers });
    });
    stream.resume();
    stream.end(body);
  });
}

describe("routes", () => {
  let own: TestServer;
  let release = (): void => {};
  before(async () => {
    own = await startTestServer({
      hooks: {
        onDefineDomain: async (domain) => {
          if (domain.length > 0) return domain;
          await new Promise<void>((resolve) => {
            release = resolve;
          });
          return domain;
        },
      },
    });
  });
  after(() => own.end());
  afterEach(async () => {
    release();
    assert.ok((await call(own.path, INFO)).length > 0, "the server answers after all that");
  });

  test("a path without a service is unimplemented", async () => {
    for (const path of ["/", "/kubevirt.hooks.info.Info", `${INFO}/`, `${INFO}?a`, "/a/b", "/*"]) {
      const { code, text } = await refusal(own.path, path);
      assert.deepEqual({ code, text }, { code: "UNIMPLEMENTED", text: "unknown method" }, path);
    }
  });

  test("a body that nobody wants does not hold up the refusal", async () => {
    const { code } = await refusal(own.path, "/a/b", Buffer.alloc(4 << 20));
    assert.equal(code, "UNIMPLEMENTED");
  });

  test("any authority will do", async () => {
    for (const authority of [
      "localhost",
      "%2Fvar%2Frun%2Fx.sock",

      "[::",
      "x:99999",
    ]) {
      assert.ok((await call(own.path, INFO, EMPTY, { authority })).length > 0, authority);
    }
  });

  test("gRPC with any suffix of its content type is served, other types are not", async () => {
    const ask = (type: string, method = "POST") =>
      request(
        own.path,
        { ":path": INFO, ":method": method, "content-type": type, te: "trailers" },
        Buffer.alloc(method === "POST" ? 5 : 0),
      );
    for (const type of ["application/grpc", "application/grpc+proto"]) {
      const { headers, trailers } = await ask(type);
      assert.equal(headers[":status"], 200);
      assert.equal(trailers["grpc-status"], "0");
    }
    for (const type of ["application/json", "application/proto", "application/grpc-web", "x"]) {
      assert.equal((await ask(type)).headers[":status"], 415, type);
    }
    assert.equal((await ask("application/grpc", "GET")).headers[":status"], 405);
    const unknown = await request(own.path, { ":path": "/", ":method": "GET" }, EMPTY);
    assert.equal(unknown.headers[":status"], 404);
  });

  test("compressed messages are refused by name", async () => {
    const options = { compress: true };
    const { code, text } = await refusal(own.path, ON_DEFINE, message([1, "a"]), options);
    assert.equal(code, "UNIMPLEMENTED");
    assert.match(text, /unknown compression "gzip"/);
  });

  test("a flag of compression without a name for it is refused", async () => {
    const headers = { ":path": INFO, ":method": "POST", "content-type": "application/grpc" };
    const { trailers } = await request(own.path, headers, Buffer.from([1, 0, 0, 0, 0]));
    assert.equal(trailers["grpc-status"], "13");
  });

  test("a message up to the limit is served, a longer one exhausts resources", async () => {
    const frame = message([1, Buffer.alloc(100_000)]).length - 100_000 + 1;
    const fitting = message([1, Buffer.alloc(MESSAGE_BYTES_MAX - frame)]);
    assert.ok(fitting.length <= MESSAGE_BYTES_MAX && fitting.length > MESSAGE_BYTES_MAX - 4);
    assert.deepEqual(await call(own.path, PRE_CLOUD_INIT, fitting), fitting);
    for (const length of [MESSAGE_BYTES_MAX + 1, 3 * MESSAGE_BYTES_MAX]) {
      const { code } = await refusal(own.path, PRE_CLOUD_INIT, Buffer.alloc(length));
      assert.equal(code, "RESOURCE_EXHAUSTED");
    }
  });

  test("a length that is only claimed is refused without waiting for the rest", async () => {
    const headers = { ":path": INFO, ":method": "POST", "content-type": "application/grpc" };
    const claim = Buffer.from([0, 0xff, 0xff, 0xff, 0xff]);
    assert.equal((await request(own.path, headers, claim)).trailers["grpc-status"], "8");
  });

  test("a message that ends early, is none, or comes twice is refused", async () => {
    const headers = { ":path": ON_DEFINE, ":method": "POST", "content-type": "application/grpc" };
    const bad: readonly (readonly [string, Uint8Array])[] = [
      ["no message", EMPTY],
      ["half a prefix", Buffer.from([0, 0])],
      ["half a message", Buffer.from([0, 0, 0, 0, 9, 10])],
      ["a field without an end", Buffer.from([0, 0, 0, 0, 2, 10, 9])],
      ["a tag without a field", Buffer.from([0, 0, 0, 0, 1, 0])],
      ["two messages", Buffer.concat([Buffer.alloc(5), Buffer.alloc(5)])],
    ];
    for (const [name, body] of bad) {
      const { trailers } = await request(own.path, headers, body);
      assert.match(String(trailers["grpc-status"]), /^(?:3|12|13)$/, name);
    }
  });

  test("a call past its deadline fails alone", async () => {
    const late = refusal(own.path, ON_DEFINE, EMPTY, { deadline_ms: 100 });
    assert.ok((await call(own.path, INFO)).length > 0);
    assert.equal((await late).code, "DEADLINE_EXCEEDED");
  });

  test("a deadline that is no number is refused", async () => {
    const headers = {
      ":path": INFO,
      ":method": "POST",
      "content-type": "application/grpc",
      "grpc-timeout": "soon",
    };
    const { trailers } = await request(own.path, headers, Buffer.alloc(5));
    assert.match(String(trailers["grpc-status"]), /^(?:3|13)$/);
  });

  test("many calls over one connection work as well", async () => {
    const client = openClient(own.path);
    const bodies = Array.from({ length: 50 }, (_, index) => message([1, `domain ${index}`]));
    const answers = await Promise.all(bodies.map((body) => callOver(client, ON_DEFINE, body)));
    assert.deepEqual(answers, bodies);
    client.close();
  });
});

test("status texts are encoded as gRPC has it", () => {
  assert.equal(encodeStatusText("a, b: c/d?e=f&g #~"), "a, b: c/d?e=f&g #~");
  assert.equal(encodeStatusText("100 %\n"), "100 %25%0A");
  assert.equal(encodeStatusText("ä🐧\u007f"), "%C3%A4%F0%9F%90%A7%7F");
});
