/** The control socket: messages whole and in parts, with descriptors, and its end. */
import assert from "node:assert/strict";
import { describe } from "node:test";
import { Channel } from "../../../src/link/vhost-user/channel.ts";
import { ProtocolError, replyTo } from "../../../src/link/vhost-user/messages.ts";
import { check, EAGAIN, EPIPE } from "../../../src/sys/errno.ts";
import { EventFd } from "../../../src/sys/fd.ts";
import { sendFds } from "../../../src/sys/fd-messages.ts";
import type { Libc } from "../../../src/sys/libc.ts";
import { descriptorsInUse } from "../../../src/sys/rlimit.ts";
import { openUnixPair } from "../../support/unix-pair.ts";
import { systemTest } from "../../sys/support.ts";
import { message, u64 } from "./front-end.ts";

function withChannel(sys: Libc, run: (channel: Channel, peer: number) => void): void {
  const pair = openUnixPair(sys);
  const channel = new Channel(sys, pair.b);
  try {
    run(channel, pair.a);
  } finally {
    channel.close();
    sys.close(pair.a);
    sys.close(pair.b);
  }
}

describe("vhost-user channel", () => {
  systemTest("messages one after the other, with and without payload", [], (sys) => {
    withChannel(sys, (channel, peer) => {
      assert.equal(channel.next(), -EAGAIN);
      const octets = new Uint8Array([...message(1, new Uint8Array(0)), ...message(2, u64(7), 9)]);
      check(sendFds(sys, peer, [], octets), "Send");
      assert.deepEqual(channel.next(), {
        request: 1,
        flags: 1,
        payload: new Uint8Array(0),
        fds: [],
      });
      assert.deepEqual(channel.next(), { request: 2, flags: 9, payload: u64(7), fds: [] });
      assert.equal(channel.next(), -EAGAIN);
      assert.equal(channel.inMessage, false);
    });
  });

  systemTest("a message octet by octet, its descriptors with any of them", [], (sys) => {
    withChannel(sys, (channel, peer) => {
      using event = new EventFd(sys);
      const octets = message(12, u64(1));
      for (const [i, octet] of octets.entries()) {
        assert.equal(channel.next(), -EAGAIN);
        assert.equal(channel.inMessage, i > 0);
        const fds = i === 0 || i === 15 ? [event.number] : [];
        check(sendFds(sys, peer, fds, Uint8Array.of(octet)), "Send");
      }
      const got = channel.next();
      assert.ok(typeof got !== "number");
      assert.deepEqual([got.request, got.payload, got.fds.length], [12, u64(1), 2]);
      for (const fd of got.fds) sys.close(fd);
    });
  });

  systemTest("descriptors of a message that never ends are closed", [], (sys) => {
    const before = descriptorsInUse();
    withChannel(sys, (channel, peer) => {
      using event = new EventFd(sys);
      check(sendFds(sys, peer, [event.number, event.number], Uint8Array.of(1)), "Send");
      assert.equal(channel.next(), -EAGAIN);
    });
    assert.equal(descriptorsInUse(), before);
  });

  systemTest("more descriptors than a message may have are refused", [], (sys) => {
    withChannel(sys, (channel, peer) => {
      using event = new EventFd(sys);
      const eight = Array.from({ length: 8 }, () => event.number);
      check(sendFds(sys, peer, eight, Uint8Array.of(1)), "Send");
      check(sendFds(sys, peer, [event.number], Uint8Array.of(0)), "Send");
      assert.throws(() => channel.next(), ProtocolError);
    });
  });

  systemTest("the end of the stream, and answers to nobody", [], (sys) => {
    withChannel(sys, (channel, peer) => {
      sys.shutdown(peer, 2);
      assert.equal(channel.next(), 0);
      assert.equal(channel.send(replyTo(1, u64(0))), -EPIPE);
    });
  });

  systemTest("a peer that reads no answers is found out", [], (sys) => {
    withChannel(sys, (channel) => {
      const octets = replyTo(1, u64(0));
      let result = 0;
      for (let i = 0; i < 1e6 && result === 0; i += 1) result = channel.send(octets);
      assert.equal(result, -EAGAIN);
    });
  });
});
