/** The page's reading of the contract's JSON, held against what the contract makes of messages. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { create, toJson } from "@bufbuild/protobuf";
import * as admin from "../../../src/admin/gen/slirp_binding/admin/v1/admin_pb.js";
import * as model from "../../../src/ui/browser/model.ts";

const flow = create(admin.FlowSchema, {
  ...{ network: "default", id: 7, kind: admin.FlowKind.TCP, state: "ESTABLISHED" },
  ...{ guestAddress: "10.0.2.2", guestPort: 40000, peerAddress: "2001:db8::1", peerPort: 443 },
  ...{ localAddress: "192.0.2.7", localPort: 50000, hostAddress: "2001:db8::1", hostPort: 443 },
  ...{ isInbound: true, bytesToHost: 2n ** 40n, bytesToGuest: 5n },
  ...{ ageUs: 3_000_000n, idleUs: 1_000_000n, rttUs: 250, windowForGuest: 1, windowOfGuest: 2 },
  ...{ congestionWindow: 3, inFlight: 4, retransmits: 5, waiting: admin.Waiting.GUEST_WINDOW },
});

/** A flow as it comes. */
function json(more: Partial<admin.Flow> = {}): model.JsonFlow {
  return toJson(admin.FlowSchema, { ...flow, ...more }) as model.JsonFlow;
}

