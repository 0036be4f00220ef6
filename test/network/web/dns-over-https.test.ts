/** Questions by HTTP to a server on loopback, which answers as it is told. */
import assert from "node:assert/strict";
import { createServer, type RequestListener, type Server } from "node:http";
import { afterEach, describe, test } from "node:test";
import { webUpstream } from "../../../src/network/web/index.ts";
import { answerOf, question } from "../../support/web/dns.ts";
import { FakeHost } from "../../support/web/probe.ts";

const TYPE = "application/dns-message";

describe("DNS over HTTPS", () => {
  let server: Server | undefined;
  afterEach(() => {
    server?.closeAllConnections();
    server?.close();
  });

  const serve = async (listener: RequestListener): Promise<string> => {
    const made = createServer(listener);
    server = made;
    await new Promise<void>((resolve) => made.listen(0, "127.0.0.1", resolve));
    const address = made.address();
    assert.ok(address !== null && typeof address === "object");
    return `http://127.0.0.1:${address.port}/dns-query`;
  };
  const ask = async (resolver: string, host = new FakeHost()): Promise<Uint8Array> => {
    const { resolve } = webUpstream({ resolver, names: { "own.test": "192.0.2.1" }, host });
    assert.ok(resolve);
    return resolve(question("Name.test"));
  };

  test("a question is posted with the number 0, and its answer has the guest's", async () => {
    const seen: unknown[] = [];
    const url = await serve(async (request, response) => {
      const chunks: Buffer[] = [];
      for await (const chunk of request) chunks.push(chunk);
      const asked = Buffer.concat(chunks);
      seen.push(
        request.method,
        request.url,
        request.headers["content-type"],
        request.headers.accept,
      );
      seen.push(new Uint8Array(asked));
      response.setHeader("content-type", TYPE).end(answerOf(asked, [192, 0, 2, 9]));
    });
    const answer = await ask(url);
    assert.deepEqual(seen, ["POST", "/dns-query", TYPE, TYPE, question("Name.test", 1, 0)]);
    assert.deepEqual(answer, answerOf(question("Name.test"), [192, 0, 2, 9]));
  });

  for (const [what, listener] of [
    ["another status", (_, response) => response.writeHead(503).end()],
    [
      "another type",
      (_, response) => response.end(answerOf(question("name.test", 1, 0), [1, 2, 3, 4])),
    ],
    [
      "another name",
      (_, response) =>
        response
          .setHeader("content-type", TYPE)
          .end(answerOf(question("other.test", 1, 0), [1, 2, 3, 4])),
    ],
    [
      "a question",
      (_, response) => response.setHeader("content-type", TYPE).end(question("name.test", 1, 0)),
    ],
    [
      "70,000 octets",
      (_, response) => response.setHeader("content-type", TYPE).end(new Uint8Array(70_000)),
    ],
    ["nothing", (request) => request.socket.destroy()],
  ] as readonly (readonly [string, RequestListener])[]) {
    test(`${what} is no answer`, async () => {
      await assert.rejects(ask(await serve(listener)));
    });
  }

  test("an upstream that is closed gives up its questions", async () => {
    const host = new FakeHost();
    let asked = (): void => {};
    const isAsked = new Promise<void>((resolve) => {
      asked = resolve;
    });
    const upstream = webUpstream({ resolver: await serve(() => asked()), host });
    const ask = async () => upstream.resolve?.(question("name.test"));
    const answer = ask();
    answer.catch(() => {});
    await isAsked;
    upstream.close();
    await assert.rejects(answer, { name: "AbortError" });
    assert.deepEqual(host.waits, []);
  });

  test("a server that does not answer is given up after five seconds", async () => {
    const host = new FakeHost();
    const url = await serve(() => host.pass(5_000_000));
    await assert.rejects(ask(url, host), { name: "AbortError" });
    assert.deepEqual(host.waits, []);
  });
});
