/**
 * The table of IPv6 addresses, from outside: that what nobody uses is cleared out, what somebody
 * uses never is, and that the cost stays within bounds.
 */

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { addressText, flowsOf } from "../../../src/engine/flows.ts";
import { GUEST6, PEER6 } from "../../support/engine-settings.ts";
import { concat, ip6, pattern } from "../../support/packet.ts";
import { TcpGuest } from "../../support/tcp-guest.ts";
import { World6 } from "../../support/world6.ts";

/** The smallest engine: 16 flows, so room for 64 addresses. */
const SMALL = { flowsMax: 16 };
const LIMIT = 64;

function stranger(i: number): string {
  return `2001:db8:${(i >>> 16).toString(16)}:${(i & 0xffff).toString(16)}::1`;
}

describe("wasm/flow/addresses", () => {
  test("the same address has the same number, another scope another one", () => {
    const w = new World6();
    const link = ip6("fe80::1");
    const first = w.engine.addressSix(link, 2);
    assert.equal(w.engine.addressSix(link, 2), first);
    assert.notEqual(w.engine.addressSix(link, 3), first);
    assert.ok(first >= 0xf0000000);
    assert.equal(addressText(w.engine, first), "fe80::1");
    assert.equal(addressText(w.engine, 0x0a000202), "10.0.2.2");
  });

  test("a guest that sprays destinations never evicts what a connection uses", () => {
    const w = new World6(SMALL);
    const guest = new TcpGuest(w, { peer: PEER6 }).open();
    const before = w.stats.addressSweeps;
    for (let i = 0; i < 40 * LIMIT; i += 1) {
      w.guest(w.udp({ to: stranger(i), port: 9, from: 40000 + (i % 8) }, "x"));
      if (i % 100 === 0) guest.send({ payload: pattern(10, i) });
    }
    assert.ok(w.stats.addressSweeps > before + 10, "the table was full many times");
    assert.equal(w.stats.dropAddressTableFull, 0, "and there was always room again");
    w.take();
    guest.socket.push("still here");
    assert.equal(new TextDecoder().decode(guest.receiveAll().slice(-10)), "still here");
    const [flow] = flowsOf(w.engine).filter(({ kind }) => kind === "tcp");
    assert.equal(addressText(w.engine, flow?.peerAddress ?? 0), PEER6);
    assert.equal(addressText(w.engine, flow?.guestAddress ?? 0), GUEST6);
  });

  test("every datagram of a spray goes where it was sent", () => {
    const w = new World6(SMALL);
    for (let i = 0; i < 10 * LIMIT; i += 1) {
      w.guest(w.udp({ to: stranger(i), port: 9 }, String(i)));
    }
    const { datagrams } = w.host.socket();
    assert.equal(datagrams.length, 10 * LIMIT);
    datagrams.forEach(({ address, payload }, i) => {
      assert.equal(address, canonical(stranger(i)));
      assert.deepEqual(payload, concat(String(i)));
    });
  });

  test("a batch of frames to more addresses than there is room for loses some, and says so", () => {
    const w = new World6(SMALL);
    const frames = Array.from({ length: 64 }, (_, i) => w.udp({ to: stranger(i), port: 9 }, "x"));
    w.guest(...frames);
    const sent = w.host.socket().datagrams.length;
    assert.ok(sent > 40, String(sent));
    assert.equal(w.stats.dropAddressTableFull, 64 - sent);
    w.guest(w.udp({ to: stranger(1000), port: 9 }, "x"));
    w.guest(...frames.slice(0, 20));
    assert.ok(w.host.socket().datagrams.length > sent, "later there is room again");
  });

  test("strangers that spray the guest are told apart, and clear out each other only", () => {
    const w = new World6(SMALL);
    w.guest(w.udp({ to: PEER6, port: 9 }, "x"));
    for (let i = 0; i < 10 * LIMIT; i += 1) {
      w.host.socket().receive("y", { address: stranger(i), port: 7 });
      w.expect("udp", { source: canonical(stranger(i)) });
    }
  });

  test("filters are held, those of strict filtering", () => {
    const w = new World6({ ...SMALL, strictFilter: true });
    w.guest(w.udp({ to: PEER6, port: 9, from: 40000 }, "x"));
    const [socket] = w.host.sockets;
    for (let i = 0; i < 4 * LIMIT; i += 1) {
      w.guest(w.udp({ to: stranger(i), port: 9, from: 40001 }, "x"));
    }
    assert.ok(w.stats.addressSweeps > 0);
    socket?.receive("y", { address: PEER6, port: 9 });
    w.expect("udp", { source: PEER6, destinationPort: 40000 });
  });

  test("sweeps are bounded: where nothing is to be freed they are not repeated at once", () => {
    const w = new World6({ flowsMax: 16, strictFilter: true });
    for (let i = 0; i < 40 * LIMIT; i += 1) {
      // Sixteen filters of each of ten flows: more addresses in use than there is room for.
      w.guest(w.udp({ to: stranger(i), port: 9, from: 40000 + (i % 10) }, "x"));
    }
    assert.ok(w.stats.dropAddressTableFull > 1000);
    assert.ok(
      w.stats.addressSweeps < w.stats.dropAddressTableFull / 4,
      String(w.stats.addressSweeps),
    );
  });
});

/** As the decoder writes it. */
function canonical(address: string): string {
  const octets = ip6(address);
  return octets.length === 16 ? ipText6(octets) : address;
}

function ipText6(octets: Uint8Array): string {
  const view = new DataView(octets.buffer);
  const groups = Array.from({ length: 8 }, (_, i) => view.getUint16(2 * i).toString(16));
  const text = groups.join(":");
  return text.replace(/(^|:)0(:0)+(:|$)/, "::");
}
