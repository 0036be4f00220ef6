/** What of an answer goes into a datagram. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { fitted } from "../../src/network/dns-room.ts";
import { NameSocket } from "../../src/network/name-service.ts";
import { QUESTION, query } from "../support/dns.ts";
import { until } from "../support/e2e/shell.ts";
import { concat } from "../support/packet.ts";

const NONE = new Uint8Array(0);
const END = 12 + QUESTION.length;
const u16 = (octets: Uint8Array, at: number): number => new DataView(octets.buffer).getUint16(at);

/** A question with an OPT record that offers `size` octets. */
function asking(size: number): Uint8Array {
  const opt = Uint8Array.of(0, 0, 41, size >> 8, size & 0xff, 0, 0, 0, 0, 0, 0);
  return query(7, QUESTION, opt);
}

/** An answer of so many octets. */
function answering(length: number): Uint8Array {
  const head = query(7, QUESTION, NONE);
  head[2] = 0x80;
  head[7] = 3;
  head[11] = 0;
  return concat(head, new Uint8Array(length - head.length).fill(9));
}

describe("room for an answer", () => {
  test("is what the question offers, 512 octets at least", () => {
    const plain = query(7, QUESTION, NONE);
    plain[11] = 0;
    for (const [question, room] of [
      [plain, 512],
      [asking(100), 512],
      [asking(1232), 1232],
      [asking(65_535), 65_535],
      [asking(1232).subarray(0, END + 4), 512],
      [new Uint8Array(3), 512],
    ] as const) {
      const whole = answering(room);
      assert.equal(fitted(whole, question), whole, `${room} octets`);
      if (room < 65_535) assert.equal(fitted(answering(room + 1), question).length, END);
    }
  });

  test("what is cut says so, and has the question alone", () => {
    const cut = fitted(answering(600), query(7, QUESTION, NONE));
    assert.deepEqual(cut.subarray(12), QUESTION);
    assert.equal(cut[2], 0x82);
    assert.deepEqual([u16(cut, 0), u16(cut, 4), u16(cut, 6), u16(cut, 10)], [7, 1, 0, 0]);
  });

  test("without a question that can be read there is a header left", () => {
    const answer = new Uint8Array(600).fill(0xff);
    const cut = fitted(answer, asking(512));
    assert.deepEqual([...cut], [255, 255, 255, 255, 0, 0, 0, 0, 0, 0, 0, 0]);
  });

  test("is kept to by the name service", async () => {
    const events = { readable: () => {}, refused: () => {} };
    const names = new NameSocket(async () => answering(2000), events);
    for (const [question, length] of [
      [asking(4096), 2000],
      [asking(1232), END],
    ] as const) {
      names.send(question);
      const answer = await until(() => names.receive(), "an answer");
      assert.equal(answer.payload.length, length);
    }
  });
});