describe("JSON of the contract", () => {
  test("a flow", () => {
    const { text, ...rest } = model.readFlow(json(), 10_000_000, undefined);
    assert.deepEqual(rest, {
      ...{ key: "default 7", network: "default", id: 7, kind: "tcp", state: "ESTABLISHED" },
      ...{ guest: "10.0.2.2", guestPort: 40000, peer: "2001:db8::1", peerPort: 443 },
      ...{ local: "192.0.2.7:50000", host: "[2001:db8::1]:443", isInbound: true },
      ...{ toHost: 2 ** 40, toGuest: 5, rateToHost: 0, rateToGuest: 0 },
      ...{ born_us: 7_000_000, active_us: 9_000_000, told_us: 10_000_000, ended_us: undefined },
      ...{ rtt_us: 250, windowForGuest: 1, windowOfGuest: 2, congestionWindow: 3, inFlight: 4 },
      ...{ retransmits: 5, waiting: "GUEST_WINDOW" },
    });
    for (const word of ["tcp", "established", "10.0.2.2:40000", "[2001:db8::1]:443", "default"]) {
      assert.ok(text.includes(word), word);
    }
  });

  test("rates of a flow are what has come since it was told last", () => {
    const before = model.readFlow(json(), 10_000_000, undefined);
    const now = model.readFlow(json({ bytesToGuest: 2005n }), 12_000_000, before);
    assert.deepEqual([now.rateToHost, now.rateToGuest], [0, 1000]);
  });

  test("all kinds of flow", () => {
    const { TCP, UDP, PING, DNS } = admin.FlowKind;
    const kinds = [TCP, UDP, PING, DNS].map((kind) => model.readFlow(json({ kind }), 0, undefined));
    assert.deepEqual(
      kinds.map(({ kind }) => kind),
      ["tcp", "udp", "ping", "dns"],
    );
  });

  test("flows of a watch, and those that ended", () => {
    const ended = [{ network: "default", id: 9 }];
    const message = { flows: [flow], ended, isComplete: true, timeUs: 5n };
    const schema = admin.WatchFlowsResponseSchema;
    const read = model.readFlows(toJson(schema, create(schema, message)));
    assert.equal(read.flows.length, 1);
    assert.deepEqual([read.ended, read.isComplete, read.time_us], [["default 9"], true, 5]);
  });

  test("the instance and its networks", () => {
    const schema = admin.GetInstanceResponseSchema;
    const message = create(schema, {
      name: "attach-1",
      startedUs: 1_700_000_000_000_000n,
      networks: [{ name: "default", isUp: true, mtu: 1500, flowsMax: 16 }],
    });
    const { name, started_us, networks } = model.readInstance(toJson(schema, message));
    assert.deepEqual([name, started_us], ["attach-1", 1_700_000_000_000_000]);
    const [network] = networks;
    assert.deepEqual([network?.name, network?.isUp, network?.hasGuest], ["default", true, false]);
    assert.deepEqual([network?.mtu, network?.flowsMax, network?.gateway], [1500, 16, ""]);
  });

  test("figures", () => {
    const schema = admin.GetStatsResponseSchema;
    const samples = [{ labels: { interface: "x" }, value: 1.5 }];
    const families = [
      { name: "a", samples },
      { name: "b", samples: [{ count: 3n, sum: 0.5 }] },
    ];
    const read = model.readStats(toJson(schema, create(schema, { timeUs: 9n, families })));
    assert.equal(read.time_us, 9);
    const [a] = samples;
    assert.deepEqual(read.families.get("a"), [{ ...a, count: 0, sum: 0 }]);
    assert.deepEqual(read.families.get("b"), [{ labels: {}, value: 0, count: 3, sum: 0.5 }]);
  });

  test("drops and events", () => {
    const headers = new Uint8Array([1, 255]);
    const frames = [{ network: "n", timeUs: 1n, reason: "runt", length: 9, headers }];
    const drops = create(admin.ListDropsResponseSchema, { frames });
    assert.deepEqual(model.readDrops(toJson(admin.ListDropsResponseSchema, drops)), [
      { network: "n", time_us: 1, reason: "runt", length: 9, summary: "", headers: "01ff" },
    ]);
    const event = create(admin.EventSchema, {
      ...{ id: 4n, kind: admin.EventKind.LEASE_GIVEN, message: "m", details: { address: "a" } },
    });
    const { id, kind, details } = model.readEvent(toJson(admin.EventSchema, event));
    assert.deepEqual([id, kind, details], [4, "LEASE_GIVEN", { address: "a" }]);
  });

  test("ports, captures, lines and the log's level", () => {
    const ports = create(admin.ListPublishedResponseSchema, {
      ports: [{ protocol: "tcp", hostAddress: "::", hostPort: 80, guestPort: 8080, flows: 2 }],
    });
    const [port] = model.readPorts(toJson(admin.ListPublishedResponseSchema, ports));
    const { host, hostPort, guestPort, flows, count } = port ?? {};
    assert.deepEqual([host, hostPort, guestPort, flows, count], ["::", 80, 8080, 2, 1]);
    const captures = create(admin.ListCapturesResponseSchema, {
      captures: [{ id: 1, octets: 7n, framesLost: 2n }],
    });
    const [capture] = model.readCaptures(toJson(admin.ListCapturesResponseSchema, captures));
    assert.deepEqual([capture?.octets, capture?.lost], [7, 2]);
    const line = create(admin.LogLineSchema, { text: "t", lost: 3 });
    assert.deepEqual(model.readLogLine(toJson(admin.LogLineSchema, line)), { text: "t", lost: 3 });
    const level = create(admin.GetLogLevelResponseSchema, { level: admin.LogLevel.WARN });
    assert.equal(model.readLevel(toJson(admin.GetLogLevelResponseSchema, level)), "warn");
  });

  test("the server reads a capture under the contract's name", () => {
    const schema = admin.CaptureResponseSchema;
    const message = create(schema, { octets: Buffer.from("a") });
    assert.deepEqual(toJson(schema, message), { octets: "YQ==" });
  });

  test("nothing throws, whatever comes", () => {
    for (const it of [undefined, null, 7, "x", [], [null], { flows: [null, 7], networks: {} }]) {
      model.readInstance(it);
      model.readFlows(it);
      model.readStats(it);
      model.readDrops(it);
      model.readEvent(it);
      model.readPorts(it);
      model.readCaptures(it);
      model.readLogLine(it);
      model.readLevel(it);
      model.readLost(it);
    }
    assert.equal(model.readDrops({ frames: [{ headers: "%" }] })[0]?.headers, "");
  });

  test("ends of flows as people write them", () => {
    assert.equal(model.endpoint("10.0.2.2", 80), "10.0.2.2:80");
    assert.equal(model.endpoint("::1", 80), "[::1]:80");
    assert.deepEqual([model.endpoint("", 80), model.endpoint("", 0)], [":80", "–"]);
  });
});
