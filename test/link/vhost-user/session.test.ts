/** What front end and back end say to each other: answers, refusals, and the end of it. */
import assert from "node:assert/strict";
import { describe } from "node:test";
import { FEATURES, PROTOCOL_FEATURES } from "../../../src/link/vhost-user/features.ts";
import { REQUEST } from "../../../src/link/vhost-user/messages.ts";
import { EventFd, openFile } from "../../../src/sys/fd.ts";
import { O_RDWR } from "../../../src/sys/linux.ts";
import { systemTest } from "../../sys/support.ts";
import { testFrame } from "../suite.ts";
import {
  addressOctets,
  F,
  type FrontEnd,
  MODERN,
  P_REPLY_ACK,
  regionOctets,
  tableOctets,
  u32,
  u64,
} from "./front-end.ts";
import { GuestRam } from "./guest-ram.ts";
import { type Stage, withStage } from "./stage.ts";

const NOTHING = new Uint8Array(0);

/** The number a request is answered with; undefined = there is no answer. */
function answer(stage: Stage, front: FrontEnd): bigint | undefined {
  stage.pump();
  const payload = front.reply()?.payload;
  return payload === undefined ? undefined : new DataView(payload.buffer).getBigUint64(0, true);
}

/** Why the connection ended; empty: it did not. */
function ending(stage: Stage): string {
  stage.pump();
  return stage.news.find((news) => news.startsWith("disconnected"))?.slice(14) ?? "";
}

/** Whether the page of a guest's address is marked in a log. */
function isDirty(log: GuestRam, address: number): boolean {
  const page = Math.floor(address / 4096);
  return (((log.bytes[Math.floor(page / 8)] ?? 0) >> (page % 8)) & 1) === 1;
}

describe("vhost-user session: questions", () => {
  systemTest("features, protocol features, queues and memory slots", [], (sys) => {
    withStage(sys, (stage) => {
      for (const [request, expected] of [
        [REQUEST.getFeatures, FEATURES],
        [REQUEST.getProtocolFeatures, PROTOCOL_FEATURES],
        [REQUEST.getQueueNum, 1n],
        [REQUEST.getMaxMemSlots, 64n],
      ] as const) {
        stage.front.say(request, NOTHING);
        stage.pump();
        assert.deepEqual(stage.front.reply(), { request, flags: 5, payload: u64(expected) });
      }
    });
  });

  systemTest("a reply to everything, where it was agreed to and is asked for", [], (sys) => {
    withStage(sys, (stage) => {
      const { front } = stage;
      front.ask(REQUEST.setOwner, NOTHING);
      assert.equal(answer(stage, front), undefined);
      front.say(REQUEST.setProtocolFeatures, u64(P_REPLY_ACK));
      front.say(REQUEST.setOwner, NOTHING);
      front.say(REQUEST.resetOwner, NOTHING);
      assert.equal(answer(stage, front), undefined);
      front.ask(REQUEST.setFeatures, u64(MODERN));
      assert.equal(answer(stage, front), 0n);
      front.ask(REQUEST.getFeatures, NOTHING);
      assert.equal(answer(stage, front), FEATURES);
      assert.equal(front.reply(), undefined, "one answer is enough");
    });
  });

  systemTest("what cannot be had is refused by a reply", [], (sys) => {
    withStage(sys, (stage) => {
      const { front } = stage;
      front.say(REQUEST.setProtocolFeatures, u64(P_REPLY_ACK));
      for (const [request, payload, expected] of [
        [99, NOTHING, 1n],
        [REQUEST.setFeatures, u64(1n << 34n), 1n],
        [REQUEST.netSetMtu, u64(67), 1n],
        [REQUEST.netSetMtu, u64(68), 0n],
        [REQUEST.netSetMtu, u64(65535), 0n],
        [REQUEST.netSetMtu, u64(65536), 1n],
        [REQUEST.sendRarp, u64(0x563412005452n), 0n],
        [REQUEST.remMemReg, new Uint8Array([...u64(0), ...regionOctets(front.ram.layout)]), 1n],
      ] as const) {
        front.ask(request, payload);
        assert.equal(answer(stage, front), expected, `request ${request}`);
      }
      assert.equal(ending(stage), "");
    });
  });

  systemTest("and where no reply is asked for, by the end of the connection", [], (sys) => {
    withStage(sys, (stage) => {
      stage.front.say(99, NOTHING);
      assert.equal(ending(stage), "unknown request 99 (fault)");
    });
  });
});

