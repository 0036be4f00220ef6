/**
 * Selective acknowledgment towards the guest: whether it is agreed on, and the blocks that
 * report gaps.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { EngineWorld } from "../../support/engine-harness.ts";
import { pattern, type TcpOptions } from "../../support/packet.ts";
import { established, TcpGuest } from "../../support/tcp-guest.ts";

/** The guest behind a published port, before it answers our SYN. */
function inbound(options: TcpOptions, window = 65535): TcpGuest {
  const world = new EngineWorld();
  const guest = new TcpGuest(world, { port: 80, peerPort: 50000, options, window });
  world.inboundTcp(guest.port, guest.peer, guest.peerPort);
  world.advance(0);
  return guest;
}

describe("selective acknowledgment", () => {
  for (const sackPermitted of [true, false]) {
    const word = sackPermitted ? "with" : "without";
    const blocks = sackPermitted ? [[11, 15] as const] : [];
    const options = { mss: 1460, ...(sackPermitted ? { sackPermitted } : {}) };

    test(`T19: a gap ${word} permission`, () => {
      const guest = new TcpGuest(new EngineWorld(), { options });
      guest.send({ flags: "S" });
      const { options: answered } = guest.expect({ flags: "SA" });
      assert.equal(answered.sackPermitted ?? false, sackPermitted);
      guest.send();
      guest.send({ seq: 11, payload: "late" });
      guest.expect({ flags: "A", ack: 1, sack: blocks });
    });

    test(`T19: inbound, a gap ${word} permission`, () => {
      const guest = inbound(options);
      assert.equal(guest.expect({ flags: "S" }).options.sackPermitted, true);
      guest.send({ flags: "SA" });
      guest.expect({ flags: "A" });
      guest.send({ seq: 11, payload: "late" });
      guest.expect({ flags: "A", ack: 1, sack: blocks });
    });

    test(`T19: the guest's blocks ${word} permission`, () => {
      const { guest, socket } = established({ guest: { options } });
      socket.push(pattern(5 * 1460));
      guest.takePayload();
      guest.send({ ack: 1, sack: [[1461, 7301]] });
      if (sackPermitted) guest.expect({ seq: 1, length: 1460 });
      else guest.expectNothing();
    });
  }
});

describe("selective acknowledgment, blocks", () => {
  for (const [timestamps, most] of [
    [false, 4],
    [true, 3],
  ] as const) {
    const where = timestamps ? "beside timestamps" : "without timestamps";
    test(`T20: the newest block comes first, ${most} fit ${where}`, () => {
      const { guest } = established({ guest: { timestamps } });
      const sent: string[] = [];
      for (const seq of [51, 11, 91, 31, 71, 111]) {
        guest.send({ seq, payload: "late" });
        sent.unshift(`${seq}-${seq + 4}`);
        const { sack = [] } = guest.expect({ flags: "A", ack: 1 }).options;
        const got = sack.map(([left, right]) => `${left - guest.iss}-${right - guest.iss}`);
        assert.equal(got[0], sent[0]);
        assert.equal(got.length, Math.min(sent.length, most));
        assert.equal(new Set(got).size, got.length);
        assert.equal(
          got.every((block) => sent.includes(block)),
          true,
        );
      }
    });
  }

  test("T20: segments that touch are one block", () => {
    const { guest } = established();
    guest.send({ seq: 11, payload: "late" });
    guest.expect({ sack: [[11, 15]] });
    guest.send({ seq: 15, payload: "later" });
    guest.expect({ sack: [[11, 20]] });
  });

  test("a block half the sequence space away, before and behind at once, tells nothing", () => {
    const { world, guest, socket } = established();
    socket.push(pattern(3 * 1460));
    guest.takePayload();
    const half = 2 ** 31;
    guest.send({ ack: 1, sack: [[half - 4, half + 4381]] });
    world.expectNothing();
    guest.send({ ack: 1, sack: [[2921, 4381]] });
    guest.send({ ack: 4381 });
    assert.equal(world.engine.chunkCount, 0);
  });

  test("T21: what was only selectively acknowledged is kept and sent again after a timeout", () => {
    const { world, guest, socket } = established();
    const data = pattern(3 * 1460);
    socket.push(data);
    assert.equal(guest.takePayload().length, data.length);
    guest.send({ ack: 1, sack: [[1461, 4381]] });
    world.take();
    world.advance(1_000_000);
    guest.expect({ seq: 1, payload: data.subarray(0, 1460) });
    world.take();
    // The guest has thrown away what it had reported (RFC 2018 §8).
    guest.send({ ack: 1461 });
    guest.expect({ seq: 1461, payload: data.subarray(1460, 2920) });
    guest.expect({ seq: 2921, payload: data.subarray(2920) });
    guest.send({ ack: 4381 });
    assert.equal(world.engine.chunkCount, 0);
  });
});
