/**
 * Front ends and drivers that say anything: seeded messages, and seeded states of both rings.
 *
 * What has to hold: nothing throws, a call ends, no descriptor is left behind, nothing outside of
 * the region that was told of is written, and the next front end is served.
 */
import assert from "node:assert/strict";
import { describe } from "node:test";
import { REQUEST } from "../../../src/link/vhost-user/messages.ts";
import { ECONNRESET, EPIPE, SystemError } from "../../../src/sys/errno.ts";
import { descriptorsInUse } from "../../../src/sys/rlimit.ts";
import { Random } from "../../fuzz/random.ts";
import { systemTest } from "../../sys/support.ts";
import { testFrame } from "../suite.ts";
import { RING_SPAN } from "./driver.ts";
import {
  F,
  type FrontEnd,
  MODERN,
  message,
  P_REPLY_ACK,
  RINGS_AT,
  tableOctets,
  u32,
  u64,
} from "./front-end.ts";
import { type Stage, withStage } from "./stage.ts";

const SEED = 1;
const SEQUENCES = 60;
const STATES = 2000;
const HEADER = new Uint8Array(12);
const REQUESTS = [0, ...Object.values(REQUEST), 19, 21, 31, 99] as const;
/** Octets of memory before and behind the region that the back end is told of. */
const GUARD = RINGS_AT;
const POISON = 0xa5;

/** A message of a known request, its payload right or wrong, with up to three descriptors. */
function anyMessage(random: Random, front: FrontEnd): void {
  const request = random.pick(REQUESTS);
  const size = random.pick([0, 4, 8, 8, 8, 16, 40, 40, 72, 264]);
  const words = Array.from({ length: size / 4 }, () =>
    random.pick([0, 1, 1, 2, 8, 64, 0x100, 0xffffffff, 0x7f00, 0x1000]),
  );
  const payload = new Uint8Array(Uint32Array.from(words).buffer);
  const event = random.pick(front.queues).kick.number;
  const fds = Array.from({ length: random.below(3) }, () => random.pick([front.ram.fd, event]));
  front.send(message(request, payload, random.pick([1, 1, 1, 9, 9, 5])), fds);
}

/** The front end has been closed, as it should be. */
function isOver(error: unknown): boolean {
  return error instanceof SystemError && [EPIPE, ECONNRESET].includes(error.errno);
}

function converse(random: Random, stage: Stage): void {
  const { front } = stage;
  if (random.below(2) === 0) front.start(MODERN | F.indirect, P_REPLY_ACK);
  try {
    for (let i = 0; i < 30; i += 1) {
      anyMessage(random, front);
      stage.pump();
      stage.receive();
      stage.transmit([HEADER, testFrame(60, 1)]);
      while (front.reply() !== undefined);
    }
  } catch (error) {
    if (!isOver(error)) throw error;
  }
}

/** Puts anything into the rings: small numbers, addresses of the region, and noise. */
function scramble(random: Random, { ram }: FrontEnd): void {
  for (let i = 0; i < 24; i += 1) {
    const at = GUARD + random.below(2 * RING_SPAN);
    const value = random.pick([0, 1, 2, 3, 4, 7, 8, 60, 0x100, 0xffff, random.below(0x10000)]);
    ram.view.setUint16(at & ~1, value, true);
  }
  const descriptor = GUARD + random.below(2) * RING_SPAN + random.below(8) * 16;
  const address = ram.guest(GUARD) + random.below(ram.bytes.length - 2 * GUARD);
  ram.view.setBigUint64(descriptor, BigInt(address), true);
  ram.view.setUint32(descriptor + 8, random.pick([1, 12, 60, 1526, 0x11000]), true);
}

describe("vhost-user: hostile front ends and drivers", () => {
  systemTest("any message in any order ends the connection, or is answered", [], (sys) => {
    const random = new Random(SEED);
    const before = descriptorsInUse();
    for (let i = 0; i < SEQUENCES; i += 1) {
      withStage(sys, (stage) => {
        converse(random, stage);
        stage.front.close();
        stage.pump();
        stage.connect().start();
        stage.pump();
        stage.send(new Uint8Array([...HEADER, ...testFrame(60, 1)]));
        assert.equal(stage.receive().length, 1, `sequence ${i} of seed ${SEED}`);
      });
    }
    assert.equal(descriptorsInUse(), before);
  });

  systemTest(
    "any state of the rings breaks a queue, or moves frames, within the region",
    [],
    (sys) => {
      const random = new Random(SEED);
      withStage(sys, (stage) => {
        const { front } = stage;
        const { ram } = front;
        const end = ram.bytes.length - GUARD;
        ram.bytes.fill(POISON, 0, GUARD);
        ram.bytes.fill(POISON, end);
        const region = {
          guestAddress: ram.guest(GUARD),
          userAddress: ram.user(GUARD),
          size: end - GUARD,
          offset: GUARD,
        };
        const restart = (): void => {
          for (const index of [0, 1]) {
            front.say(REQUEST.getVringBase, u32(index, 0));
            front.startQueue(index, random.below(4));
          }
          stage.pump();
          while (front.reply() !== undefined);
        };
        front.say(REQUEST.setFeatures, u64(MODERN | F.indirect | F.eventIndex));
        front.say(REQUEST.setMemTable, tableOctets([region]), [ram.fd]);
        for (let i = 0; i < STATES; i += 1) {
          if (i % 8 === 0) restart();
          scramble(random, front);
          stage.receive();
          stage.transmit([HEADER, testFrame(60, 1)], [HEADER, testFrame(9000, 2)]);
        }
        const isWhole = (octet: number): boolean => octet === POISON;
        assert.ok(ram.bytes.subarray(0, GUARD).every(isWhole), "written before the region");
        assert.ok(ram.bytes.subarray(end).every(isWhole), "written behind the region");
        assert.ok(stage.link.peers.brokenQueues > 100, `${stage.link.peers.brokenQueues} broken`);
        assert.equal(stage.link.peers.badPeers, 0);
      });
    },
  );
});
