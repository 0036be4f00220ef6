/** Requests to a worker: how many at a time, answers to whom they belong, and none at the end. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { type Clerks, Desk } from "../../src/binding/desk.ts";
import {
  Asking,
  type FlowAnswer,
  REQUESTS_SIZE,
  type Reply,
  RequestError,
} from "../../src/binding/requests.ts";
import { ByteRing } from "../../src/lib/byte-ring.ts";
import { ECONNREFUSED, SystemError } from "../../src/sys/errno.ts";

function answerOf(now: number): FlowAnswer {
  const none = { slots: new Uint32Array(), records: new Uint8Array(), addresses: new Map() };
  return { page: { ...none, now, next: undefined }, locals: [] };
}

/** Both sides; `serve` is the worker's turn. */
function stage() {
  const ring = ByteRing.create(REQUESTS_SIZE);
  let signals = 0;
  const replies: Reply[] = [];
  const asking = new Asking(ring, () => {
    signals += 1;
  });
  const desk = new Desk(new ByteRing(ring.buffer), (reply) => replies.push(reply));
  const asked: number[] = [];
  const serve = (flows = (from: number) => answerOf(from)): void =>
    desk.serve({
      flows: ({ from }: { readonly from: number }) => {
        asked.push(from);
        return flows(from);
      },
    } as unknown as Clerks);
  const deliver = (): void => {
    for (const reply of replies.splice(0).reverse()) asking.take(reply);
  };
  return { asking, asked, serve, deliver, replies, signals: () => signals };
}

describe("requests", () => {
  test("four are with the worker at a time, in order, and each gets its own answer", async () => {
    const { asking, asked, serve, deliver, signals } = stage();
    const answers = Promise.all([0, 1, 2, 3, 4, 5].map((from) => asking.ask("flows", { from })));
    assert.equal(signals(), 4);
    serve();
    assert.deepEqual(asked, [0, 1, 2, 3]);
    deliver();
    serve();
    deliver();
    assert.deepEqual(
      (await answers).map(({ page }) => page.now),
      [0, 1, 2, 3, 4, 5],
    );
  });

  test("a request may lie in two pieces of the ring", async () => {
    const { asking, serve, deliver } = stage();
    for (let from = 0; from < 3000; from += 1) {
      const answer = asking.ask("flows", { from });
      serve();
      deliver();
      assert.equal((await answer).page.now, from);
    }
  });

  test("what answers have left is collected once in 512", () => {
    let cleanings = 0;
    const onMany = (): void => {
      cleanings += 1;
    };
    const desk = new Desk(ByteRing.create(REQUESTS_SIZE), () => {}, onMany);
    for (let i = 0; i < 1023; i += 1) desk.answered();
    assert.equal(cleanings, 1);
    desk.answered();
    assert.equal(cleanings, 2);
  });

  test("refusals and errors of the system are answers", async () => {
    const { asking, serve, deliver } = stage();
    const refused = asking.ask("flows", { from: 1 });
    serve(() => {
      throw new RequestError("not-found", "no such thing");
    });
    deliver();
    await assert.rejects(refused, { code: "not-found", message: "no such thing" });
    const failed = asking.ask("flows", { from: 1 });
    serve(() => {
      throw new SystemError("Connect", -ECONNREFUSED);
    });
    deliver();
    await assert.rejects(failed, { code: "failed-precondition" });
  });

  test("any other failure is told, and is the engine's", async () => {
    const { asking, serve, deliver } = stage();
    const answer = asking.ask("flows", { from: 1 });
    const trap = (): FlowAnswer => {
      throw new Error("unreachable");
    };
    assert.throws(() => serve(trap), /unreachable/);
    deliver();
    await assert.rejects(answer, { code: "internal", message: "unreachable" });
  });

  test("what waits is bounded, and ends with the network", async () => {
    const { asking, serve } = stage();
    const all = Array.from({ length: 4 + 64 + 1 }, (_, from) => asking.ask("flows", { from }));
    await assert.rejects(all[68] ?? Promise.resolve(), { code: "resource-exhausted" });
    const others = Promise.allSettled(all.slice(0, 68));
    asking.end();
    const codes = (await others).map((each) =>
      each.status === "rejected" ? (each.reason as RequestError).code : "",
    );
    assert.deepEqual(new Set(codes), new Set(["unavailable"]));
    await assert.rejects(asking.ask("flows", { from: 0 }), { code: "unavailable" });
    serve(); // what the worker says now is nobody's
  });

  test("a worker that does not answer is waited for five seconds", async (context) => {
    context.mock.timers.enable({ apis: ["setTimeout"] });
    const { asking, asked, serve, deliver } = stage();
    const five = [0, 1, 2, 3, 4].map((from) => asking.ask("flows", { from }));
    const settled = Promise.allSettled(five);
    context.mock.timers.tick(4999);
    serve();
    assert.deepEqual(asked, [0, 1, 2, 3]);
    context.mock.timers.tick(1);
    serve();
    deliver(); // the first four are too late
    const results = (await settled).map(({ status }) => status);
    assert.deepEqual(results, ["rejected", "rejected", "rejected", "rejected", "fulfilled"]);
  });
});
