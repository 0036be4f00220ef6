/**
 * How connections end: FIN from either side, half-close, abort, TIME-WAIT. Sources: RFC 9293 §3.6
 * and §3.10.7.4, RFC 1122 §4.2.2.13, RFC 1337, RFC 6191.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { ECONNRESET } from "../../support/fake-host.ts";
import { EPIPE } from "../../support/fake-stream.ts";
import { pattern } from "../../support/packet.ts";
import {
  type Conversation,
  type ExpectedSegment,
  established,
  reach,
  type SegmentFields,
  type TcpGuest,
} from "../../support/tcp-guest.ts";

const SECOND = 1_000_000;

const TIME_WAIT = 60 * SECOND;

/** Of a guest that answers at once. */
const RTO = SECOND / 5;

/** Less than the four minutes of RFC 5382 REQ-5. */
const LONG = 239 * SECOND;

/** Not before its time and not later: a segment `at` microseconds after now. */
function expectAfter(guest: TcpGuest, at: number, wanted: ExpectedSegment): void {
  guest.world.advance(at - 1);
  guest.expectNothing();
  guest.world.advance(1);
  guest.expect(wanted);
  guest.expectNothing();
}

function fin({ guest }: Conversation): void {
  guest.send({ flags: "FA", ack: guest.wanted });
}

function hostEnd({ world, socket }: Conversation): void {
  socket.end();
  world.run();
}

function acknowledge({ guest }: Conversation): void {
  guest.receiveAll();
}

describe("orderly and abortive", () => {
  test("T34: the guest's FIN becomes SHUT_WR, not a close", () => {
    const { guest, socket } = established();
    guest.send({ flags: "FA" });
    guest.expect({ flags: "A", ack: 2 });
    guest.expectNothing();
    assert.equal(guest.state, "CLOSE_WAIT");
    assert.equal(socket.shutDown, true);
    assert.equal(socket.closed, "no");
  });

  test("T34: the host's end of stream becomes FIN, not a reset", () => {
    const { guest, socket } = established();
    socket.end();
    guest.expect({ flags: "FA", seq: 1, ack: 1 });
    guest.expectNothing();
    assert.equal(guest.state, "FIN_WAIT_1");
    assert.equal(socket.closed, "no");
  });

  test("T34: the guest's FIN is acknowledged when SHUT_WR was carried out, not before", () => {
    const { guest, socket } = established();
    socket.sendRoom = 3;
    guest.send({ flags: "FA", payload: "hello" });
    guest.world.advance(1000);
    for (const frame of guest.world.take()) {
      assert.equal(frame.kind === "tcp" && frame.ack - guest.iss, 4);
    }
    assert.equal(socket.shutDown, false);
    socket.room(100);
    guest.expect({ flags: "A", ack: 7 });
    assert.equal(socket.text, "hello");
    assert.equal(socket.shutDown, true);
  });

  for (const state of ["ESTABLISHED", "FIN_WAIT_1", "FIN_WAIT_2", "CLOSE_WAIT"] as const) {
    test(`T34: ${state}, the guest's reset aborts the host's connection`, () => {
      const { world, guest, socket } = reach(state);
      socket.push("on its way");
      guest.send({ flags: "R" });
      world.take();
      assert.equal(guest.state, "CLOSED");
      assert.equal(socket.closed, "abort");
      world.checkBalance();
    });
  }

  test("T35: the host closes without reading what the guest sent: reset, not FIN", () => {
    const { guest, socket } = established();
    socket.sendRoom = 0;
    guest.send({ payload: "unread" });
    guest.world.take();
    socket.fail(ECONNRESET);
    guest.expect({ flags: "RA", ack: 1 });
    guest.expectNothing();
    assert.equal(guest.state, "CLOSED");
  });

  test("T35: data for a host program that has gone gets a reset", () => {
    const { world, guest, socket } = reach("FIN_WAIT_2");
    socket.sendErrno = EPIPE;
    guest.send({ payload: "unread" });
    guest.expect({ flags: "RA", seq: 2 });
    assert.equal(guest.state, "CLOSED");
    assert.equal(socket.closed, "abort");
    world.checkBalance();
  });
});