describe("vhost-user session: memory", () => {
  systemTest("regions come and go one by one", [], (sys) => {
    withStage(sys, (stage) => {
      const { front } = stage;
      front.say(REQUEST.setProtocolFeatures, u64(P_REPLY_ACK));
      const octets = new Uint8Array([...u64(0), ...regionOctets(front.ram.layout)]);
      front.ask(REQUEST.addMemReg, octets, [front.ram.fd]);
      assert.equal(answer(stage, front), 0n);
      front.ask(REQUEST.addMemReg, octets, [front.ram.fd]);
      assert.equal(answer(stage, front), 1n, "it is there already");
      front.say(REQUEST.setFeatures, u64(MODERN));
      front.startQueue(1, 0);
      stage.pump();
      stage.send(new Uint8Array([...new Uint8Array(12), ...testFrame(60, 1)]));
      assert.equal(stage.receive().length, 1);
      front.ask(REQUEST.remMemReg, octets, [front.ram.fd]);
      assert.equal(answer(stage, front), 0n);
      assert.deepEqual(stage.news, [
        "connected",
        "broken: transmit: the ring is not in guest memory",
      ]);
      assert.deepEqual(stage.receive(), []);
    });
  });

  systemTest("a table takes the place of the one before, and rings go on in it", [], (sys) => {
    withStage(sys, (stage) => {
      const { front } = stage;
      front.start();
      stage.pump();
      const frame = new Uint8Array([...new Uint8Array(12), ...testFrame(60, 1)]);
      stage.send(frame);
      assert.equal(stage.receive().length, 1);
      using more = new GuestRam(sys, true, 0x4000, 1 << 30);
      const layouts = [more.layout, front.ram.layout];
      front.say(REQUEST.setMemTable, tableOctets(layouts), [more.fd, front.ram.fd]);
      stage.pump();
      stage.send(frame);
      assert.equal(stage.receive().length, 1);
      assert.equal(front.queues[1].driver.usedIndex, 2);
    });
  });

  systemTest("a table that cannot be mapped leaves none", [], (sys) => {
    withStage(sys, (stage) => {
      const { front } = stage;
      front.start(MODERN, P_REPLY_ACK);
      const { layout } = front.ram;
      const beyond = { ...layout, size: 2 * layout.size };
      front.ask(REQUEST.setMemTable, tableOctets([beyond]), [front.ram.fd]);
      assert.equal(answer(stage, front), 1n);
      assert.equal(stage.link.peers.brokenQueues, 2);
    });
  });

  systemTest("written pages go into a log that cannot shrink", [], (sys) => {
    withStage(sys, (stage) => {
      const { front } = stage;
      front.start(MODERN);
      using log = new GuestRam(sys, true, 0x40000);
      front.say(REQUEST.setLogBase, u64(0x40000, 0), [log.fd]);
      stage.pump();
      assert.deepEqual(front.reply(), { request: REQUEST.setLogBase, flags: 5, payload: NOTHING });
      const { driver } = front.queues[0];
      const used = driver.usedAddress;
      front.say(REQUEST.setFeatures, u64(MODERN | F.logAll));
      front.say(REQUEST.setVringAddr, addressOctets(driver.places(0, used)));
      stage.pump();
      const [at = 0] = stage.offer(100);
      assert.equal(stage.transmit([new Uint8Array(12), testFrame(60, 1)]), 1);
      assert.ok(isDirty(log, front.ram.guest(at)), "the buffer");
      assert.ok(isDirty(log, used), "the used ring");
      assert.ok(!isDirty(log, front.ram.guest(0x8000)), "what nobody has written");
    });
    withStage(sys, (stage) => {
      using log = new GuestRam(sys, false, 0x4000);
      stage.front.say(REQUEST.setLogBase, u64(0x4000, 0), [log.fd]);
      assert.equal(ending(stage), "the log's memory is not sealed against shrinking (fault)");
    });
  });

  systemTest("a move that is given up ends the log, and the next one has its own", [], (sys) => {
    withStage(sys, (stage) => {
      const { front } = stage;
      front.start(MODERN);
      using first = new GuestRam(sys, true, 0x40000);
      using second = new GuestRam(sys, true, 0x40000);
      const { driver } = front.queues[0];
      const written = (features: bigint, log: number): number => {
        front.say(REQUEST.setFeatures, u64(features));
        front.say(REQUEST.setVringAddr, addressOctets(driver.places(0, log)));
        stage.pump();
        first.bytes.fill(0);
        const [at = 0] = stage.offer(100);
        assert.equal(stage.transmit([new Uint8Array(12), testFrame(60, 1)]), 1);
        return front.ram.guest(at);
      };
      front.say(REQUEST.setLogBase, u64(0x40000, 0), [first.fd]);
      assert.ok(isDirty(first, written(MODERN | F.logAll, driver.usedAddress)));
      written(MODERN, -1);
      assert.ok(first.bytes.every((octet) => octet === 0));
      front.say(REQUEST.setLogBase, u64(0x40000, 0), [second.fd]);
      const buffer = written(MODERN | F.logAll, driver.usedAddress);
      assert.ok(isDirty(second, buffer) && isDirty(second, driver.usedAddress));
      assert.ok(first.bytes.every((octet) => octet === 0));
    });
  });
});

