/** What a tap and a stream link know of their other end. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { attachmentOfStream, attachmentOfTap } from "../../src/binding/attachment.ts";
import type { PeerCounters } from "../../src/link/stream-peer.ts";
import { openUnixPair } from "../support/unix-pair.ts";
import { systemTest } from "../sys/support.ts";

const SECOND = 1_000_000;

describe("attachment", () => {
  test("of a stream it is the peer, another one after the next connection", () => {
    const link = { hasPeer: false, connections: 0 };
    // Only these two are looked at.
    const { peer } = attachmentOfStream(link as PeerCounters);
    assert.equal(peer(0), 0);
    Object.assign(link, { hasPeer: true, connections: 1 });
    assert.equal(peer(0), 1);
    Object.assign(link, { connections: 2 });
    assert.equal(peer(0), 2);
    Object.assign(link, { hasPeer: false });
    assert.equal(peer(0), 0);
  });

  systemTest("of a tap it is there until it takes no frames at two looks in a row", [], (sys) => {
    const pair = openUnixPair(sys);
    const { peer } = attachmentOfTap(sys, pair.a);
    const { address, bytes } = sys.scratch;
    assert.equal(peer(SECOND), 1);
    while (sys.write(pair.a, address, bytes.length) > 0); // until it is full
    assert.equal(peer(2 * SECOND), 1, "not looked at yet");
    assert.equal(peer(7 * SECOND), 1, "full for a moment");
    assert.equal(peer(13 * SECOND), 0);
    while (sys.read(pair.b, address, bytes.length) > 0);
    assert.equal(peer(19 * SECOND), 1);
    for (const fd of [pair.a, pair.b]) sys.close(fd);
  });
});