describe("half-close", () => {
  test("T36: after the guest's FIN data of the host flows on, minutes apart", () => {
    const { world, guest, socket } = reach("CLOSE_WAIT");
    for (let i = 0; i < 3; i += 1) {
      world.advance(LONG);
      socket.push(pattern(20000));
      assert.deepEqual(guest.receiveAll(), pattern(20000));
    }
    socket.end();
    guest.expect({ flags: "FA", seq: 60001 });
    // Nothing is left to do for the host's socket while the guest has yet to answer.
    assert.equal(guest.state, "LAST_ACK");
    assert.equal(socket.closed, "orderly");
    guest.send();
    assert.equal(guest.state, "CLOSED");
    world.checkBalance();
  });

  test("T36: after the host's FIN data of the guest flows on, minutes apart", () => {
    const { world, guest, socket } = reach("FIN_WAIT_2");
    for (let i = 0; i < 3; i += 1) {
      world.advance(LONG);
      world.take(); // the guest has been asked whether it is there
      guest.send({ payload: pattern(1000) });
      world.advance(1000);
      guest.expect({ flags: "A", ack: guest.next, seq: 2 });
    }
    assert.equal(socket.stream.length, 3000);
    guest.send({ flags: "FA" });
    guest.expect({ flags: "A", ack: 3002 });
    assert.equal(guest.state, "TIME_WAIT");
    assert.equal(socket.closed, "orderly");
  });

  test("T36: losses are repaired after the guest's FIN, by duplicate acknowledgments", () => {
    const { guest, socket } = reach("CLOSE_WAIT");
    socket.push(pattern(5 * 1460));
    guest.takePayload();
    for (let i = 0; i < 3; i += 1) guest.send({ ack: 1 });
    guest.expect({ seq: 1, payload: pattern(1460) });
  });

  test("T36: losses are repaired after the host's FIN, the FIN comes last", () => {
    const { guest, socket } = established();
    socket.push(pattern(5 * 1460));
    socket.end();
    guest.takePayload();
    assert.equal(guest.state, "FIN_WAIT_1");
    for (let i = 0; i < 3; i += 1) guest.send({ ack: 1 });
    guest.expect({ flags: "A", seq: 1, payload: pattern(1460) });
    guest.send();
    assert.equal(guest.state, "FIN_WAIT_2");
  });
});

describe("both ends", () => {
  /** Each way both directions can end, from an open connection. */
  const ORDERS: readonly (readonly [string, readonly ((c: Conversation) => void)[], string])[] = [
    ["guest, host", [fin, hostEnd], "CLOSED"],
    ["host, guest", [hostEnd, acknowledge, fin], "TIME_WAIT"],
    ["host, guest, which has not seen the host's", [hostEnd, fin, acknowledge], "TIME_WAIT"],
  ];
  for (const [name, steps, last] of ORDERS) {
    test(`T36, N10: the ends come in the order ${name}: both sides close in order`, () => {
      const conversation = established();
      const { world, guest, socket } = conversation;
      socket.push("data");
      guest.receiveAll();
      for (const step of steps) step(conversation);
      guest.receiveAll();
      assert.equal(socket.closed, "orderly");
      assert.equal(guest.state, last);
      world.advance(TIME_WAIT);
      assert.equal(guest.state, "CLOSED");
      world.checkBalance();
    });
  }
});

describe("our FIN", () => {
  for (const state of ["FIN_WAIT_1", "CLOSING", "LAST_ACK"] as const) {
    test(`T38: ${state}, FIN is repeated until acknowledged`, () => {
      const { guest } = reach(state);
      const seq = guest.wanted - 1;
      for (const pause of [1, 2, 4, 8]) {
        expectAfter(guest, pause * RTO, { flags: "FA", seq, ack: guest.next });
      }
      guest.send();
      guest.world.advance(30 * SECOND);
      guest.expectNothing();
      const after = { FIN_WAIT_1: "FIN_WAIT_2", CLOSING: "TIME_WAIT", LAST_ACK: "CLOSED" };
      assert.equal(guest.state, after[state]);
    });
  }

  test("T38: FIN follows the last octet, not earlier", () => {
    const { guest, socket } = established({ guest: { window: 1460, options: { mss: 1460 } } });
    socket.push(pattern(3 * 1460));
    socket.end();
    for (const seq of [1, 1461, 2921]) {
      const { flags } = guest.expect({ seq, length: 1460 });
      assert.equal(flags.includes("F"), false);
      if (seq < 2921) guest.expectNothing();
      if (seq < 2921) guest.send();
    }
    guest.send();
    guest.expect({ flags: "FA", seq: 4381 });
    assert.equal(guest.state, "FIN_WAIT_1");
  });

  test("T38: FIN and the data before it are repeated in order after a timeout", () => {
    const { world, guest, socket } = established();
    socket.push("data");
    socket.end();
    guest.expect({ seq: 1, payload: "data" });
    guest.expect({ flags: "FA", seq: 5 });
    world.advance(RTO);
    guest.expect({ seq: 1, payload: "data" });
    guest.expect({ flags: "FA", seq: 5 });
    // It counts in sequence space: this acknowledges the data, not the FIN.
    guest.send({ ack: 5 });
    assert.equal(guest.state, "FIN_WAIT_1");
    guest.send({ ack: 6 });
    assert.equal(guest.state, "FIN_WAIT_2");
  });
});

