/** What follows from the features a guest has taken. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import {
  acknowledges,
  FEATURES,
  LINK_FLAGS_NONE,
  negotiated,
  PROTOCOL_FEATURES,
} from "../../../src/link/vhost-user/features.ts";
import {
  LINK_CSUM,
  LINK_RX_TSO,
  LINK_TSO4,
  LINK_TSO6,
  LINK_USO,
  LINK_USO6,
} from "../../../wasm/abi.ts";

/** Numbers of virtio 1.2 §5.1.3, §6 and of the protocol. */
const BITS = {
  ...{ csum: 0, guestCsum: 1, mtu: 3, guestTso4: 7, guestTso6: 8, hostTso4: 11, hostTso6: 12 },
  ...{ hostEcn: 13, mergeable: 15, announce: 21, logAll: 26, anyLayout: 27, indirect: 28 },
  ...{ eventIndex: 29, protocol: 30, version1: 32, guestUso4: 54, guestUso6: 55, hostUso: 56 },
};
const bit = (name: keyof typeof BITS): bigint => 1n << BigInt(BITS[name]);
const all = (numbers: readonly number[]): bigint =>
  numbers.reduce((sum, number) => sum | (1n << BigInt(number)), 0n);

describe("vhost-user features", () => {
  test("what is offered, bit for bit; no packed rings, several queues, UFO", () => {
    assert.equal(FEATURES, all(Object.values(BITS)));
    assert.equal(PROTOCOL_FEATURES, all([1, 2, 3, 4, 15]));
  });

  test("a legacy guest without anything", () => {
    assert.deepEqual(negotiated(0n), {
      headerSize: 10,
      isMergeable: false,
      hasEventIndex: false,
      hasIndirect: false,
      isLogging: false,
      hasProtocolFeatures: false,
      linkFlags: LINK_RX_TSO,
    });
    assert.equal(LINK_FLAGS_NONE, LINK_RX_TSO);
  });

  test("each feature alone changes its own thing", () => {
    assert.equal(negotiated(bit("version1")).headerSize, 12);
    assert.equal(negotiated(bit("mergeable")).headerSize, 12);
    assert.equal(negotiated(bit("mergeable")).isMergeable, true);
    assert.equal(negotiated(bit("version1")).isMergeable, false);
    assert.equal(negotiated(bit("eventIndex")).hasEventIndex, true);
    assert.equal(negotiated(bit("indirect")).hasIndirect, true);
    assert.equal(negotiated(bit("logAll")).isLogging, true);
    assert.equal(negotiated(bit("protocol")).hasProtocolFeatures, true);
  });

  test("offloads towards the guest are those it takes, and need checksums", () => {
    const flagsOf = (...names: (keyof typeof BITS)[]): number =>
      negotiated(names.reduce((sum, name) => sum | bit(name), 0n)).linkFlags & ~LINK_RX_TSO;
    assert.equal(flagsOf("guestTso4", "guestTso6", "guestUso4", "guestUso6"), 0);
    assert.equal(flagsOf("guestCsum"), LINK_CSUM);
    assert.equal(flagsOf("guestCsum", "guestTso4"), LINK_CSUM | LINK_TSO4);
    assert.equal(flagsOf("guestCsum", "guestTso6"), LINK_CSUM | LINK_TSO6);
    assert.equal(flagsOf("guestCsum", "guestUso4"), LINK_CSUM | LINK_USO);
    assert.equal(flagsOf("guestCsum", "guestUso6"), LINK_CSUM | LINK_USO6);
  });

  test("replies to everything are the protocol's bit 3", () => {
    assert.equal(acknowledges(1n << 3n), true);
    assert.equal(acknowledges(~(1n << 3n)), false);
  });
});
