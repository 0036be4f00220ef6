/**
 * The guest's DSCP on the host socket (RFC 2474), in both versions of IP; ECN is each connection's
 * own (RFC 3168).
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import * as abi from "../../../wasm/abi.ts";
import { EngineWorld } from "../../support/engine-harness.ts";
import { PEER6 } from "../../support/engine-settings.ts";
import { internetSum } from "../../support/internet-sum.ts";
import { type SegmentFields, TcpGuest } from "../../support/tcp-guest.ts";
import { World6 } from "../../support/world6.ts";

const ETHERNET = 14;
const EXPEDITED = 46 << 2;
const LOW_DELAY = 0x48;

/** A frame of the guest with another TOS or traffic class. */
function withTos(frame: Uint8Array, tos: number): Uint8Array {
  const octets = frame.slice();
  const ip = octets.subarray(ETHERNET);
  if ((ip[0] ?? 0) >> 4 === 6) {
    ip.set([0x60 | (tos >> 4), ((tos & 0xf) << 4) | ((ip[1] ?? 0) & 0xf)]);
    return octets;
  }
  ip[1] = tos;
  ip.set([0, 0], 10);
  const sum = ~internetSum(ip.subarray(0, 20)) & 0xffff;
  ip.set([sum >> 8, sum & 0xff], 10);
  return octets;
}

for (const version of [4, 6] as const) {
  const start = (): TcpGuest => {
    const guest = new TcpGuest(
      version === 6 ? new World6() : new EngineWorld(),
      version === 6 ? { peer: PEER6 } : {},
    );
    guest.world.run();
    guest.world.take();
    return guest;
  };
  const send = (guest: TcpGuest, tos: number, fields: SegmentFields): void => {
    guest.world.guest(withTos(guest.frame(fields), tos));
  };

  describe(`DSCP of IPv${version}`, () => {
    test("T67: the SYN's is the connect's", () => {
      const guest = start();
      send(guest, EXPEDITED | 3, { flags: "S" });
      assert.equal(guest.socket.tos, EXPEDITED);
    });

    test("it follows the guest's segments, with an operation only when it changes", () => {
      const guest = start().open();
      const { socket, world } = guest;
      const count = (): number => socket.ops.get(abi.OP_TCP_TOS) ?? 0;
      send(guest, LOW_DELAY, { payload: "a" });
      guest.next += 1;
      assert.deepEqual([socket.tos, count()], [LOW_DELAY, 1]);
      send(guest, LOW_DELAY | 2, { payload: "b" });
      guest.next += 1;
      assert.deepEqual([socket.tos, count()], [LOW_DELAY, 1]);
      guest.send({ payload: "c" });
      assert.deepEqual([socket.tos, count()], [0, 2]);
      assert.equal(socket.text, "abc");
      world.checkBalance();
    });

    test("it is set before what it came with is sent", () => {
      const guest = start().open();
      const { host } = guest.world;
      const before = host.log.length;
      send(guest, EXPEDITED, { payload: "a" });
      assert.deepEqual(host.log.slice(before, before + 2), [abi.OP_TCP_TOS, abi.OP_TCP_SEND]);
    });

    test("segments outside of the window say nothing", () => {
      const guest = start().open();
      send(guest, EXPEDITED, { seq: 0x40000000, payload: "a" });
      assert.equal(guest.socket.tos, 0);
    });
  });
}
