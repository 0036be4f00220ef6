/**
 * Connections on which nothing is said: who is asked, how often, and when it ends.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { ETIMEDOUT } from "../../support/fake-host.ts";
import { established, reach } from "../../support/tcp-guest.ts";

const SECOND = 1_000_000;

/** RFC 5382 REQ-5: a connection that is closing may be forgotten after four minutes. */
const HALF_CLOSED = 240 * SECOND;

const IDLE = 7440 * SECOND;

/** The engine measures progress in ticks of 2^16 microseconds. */
const TICK = 65_536;

describe("silence", () => {
  for (const lost of [false, true]) {
    // After the handshake the timeout is 200 ms, 3 s if its SYN was lost; both double up to 60 s.
    const repeats = lost ? [3, 9, 21, 45, 93] : [0.2, 0.6, 1.4, 3, 6.2, 12.6, 25.4, 51, 102.2];
    // Linux gives up after 924.6 s (tcp_retries2 = 15, tcp(7)); this is the next repeat behind it.
    const end = lost ? 933 : 942.2;
    for (let at = (repeats.at(-1) ?? 0) + 60; at < end; at += 60) repeats.push(at);
    test(`T41: data without answer is repeated, given up after ${end} s`, () => {
      const { world, guest, socket } = reach(lost ? "SYN_RECEIVED" : "ESTABLISHED");
      if (lost) {
        world.advance(SECOND);
        guest.expect({ flags: "SA" });
        guest.send();
      }
      socket.push("data");
      const { seq } = guest.expect({ payload: "data" });
      const begin = world.now;
      for (const at of repeats) {
        world.advance(begin + Math.round(at * SECOND) - 1 - world.now);
        guest.expectNothing();
        world.advance(1);
        assert.equal(guest.expect({ payload: "data" }).seq, seq);
      }
      world.advance(begin + Math.round(end * SECOND) - 1 - world.now);
      assert.equal(guest.state, "ESTABLISHED");
      world.advance(1);
      guest.expect({ flags: "RA" });
      assert.equal(guest.state, "CLOSED");
      assert.equal(socket.closed, "abort");
      world.checkBalance();
    });
  }

  for (const state of ["FIN_WAIT_2", "CLOSE_WAIT"] as const) {
    test(`T41: ${state} ends after four minutes without an octet, by resets`, () => {
      const { world, guest, socket } = reach(state);
      world.advance(HALF_CLOSED - 1);
      assert.equal(guest.state, state);
      world.take();
      world.advance(TICK);
      guest.expect({ flags: "RA", ack: guest.next });
      assert.equal(guest.state, "CLOSED");
      assert.equal(socket.closed, "abort");
      world.checkBalance();
    });

    test(`${state} ends then although the guest answers what it is asked`, () => {
      const { world, guest } = reach(state);
      for (let at = 0; at < HALF_CLOSED; at += SECOND) {
        assert.equal(guest.state, state);
        world.advance(SECOND);
        if (world.take().length > 0) guest.send();
      }
      world.advance(TICK);
      assert.equal(guest.state, "CLOSED");
    });

    test(`${state} ends as soon as the guest says that it knows of nothing`, () => {
      const { world, guest, socket } = reach(state);
      world.advance(60 * SECOND - 1);
      guest.expectNothing();
      world.advance(TICK);
      guest.expect({ flags: "A", length: 0 });
      guest.send({ flags: "R" });
      assert.equal(guest.state, "CLOSED");
      assert.equal(socket.closed, "abort");
    });
  }

  test("a machine that is paused for 15 minutes finds a half-closed download as it was", () => {
    const { world, guest, socket } = reach("CLOSE_WAIT");
    socket.push("answer");
    guest.expect({ payload: "answer" });
    world.advance(900 * SECOND);
    assert.equal(guest.state, "CLOSE_WAIT");
    world.take();
    guest.send({ ack: 7 });
    socket.push(" more");
    guest.expect({ payload: " more" });
  });

  test("T41: an open connection ends when the guest does not answer, 11 minutes later", () => {
    const { world, guest, socket } = established();
    world.advance(IDLE - 1);
    guest.expectNothing();
    world.advance(1);
    guest.expect({ flags: "A", seq: 0, length: 0 });
    assert.equal(socket.keepalive, 7440);
    world.advance(9 * 75 * SECOND - 1);
    assert.equal(guest.state, "ESTABLISHED");
    assert.equal(world.take().length, 8);
    world.advance(1);
    guest.expect({ flags: "RA" });
    assert.equal(guest.state, "CLOSED");
    assert.equal(socket.closed, "abort");
    world.checkBalance();
  });

  test("an open connection whose two ends are there never ends", () => {
    const { world, guest, socket } = established();
    for (let minute = 0; minute < 7 * 1440; minute += 1) {
      world.advance(60 * SECOND);
      if (world.take().length > 0) guest.send();
    }
    assert.equal(guest.state, "ESTABLISHED");
    socket.push("still there");
    guest.expect({ payload: "still there" });
  });

  test("an open connection whose host side is gone ends when the kernel says so", () => {
    const { world, guest, socket } = established();
    world.advance(IDLE);
    guest.expect({ flags: "A" });
    guest.send();
    socket.fail(ETIMEDOUT);
    guest.expect({ flags: "RA" });
    assert.equal(guest.state, "CLOSED");
  });

  for (const from of ["guest", "host"]) {
    test(`T41: a sign of life from the ${from} starts the idle time anew`, () => {
      const { world, guest, socket } = established();
      world.advance(IDLE - 1);
      if (from === "guest") {
        guest.send({ payload: "a" });
        world.advance(1000);
        guest.expect({ flags: "A" });
      } else {
        socket.push("a");
        guest.expect({ payload: "a" });
        guest.send();
      }
      world.advance(IDLE - 2000);
      guest.expectNothing();
      world.advance(2000);
      guest.expect({ flags: "A", length: 0 });
    });
  }
});

describe("keepalive", () => {
  const options = { world: { keepaliveSeconds: 60 } };

  test("T41: a probe after a minute of silence, nine in vain end the connection", () => {
    const { world, guest, socket } = established(options);
    for (let probes = 0; probes < 9; probes += 1) {
      world.advance((probes === 0 ? 60 : 75) * SECOND - 1);
      guest.expectNothing();
      world.advance(1);
      guest.expect({ flags: "A", seq: 0, ack: 1, length: 0 });
    }
    world.advance(75 * SECOND - 1);
    assert.equal(guest.state, "ESTABLISHED");
    world.advance(1);
    guest.expect({ flags: "RA", seq: 1 });
    assert.equal(socket.closed, "abort");
  });

  test("T41: a guest that answers stays connected beyond the idle time", () => {
    const { world, guest } = established(options);
    for (let i = 0; i < 120; i += 1) {
      world.advance(75 * SECOND);
      if (world.take().length > 0) guest.send();
    }
    assert.equal(world.now > IDLE, true);
    assert.equal(guest.state, "ESTABLISHED");
  });

  test("T41: off unless asked for", () => {
    const { world, guest } = established();
    world.advance(IDLE - 1);
    guest.expectNothing();
  });

  for (const [state, wanted] of [
    ["SYN_SENT", "S"],
    ["SYN_RECEIVED", "SA"],
    ["TIME_WAIT", ""],
  ] as const) {
    test(`T41: ${state} has timers of its own and no keepalive`, () => {
      const { world } = reach(state, { world: { keepaliveSeconds: 2 } });
      world.advance(29 * SECOND);
      for (const frame of world.take()) assert.equal(frame.kind === "tcp" && frame.flags, wanted);
    });
  }
});
