/** Flows through the service: pages of any size, filters, what each waits for, and watchers. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { Code, ConnectError } from "@connectrpc/connect";
import {
  FlowKind,
  Waiting,
  type WatchFlowsResponse,
} from "../../src/admin/gen/slirp_binding/admin/v1/admin_pb.js";
import * as abi from "../../wasm/abi.ts";
import { callsOf, fakeNetwork, fakeProgram, NOW } from "../support/admin-program.ts";
import type { FlowFields } from "../support/flow-table.ts";
import { TICK } from "../support/flow-table.ts";

function refused(code: Code, message: RegExp): (error: unknown) => boolean {
  return (error) => {
    assert.ok(error instanceof ConnectError);
    assert.equal(error.code, code);
    assert.match(error.message, message);
    return true;
  };
}

describe("flows", () => {
  for (const pageSize of [7, 256, 4096]) {
    test(`all flows of two networks, once each, by pages of ${pageSize}`, async () => {
      const [blue, red] = [fakeNetwork("blue"), fakeNetwork("red")];
      for (let i = 0; i < 300; i += 1) blue.table.put(i * 3);
      for (let i = 0; i < 20; i += 1) red.table.put(abi.FLOW_CAPACITY_COUNT - 1 - i);
      const calls = callsOf(fakeProgram([blue, red]));
      const seen: string[] = [];
      let pageToken = "";
      do {
        const page = await calls.listFlows({ pageSize, pageToken });
        assert.ok(page.flows.length <= pageSize);
        seen.push(...page.flows.map(({ network, id }) => `${network} ${id}`));
        pageToken = page.nextPageToken;
      } while (pageToken !== "");
      assert.deepEqual([seen.length, new Set(seen).size], [320, 320]);
    });
  }

  test("one of them, with all there is to know", async () => {
    const blue = fakeNetwork("blue");
    blue.table.put(5, {
      lastActive: NOW - 1500,
      began: Math.floor(NOW / TICK) - 10,
      bytesToHost: 2 ** 40,
      tcp: {
        [abi.FLOW_TCP_SRTT_OFFSET]: 250,
        [abi.FLOW_TCP_CWND_OFFSET]: 65_536,
        [abi.TRACE_FLOW_RESENT_OFFSET]: 3,
        [abi.FLOW_TCP_RCV_EDGE_OFFSET]: 1000,
      },
    });
    const [flow] = (await callsOf(fakeProgram([blue])).listFlows({})).flows;
    const { $typeName, ...rest } = flow ?? assert.fail("there is one");
    assert.deepEqual(rest, {
      network: "blue",
      id: 7 * 65_536 + 5,
      kind: FlowKind.TCP,
      state: "ESTABLISHED",
      guestAddress: "10.0.2.15",
      guestPort: 1005,
      peerAddress: "192.0.2.1",
      peerPort: 80,
      localAddress: "192.0.2.7",
      localPort: 40_000,
      hostAddress: "192.0.2.1",
      hostPort: 80,
      isInbound: false,
      bytesToHost: 2n ** 40n,
      bytesToGuest: 0n,
      ageUs: BigInt(10 * TICK),
      idleUs: 1500n,
      rttUs: 250,
      windowForGuest: 1000,
      windowOfGuest: 65_535,
      congestionWindow: 65_536,
      inFlight: 0,
      retransmits: 3,
      waiting: Waiting.IDLE,
    });
  });

  test("a filter and the name of a network choose among them", async () => {
    const [blue, red] = [fakeNetwork("blue"), fakeNetwork("red")];
    blue.table.put(0, { peerPort: 53, kind: abi.KIND_UDP });
    blue.table.put(1, { peerPort: 443 });
    red.table.put(2, { peerPort: 443 });
    const calls = callsOf(fakeProgram([blue, red]));
    const ids = async (request: { filter?: string; network?: string }) =>
      (await calls.listFlows(request)).flows.map(({ id }) => id % 65_536);
    assert.deepEqual(await ids({ filter: "tcp port 443" }), [1, 2]);
    assert.deepEqual(await ids({ filter: "udp" }), [0]);
    assert.deepEqual(await ids({ network: "red" }), [2]);
  });

  test("what cannot be meant is refused, by code and in words", async () => {
    const calls = callsOf(fakeProgram([fakeNetwork("blue")]));
    const bad = Code.InvalidArgument;
    await assert.rejects(calls.listFlows({ filter: "tcp port" }), refused(bad, /port number/));
    await assert.rejects(calls.listFlows({ pageSize: 4097 }), refused(bad, /4096/));
    await assert.rejects(calls.listFlows({ pageSize: -1 }), refused(bad, /4096/));
    await assert.rejects(calls.listFlows({ pageToken: "1:x" }), refused(bad, /page_token/));
    await assert.rejects(calls.listFlows({ network: "x" }), refused(Code.NotFound, /blue/));
    const past = await calls.listFlows({ pageToken: "9:0" });
    assert.deepEqual([past.flows.length, past.nextPageToken], [0, ""]);
  });

  const waits: readonly (readonly [Waiting, FlowFields])[] = [
    [Waiting.CONNECT, { state: abi.STATE_CONNECTING }],
    [Waiting.GUEST_ACCEPT, { state: abi.STATE_SYN_SENT }],
    [Waiting.GUEST_ACCEPT, { state: abi.STATE_SYN_RECEIVED }],
    [Waiting.TIME_WAIT, { state: abi.STATE_TIME_WAIT }],
    [Waiting.HOST_WRITE, { flags: abi.TRACE_FLAG_BLOCKED }],
    [Waiting.HOST_WRITE, { tcp: { [abi.FLOW_TCP_HELD_COUNT_OFFSET]: 1 } }],
    [Waiting.GUEST_WINDOW, { tcp: { [abi.FLOW_TCP_SND_WINDOW_OFFSET]: 0 } }],
    [
      Waiting.GUEST_WINDOW,
      {
        tcp: { [abi.FLOW_TCP_SEND_COUNT_OFFSET]: 1, [abi.FLOW_TCP_SND_MAX_OFFSET]: 65_535 },
      },
    ],
    [
      Waiting.GUEST_ACK,
      { tcp: { [abi.FLOW_TCP_SND_MAX_OFFSET]: 10, [abi.FLOW_TCP_SND_WINDOW_OFFSET]: 11 } },
    ],
    [Waiting.GUEST_CLOSE, { state: abi.STATE_FIN_WAIT_2 }],
    [Waiting.HOST_CLOSE, { state: abi.STATE_CLOSE_WAIT }],
    [Waiting.UNSPECIFIED, { kind: abi.KIND_PING }],
  ];
  for (const [wanted, fields] of waits) {
    test(`waits for ${Waiting[wanted]}: ${JSON.stringify(fields)}`, async () => {
      const blue = fakeNetwork("blue");
      blue.table.put(0, fields);
      const { flows } = await callsOf(fakeProgram([blue])).listFlows({});
      assert.equal(flows[0]?.waiting, wanted);
    });
  }
});

describe("watched flows", () => {
  test("all at once, then what has changed and what has ended", async () => {
    const blue = fakeNetwork("blue");
    for (let i = 0; i < 600; i += 1) blue.table.put(i);
    const ending = new AbortController();
    const { signal } = ending;
    const watch = callsOf(fakeProgram([blue])).watchFlows({ intervalMs: 100 }, { signal });
    const answers = watch[Symbol.asyncIterator]();
    /** The next interval: ids of flows, of ended ones. */
    const interval = async (): Promise<[number[], number[]]> => {
      const seen: [number[], number[]] = [[], []];
      for (let last = false; !last; ) {
        const { value } = (await answers.next()) as { value: WatchFlowsResponse };
        assert.ok(value.flows.length <= 512);
        seen[0].push(...value.flows.map(({ id }) => id % 65_536));
        seen[1].push(...value.ended.map(({ id }) => id % 65_536));
        last = value.isComplete;
      }
      return seen;
    };
    assert.equal((await interval())[0].length, 600);
    blue.table.put(3, { bytesToHost: 1 });
    blue.table.put(4, { lastActive: NOW }); // idle time alone is no news
    blue.table.free(5);
    const [changed, ended] = await interval();
    assert.deepEqual([changed, ended], [[3], [5]]);
    assert.deepEqual(await interval(), [[], []]);
    ending.abort();
    await assert.rejects(async () => {
      for (;;) await answers.next();
    });
  });

  test("sixteen may watch at a time; one that goes makes room", async () => {
    const calls = callsOf(fakeProgram([fakeNetwork("blue")]));
    const ends = Array.from({ length: 16 }, () => new AbortController());
    const watchers = ends.map(({ signal }) =>
      calls.watchFlows({ intervalMs: 100 }, { signal })[Symbol.asyncIterator](),
    );
    await Promise.all(watchers.map((each) => each.next()));
    const last = new AbortController();
    const first = () =>
      calls.watchFlows({ intervalMs: 100 }, { signal: last.signal })[Symbol.asyncIterator]().next();
    await assert.rejects(first(), refused(Code.ResourceExhausted, /16/));
    ends[0]?.abort();
    await assert.rejects(watchers[0]?.next() ?? Promise.resolve());
    await assert.doesNotReject(first());
    for (const end of [...ends, last]) end.abort();
  });

  test("an interval is a tenth of a second to a minute", async () => {
    const calls = callsOf(fakeProgram([fakeNetwork("blue")]));
    for (const intervalMs of [-1, 99, 60_001]) {
      const first = calls.watchFlows({ intervalMs })[Symbol.asyncIterator]().next();
      await assert.rejects(first, refused(Code.InvalidArgument, /interval_ms/));
    }
  });
});
