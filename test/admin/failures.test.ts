/** Errors of calls as sentences: of the service, of the system below, and of others. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Code, ConnectError } from "@connectrpc/connect";
import { failureOf } from "../../src/admin/failures.ts";

function systemError(code: string): Error {
  return Object.assign(new Error("connect failed"), { code });
}

test("refusals of the service say what it said", () => {
  for (const [code, kind] of [
    [Code.InvalidArgument, "usage"],
    [Code.NotFound, "refused"],
    [Code.FailedPrecondition, "refused"],
    [Code.ResourceExhausted, "refused"],
    [Code.Unavailable, "refused"],
  ] as const) {
    assert.deepEqual(failureOf(new ConnectError("no such port", code)), {
      kind,
      message: "no such port",
    });
  }
  assert.deepEqual(failureOf(new ConnectError("stream closed", Code.Canceled)), {
    kind: "gone",
    message: "it has ended",
  });
  assert.deepEqual(failureOf(new ConnectError("x", Code.Unimplemented)), {
    kind: "refused",
    message: "it is of a version that cannot do this",
  });
});

test("what the system says of the connection is told by what it means", () => {
  for (const [code, kind, words] of [
    ["ENOENT", "gone", /no such socket/],
    ["ECONNREFUSED", "gone", /nobody listens/],
    ["ECONNRESET", "gone", /has ended/],
    ["EACCES", "refused", /another user's/],
  ] as const) {
    const wrapped = new Error("transport", { cause: systemError(code) });
    for (const cause of [systemError(code), wrapped]) {
      const error = new ConnectError("unavailable", Code.Unavailable, undefined, undefined, cause);
      const failure = failureOf(error);
      assert.equal(failure?.kind, kind);
      assert.match(failure?.message ?? "", words);
    }
  }
});

test("an error of another origin is nobody's refusal, and causes may go in a circle", () => {
  assert.equal(failureOf(new Error("x")), undefined);
  const circle = new Error("a");
  circle.cause = circle;
  const error = new ConnectError("m", Code.Internal, undefined, undefined, circle);
  assert.deepEqual(failureOf(error), { kind: "refused", message: "m" });
});
