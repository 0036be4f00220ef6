/** A connection's windows and round trip, as a run's own checks and its guest know them. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { readTcpFlow, type TcpFlow, tcpHandle } from "../../src/engine/tcp-flow.ts";
import { planFromSeed } from "../../src/lab/sim/scenario.ts";
import { simulatedEngine } from "../../src/lab/sim/simulated-engine.ts";
import { World } from "../../src/lab/sim/world.ts";

/** One connection, data both ways. */
const SEED = 82;

describe("TCP flow record", () => {
  const world = new World(simulatedEngine(), planFromSeed(SEED));
  const { engine, guest } = world;
  const seen: TcpFlow[] = [];
  const wrong: string[] = [];
  const step = engine.step.bind(engine);
  engine.step = (now) => {
    step(now);
    for (let slot = 0; slot < engine.config.flowsMax; slot += 1) {
      const handle = tcpHandle(engine, slot);
      const flow = handle === undefined ? undefined : readTcpFlow(engine, handle);
      if (flow?.state !== "ESTABLISHED") continue;
      seen.push(flow);
      const other = guest.tcp.connectionAt(flow.guestPort, flow.peerPort);
      if (other === undefined) wrong.push("the guest does not know it");
      if (flow.inFlight > flow.windowOfGuest) wrong.push(`${flow.inFlight} in flight`);
    }
  };
  const { violations } = world.run();

  test("it is there while the connection is, and is the plan's", () => {
    assert.deepEqual(violations, []);
    assert.deepEqual(wrong, []);
    assert.ok(seen.length > 0);
    const [plan] = world.plan.tcp;
    assert.ok(seen.every(({ peerPort }) => peerPort === plan?.port));
    assert.ok(seen.every(({ peerAddress }) => peerAddress === plan?.address));
    const toGuest = Math.max(...seen.map(({ bytesToGuest }) => bytesToGuest));
    const toHost = Math.max(...seen.map(({ bytesToHost }) => bytesToHost));
    assert.ok(toGuest > 0 && toGuest <= (plan?.down ?? 0));
    assert.ok(toHost > 0 && toHost <= (plan?.up ?? 0));
  });

  test("windows are those that were offered, and the round trip that of the wires", () => {
    const { app } = world.plan.tcp[0] ?? {};
    const buffer = app?.settings.receiveBuffer ?? 0;
    assert.ok(seen.some(({ windowOfGuest }) => windowOfGuest > buffer / 2));
    assert.ok(seen.every(({ windowOfGuest }) => windowOfGuest <= buffer + 65_535));
    assert.ok(seen.every(({ cwnd }) => cwnd > 0 && cwnd <= 4_194_304));
    assert.ok(seen.every(({ windowForGuest }) => windowForGuest <= 16_777_216));
    const { toGuest, toEngine } = world.plan;
    const last = seen.at(-1);
    assert.ok((last?.srtt ?? 0) >= toGuest.delay + toEngine.delay);
  });

  test("a handle whose flow has ended finds nothing", () => {
    assert.equal(engine.flowCount, 0);
    assert.equal(tcpHandle(engine, 0), undefined);
    assert.equal(readTcpFlow(engine, 1), undefined);
  });
});
