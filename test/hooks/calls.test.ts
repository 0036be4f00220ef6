/** Who gives way to whom when places, memory or patience are short, in a time of the test's own. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { Code, ConnectError } from "@connectrpc/connect";
import {
  type Call,
  type CallClass,
  createShares,
  MESSAGE_BYTES_MAX,
} from "../../src/hooks/calls.ts";
import { keepingLog } from "../support/hook-server.ts";

/** What the program promises. */
const CONTROL_BYTES_MAX = 4096;
const REQUEST_ms = 20_000;
const ANSWER_ms = 20_000;

const MIB = 1024 * 1024;
/** What all calls together may hold. */
const WHOLE = 12 * MIB + 64 * 64 * 1024 + 80 * CONTROL_BYTES_MAX;

function world() {
  const { log, lines } = keepingLog();
  let now_ms = 0;
  const { calls, pressure } = createShares(log, () => now_ms);
  const cut: object[] = [];
  const open = (kind: CallClass = "domain", connection: object = {}): Call => {
    calls.addConnection(connection, () => cut.push(connection));
    const call = calls.open({ kind, method: kind, connection });
    call.whenEnded((error) => ended.set(call, Code[error.code]));
    return call;
  };
  const ended = new Map<Call, string>();
  const wait = (time_ms: number): void => {
    now_ms += time_ms;
  };
  return { calls, pressure, lines, open, wait, cut, endOf: (call: Call) => ended.get(call) };
}

/** Gives a call these octets; says how that was refused. */
function given(call: Call, octets: number): string {
  try {
    call.take(octets);
    return "";
  } catch (error) {
    assert.ok(error instanceof ConnectError);
    return Code[error.code] ?? "";
  }
}

describe("places", () => {
  test("the oldest incomplete call gives way to a new one, of its own class alone", () => {
    const { open, endOf, pressure, lines } = world();
    const controls = Array.from({ length: 64 }, () => open("control"));
    const domains = Array.from({ length: 64 }, () => open());
    domains[0]?.complete();
    const late = open();
    assert.equal(endOf(late), undefined);
    assert.deepEqual(
      domains.map(endOf).map((code) => code ?? "-"),
      domains.map((_, index) => (index === 1 ? "ResourceExhausted" : "-")),
    );
    assert.ok(controls.every((call) => endOf(call) === undefined));
    assert.equal(pressure.counters.calls_evicted, 1);
    assert.equal(lines.length, 1);
  });

  test("when all are complete, the new one is refused", () => {
    const { open, endOf } = world();
    const calls = Array.from({ length: 64 }, () => open());
    for (const call of calls) call.complete();
    assert.equal(endOf(open()), "ResourceExhausted");
    assert.equal(endOf(open("control")), undefined);
    calls[0]?.close();
    assert.equal(endOf(open()), undefined);
  });

  test("of watches there are 16, and those that are there stay", () => {
    const { open, endOf } = world();
    const watches = Array.from({ length: 17 }, () => open("watch"));
    assert.equal(watches.filter((call) => endOf(call) === undefined).length, 16);
    assert.equal(endOf(watches[16] as Call), "ResourceExhausted");
  });

  test("a call whose peer has gone keeps its place while it is worked on", async () => {
    const { open, endOf, calls } = world();
    let release = (): void => {};
    const gate = new Promise<void>((resolve) => {
      release = resolve;
    });
    const works = Array.from({ length: 64 }, () => {
      const call = open();
      call.take(100);
      call.complete();
      const work = call.work(() => gate);
      call.close();
      return work;
    });
    assert.equal(endOf(open()), "ResourceExhausted");
    assert.equal(calls.octets, 6400);
    release();
    await Promise.all(works);
    assert.equal(calls.octets, 0);
    assert.equal(endOf(open()), undefined);
  });
});

describe("octets", () => {
  test("however many ask, all calls together hold no more than their share", () => {
    const { open, calls, pressure, lines } = world();
    for (let round = 0; round < 100; round += 1) {
      const call = open();
      let refused = "";
      for (let part = 0; part < 40 && refused === ""; part += 1) refused = given(call, 200 * 1024);
      if (refused !== "") call.close();
      assert.ok(calls.octets <= WHOLE, `${calls.octets}`);
    }
    assert.ok(calls.octets > 6 * MIB, "most of it is used");
    assert.ok(pressure.counters.memory_refused > 0);
    assert.ok(lines.length <= 2);
  });

  test("a small call always has room", () => {
    const { open } = world();
    const large = Array.from({ length: 3 }, () => open());
    assert.deepEqual(
      large.map((call) => given(call, 6 * MIB)),
      ["", "", "ResourceExhausted"],
    );
    for (let count = 0; count < 60; count += 1) assert.equal(given(open(), 64 * 1024), "");
  });

  test("who stands still gives way to who goes on", () => {
    const { open, wait, endOf } = world();
    const [first, second] = [open(), open()];
    assert.equal(given(first, 6 * MIB), "");
    wait(1000);
    assert.equal(given(second, 6 * MIB), "");
    wait(1500);
    assert.equal(given(open(), 2 * MIB), "");
    assert.deepEqual([endOf(first), endOf(second)], ["ResourceExhausted", undefined]);
  });

  test("who is complete does not stand still", () => {
    const { open, wait } = world();
    const call = open();
    call.take(8 * MIB);
    call.complete();
    wait(REQUEST_ms);
    assert.equal(given(open(), 5 * MIB), "ResourceExhausted");
  });

  test("a message is as long as its class allows", () => {
    const { open } = world();
    open("domain").checkSize(MESSAGE_BYTES_MAX);
    assert.throws(() => open("domain").checkSize(MESSAGE_BYTES_MAX + 1), /wanted at most 8388608/);
    open("control").checkSize(CONTROL_BYTES_MAX);
    assert.throws(() => open("control").checkSize(CONTROL_BYTES_MAX + 1), ConnectError);
  });
});

describe("time", () => {
  test("a request that is not complete is ended", () => {
    const { open, wait, calls, endOf, cut } = world();
    const [slow, quick] = [open(), open()];
    slow.take(100_000);
    quick.complete();
    wait(REQUEST_ms - 1);
    slow.take(1);
    calls.sweep();
    assert.equal(endOf(slow), undefined);
    wait(1);
    calls.sweep();
    assert.deepEqual([endOf(slow), endOf(quick)], ["DeadlineExceeded", undefined]);
    assert.equal(calls.octets, 0);
    assert.deepEqual(cut, []);
  });

  test("an answer that nobody takes costs the connection", () => {
    const { open, wait, calls, cut, pressure } = world();
    const connection = {};
    const call = open("domain", connection);
    call.complete();
    wait(10 * ANSWER_ms);
    calls.sweep();
    assert.deepEqual(cut, [], "work has no limit here");
    call.answered();
    wait(ANSWER_ms);
    calls.sweep();
    assert.deepEqual(cut, [connection]);
    assert.equal(pressure.counters.answers_timed_out, 1);
  });
});

test("a connection is being served while it has a call that is worked on", () => {
  const { open, calls, wait } = world();
  const connection = {};
  assert.ok(!calls.isServing(connection));
  const call = open("domain", connection);
  assert.ok(!calls.isServing(connection));
  call.complete();
  assert.ok(calls.isServing(connection));
  call.answered();
  assert.ok(calls.isServing(connection));
  wait(ANSWER_ms);
  assert.ok(!calls.isServing(connection), "an answer that is not taken is no reason");
  call.close();
  assert.ok(!calls.isServing(connection));
});
