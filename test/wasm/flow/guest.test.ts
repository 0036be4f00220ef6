/**
 * Which of its addresses a guest gets connections from outside at, and how it is asked for while it
 * has not been heard of.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { readCounter } from "../../../src/engine/stats.ts";
import * as abi from "../../../wasm/abi.ts";
import { speak, strangers, syns } from "../../support/arrivals.ts";
import { type EngineWorld, GUEST, GUEST6, PEER } from "../../support/engine-harness.ts";

const MS = 1000;
const SECOND = 1_000_000;
const PEER6 = "2001:db8::80";
const STATIC = "10.0.2.50";
const STATIC6 = "fd10:0:2::50";

describe("flow/guest: addresses of the guest's own", () => {
  for (const [client, own, usual] of [
    [PEER, STATIC, GUEST],
    [PEER6, STATIC6, GUEST6],
  ] as const) {
    test(`${own}: one that was set by hand is learnt from what the guest says`, () => {
      const world = strangers();
      speak(world, own);
      world.inboundTcp(80, client);
      world.advance(0);
      assert.deepEqual(syns(world), [`${client} > ${own}`]);
    });

    test(`${own}: the configured address comes first while it answers`, () => {
      const world = strangers();
      speak(world, own, usual, own);
      world.inboundTcp(80, client);
      world.advance(0);
      assert.deepEqual(syns(world), [`${client} > ${usual}`]);
    });

    test(`${own}: the guest has moved there, the old address is silent`, () => {
      const world = strangers();
      speak(world, usual);
      world.advance(10 * SECOND);
      speak(world, own);
      world.inboundTcp(80, client);
      world.advance(SECOND);
      assert.deepEqual(syns(world), [`${client} > ${usual}`, `${client} > ${own}`]);
      world.inboundTcp(80, client, 50001);
      world.advance(0);
      assert.deepEqual(syns(world), [`${client} > ${own}`], "the next one at once");
    });

    test(`${own}: not heard of for so long that it is forgotten, it is asked for`, () => {
      const world = strangers();
      speak(world, own);
      for (let i = 0; i < 1300; i += 1) world.advance(SECOND);
      world.take();
      world.inboundTcp(80, client);
      world.advance(0);
      speak(world, own);
      world.advance(100 * MS);
      assert.deepEqual(syns(world), [`${client} > ${own}`]);
    });
  }

  test("a guest that claims many addresses keeps its connections at one", () => {
    const world = strangers();
    speak(world, STATIC);
    world.inboundTcp(80, PEER);
    for (let i = 0; i < 8; i += 1) {
      speak(world, `10.0.2.${60 + i}`, STATIC);
      world.inboundTcp(80, PEER, 50001 + i);
    }
    world.advance(0);
    assert.deepEqual([...new Set(syns(world))], [`${PEER} > ${STATIC}`]);
  });
});

describe("flow/guest: asking for one", () => {
  function asking(world: EngineWorld, on: boolean): void {
    const at = (world.engine.bases.config + abi.CONFIG_FLAGS_OFFSET) >> 2;
    const flags = world.engine.words[at] ?? 0;
    const bit = abi.CONFIG_FLAG_ASK_GUEST;
    world.engine.words[at] = on ? flags | bit : flags & ~bit;
  }

  test("both versions at once, every second, then every five; not when unwanted", () => {
    const world = strangers();
    world.advance(10 * SECOND);
    assert.equal(readCounter(world.engine, "arpRequests"), 0);
    asking(world, true);
    world.advance(1);
    assert.equal(readCounter(world.engine, "arpRequests"), 1);
    assert.equal(readCounter(world.engine, "ndpRequests"), 1);
    for (let i = 0; i < 9; i += 1) world.advance(SECOND);
    assert.equal(readCounter(world.engine, "arpRequests"), 10);
    for (let i = 0; i < 20; i += 1) world.advance(SECOND);
    assert.equal(readCounter(world.engine, "arpRequests"), 14);
    asking(world, false);
    for (let i = 0; i < 20; i += 1) world.advance(SECOND);
    assert.equal(readCounter(world.engine, "arpRequests"), 14);
  });

  test("what the guest says from an address of the link is counted, link-local is not", () => {
    const world = strangers();
    const heard = (): number =>
      world.engine.view.getUint32(world.engine.bases.control + abi.CONTROL_HEARD_OFFSET, true);
    assert.equal(heard(), 0);
    speak(world, "fe80::5054:ff:fe12:3456");
    assert.equal(heard(), 0);
    speak(world, GUEST);
    assert.equal(heard(), 1);
    speak(world, STATIC6);
    assert.equal(heard(), 2);
  });
});
