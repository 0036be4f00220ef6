/** Bodies in whatever pieces they come, gathered into one buffer or refused. */
import assert from "node:assert/strict";
import { EventEmitter } from "node:events";
import type { Http2ServerRequest } from "node:http2";
import { describe, test } from "node:test";
import { Code, ConnectError } from "@connectrpc/connect";
import { readBody } from "../../src/hooks/body.ts";
import { type Call, createShares, MESSAGE_BYTES_MAX } from "../../src/hooks/calls.ts";
import { keepingLog } from "../support/hook-server.ts";

class Request extends EventEmitter {
  isDropping = false;

  resume(): void {
    this.isDropping = true;
  }
}

function reading(): { request: Request; call: Call; body: Promise<Uint8Array> } {
  const { calls } = createShares(keepingLog().log, () => 0);
  const call = calls.open({ kind: "domain", method: "m", connection: {} });
  const request = new Request();
  return { request, call, body: readBody(request as unknown as Http2ServerRequest, call) };
}

function prefix(length: number): Buffer {
  const head = Buffer.alloc(5);
  head.writeUInt32BE(length, 1);
  return head;
}

async function codeOf(body: Promise<unknown>): Promise<string | undefined> {
  const error = await body.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  return error instanceof ConnectError ? Code[error.code] : undefined;
}

describe("a body", () => {
  for (const size of [1, 3, 5, 1000, 200_000]) {
    test(`in pieces of ${size} octets is the same body`, async () => {
      const { request, call, body } = reading();
      const whole = Buffer.concat([prefix(150_000), Buffer.alloc(150_000, "abc")]);
      for (let at = 0; at < whole.length; at += size) {
        request.emit("data", whole.subarray(at, at + size));
      }
      request.emit("end");
      assert.ok(Buffer.from(await body).equals(whole));
      assert.deepEqual([call.state, call.octets], ["working", whole.length]);
      assert.equal(request.eventNames().length, 0);
    });
  }

  test("that ends early is handed on as it is", async () => {
    const { request, body } = reading();
    request.emit("data", Buffer.concat([prefix(9), Buffer.from("ab")]));
    request.emit("end");
    assert.equal((await body).length, 7);
    const nothing = reading();
    nothing.request.emit("end");
    assert.equal((await nothing.body).length, 0);
  });

  test("that says it is too long is refused at once, and what follows is dropped", async () => {
    const { request, call, body } = reading();
    request.emit("data", prefix(MESSAGE_BYTES_MAX + 1));
    assert.equal(await codeOf(body), "ResourceExhausted");
    assert.ok(request.isDropping);
    request.emit("data", Buffer.alloc(100_000));
    assert.equal(call.octets, 5);
  });

  test("with more than one message is refused", async () => {
    const { request, body } = reading();
    request.emit("data", Buffer.concat([prefix(0), prefix(0)]));
    assert.equal(await codeOf(body), "InvalidArgument");
  });

  test("of a peer that goes, and of a call that gives way, ends there", async () => {
    const gone = reading();
    gone.request.emit("close");
    assert.equal(await codeOf(gone.body), "Canceled");
    const ended = reading();
    ended.call.end(new ConnectError("no room", Code.ResourceExhausted));
    assert.equal(await codeOf(ended.body), "ResourceExhausted");
    assert.ok(ended.request.isDropping);
  });
});
