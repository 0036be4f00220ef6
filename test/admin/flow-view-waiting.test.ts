/** What a connection waits for, as it is told: by what it has of both sides at one moment. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { viewFlow } from "../../src/admin/flow-view.ts";
import { Waiting } from "../../src/admin/gen/slirp_binding/admin/v1/admin_pb.js";
import type { ListedFlow } from "../../src/engine/flow-page.ts";
import type { TcpStateName } from "../../src/engine/flows.ts";

type Tcp = NonNullable<ListedFlow["tcp"]>;

function waitingOf(state: TcpStateName, more: Partial<Tcp> = {}): string {
  const tcp: Tcp = {
    ...{ state, guestPort: 1, peerAddress: 2, peerPort: 3, bytesToHost: 0, bytesToGuest: 0 },
    ...{ cwnd: 14480, ssthresh: undefined, inFlight: 0, windowForGuest: 65535, held: 0 },
    ...{ windowOfGuest: 64240, sending: 0, srtt: 100, resent: 0, isBlocked: false, ...more },
  };
  const flow: ListedFlow = {
    ...{ handle: 65536, kind: "tcp", state, guestAddress: 1, hostAddress: 2, hostPort: 3 },
    ...{ guestPort: 1, peerAddress: 2, peerPort: 3, bytesToHost: 0, bytesToGuest: 0 },
    ...{ isInbound: false, age: 0, idle: 0, tcp },
    texts: { guest: "10.0.2.15", peer: "192.0.2.1", host: "192.0.2.1" },
  };
  return Waiting[viewFlow("tap0", flow, undefined).waiting] ?? "";
}

describe("what a connection waits for", () => {
  test("the far side to answer, and the guest to", () => {
    assert.equal(waitingOf("CONNECTING", { windowOfGuest: 0 }), "CONNECT");
    assert.equal(waitingOf("SYN_SENT"), "GUEST_ACCEPT");
    assert.equal(waitingOf("TIME_WAIT", { windowOfGuest: 0 }), "TIME_WAIT");
  });

  test("the far side to take data, before all else", () => {
    assert.equal(waitingOf("ESTABLISHED", { held: 1 }), "HOST_WRITE");
    assert.equal(waitingOf("ESTABLISHED", { isBlocked: true, windowOfGuest: 0 }), "HOST_WRITE");
  });

  test("the guest to open its window, though nothing is under way to it", () => {
    assert.equal(waitingOf("ESTABLISHED", { windowOfGuest: 0 }), "GUEST_WINDOW");
    assert.equal(waitingOf("CLOSE_WAIT", { windowOfGuest: 0 }), "GUEST_WINDOW");
    assert.equal(
      waitingOf("ESTABLISHED", { sending: 1, inFlight: 9, windowOfGuest: 9 }),
      "GUEST_WINDOW",
    );
    // Too little for a segment: nothing is sent, though the window is not shut.
    assert.equal(waitingOf("ESTABLISHED", { sending: 1, windowOfGuest: 9 }), "GUEST_WINDOW");
  });

  test("the guest to acknowledge, and what closes one side", () => {
    assert.equal(waitingOf("ESTABLISHED", { sending: 1, inFlight: 9 }), "GUEST_ACK");
    assert.equal(waitingOf("FIN_WAIT_2", { windowOfGuest: 0 }), "GUEST_CLOSE");
    assert.equal(waitingOf("CLOSE_WAIT"), "HOST_CLOSE");
    assert.equal(waitingOf("ESTABLISHED"), "IDLE");
  });
});
