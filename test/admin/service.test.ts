/** What the service tells besides flows: the instance, stats, events, and who waits for them. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { Code } from "@connectrpc/connect";
import { EventKind } from "../../src/admin/gen/slirp_binding/admin/v1/admin_pb.js";
import { FAMILIES } from "../../src/metrics/families.ts";
import { callsOf, fakeNetwork, fakeProgram } from "../support/admin-program.ts";

describe("admin service", () => {
  test("the instance and its networks, one of which does not answer", async () => {
    const program = fakeProgram([fakeNetwork("blue"), fakeNetwork("red", false)]);
    const found = await callsOf(program).getInstance({});
    const { name, version, pid, command, startedUs } = found;
    assert.deepEqual(
      [name, version, pid, command, startedUs],
      ["attach-4711", "1.2.3", 4711, "attach", 1_700_000_000_000_000n],
    );
    assert.deepEqual(
      found.networks.map(({ name: each, isUp }) => [each, isUp]),
      [
        ["blue", true],
        ["red", false],
      ],
    );
    const [blue] = found.networks;
    assert.deepEqual(
      [blue?.subnet, blue?.gateway, blue?.guestAddress, blue?.dnsAddress, blue?.link],
      ["10.0.2.0/24", "10.0.2.2", "10.0.2.15", "10.0.2.3", "tap"],
    );
    assert.deepEqual([blue?.gateway6, blue?.mtu], ["fd10:0:2::1", 65_520]);
  });

  test("stats are the catalogue's, histograms put together", async () => {
    const blue = fakeNetwork("blue");
    for (const seconds of [0.0004, 0.02, 90]) {
      blue.binding.meters?.histograms.connect.observe(seconds);
    }
    const { families, timeUs } = await callsOf(fakeProgram([blue])).getStats({});
    assert.equal(timeUs, 1_700_000_000_000_005n);
    const names = families.map(({ name }) => name);
    assert.deepEqual(names.sort(), Object.keys(FAMILIES).sort());
    const connect = families.find(({ name }) => name === "slirp_connect_seconds");
    assert.equal(connect?.type, "histogram");
    const [sample, ...others] = connect?.samples ?? [];
    assert.deepEqual(others, []);
    assert.deepEqual([sample?.labels, sample?.count], [{ interface: "blue" }, 3n]);
    assert.ok(Math.abs((sample?.sum ?? 0) - 90.0204) < 1e-9);
    const counts = sample?.buckets.map(({ count }) => Number(count)) ?? [];
    assert.deepEqual([counts[0], counts.at(-1)], [1, 2]);
    assert.deepEqual(
      counts,
      counts.toSorted((a, b) => a - b),
    );
  });

  test("events: kept, after an id, and as they come", async () => {
    const program = fakeProgram([]);
    const calls = callsOf(program);
    const event = { kind: "guest_attached", message: "guest connected" } as const;
    program.events.add("blue", { ...event, details: { link: "x" } });
    const ending = new AbortController();
    const watch = calls.watchEvents({}, { signal: ending.signal })[Symbol.asyncIterator]();
    const first = (await watch.next()).value;
    const { $typeName, ...told } = first ?? assert.fail("there is one");
    assert.deepEqual(told, {
      id: 1n,
      timeUs: 1_700_000_000_000_007n,
      network: "blue",
      kind: EventKind.GUEST_ATTACHED,
      message: "guest connected",
      details: { link: "x" },
    });
    const next = watch.next();
    program.events.add("", { kind: "check_failed", message: "no IPv6", details: {} });
    assert.equal((await next).value?.id, 2n);
    const { events } = await calls.listEvents({ afterId: 1n });
    assert.deepEqual(
      events.map(({ id, kind }) => [id, kind]),
      [[2n, EventKind.CHECK_FAILED]],
    );
    ending.abort();
    await assert.rejects(watch.next());
  });

  test("the latest 1024 events are kept", async () => {
    const program = fakeProgram([]);
    for (let i = 0; i < 1030; i += 1) {
      program.events.add("blue", { kind: "limit_reached", message: "m", details: {} });
    }
    const { events } = await callsOf(program).listEvents({});
    assert.deepEqual([events.length, events[0]?.id, events.at(-1)?.id], [1024, 7n, 1030n]);
  });

  test("a network that nobody knows is refused", async () => {
    const calls = callsOf(fakeProgram([fakeNetwork("blue")]));
    await assert.rejects(calls.getStats({ network: "x" }), { code: Code.NotFound });
  });
});
