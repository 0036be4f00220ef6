/** Errors of the host as ICMP for the guest; those about pings are in `ping.test.ts`. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { EACCES, ECONNREFUSED, EHOSTUNREACH, EMSGSIZE } from "../../support/datagram-host.ts";
import { DatagramWorld } from "../../support/datagram-world.ts";
import { GATEWAY, GUEST, PEER } from "../../support/engine-settings.ts";
import type { IcmpFrame } from "../../support/frame.ts";
import { ipText } from "../../support/packet.ts";

/** Addresses and ports of the datagram an ICMP error quotes. */
function quoted({ payload }: IcmpFrame): string {
  const view = new DataView(payload.buffer, payload.byteOffset, payload.byteLength);
  assert.equal(view.getUint8(9), 17, "UDP");
  const source = `${ipText(view.getUint32(12))}:${view.getUint16(20)}`;
  return `${source} > ${ipText(view.getUint32(16))}:${view.getUint16(22)}`;
}

describe("UDP errors of the host", () => {
  test("P22: an ICMP error is passed on from its sender, about the guest's own datagram", () => {
    const world = new DatagramWorld();
    world.guest(world.udp(PEER, 7000, "payload"));
    const at = { address: PEER, port: 7000, payload: "payload" };
    world.socket().queueError({ errno: ECONNREFUSED, type: 3, code: 3, offender: PEER, ...at });
    const refused = world.icmp();
    assert.deepEqual([refused.type, refused.code, refused.source], [3, 3, PEER]);
    assert.equal(quoted(refused), `${GUEST}:40000 > ${PEER}:7000`);
    assert.equal(new TextDecoder().decode(refused.payload.subarray(28)), "payload");

    world.socket().queueError({ errno: 113, type: 11, code: 0, offender: "192.0.2.1", ...at });
    const exceeded = world.icmp();
    assert.deepEqual([exceeded.type, exceeded.code, exceeded.source], [11, 0, "192.0.2.1"]);

    const big = { errno: EMSGSIZE, type: 3, code: 4, info: 1400, offender: "192.0.2.1" };
    world.socket().queueError({ ...big, ...at });
    assert.equal(world.icmp().rest, 1400);
  });

  test("errors that the guest is not told of do not use up the room for answers", () => {
    const world = new DatagramWorld();
    world.guest(world.udp(PEER, 7000, "payload"));
    const redirect = { errno: 0, type: 5, code: 1, offender: PEER, address: PEER, port: 7000 };
    for (let i = 0; i < 100; i += 1) {
      world.socket().queueError(redirect);
      world.run();
    }
    world.socket().receive("answer", PEER, 7000);
    const [answer] = world.datagrams();
    assert.equal(new TextDecoder().decode(answer?.payload), "answer");
  });

  test("P22: errors about loopback come from the gateway, unusable senders are ignored", () => {
    const world = new DatagramWorld({ hostLoopback: true });
    world.guest(world.udp(GATEWAY, 7000, "x"));
    const at = { errno: ECONNREFUSED, type: 3, code: 3, address: "127.0.0.1", port: 7000 };
    world.socket().queueError({ ...at, offender: "127.0.0.1" });
    const error = world.icmp();
    assert.equal(error.source, GATEWAY);
    assert.equal(quoted(error), `${GUEST}:40000 > ${GATEWAY}:7000`);
    world.socket().queueError({ ...at, offender: "224.0.0.1" });
    world.socket().queueError({ ...at, type: 4, code: 0, offender: PEER });
    world.socket().queueError({ ...at, type: 5, code: 1, offender: PEER });
    world.socket().queueError({ ...at, type: 200, code: 200, offender: PEER });
    assert.equal(world.take().length, 0);
  });

  test("P18, P22: a failure inside the host is told by its errno, from the gateway", () => {
    const world = new DatagramWorld();
    world.guest(world.udp(PEER, 7000, "x"));
    const codes = [
      [EHOSTUNREACH, 1],
      [101, 0],
      [EACCES, 13],
      [EMSGSIZE, 4],
    ] as const;
    for (const [errno, code] of codes) {
      world.socket().queueError({ errno, origin: 1, info: 1300, address: PEER, port: 7000 });
      const error = world.icmp();
      assert.deepEqual([error.type, error.code, error.source], [3, code, GATEWAY]);
      assert.equal(error.rest, errno === EMSGSIZE ? 1300 : 0);
    }
    world.socket().queueError({ errno: 5, origin: 1, address: PEER, port: 7000 });
    assert.equal(world.take().length, 0);
  });

  test("N08: no error ends a mapping", () => {
    const world = new DatagramWorld();
    world.guest(world.udp(PEER, 7000, "a"));
    const socket = world.socket();
    for (let code = 0; code <= 15; code += 1) {
      const at = { address: PEER, port: 7000, payload: "a", offender: PEER };
      socket.queueError({ errno: ECONNREFUSED, type: 3, code, ...at });
      socket.receiveErrors.push(ECONNREFUSED);
    }
    socket.receive("still here", PEER, 7000);
    const frames = world.take();
    assert.equal(frames.filter(({ kind }) => kind === "icmp").length, 16);
    world.guest(world.udp(PEER, 7000, "b"));
    assert.deepEqual(socket.texts, ["a", "b"]);
    assert.ok(!socket.closed);
    assert.equal(world.engine.flowCount, 1);
  });

  test("errors are answered at a bounded rate", () => {
    const world = new DatagramWorld();
    for (let batch = 0; batch < 4; batch += 1) {
      world.guest(...Array.from({ length: 64 }, () => world.udp(GATEWAY, 7000, "x")));
    }
    assert.equal(world.take().length, 50);
    assert.equal(world.stats.dropLoopback, 256);
    assert.equal(world.stats.dropReplyFlood, 206);
  });
});
