/** The vhost-user link as a whole: the suite of all links, and front ends that come and go. */
import assert from "node:assert/strict";
import { describe } from "node:test";
import { concat } from "../../../src/lib/bytes.ts";
import { REQUEST } from "../../../src/link/vhost-user/messages.ts";
import { EBADF } from "../../../src/sys/errno.ts";
import { loadLibc } from "../../../src/sys/libc.ts";
import { descriptorsInUse } from "../../../src/sys/rlimit.ts";
import { LINK_CSUM, LINK_RX_TSO, LINK_TSO4 } from "../../../wasm/abi.ts";
import { missing, systemTest } from "../../sys/support.ts";
import { linkSuite, testFrame } from "../suite.ts";
import { F, MODERN, message, u32, u64 } from "./front-end.ts";
import { Stage, withStage } from "./stage.ts";

const HEADER = new Uint8Array(12);

linkSuite({
  name: "vhost-user",
  skip: missing([]),
  async with(run) {
    const stage = new Stage(await loadLibc());
    try {
      stage.front.start();
      stage.pump();
      const offer = (): unknown => stage.offer(70_000, 70_000, 70_000, 70_000);
      offer();
      run({
        link: stage.link,
        memory: stage.memory,
        send: (frame) => stage.send(concat(HEADER, frame)),
        receive: () => {
          for (;;) {
            const [frame] = frames.length > 0 ? frames.splice(0, 1) : [];
            if (frame !== undefined) return frame.subarray(12);
            frames.push(...stage.got());
            assert.ok(frames.length > 0, "no frame");
          }
        },
        unplug: () => {
          stage.front.close();
          stage.pump();
        },
        outlivesGuest: true,
      });
      frames.length = 0;
    } finally {
      frames.length = 0;
      stage.close();
    }
  },
});

const frames: Uint8Array[] = [];

