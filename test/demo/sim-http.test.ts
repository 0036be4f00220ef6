/** HTTP of the modelled guest, with another guest at the other end. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { Content, contentSum } from "../../src/lab/demo/content.ts";
import { type HttpAnswer, request, serveHttp } from "../../src/lab/demo/sim-http.ts";
import { LEFT, Pair, RIGHT } from "../sim/guest/pair.ts";

const PORT = 8080;
const SECONDS = 1_000_000;

/** A server that answers with these pieces once the head of a request is there. */
function answerWith(pair: Pair, pieces: readonly string[]): { readonly requests: string[] } {
  const requests: string[] = [];
  pair.right.listenTcp(PORT, (connection) => {
    const scratch = new Uint8Array(65_536);
    let text = "";
    return {
      readable: () => {
        text += Buffer.from(scratch.subarray(0, connection.read(scratch))).toString("latin1");
        const [head = "", body] = text.split("\r\n\r\n");
        const wanted = Number(/Content-Length: (\d+)/.exec(head)?.[1] ?? 0);
        if (body === undefined || body.length < wanted) return;
        requests.push(text);
        for (const piece of pieces) connection.write(Buffer.from(piece, "latin1"));
        connection.close();
      },
    };
  });
  return { requests };
}

async function asked(pair: Pair, body?: Content): Promise<HttpAnswer> {
  const method = body === undefined ? "GET" : "PUT";
  const wanted = { address: RIGHT, port: PORT, method, ...(body && { body }) } as const;
  const answer = request(pair.left, wanted);
  answer.catch(() => {});
  pair.run(30 * SECONDS, () => pair.left.tcp.count === 0);
  assert.deepEqual(pair.faults, []);
  return answer;
}

describe("HTTP of the modelled guest", () => {
  test("takes heads and bodies in any pieces", async () => {
    const heads = ["HTTP/1.1 200 OK\r\nA: b\r\n\r\nhello", "HTTP/1.1 200 OK\r\n\r", "\nhel", "lo"];
    for (const pieces of [heads.slice(0, 1), heads.slice(1)]) {
      const pair = new Pair({ mtu: 576 });
      const { requests } = answerWith(pair, pieces);
      const answer = await asked(pair);
      assert.deepEqual([answer.status, answer.size, answer.text], [200, 5, "hello"]);
      assert.match(requests[0] ?? "", /^GET \/content HTTP\/1\.0\r\nHost: 192\.0\.2\.2:8080\r\n/);
    }
  });

  test("sends a body whole, and sums it", async () => {
    const pair = new Pair();
    const { requests } = answerWith(pair, ["HTTP/1.1 200 OK\r\n\r\n"]);
    const answer = await asked(pair, new Content(3, 200_000));
    assert.equal(answer.sent, contentSum(3, 200_000));
    const body = Buffer.from(requests[0]?.split("\r\n\r\n")[1] ?? "", "latin1");
    assert.equal(body.length, 200_000);
  });

  test("fails where nobody listens, and where the connection breaks", async () => {
    await assert.rejects(asked(new Pair()), /ended: refused$/);
    const pair = new Pair();
    pair.right.listenTcp(PORT, (connection) => ({ readable: () => connection.reset() }));
    await assert.rejects(asked(pair), /ended: reset$/);
  });

  test("serves whoever asks, and says who that is", async () => {
    const pair = new Pair();
    serveHttp(pair.right, PORT, "hello to");
    for (let i = 0; i < 2; i += 1) {
      const answer = await asked(pair);
      assert.deepEqual([answer.status, answer.text], [200, `hello to ${LEFT}\n`]);
    }
  });
});
