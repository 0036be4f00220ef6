/** Resolvers that answer, refuse, are silent, closed, or say something else. */
import assert from "node:assert/strict";
import { createSocket, type Socket } from "node:dgram";
import { describe, test } from "node:test";
import { askResolver } from "../../src/doctor/resolver-probe.ts";

const SOON_ms = 10_000;
const LITTLE_ms = 50;
const clock = (): number => performance.now();

/** A UDP socket that is a resolver; `answer` makes a reply of a query. */
function resolver(answer: (query: Uint8Array) => Uint8Array | undefined): Promise<Socket> {
  return new Promise((resolve) => {
    const socket = createSocket("udp4");
    socket.on("message", (query, from) => {
      const reply = answer(query);
      if (reply !== undefined) socket.send(reply, from.port, from.address);
    });
    socket.bind(0, "127.0.0.1", () => resolve(socket));
  });
}

/** The query's own header and question, as an answer with this code (RFC 1035 §4.1.1). */
function reply(query: Uint8Array, code: number): Uint8Array {
  const octets = Uint8Array.from(query);
  octets[2] = 0x81;
  octets[3] = 0x80 | code;
  return octets;
}

async function asked(
  answer: (query: Uint8Array) => Uint8Array | undefined,
  patience_ms: number,
): Promise<boolean> {
  const socket = await resolver(answer);
  try {
    const { port } = socket.address();
    return (await askResolver("127.0.0.1", port, patience_ms, clock)) !== undefined;
  } finally {
    socket.close();
  }
}

describe("doctor: a resolver", () => {
  for (const [name, code] of [
    ["no such name", 3],
    ["refused", 5],
    ["server failure", 2],
  ] as const) {
    test(`an answer is an answer: ${name}`, async () => {
      let question = "";
      const isThere = await asked((query) => {
        question = new TextDecoder().decode(query.subarray(13, 20));
        return reply(query, code);
      }, SOON_ms);
      assert.ok(isThere);
      assert.equal(question, "invalid");
    });
  }

  test("silence, another id, a query and a stump are none", async () => {
    const other = (query: Uint8Array): Uint8Array => {
      const octets = reply(query, 3);
      octets[0] = 0;
      return octets;
    };
    assert.equal(await asked(() => undefined, LITTLE_ms), false);
    assert.equal(await asked(other, LITTLE_ms), false);
    assert.equal(await asked((query) => query, LITTLE_ms), false);
    assert.equal(await asked((query) => reply(query, 3).subarray(0, 11), LITTLE_ms), false);
  });

  test("a closed port is none, and neither is an address that cannot be sent to", async () => {
    const closed = await resolver(() => undefined);
    const { port } = closed.address();
    await new Promise<void>((resolve) => closed.close(() => resolve()));
    assert.equal(await askResolver("127.0.0.1", port, LITTLE_ms, clock), undefined);
    assert.equal(await askResolver("fe80::1%nothere", port, LITTLE_ms, clock), undefined);
  });
});