describe("the guest's FIN", () => {
  for (const state of ["CLOSE_WAIT", "CLOSING", "LAST_ACK", "TIME_WAIT"] as const) {
    test(`T38: ${state}, a repeated FIN is acknowledged again`, () => {
      const { guest, socket } = reach(state);
      for (let i = 0; i < 3; i += 1) {
        guest.send({ flags: "FA", seq: guest.next - 1, ack: state === "TIME_WAIT" ? 2 : 1 });
        guest.expect({ flags: "A", ack: guest.next, seq: guest.wanted });
        guest.expectNothing();
      }
      assert.equal(guest.state, state);
      assert.equal(socket.shutDown, true);
    });

    for (const [name, fields] of [
      ["text", { payload: "more" }],
      ["urgent text", { flags: "PAU", payload: "more", urgent: 4 }],
      ["text and FIN", { flags: "FA", payload: "more" }],
    ] as const) {
      test(`T40: ${state}, ${name} behind the FIN is ignored`, () => {
        const { world, guest, socket } = reach(state);
        const next = guest.next;
        const before = world.stats;
        guest.send({ ...fields, ack: state === "TIME_WAIT" ? 2 : 1 });
        guest.expect({ flags: "A", ack: next });
        guest.expectNothing();
        world.expectCounted(before, { dropTcpAfterFin: 1 });
        assert.equal(socket.text, "");
        assert.equal(guest.state, state);
      });
    }
  }
});

describe("the guest's FIN, out of order", () => {
  test("T40: text behind a FIN that is still ahead of a gap is ignored", () => {
    const { guest, socket } = established();
    guest.send({ seq: 6, flags: "FA", payload: "world" });
    guest.expect({ flags: "A", ack: 1 });
    guest.send({ seq: 9, payload: "ldxxxx" });
    guest.send({ seq: 12, payload: "yyyy" });
    guest.world.take();
    guest.send({ seq: 1, payload: "hello" });
    guest.expect({ flags: "A", ack: 12 });
    assert.equal(socket.text, "helloworld");
    assert.equal(guest.state, "CLOSE_WAIT");
  });

  test("T40: text that came before a FIN below it is thrown away", () => {
    const { guest, socket } = established();
    guest.send({ seq: 6, payload: "world, never sent" });
    guest.send({ seq: 6, flags: "FA", payload: "world" });
    guest.world.take();
    guest.send({ seq: 1, payload: "hello" });
    guest.expect({ flags: "A", ack: 12 });
    assert.equal(socket.text, "helloworld");
    assert.equal(guest.state, "CLOSE_WAIT");
  });

  test("T40: in one batch: data, FIN, and text behind it", () => {
    const { guest, socket } = established();
    guest.sendBatch([{ payload: "hello" }, { seq: 6, flags: "FA" }, { seq: 7, payload: "never" }]);
    guest.expect({ flags: "A", ack: 7 });
    assert.equal(socket.text, "hello");
    assert.equal(guest.state, "CLOSE_WAIT");
  });
});

describe("the guest's FIN, misplaced", () => {
  const MISPLACED: readonly (readonly [string, SegmentFields])[] = [
    ["below what was received", { seq: 3, flags: "FA" }],
    ["inside what was received", { seq: 1, flags: "FA", payload: "he" }],
    ["beyond the window", { seq: 70000, flags: "FA" }],
  ];
  for (const [name, fields] of MISPLACED) {
    test(`T38: a FIN ${name} is ignored`, () => {
      const { world, guest, socket } = established();
      socket.sendRoom = 0;
      guest.send({ payload: "hello" });
      guest.send(fields);
      socket.room(100);
      world.take();
      assert.equal(socket.text, "hello");
      assert.equal(socket.shutDown, false);
      assert.equal(guest.state, "ESTABLISHED");
      guest.send({ seq: 6, payload: " world" });
      assert.equal(socket.text, "hello world");
    });
  }

  test("T38: a second FIN elsewhere does not move the first", () => {
    const { guest, socket } = established();
    guest.send({ seq: 6, flags: "FA" });
    guest.send({ seq: 9, flags: "FA" });
    guest.world.take();
    guest.send({ seq: 1, payload: "hello" });
    guest.expect({ flags: "A", ack: 7 });
    assert.equal(socket.shutDown, true);
    assert.equal(guest.state, "CLOSE_WAIT");
  });

  test("T38: FIN and the acknowledgment of ours in one segment: TIME-WAIT", () => {
    const { guest, socket } = reach("FIN_WAIT_1");
    guest.send({ flags: "FA" });
    guest.expect({ flags: "A", seq: 2, ack: 2 });
    assert.equal(guest.state, "TIME_WAIT");
    assert.equal(socket.closed, "orderly");
  });
});
