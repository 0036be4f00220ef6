/** The mailbox: commands one way, counters the other, through shared memory. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { COMMAND_STATS, COMMAND_STOP, MAILBOX_SIZE, Mailbox } from "../../src/binding/mailbox.ts";
import * as abi from "../../wasm/abi.ts";
import { EngineWorld } from "../support/engine-harness.ts";
import { NO_PEERS } from "../support/no-peers.ts";

const NOTHING = 0;
const PEERS = {
  hasPeer: true,
  connections: 7,
  peersRefused: 6,
  peersForeign: 5,
  peersFleeting: 4,
  peerCrowds: 8,
  silentPeers: 3,
  badPeers: 2,
  brokenQueues: 0,
};

/** Both ends of one mailbox. */
function pair(): { main: Mailbox; worker: Mailbox } {
  const buffer = new SharedArrayBuffer(MAILBOX_SIZE);
  return { main: new Mailbox(buffer), worker: new Mailbox(buffer) };
}

describe("mailbox", () => {
  test("a command is taken once", () => {
    const { main, worker } = pair();
    assert.equal(worker.take(), NOTHING);
    for (const command of [COMMAND_STATS, COMMAND_STOP]) {
      main.put(command);
      assert.equal(worker.take(), command);
      assert.equal(worker.take(), NOTHING);
    }
  });

  test("to stop counts more than what was asked before", () => {
    const { main, worker } = pair();
    main.put(COMMAND_STATS);
    main.put(COMMAND_STOP);
    assert.equal(worker.take(), COMMAND_STOP);
  });

  test("nothing asked later takes it back", () => {
    const { main, worker } = pair();
    main.put(COMMAND_STOP);
    main.put(COMMAND_STATS);
    assert.equal(worker.take(), COMMAND_STOP);
  });

  test("a stop that waits is seen without taking it, and failures add up", () => {
    const { main, worker } = pair();
    main.put(COMMAND_STATS);
    assert.equal(worker.mustStop, false);
    main.put(COMMAND_STOP);
    assert.equal(worker.mustStop, true);
    assert.equal(worker.take(), COMMAND_STOP);
    worker.noteFailure();
    worker.noteFailure();
    assert.deepEqual([main.failures, main.peers.connections, main.chunks], [2, 0, 0]);
  });

  test("counters are what the engine says when they are published, none lost", () => {
    const world = new EngineWorld();
    const { engine } = world;
    const { main, worker } = pair();
    for (let i = 0; i < abi.STAT_COUNT + abi.DROP_COUNT; i += 1) {
      engine.view.setBigUint64(engine.bases.stats + 8 * i, BigInt(i) + 2n ** 33n, true);
    }
    assert.equal(main.answered, 0);
    assert.equal(main.counter(3), 0);
    // What the link dropped is its own to count.
    const link = { refused: abi.STAT_COUNT + abi.DROP_LINK + 2 ** 33 };
    worker.publish(engine, link);
    assert.equal(main.answered, 1);
    for (let i = 0; i < abi.STAT_COUNT + abi.DROP_COUNT; i += 1) {
      assert.equal(main.counter(i), i + 2 ** 33, `counter ${i}`);
    }
    engine.view.setBigUint64(engine.bases.stats, 0n, true);
    assert.equal(main.counter(0), 2 ** 33, "as last published");
    worker.publish(engine, { refused: 0 });
    assert.equal(main.counter(0), 0);
    assert.equal(main.answered, 2);
  });

  test("counters with the highest bit of a word set are not negative", () => {
    const { engine } = new EngineWorld();
    const { main, worker } = pair();
    engine.view.setBigUint64(engine.bases.stats, 0x0000_0001_ffff_fffen, true);
    worker.publish(engine, { refused: 0 });
    assert.equal(main.counter(0), 0x1_ffff_fffe);
  });

  test("flows and chunks in use go along", () => {
    const world = new EngineWorld();
    const { main, worker } = pair();
    world.guest(world.udp({ to: "198.51.100.80", port: 9 }, "data"));
    worker.publish(world.engine, { refused: 0 });
    assert.deepEqual([main.flows, main.chunks], [1, world.engine.chunkCount]);
  });

  test("a stream link's peers go along, and another link has none", () => {
    const { engine } = new EngineWorld();
    const { main, worker } = pair();
    worker.publish(engine, { refused: 0 });
    assert.deepEqual(main.peers, NO_PEERS);
    worker.publish(engine, { refused: 0 }, PEERS);
    assert.deepEqual(main.peers, PEERS);
  });

  test("of any number of changes one is announced; who looks sees the newest", () => {
    const { main, worker } = pair();
    assert.equal(worker.announce(NO_PEERS), true);
    for (let connections = 1; connections <= 1000; connections += 1) {
      const peers = { ...PEERS, hasPeer: connections % 2 === 0, connections };
      assert.equal(worker.announce(peers), false);
    }
    assert.deepEqual(main.heed(), { ...PEERS, connections: 1000 });
    assert.equal(worker.announce(NO_PEERS), true, "what comes after is announced again");
    assert.deepEqual(main.heed(), NO_PEERS);
  });

  test("counters go round at 32 bits and are never negative", () => {
    const { main, worker } = pair();
    worker.announce({ ...NO_PEERS, peersFleeting: 2 ** 31 });
    assert.equal(main.heed().peersFleeting, 2 ** 31);
  });
});
