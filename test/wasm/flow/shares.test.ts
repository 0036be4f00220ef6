/** Who finds a slot when slots are short, and who gives way. */

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { flowsOf } from "../../../src/engine/flows.ts";
import { arrive, crowd } from "../../support/arrivals.ts";
import { EngineWorld } from "../../support/engine-harness.ts";
import { DNS, PEER } from "../../support/engine-settings.ts";
import { TcpGuest } from "../../support/tcp-guest.ts";

/** Kept: 16 for the guest's connections, 4 from outside, 8 for UDP and ping, 4 for DNS. */
const FLOWS = 64;
const STRANGER = "192.0.2.66";
const SECOND = 1_000_000;

/** Connections the guest opens to one address, those that are established. */
function opened(world: EngineWorld, count: number, first = 40_000): TcpGuest[] {
  return Array.from(
    { length: count },
    (_, i) => new TcpGuest(world, { port: first + i, peerPort: 1 + i }),
  ).filter((guest) => {
    guest.send({ flags: "S" });
    const answer = world.take().findLast((frame) => frame.kind === "tcp");
    if (answer?.kind !== "tcp" || !answer.flags.includes("S")) return false;
    guest.irs = answer.seq;
    guest.wanted = 1;
    guest.send();
    return true;
  });
}

function ask(world: EngineWorld, count: number): void {
  for (let i = 0; i < count; i += 1) {
    world.guest(world.udp({ to: DNS, port: 53, from: 2000 + i }, query(i)));
  }
}

/** A question for the address of "a". */
function query(id: number): Uint8Array {
  return Uint8Array.of(id >> 8, id, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1, 97, 0, 0, 1, 0, 1);
}

function count(world: EngineWorld, kind: string): number {
  return flowsOf(world.engine).filter((flow) => flow.kind === kind).length;
}

describe("wasm/flow/shares", () => {
  test("a crowd from outside has half of the table, and guest, UDP and DNS have theirs", () => {
    const world = new EngineWorld({ flowsMax: FLOWS });
    assert.equal(crowd(world, STRANGER, 40).length, FLOWS / 2);
    assert.equal(world.stats.outsideRefused, 8);
    assert.equal(opened(world, 16).length, 16);
    for (let i = 0; i < 8; i += 1) {
      world.guest(world.udp({ to: PEER, port: 9, from: 3000 + i }, "x"));
    }
    ask(world, 4);
    assert.equal(count(world, "udp"), 8);
    assert.equal(count(world, "dns"), 4);
    assert.equal(world.stats.tcpGaveWay, 0);
    world.checkBalance();
  });

  test("the guest's crowd leaves published ports, UDP and DNS the slots kept for them", () => {
    const world = new EngineWorld({ flowsMax: FLOWS });
    assert.equal(opened(world, FLOWS).length, FLOWS - 16);
    assert.equal(crowd(world, STRANGER, 4).length, 4);
    ask(world, 4);
    assert.equal(count(world, "dns"), 4);
    assert.equal(world.stats.tcpGaveWay, 0);
    world.checkBalance();
  });

  test("UDP ports in masses leave connections their slots, the oldest port gives way", () => {
    const world = new EngineWorld({ flowsMax: FLOWS });
    for (let i = 0; i < 200; i += 1) {
      world.guest(world.udp({ to: PEER, port: 9, from: 3000 + i }, "x"));
    }
    assert.equal(count(world, "udp"), FLOWS - 24);
    assert.equal(opened(world, 16).length, 16);
    assert.equal(world.stats.udpEvicted, 200 - (FLOWS - 24));
    // One connection more than is kept: UDP is furthest beyond its own.
    assert.equal(opened(world, 1, 50_000).length, 1);
    assert.equal(count(world, "udp"), FLOWS - 25);
  });

  test("the share furthest beyond what is kept for it gives way, by a reset on both sides", () => {
    const world = new EngineWorld({ flowsMax: FLOWS });
    const strangers = crowd(world, STRANGER, 32);
    world.advance(11 * SECOND);
    assert.equal(opened(world, 20).length, 20);
    world.take();
    new TcpGuest(world, { port: 50_000 }).send({ flags: "S" });
    assert.equal(world.stats.tcpGaveWay, 1);
    const [first] = strangers;
    assert.equal(first?.socket.closed, "abort");
    const reset = world.take().find((frame) => frame.kind === "tcp" && frame.flags.includes("R"));
    assert.ok(reset?.kind === "tcp" && reset.sourcePort === 1000 && reset.destinationPort === 80);
    world.checkBalance();
  });

  test("nobody who has lately got anywhere gives way to another share", () => {
    const world = new EngineWorld({ flowsMax: FLOWS });
    crowd(world, STRANGER, 32);
    assert.equal(opened(world, 20).length, 20);
    new TcpGuest(world, { port: 50_000 }).send({ flags: "S" });
    assert.equal(world.stats.tcpGaveWay, 0);
    assert.equal(world.stats.dropTcpTableFull, 1);
  });

  test("TIME-WAIT gives way to everybody before anyone else does", () => {
    const world = new EngineWorld({ flowsMax: FLOWS });
    for (const guest of opened(world, 30)) {
      guest.socket.end();
      world.take();
      guest.wanted = 2;
      guest.send({ flags: "FA" });
      world.take();
    }
    assert.equal(flowsOf(world.engine).filter(({ state }) => state === "TIME_WAIT").length, 30);
    assert.equal(crowd(world, STRANGER, 32).length, 32);
    assert.equal(world.stats.tcpGaveWay, 0);
    assert.ok(world.stats.timeWaitEvicted > 0);
  });

  test("half-open connections of the guest do not push out what comes from outside", () => {
    const world = new EngineWorld({ flowsMax: FLOWS });
    assert.equal(crowd(world, STRANGER, 8).length, 8);
    world.host.connect = () => "pending";
    for (let i = 0; i < 500; i += 1) {
      new TcpGuest(world, { port: 40_000 + i }).send({ flags: "S" });
    }
    assert.equal(world.stats.tcpGaveWay, 0);
    assert.ok(world.stats.halfOpenEvicted >= 500 - FLOWS / 4);
    assert.ok(arrive(world, STRANGER, 5000) !== undefined);
    world.advance(200 * SECOND);
    world.checkBalance();
  });
});
