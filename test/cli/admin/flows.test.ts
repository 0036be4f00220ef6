/** `flows`: pages put together, chosen and in order, as a table and as JSON, and what changes. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { MessageInitShape } from "@bufbuild/protobuf";
import {
  FlowKind,
  type FlowSchema,
  Waiting,
} from "../../../src/admin/gen/slirp_binding/admin/v1/admin_pb.js";
import { showFlows } from "../../../src/cli/admin/flows.ts";
import { type FlowsQuestion, readFlows } from "../../../src/config/inspect.ts";
import { settingsOf } from "../../config/support.ts";
import { stage } from "./support.ts";

type Given = MessageInitShape<typeof FlowSchema>;

const WEB: Given = {
  network: "tap0",
  id: 7,
  kind: FlowKind.TCP,
  state: "SYN_RECEIVED",
  guestAddress: "10.0.2.15",
  guestPort: 40000,
  peerAddress: "10.0.2.2",
  peerPort: 80,
  localAddress: "127.0.0.1",
  localPort: 50000,
  hostAddress: "127.0.0.1",
  hostPort: 80,
  bytesToHost: 5000n,
  bytesToGuest: 2_000_000n,
  ageUs: 61_000_000n,
  idleUs: 1500n,
  rttUs: 250,
  retransmits: 2,
  waiting: Waiting.GUEST_ACK,
};
const DNS: Given = {
  network: "tap0",
  id: 8,
  kind: FlowKind.DNS,
  guestAddress: "fd10:0:2::2",
  guestPort: 5353,
  peerAddress: "fd10:0:2::3",
  peerPort: 53,
  hostAddress: "fd10:0:2::3",
  hostPort: 53,
  isInbound: true,
};

function asked(given: Readonly<Record<string, string | readonly string[]>> = {}): FlowsQuestion {
  return readFlows(settingsOf(given));
}

function listing(...all: Given[]) {
  return { listFlows: () => ({ flows: all }) };
}

describe("flows", () => {
  test("are a table with both sides", async () => {
    const at = stage(listing(WEB, DNS));
    await showFlows(asked(), at);
    assert.deepEqual(at.output.lines, [
      "KIND  DIR  STATE         GUEST               PEER              REACHED AS    " +
        "SENT  RECEIVED    AGE   IDLE    RTT  RESENT  WAITS FOR             INTERFACE",
      "tcp   out  syn_received  10.0.2.15:40000     10.0.2.2:80       127.0.0.1:80  " +
        "4.9K      1.9M  1m01s  1.5ms  250us       2  guest to acknowledge  tap0",
      "dns   in                 [fd10:0:2::2]:5353  [fd10:0:2::3]:53                " +
        "   0         0    0us    0us                                       tap0",
    ]);
  });

  test("on a terminal no line is wider, and who talks with whom stays to the last", async () => {
    for (const width of [200, 100, 80, 60, 40]) {
      const at = stage(listing(WEB, DNS), width);
      await showFlows(asked(), at);
      for (const line of at.output.lines) assert.ok([...line].length <= width, line);
      assert.match(at.output.text, /tcp.*10\.0\.2\.2:80/);
    }
  });

  test("as JSON have every field, by the names of the protocol", async () => {
    const at = stage(listing(WEB));
    await showFlows(asked({ json: "true" }), at);
    assert.deepEqual(at.output.records, [
      {
        ...{ network: "tap0", id: 7, kind: "tcp", state: "SYN_RECEIVED" },
        ...{ guest_address: "10.0.2.15", guest_port: 40000 },
        ...{ peer_address: "10.0.2.2", peer_port: 80 },
        ...{ local_address: "127.0.0.1", local_port: 50000 },
        ...{ host_address: "127.0.0.1", host_port: 80, is_inbound: false },
        ...{ bytes_to_host: 5000, bytes_to_guest: 2_000_000 },
        ...{ age_us: 61_000_000, idle_us: 1500, rtt_us: 250 },
        ...{ window_for_guest: 0, window_of_guest: 0, congestion_window: 0, in_flight: 0 },
        ...{ retransmits: 2, waiting: "guest_ack" },
      },
    ]);
  });

  test("come page by page until the last one, with the filter on each", async () => {
    const requests: unknown[] = [];
    const at = stage({
      listFlows: ({ pageToken, filter, network, pageSize }) => {
        requests.push([filter, network, pageSize, pageToken]);
        const number = Number(pageToken);
        const flows = number === 1 ? [] : [{ ...WEB, id: number }];
        return { flows, nextPageToken: number < 2 ? String(number + 1) : "" };
      },
    });
    const given = { filter: ["tcp", "port", "80"], interface: "tap0", json: "true" };
    await showFlows(asked(given), at);
    assert.deepEqual(
      at.output.records.map(({ id }) => id),
      [0, 2],
    );
    assert.deepEqual(requests, [
      ["tcp port 80", "tap0", 4096, ""],
      ["tcp port 80", "tap0", 4096, "1"],
      ["tcp port 80", "tap0", 4096, "2"],
    ]);
  });

  test("are chosen by state, however it is written, and sorted, the largest first", async () => {
    const states = ["ESTABLISHED", "SYN_RECEIVED", "TIME_WAIT", "ESTABLISHED"];
    const all = states.map((state, id) => ({ ...WEB, id, state, bytesToHost: BigInt(id) }));
    const ids = async (given: Parameters<typeof asked>[0]): Promise<unknown[]> => {
      const at = stage(listing(...all, DNS));
      await showFlows(asked({ ...given, json: "true" }), at);
      return at.output.records.map(({ id }) => id);
    };
    assert.deepEqual(await ids({ state: ["Syn-Received", "time_wait"] }), [1, 2]);
    assert.deepEqual(await ids({ state: "established", sort: "bytes" }), [3, 0]);
    assert.deepEqual(await ids({ sort: "retransmits" }), [0, 1, 2, 3, 8]);
    assert.deepEqual(await ids({ state: "nothing" }), []);
  });

  test("of which there are none are told so beside the answer", async () => {
    const at = stage(listing());
    await showFlows(asked(), at);
    assert.equal(at.output.lines.length, 1);
    assert.deepEqual(at.notes, ["no such flows"]);
    const json = stage(listing());
    await showFlows(asked({ json: "true" }), json);
    assert.equal(json.output.text, "");
  });
});

describe("flows --watch", () => {
  const told = {
    async *watchFlows() {
      yield { flows: [WEB], isComplete: true, timeUs: 1n };
      yield { flows: [{ ...WEB, bytesToHost: 6000n }] };
      yield { flows: [DNS], isComplete: true, timeUs: 2n };
      yield { flows: [{ ...WEB, state: "ESTABLISHED" }], isComplete: true, timeUs: 3n };
      yield { ended: [{ network: "tap0", id: 7 }], isComplete: true, timeUs: 4n };
      yield { flows: [{ ...WEB }], ended: [{ network: "tap0", id: 99 }], isComplete: true };
    },
  };

  test("tells people what begins, changes its state and ends", async () => {
    const at = stage(told);
    await showFlows(asked({ watch: "true" }), at);
    const [, ...lines] = at.output.lines;
    assert.deepEqual(
      lines.map((line) => line.split(/\s+/).slice(0, 4)),
      [
        ["open", "tcp", "out", "syn_received"],
        ["new", "dns", "in", "[fd10:0:2::2]:5353"],
        ["changed", "tcp", "out", "established"],
        ["ended", "tcp", "out", "established"],
        ["new", "tcp", "out", "syn_received"],
      ],
    );
  });

  test("tells programs every change, with its time", async () => {
    const at = stage(told);
    await showFlows(asked({ watch: "true", json: "true" }), at);
    assert.deepEqual(
      at.output.records.map((each) => [each["time_us"], each["change"], each["id"]]),
      [
        [1, "open", 7],
        [2, "changed", 7],
        [2, "new", 8],
        [3, "changed", 7],
        [4, "ended", 7],
        [0, "new", 7],
      ],
    );
    assert.equal(at.output.records[1]?.["bytes_to_host"], 6000);
  });
});
