/** Questions to a name server behind a relay, by datagrams and by a stream. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { webUpstream } from "../../../src/network/web/index.ts";
import { answerOf, question } from "../../support/web/dns.ts";
import { FakeSocket, packet, READY } from "../../support/web/fake-socket.ts";
import { FakeHost } from "../../support/web/probe.ts";

const [CONNECT, DATA, CLOSE, INFO] = [1, 2, 4, 5] as const;
const UDP = 2;
const TCP = 1;
const TRUNCATED = 2;
const ASKED = question("name.test");
const ANSWER = answerOf(ASKED, [192, 0, 2, 9]);

function setUp() {
  const host = new FakeHost();
  const socket = new FakeSocket([]);
  function Given(): FakeSocket {
    return socket;
  }
  const relay = { url: "ws://relay/", webSocket: Given as never };
  const upstream = webUpstream({ relay, resolver: "192.0.2.53", host });
  assert.ok(upstream.resolve);
  return { host, socket, upstream, answer: upstream.resolve(ASKED) };
}

/** Lets what was settled go on. */
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
const withLength = (message: Uint8Array): number[] => [0, message.length, ...message];

describe("DNS through the relay", () => {
  test("a datagram to port 53, and its answer; then the stream is closed", async () => {
    const { host, socket, answer } = setUp();
    socket.gives(READY);
    const [connect] = socket.takes(CONNECT);
    assert.deepEqual([...(connect ?? []).slice(5, 8)], [UDP, 53, 0]);
    assert.deepEqual(socket.takes(DATA)[0]?.subarray(5), ASKED);
    socket.gives(packet(DATA, 1, answerOf(question("name.test", 1, 7), [6, 6, 6, 6])));
    socket.gives(packet(DATA, 1, answerOf(question("bad.test"), [6, 6, 6, 6])));
    socket.gives(packet(DATA, 1, ANSWER));
    assert.deepEqual(await answer, ANSWER);
    assert.equal(socket.takes(CLOSE).length, 1);
    assert.deepEqual(host.waits, []);
  });

  test("an answer that was cut short is asked for by TCP", async () => {
    const { host, socket, answer } = setUp();
    socket.gives(READY, packet(DATA, 1, answerOf(ASKED, [1, 2, 3, 4], TRUNCATED)));
    await turn();
    assert.deepEqual([...(socket.takes(CONNECT)[1] ?? []).slice(5, 8)], [TCP, 53, 0]);
    socket.takes(DATA);
    host.pass(1_000_000);
    assert.deepEqual([...(socket.takes(DATA)[0] ?? [])].slice(5), withLength(ASKED));
    const whole = Uint8Array.from(withLength(ANSWER));
    for (const octet of whole) socket.gives(packet(DATA, 2, [octet]));
    assert.deepEqual(await answer, ANSWER);
  });

  test("so is everything where the relay has no UDP", async () => {
    const { socket, answer } = setUp();
    socket.gives(packet(INFO, 0, [2, 0]), READY);
    await turn();
    socket.gives(packet(DATA, 1, withLength(ANSWER)));
    assert.deepEqual(await answer, ANSWER);
  });

  for (const [what, reason, payload] of [
    ["ends", 2, []],
    ["is refused", 0x44, []],
    ["answers something else", 2, withLength(answerOf(question("bad.test"), [6, 6, 6, 6]))],
  ] as const) {
    test(`a stream that ${what} is no answer`, async () => {
      const { socket, answer } = setUp();
      socket.gives(packet(INFO, 0, [2, 0]), READY);
      await turn();
      if (payload.length > 0) socket.gives(packet(DATA, 1, payload));
      socket.gives(packet(CLOSE, 1, [reason]));
      await assert.rejects(answer);
    });
  }

  test("no answer in four seconds is none", async () => {
    const { host, socket, answer } = setUp();
    socket.gives(READY);
    host.pass(4_000_000);
    await assert.rejects(answer, /does not answer/);
    assert.deepEqual(host.waits, []);
  });
});
