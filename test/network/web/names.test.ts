/** Names that are answered here, and who is asked for the others. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { EngineError } from "../../../src/engine/errors.ts";
import { webUpstream } from "../../../src/network/web/index.ts";
import { question } from "../../support/web/dns.ts";

const NAMES = { "web.test": ["192.0.2.80", "2001:db8::80"], "Other.Test.": "192.0.2.81" };

async function ask(message: Uint8Array): Promise<Uint8Array> {
  const { resolve } = webUpstream({ names: NAMES });
  assert.ok(resolve);
  return resolve(message);
}

describe("names", () => {
  test("an address of the type that is asked for, below the question", async () => {
    const asked = question("WEB.test");
    const answer = await ask(asked);
    assert.deepEqual([...answer.subarray(0, 12)], [0x12, 0x34, 0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0]);
    assert.deepEqual(answer.subarray(12, asked.length), asked.subarray(12));
    assert.deepEqual(
      [...answer.subarray(asked.length)],
      [0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, 80],
    );
    const six = await ask(question("web.test", 28));
    assert.deepEqual([...six.subarray(-16)], [0x20, 1, 0xd, 0xb8, ...Array(11).fill(0), 0x80]);
    assert.equal((await ask(question("web.test", 255)))[7], 2);
  });

  test("a name has no records of other types, and there are no other names", async () => {
    const none = await ask(question("other.test", 28));
    assert.deepEqual([none[3], none[7]], [0x80, 0]);
    const other = await ask(question("elsewhere.test"));
    assert.deepEqual([other[3], other[7]], [0x83, 0]);
  });

  for (const [what, message] of [
    ["nothing", new Uint8Array(0)],
    ["a head", question("a").subarray(0, 12)],
    ["a question cut short", question("web.test").subarray(0, 20)],
    ["two questions", question("a").with(5, 2)],
    ["a label of 64 octets", question("a").with(12, 64)],
    ["a pointer", question("a").with(12, 0xc0)],
    ["a name beyond 255 octets", question(Array(100).fill("abc").join("."))],
  ] as const) {
    test(`${what} is answered with FORMERR`, async () => {
      const answer = await ask(message);
      assert.equal(answer.length, 12);
      assert.equal((answer[3] ?? 0) & 15, 1);
    });
  }

  test("without names and resolver the guest's own way stays", () => {
    assert.equal(webUpstream({}).resolve, undefined);
  });

  test("what is no address is refused", () => {
    for (const options of [{ names: { a: "b" } }, { resolver: "dns.example" }]) {
      assert.throws(
        () => webUpstream(options),
        (error: EngineError) => error.code === "CONFIG",
      );
    }
  });
});