describe("vhost-user session: queues", () => {
  systemTest("there are two, of sizes that rings have", [], (sys) => {
    for (const [request, payload, reason] of [
      [REQUEST.setVringNum, u32(2, 8), "queue 2, of 2 that there are"],
      [REQUEST.setVringNum, u32(0, 0), "ring of 0 entries"],
      [REQUEST.setVringNum, u32(0, 24), "ring of 24 entries"],
      [REQUEST.setVringNum, u32(0, 65536), "ring of 65536 entries"],
      [REQUEST.setVringEnable, u32(0, 2), "ring enabled by 2"],
      [REQUEST.getVringBase, u32(9, 0), "queue 9, of 2 that there are"],
      [REQUEST.setProtocolFeatures, u64(1), "protocol features 0x1 were not offered"],
    ] as const) {
      withStage(sys, (stage) => {
        stage.front.say(request, payload);
        assert.equal(ending(stage), `${reason} (fault)`);
      });
    }
  });

  systemTest("a ring lies in guest memory, aligned", [], (sys) => {
    withStage(sys, (stage) => {
      const { front } = stage;
      front.start(MODERN, P_REPLY_ACK);
      const places = front.queues[1].driver.places(1);
      for (const [wrong, expected] of [
        [{ descriptors: places.descriptors + 8 }, 1n],
        [{ available: places.available + 1 }, 1n],
        [{ used: places.used + 2 }, 1n],
        [{ used: 0x1000 }, 1n],
        [{}, 0n],
      ] as const) {
        front.ask(REQUEST.setVringAddr, addressOctets({ ...places, ...wrong }));
        assert.equal(answer(stage, front), expected);
      }
    });
  });

  systemTest("a queue runs when it is enabled, or from its kick on without that", [], (sys) => {
    const frame = new Uint8Array([...new Uint8Array(12), ...testFrame(60, 1)]);
    for (const [features, expected] of [
      [MODERN, 0],
      [MODERN & ~F.protocol, 1],
    ] as const) {
      withStage(sys, (stage) => {
        stage.front.start(features);
        for (const index of [0, 1]) stage.front.say(REQUEST.setVringEnable, u32(index, 0));
        stage.pump();
        stage.send(frame);
        assert.equal(stage.receive().length, expected);
      });
    }
  });

  systemTest("events come by event descriptors and nothing else", [], (sys) => {
    const file = openFile(sys, "/dev/null", O_RDWR);
    for (const [request, name] of [
      [REQUEST.setVringKick, "kick"],
      [REQUEST.setVringCall, "call"],
      [REQUEST.setVringErr, "err"],
    ] as const) {
      withStage(sys, (stage) => {
        stage.front.say(request, u64(0), [file.number]);
        assert.equal(ending(stage), `a ${name} that is no event descriptor (fault)`);
      });
    }
    file.close();
  });

  systemTest("a new kick takes the place of the old one", [], (sys) => {
    withStage(sys, (stage) => {
      const { front } = stage;
      front.start();
      stage.pump();
      using other = new EventFd(sys);
      front.say(REQUEST.setVringKick, u64(1), [other.number]);
      stage.pump();
      front.queues[1].kick.signal();
      assert.equal(stage.pump(), false);
      other.signal();
      assert.equal(stage.pump(), true);
    });
  });

  systemTest("a queue that is polled is never called", [], (sys) => {
    withStage(sys, (stage) => {
      const { front } = stage;
      front.start();
      front.say(REQUEST.setVringCall, u64(0x101));
      stage.pump();
      const { call } = front.queues[1];
      call.drain();
      stage.send(new Uint8Array([...new Uint8Array(12), ...testFrame(60, 1)]));
      assert.equal(stage.receive().length, 1);
      assert.equal(call.drain(), 0);
    });
  });
});