describe("vhost-user link: front ends", () => {
  systemTest("nobody there: frames are dropped, none come", [], (sys) => {
    withStage(sys, (stage) => {
      stage.front.close();
      stage.pump();
      assert.deepEqual(stage.news, ["connected", "disconnected: closed by the peer"]);
      assert.equal(stage.transmit([HEADER, testFrame(60, 1)]), 1);
      assert.equal(stage.link.refused, 1);
      assert.deepEqual(stage.receive(), []);
      stage.connect();
    });
  });

  systemTest("what the guest takes is told when it is agreed on", [], (sys) => {
    withStage(sys, (stage) => {
      assert.equal(stage.link.flags, LINK_RX_TSO);
      stage.front.start(MODERN);
      stage.pump();
      const all = LINK_RX_TSO | LINK_CSUM | LINK_TSO4;
      assert.deepEqual(stage.flags, [all]);
      stage.front.say(REQUEST.setFeatures, u64(F.version1 | F.protocol));
      stage.pump();
      assert.deepEqual(stage.flags, [all, LINK_RX_TSO]);
      assert.equal(stage.link.flags, LINK_RX_TSO);
    });
  });

  systemTest("a ring that begins is looked at without a kick", [], (sys) => {
    withStage(sys, (stage) => {
      stage.send(concat(HEADER, testFrame(60, 1)));
      stage.front.start();
      assert.equal(stage.pump(), true);
      assert.equal(stage.receive().length, 1);
    });
  });

  systemTest("each kick is heard, though none is ever read", [], (sys) => {
    withStage(sys, (stage) => {
      stage.front.start();
      stage.pump();
      for (let i = 0; i < 3; i += 1) {
        assert.equal(stage.pump(), false);
        stage.send(concat(HEADER, testFrame(60, i)));
        stage.front.queues[1].kick.signal();
        assert.equal(stage.pump(), true);
        assert.equal(stage.receive().length, 1);
      }
    });
  });

  systemTest("a front end that comes back goes on where the used ring ends", [], (sys) => {
    withStage(sys, (stage) => {
      const { front } = stage;
      front.start();
      stage.pump();
      for (let i = 0; i < 3; i += 1) stage.send(concat(HEADER, testFrame(60, i)));
      assert.equal(stage.receive(2).length, 2);
      front.say(REQUEST.getVringBase, u32(1, 0));
      stage.pump();
      const base = front.reply()?.payload;
      assert.deepEqual(base, u32(1, 2));
      stage.send(concat(HEADER, testFrame(60, 3)));
      assert.deepEqual(stage.receive(), [], "it is stopped");
      front.startQueue(1, 2);
      assert.equal(stage.pump(), true);
      assert.equal(stage.receive().length, 2);
      assert.equal(front.queues[1].driver.usedIndex, 4);
    });
  });

  systemTest("another engine goes on with the same front end, rings and features", [], (sys) => {
    withStage(sys, (stage) => {
      const { front } = stage;
      front.start();
      stage.pump();
      stage.offer(2000, 2000);
      stage.send(concat(HEADER, testFrame(60, 1)));
      assert.equal(stage.receive().length, 1);
      const { flags } = stage.link;
      stage.handOver();
      stage.pump();
      assert.equal(stage.link.flags, flags, "what the guest takes is known");
      assert.deepEqual(stage.link.peers.connections, 1);
      stage.send(concat(HEADER, testFrame(60, 2)));
      front.queues[1].kick.signal();
      assert.equal(stage.pump(), true, "kicks are heard");
      assert.deepEqual(
        stage.receive().map((frame) => frame.subarray(12)),
        [testFrame(60, 2)],
      );
      assert.equal(stage.transmit([HEADER, testFrame(60, 3)]), 1);
      assert.equal(stage.got().length, 1);
      front.say(REQUEST.getVringBase, u32(1, 0));
      stage.pump();
      assert.deepEqual(front.reply()?.payload, u32(1, 2), "the socket is served");
      assert.deepEqual(stage.news, ["connected"]);
    });
  });

  systemTest("a message that had come in part is finished for the next engine", [], (sys) => {
    withStage(sys, (stage) => {
      const { front } = stage;
      const whole = message(REQUEST.getFeatures, new Uint8Array(0));
      front.send(whole.subarray(0, 5));
      stage.pump();
      stage.handOver();
      front.send(whole.subarray(5));
      stage.pump();
      assert.equal(front.reply()?.payload.length, 8);
    });
  });

  systemTest("a broken queue begins anew with the front end", [], (sys) => {
    withStage(sys, (stage) => {
      const { front } = stage;
      front.start();
      stage.pump();
      front.queues[1].driver.availableIndex = 100;
      stage.receive();
      assert.match(stage.news.at(-1) ?? "", /^broken: transmit: 100 entries/);
      front.say(REQUEST.setVringEnable, u32(1, 1));
      stage.pump();
      assert.deepEqual(stage.receive(), [], "that is not enough");
      front.say(REQUEST.getVringBase, u32(1, 0));
      front.queues[1].driver.startAt(7);
      front.startQueue(1, 7);
      stage.pump();
      stage.send(concat(HEADER, testFrame(60, 1)));
      assert.equal(stage.receive().length, 1);
    });
  });

  systemTest(
    "a message against the rules ends the connection, the next one is served",
    [],
    (sys) => {
      withStage(sys, (stage) => {
        stage.front.send(message(2, new Uint8Array(4)));
        stage.pump();
        assert.deepEqual(stage.news, [
          "connected",
          "disconnected: request 2 of 4 octets, wanted 8 (fault)",
        ]);
        assert.equal(stage.link.peers.badPeers, 1);
        stage.front.close();
        stage.connect().start();
        stage.pump();
        stage.send(concat(HEADER, testFrame(60, 1)));
        assert.equal(stage.receive().length, 1);
      });
    },
  );

  systemTest("memory that can shrink is told of once", [], (sys) => {
    withStage(
      sys,
      (stage) => {
        stage.front.start();
        stage.pump();
        assert.deepEqual(stage.news, ["connected", "shrinkable"]);
        stage.send(concat(HEADER, testFrame(60, 1)));
        stage.front.ram.shrink();
        assert.deepEqual(stage.receive(), []);
        assert.deepEqual(stage.news, ["broken: transmit: its memory is gone"]);
      },
      false,
    );
  });

  systemTest("no descriptor and no mapping is left behind", [], (sys) => {
    const before = descriptorsInUse();
    for (let i = 0; i < 3; i += 1) {
      withStage(sys, (stage) => {
        stage.front.start();
        stage.front.startQueue(0, 0);
        stage.pump();
      });
    }
    assert.equal(descriptorsInUse(), before);
  });

  systemTest("is closed for good", [], (sys) => {
    withStage(sys, (stage) => {
      stage.front.start();
      stage.pump();
      stage.link.close();
      assert.equal(stage.link.receive(stage.memory, 1), -EBADF);
      assert.equal(stage.link.transmit(stage.memory, 0, 0), -EBADF);
    });
  });
});
