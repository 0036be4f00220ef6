/** Calls of the admin service as JSON texts: answers, refusals, and a socket that misbehaves. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type ServerResponse } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { type AdminCalls, adminCalls, CallError } from "../../src/ui/admin-calls.ts";
import { FakeInstance } from "../support/ui/fake-instance.ts";
import { furnish } from "../support/ui/scene.ts";

const NEVER = new AbortController().signal;

async function take(messages: AsyncIterable<string>, count: number): Promise<string[]> {
  const taken: string[] = [];
  for await (const message of messages) {
    taken.push(message);
    if (taken.length === count) break;
  }
  return taken;
}

function isCode(code: string, message: RegExp) {
  return (error: unknown): boolean => {
    assert.ok(error instanceof CallError);
    assert.equal(error.code, code);
    assert.match(error.message, message);
    return true;
  };
}

describe("calls of an instance", () => {
  const folder = mkdtempSync(join(tmpdir(), "slirp-ui-"));
  const path = join(folder, "a.sock");
  const instance = new FakeInstance(path, 20);
  const calls = adminCalls(async () => path);

  before(async () => {
    furnish(instance, { flows: 3000 });
    await instance.start();
  });
  after(async () => {
    await instance.stop();
    rmSync(folder, { recursive: true });
  });

  test("one answer", async () => {
    const { name, networks } = JSON.parse(await calls.call("GetInstance", "{}", NEVER));
    assert.equal(name, "fake");
    assert.equal(networks.length, 1);
  });

  test("a refusal has Connect's code and words", async () => {
    const call = calls.call("AddPublished", '{"rule":"x"}', NEVER);
    await assert.rejects(call, isCode("invalid_argument", /^wanted a rule/));
    await assert.rejects(calls.call("NoSuchCall", "{}", NEVER), isCode("unavailable", /404/));
  });

  test("many answers, however they are cut into pieces", async () => {
    const messages = await take(calls.stream("WatchFlows", "{}", NEVER), 4);
    const flows = messages.flatMap((message) => JSON.parse(message).flows ?? []);
    assert.equal(flows.length, 3000);
    assert.equal(JSON.parse(messages[3] ?? "").isComplete, true);
  });

  test("a refusal at the end of a stream is told", async () => {
    const stream = calls.stream("Capture", '{"filter":"nonsense"}', NEVER);
    await assert.rejects(take(stream, 1), isCode("invalid_argument", /unknown word/));
  });

  test("an instance that ends is told", async () => {
    const stream = calls.stream("WatchStats", "{}", NEVER)[Symbol.asyncIterator]();
    await stream.next();
    await instance.stop();
    await assert.rejects(
      async () => {
        while ((await stream.next()).done !== true);
      },
      isCode("unavailable", /./),
    );
    await assert.rejects(calls.call("GetInstance", "{}", NEVER), isCode("unavailable", /./));
    await instance.start();
    await calls.call("GetInstance", "{}", NEVER);
  });

  test("whoever asks may leave", async () => {
    const leaving = new AbortController();
    const stream = calls.stream("WatchStats", "{}", leaving.signal)[Symbol.asyncIterator]();
    await stream.next();
    leaving.abort();
    await assert.rejects(async () => {
      while ((await stream.next()).done !== true);
    }, CallError);
  });

  test("no socket is told in the words of whoever looks for it", async () => {
    const nowhere = adminCalls(async () => {
      throw new Error("none runs");
    });
    await assert.rejects(
      nowhere.call("GetInstance", "{}", NEVER),
      isCode("unavailable", /none runs/),
    );
  });
});

describe("a socket that misbehaves", () => {
  const folder = mkdtempSync(join(tmpdir(), "slirp-ui-"));
  const path = join(folder, "a.sock");
  let behave: (response: ServerResponse) => void = () => {};
  const server = createServer((_, response) => behave(response));
  const calls: AdminCalls = adminCalls(async () => path);
  const first = () => take(calls.stream("WatchStats", "{}", NEVER), 1);
  const envelope = (flags: number, length: number, text = ""): Buffer => {
    const head = Buffer.alloc(5);
    head[0] = flags;
    head.writeUInt32BE(length, 1);
    return Buffer.concat([head, Buffer.from(text)]);
  };

  before(() => new Promise<void>((resolve) => server.listen(path, resolve)));
  after(() => {
    server.close();
    server.closeAllConnections();
    rmSync(folder, { recursive: true });
  });

  test("a length that cannot be meant is refused before anything is kept for it", async () => {
    behave = (response) => response.write(envelope(0, 0xffff_ffff));
    await assert.rejects(first(), isCode("internal", /octets/));
  });

  test("a compressed answer is refused, as none was asked for", async () => {
    behave = (response) => response.write(envelope(1, 2, "{}"));
    await assert.rejects(first(), isCode("internal", /compressed/));
  });

  test("an end without its last envelope is an end of the connection", async () => {
    behave = (response) => response.end(envelope(0, 100, "{"));
    await assert.rejects(first(), isCode("unavailable", /ended the connection/));
  });

  test("an error that is none of Connect's is told by its status", async () => {
    behave = (response) => {
      response.statusCode = 418;
      response.end("<html>");
    };
    await assert.rejects(first(), isCode("unavailable", /418/));
    await assert.rejects(calls.call("GetInstance", "{}", NEVER), isCode("unavailable", /418/));
  });

  test("octets that come one by one are put together", async () => {
    behave = (response) => {
      const octets = Buffer.concat([envelope(0, 9, '{"a":"ä"}'.slice(0, 9)), envelope(0, 2, "{}")]);
      const next = (i: number): void => {
        if (i < octets.length) response.write(octets.subarray(i, i + 1), () => next(i + 1));
      };
      next(0);
    };
    const messages = await take(calls.stream("WatchStats", "{}", NEVER), 1);
    assert.equal(messages.length, 1);
  });
});
