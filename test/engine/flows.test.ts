/** Records of flows as numbers and names, of each kind; free slots are none. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { readFlow, TCP_STATE_NAMES } from "../../src/engine/flows.ts";
import * as abi from "../../wasm/abi.ts";

const BASE = 2 * abi.FLOW_SIZE;

function recordOf(kind: number, state: number): DataView<ArrayBuffer> {
  const view = new DataView(new ArrayBuffer(4 * abi.FLOW_SIZE));
  new Uint8Array(view.buffer).fill(0x5a);
  new Uint8Array(view.buffer, BASE, abi.FLOW_SIZE).fill(0);
  view.setUint8(BASE + abi.FLOW_KIND_OFFSET, kind);
  view.setUint8(BASE + abi.FLOW_STATE_OFFSET, state);
  view.setUint16(BASE + abi.FLOW_GENERATION_OFFSET, 0xfedc, true);
  view.setUint32(BASE + abi.FLOW_GUEST_ADDRESS_OFFSET, 0xf000000f, true);
  view.setUint16(BASE + abi.FLOW_GUEST_PORT_OFFSET, 0xf001, true);
  view.setUint32(BASE + abi.FLOW_PEER_ADDRESS_OFFSET, 0xf0000002, true);
  view.setUint16(BASE + abi.FLOW_PEER_PORT_OFFSET, 0xf003, true);
  view.setUint32(BASE + abi.FLOW_HOST_ADDRESS_OFFSET, 0xf0000004, true);
  view.setUint16(BASE + abi.FLOW_HOST_PORT_OFFSET, 0xf005, true);
  view.setBigUint64(BASE + abi.FLOW_BYTES_TO_HOST_OFFSET, 2n ** 40n + 6n, true);
  view.setBigUint64(BASE + abi.FLOW_BYTES_TO_GUEST_OFFSET, 2n ** 41n + 7n, true);
  return view;
}

describe("flows", () => {
  test("all that is public of a TCP flow", () => {
    assert.deepEqual(readFlow(recordOf(abi.KIND_TCP, abi.STATE_ESTABLISHED), BASE, 9), {
      handle: 0xfedc * 2 ** abi.HANDLE_SLOT_BITS + 9,
      kind: "tcp",
      state: "ESTABLISHED",
      guestAddress: 0xf000000f,
      guestPort: 0xf001,
      peerAddress: 0xf0000002,
      peerPort: 0xf003,
      hostAddress: 0xf0000004,
      hostPort: 0xf005,
      bytesToHost: 2 ** 40 + 6,
      bytesToGuest: 2 ** 41 + 7,
    });
  });

  test("other kinds have no state, a free slot is no flow", () => {
    const of = (kind: number) => {
      const flow = readFlow(recordOf(kind, abi.STATE_ESTABLISHED), BASE, 0);
      return flow && [flow.kind, flow.state];
    };
    assert.deepEqual(of(abi.KIND_UDP), ["udp", undefined]);
    assert.deepEqual(of(abi.KIND_PING), ["ping", undefined]);
    assert.deepEqual(of(abi.KIND_DNS), ["dns", undefined]);
    assert.equal(of(0), undefined);
    assert.equal(of(200), undefined);
  });

  test("states bear the names of RFC 9293 by their numbers", () => {
    const numbers = [
      ...[abi.STATE_CLOSED, abi.STATE_CONNECTING, abi.STATE_SYN_SENT, abi.STATE_SYN_RECEIVED],
      ...[abi.STATE_ESTABLISHED, abi.STATE_FIN_WAIT_1, abi.STATE_FIN_WAIT_2],
      ...[abi.STATE_CLOSE_WAIT, abi.STATE_CLOSING, abi.STATE_LAST_ACK, abi.STATE_TIME_WAIT],
    ];
    assert.deepEqual(
      numbers.map((number) => TCP_STATE_NAMES[number]),
      [
        ...["CLOSED", "CONNECTING", "SYN_SENT", "SYN_RECEIVED", "ESTABLISHED"],
        ...["FIN_WAIT_1", "FIN_WAIT_2", "CLOSE_WAIT", "CLOSING", "LAST_ACK", "TIME_WAIT"],
      ],
    );
    assert.equal(TCP_STATE_NAMES.length, numbers.length);
  });
});
