/** A connection's windows and round trip, as a run's own checks and its guest know them. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { HostEngine } from "../../src/engine/host-engine.ts";
import { loadEngine } from "../../src/engine/instance.ts";
import { readTcpFlow, type TcpFlow, tcpHandle } from "../../src/engine/tcp-flow.ts";
import { planFromSeed } from "../../src/lab/sim/scenario.ts";
import { simulatedEngine } from "../../src/lab/sim/simulated-engine.ts";
import { World } from "../../src/lab/sim/world.ts";
import * as abi from "../../wasm/abi.ts";
import { tinyEngine } from "../support/tiny-wasm.ts";

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

describe("TCP flow record, field by field", () => {
  const SLOT = 5;
  const HANDLE = 0xfedc * 2 ** abi.HANDLE_SLOT_BITS + SLOT;

  /** A record of TCP in one slot of an engine that has not started. */
  function record(kind: number = abi.KIND_TCP) {
    const engine = new HostEngine(loadEngine(tinyEngine()));
    const { view } = engine;
    const base = engine.bases.flows + SLOT * abi.FLOW_SIZE;
    const word = (offset: number, value: number) => view.setUint32(base + offset, value, true);
    view.setUint8(base + abi.FLOW_KIND_OFFSET, kind);
    view.setUint8(base + abi.FLOW_STATE_OFFSET, abi.STATE_CLOSE_WAIT);
    view.setUint16(base + abi.FLOW_GENERATION_OFFSET, 0xfedc, true);
    view.setUint16(base + abi.FLOW_GUEST_PORT_OFFSET, 0xf001, true);
    word(abi.FLOW_PEER_ADDRESS_OFFSET, 0xf0000002);
    view.setUint16(base + abi.FLOW_PEER_PORT_OFFSET, 0xf003, true);
    view.setBigUint64(base + abi.FLOW_BYTES_TO_HOST_OFFSET, 2n ** 40n + 6n, true);
    view.setBigUint64(base + abi.FLOW_BYTES_TO_GUEST_OFFSET, 2n ** 41n + 7n, true);
    word(abi.FLOW_TCP_CWND_OFFSET, 14_480);
    word(abi.FLOW_TCP_SSTHRESH_OFFSET, 7240);
    word(abi.FLOW_TCP_SND_UNA_OFFSET, 0xfffffff0);
    word(abi.FLOW_TCP_SND_MAX_OFFSET, 0x10);
    word(abi.FLOW_TCP_SND_WINDOW_OFFSET, 65_535);
    word(abi.FLOW_TCP_RCV_ACK_OFFSET, 0xffffff00);
    word(abi.FLOW_TCP_RCV_EDGE_OFFSET, 0x200);
    word(abi.FLOW_TCP_HELD_COUNT_OFFSET, 8);
    word(abi.FLOW_TCP_SEND_COUNT_OFFSET, 9);
    word(abi.FLOW_TCP_SRTT_OFFSET, 1234);
    return { engine, word };
  }

  test("each has its place; spans go over the end of sequence numbers", () => {
    const { engine, word } = record();
    assert.equal(tcpHandle(engine, SLOT), HANDLE);
    assert.deepEqual(readTcpFlow(engine, HANDLE), {
      state: "CLOSE_WAIT",
      guestPort: 0xf001,
      peerAddress: 0xf0000002,
      peerPort: 0xf003,
      bytesToHost: 2 ** 40 + 6,
      bytesToGuest: 2 ** 41 + 7,
      cwnd: 14_480,
      ssthresh: 7240,
      inFlight: 0x20,
      windowOfGuest: 65_535,
      windowForGuest: 0x300,
      held: 8,
      sending: 9,
      srtt: 1234,
    });
    word(abi.FLOW_TCP_SSTHRESH_OFFSET, 0x7fffffff);
    assert.equal(readTcpFlow(engine, HANDLE)?.ssthresh, undefined);
    word(abi.FLOW_TCP_SSTHRESH_OFFSET, 0x7ffffffe);
    assert.equal(readTcpFlow(engine, HANDLE)?.ssthresh, 0x7ffffffe);
  });

  test("another generation, slot or kind is not that connection", () => {
    const { engine } = record();
    assert.equal(readTcpFlow(engine, HANDLE - 2 ** abi.HANDLE_SLOT_BITS), undefined);
    assert.equal(readTcpFlow(engine, HANDLE + 1), undefined);
    const udp = record(abi.KIND_UDP);
    assert.equal(tcpHandle(udp.engine, SLOT), undefined);
    assert.equal(readTcpFlow(udp.engine, HANDLE), undefined);
  });
});
