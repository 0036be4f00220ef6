/**
 * Urgent octets keep their place in the stream and are passed on as urgent, both ways. Sources: RFC
 * 9293 §3.8.5, RFC 6093.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import * as abi from "../../../wasm/abi.ts";
import { EngineWorld } from "../../support/engine-harness.ts";
import { PEER6 } from "../../support/engine-settings.ts";
import { pattern } from "../../support/packet.ts";
import { established, TcpGuest } from "../../support/tcp-guest.ts";
import { World6 } from "../../support/world6.ts";

const code = (text: string): number => text.charCodeAt(0);

describe("wasm/tcp/urgent: guest to host", () => {
  for (const [version, six] of [
    ["IPv4", false],
    ["IPv6", true],
  ] as const) {
    test(`${version}: the octet before the pointer goes as urgent, all octets in order`, () => {
      const world = six ? new World6() : new EngineWorld();
      const guest = new TcpGuest(world, six ? { peer: PEER6 } : {}).open();
      guest.send({ payload: "before " });
      guest.send({ flags: "PAU", payload: "abc", urgent: 3 });
      guest.send({ payload: " after" });
      assert.equal(guest.socket.text, "before abc after");
      assert.deepEqual(guest.socket.urgent, [code("c")]);
      world.take();
      guest.socket.pushUrgent("zyx");
      guest.expect({ payload: "zy" });
      assert.equal(guest.expect({ payload: "x" }).urgent, 1);
    });
  }

  test("it may be any octet of a segment", () => {
    for (const [urgent, letter] of [
      [1, "a"],
      [2, "b"],
      [5, "e"],
    ] as const) {
      const { guest, socket } = established();
      guest.send({ flags: "AU", payload: "abcde", urgent });
      assert.equal(socket.text, "abcde");
      assert.deepEqual(socket.urgent, [code(letter)]);
    }
  });

  test("it may be announced before it comes", () => {
    const { guest, socket } = established();
    guest.send({ flags: "AU", payload: "12", urgent: 5 });
    guest.send({ payload: "34567" });
    assert.equal(socket.text, "1234567");
    assert.deepEqual(socket.urgent, [code("5")]);
  });

  test("it waits for what is missing before it, and for a full socket", () => {
    const { guest, socket, world } = established();
    guest.send({ flags: "AU", seq: 4, payload: "def", urgent: 2 });
    assert.equal(socket.text, "");
    socket.sendRoom = 3;
    guest.send({ seq: 1, payload: "abc" });
    assert.equal(socket.text, "abc");
    socket.room(1);
    world.run();
    assert.equal(socket.text, "abcd");
    assert.deepEqual(socket.urgent, []);
    socket.room(100);
    world.run();
    assert.equal(socket.text, "abcdef");
    assert.deepEqual(socket.urgent, [code("e")]);
    world.advance(1000);
    assert.equal(guest.state, "ESTABLISHED");
  });

  test("of several that wait the last one is urgent", () => {
    const { guest, socket } = established();
    guest.sendBatch([
      { flags: "AU", payload: "ab", urgent: 1 },
      { flags: "AU", payload: "cd", urgent: 1 },
    ]);
    assert.equal(socket.text, "abcd");
    assert.deepEqual(socket.urgent, [code("c")]);
  });

  test("pointers to what has gone, to nothing, or out of the window say nothing", () => {
    const { guest, socket } = established();
    guest.send({ payload: "gone" });
    guest.send({ flags: "AU", seq: 1, payload: "gone", urgent: 2 });
    guest.send({ flags: "AU", payload: "x", urgent: 0 });
    guest.send({ flags: "AU", payload: "y", urgent: 65535 });
    guest.send({ payload: pattern(1000) });
    assert.equal(socket.stream.length, 1006);
    assert.deepEqual(socket.urgent, []);
  });

  test("the end of the stream comes behind it", () => {
    const { guest, socket } = established();
    guest.send({ flags: "FAU", payload: "bye!", urgent: 4 });
    assert.equal(socket.text, "bye!");
    assert.deepEqual(socket.urgent, [code("!")]);
    assert.ok(socket.shutDown);
    guest.expect({ flags: "A", ack: 6 });
  });
});

describe("wasm/tcp/urgent: host to guest", () => {
  test("the octet keeps its place, flag and pointer say which it is", () => {
    const { guest, socket } = established();
    socket.push("before");
    guest.expect({ payload: "before" });
    guest.send();
    socket.pushUrgent("abc");
    const first = guest.expect({ payload: "ab" });
    assert.equal(first.flags.includes("U"), false, "not known yet");
    const second = guest.expect({ payload: "c" });
    assert.equal(second.flags, "PAU");
    assert.equal(second.urgent, 1);
    guest.send();
    socket.push("after");
    assert.equal(guest.expect({ payload: "after" }).flags, "PA");
  });

  test("what is sent again says so again; what is acknowledged no longer", () => {
    const { guest, socket, world } = established();
    socket.pushUrgent("ab");
    world.take();
    world.advance(300_000);
    const again = guest.expect({ payload: "ab" });
    assert.equal(again.urgent, 2);
    assert.ok(again.flags.includes("U"));
    world.take();
    guest.send({ ack: 3 });
    socket.push("c");
    assert.equal(guest.expect({ payload: "c" }).urgent, 0);
  });

  test("no frame is left to the link to be cut meanwhile", () => {
    const world = { mtu: 1500, vnetSize: 12, linkFlags: abi.LINK_CSUM | abi.LINK_TSO4 } as const;
    const { guest, socket } = established({ world });
    socket.pushUrgent("x");
    guest.expect({ payload: "x" });
    socket.push(pattern(5000));
    assert.equal(guest.expect().payload.length, 1460);
    guest.receiveAll();
    socket.push(pattern(5000));
    assert.equal(guest.expect().payload.length, 5000);
  });

  test("an event that comes when the octet has been read asks once and then no more", () => {
    const { guest, socket } = established();
    socket.push("abc");
    guest.expect({ payload: "abc" });
    guest.send();
    socket.events |= abi.EVENT_URGENT;
    guest.expectNothing();
    const asked = socket.ops.get(abi.OP_TCP_AT_MARK);
    socket.push("def");
    guest.expect({ payload: "def" });
    assert.equal(socket.ops.get(abi.OP_TCP_AT_MARK), asked);
  });

  test("nobody asks where nothing is urgent", () => {
    const { guest, socket } = established();
    socket.push(pattern(20_000));
    guest.receiveAll();
    assert.equal(socket.ops.has(abi.OP_TCP_AT_MARK), false);
  });
});
