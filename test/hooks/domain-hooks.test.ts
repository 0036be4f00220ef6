/**
 * What a caller is told when a hook fails: the status and text of a refusal, and of a fault of ours
 * nothing but that it is one. Texts go through the whole server, as headers bound what they can be.
 */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { HookError, type HookErrorCode } from "../../src/hooks/domain/errors.ts";
import { call, callback, INFO, refusal } from "../support/hook-client.ts";
import { startTestServer, type TestServer } from "../support/hook-server.ts";

/** What the program promises. */
const ERROR_TEXT_LENGTH_MAX = 1024;

const METHOD = callback("v1alpha3", "OnDefineDomain");

describe("errors of the hooks", () => {
  let own: TestServer;
  let thrown: unknown;
  before(async () => {
    const fail = (): never => {
      throw thrown;
    };
    own = await startTestServer({ hooks: { onDefineDomain: fail, shutdown: async () => fail() } });
  });
  after(() => own.end());

  const codes: readonly (readonly [HookErrorCode, string])[] = [
    ["invalid-argument", "INVALID_ARGUMENT"],
    ["failed-precondition", "FAILED_PRECONDITION"],
  ];
  for (const [code, status] of codes) {
    test(`a refusal with ${code} is ${status} with its text`, async () => {
      thrown = new HookError(code, 'iface "net": port 80/TCP, 100 % used; wanted "more" & #1');
      assert.deepEqual(await refusal(own.path, METHOD), {
        code: status,
        text: 'iface "net": port 80/TCP, 100 % used; wanted "more" & #1',
      });
    });
  }

  const texts: readonly (readonly [string, string, string])[] = [
    ["umlauts and signs beyond the first plane", "für 🐧 – 日本", "für 🐧 – 日本"],
    ["lines become one", " a\r\n\tb \u2028 c\n", "a b c"],
    ["control characters become visible", "a\u0000b\u001b[31mc", "a\\u{0}b\\u{1b}[31mc"],
    ["half a pair of surrogates is replaced", "a\ud83d", "a\ufffd"],
    ["nothing stays nothing", "", ""],
  ];
  for (const [name, text, wanted] of texts) {
    test(`texts: ${name}`, async () => {
      thrown = new HookError("invalid-argument", text);
      assert.equal((await refusal(own.path, METHOD)).text, wanted);
    });
  }

  test("a long text is cut, whatever its letters need on the way", async () => {
    for (const letter of ["a", "ä", "日", "🐧"]) {
      thrown = new HookError("invalid-argument", letter.repeat(100_000));
      const { code, text } = await refusal(own.path, METHOD);
      assert.equal(code, "INVALID_ARGUMENT");
      assert.ok(text.length <= ERROR_TEXT_LENGTH_MAX, String(text.length));
      assert.match(text, new RegExp(`^${letter}{500}.*…$`, "u"));
      assert.ok(text.isWellFormed());
    }
  });

  test("a fault of ours is told in the log, not to the caller", async () => {
    const faults = [new Error("secret"), new TypeError("secret"), "secret", undefined];
    for (const fault of faults) {
      thrown = fault;
      assert.deepEqual(await refusal(own.path, METHOD), {
        code: "INTERNAL",
        text: "internal error, see the log of the sidecar",
      });
    }
    assert.equal(own.lines.filter((line) => /^error hook failed/.test(line)).length, faults.length);
    assert.ok(own.lines.some((line) => line.includes("secret")));
  });

  test("the other methods map errors alike", async () => {
    thrown = new HookError("failed-precondition", "not now");
    const shutdown = await refusal(own.path, callback("v1alpha3", "Shutdown"));
    assert.deepEqual(shutdown, { code: "FAILED_PRECONDITION", text: "not now" });
  });

  test("after all that the server answers", async () => {
    assert.ok((await call(own.path, INFO)).length > 0);
  });
});
