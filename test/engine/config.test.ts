/**
 * The engine's configuration record. Goal: each value lands at the offset `wasm/abi.ts` gives it,
 * nothing else is touched, and nothing is written when a value does not fit.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import {
  type EngineConfigValues,
  encodeEngineConfig,
  encodeResolvers,
} from "../../src/engine/config.ts";
import * as abi from "../../wasm/abi.ts";

const BASE = 64;
const POISON = 0xa5;
const POISON_WORD = 0xa5a5a5a5;
const SEED = Array.from({ length: 32 }, (_, index) => index + 1);

const VALUES: EngineConfigValues = {
  guestAddress: 0xf0000001,
  gatewayAddress: 0xf0000002,
  dnsAddress: 0xf0000003,
  prefixLength: 24,
  mtu: 65520,
  hostLoopback: true,
  dhcp: false,
  dns: true,
  strictFilter: false,
  flowsMax: 300,
  chunksMax: 400,
  vnetSize: 10,
  linkFlags: abi.LINK_CSUM | abi.LINK_RX_TSO,
  linkQueue: 500,
  gatewayMac: [1, 2, 3, 4, 5, 6],
  guestMac: Uint8Array.of(7, 8, 9, 10, 11, 12),
  seed: SEED,
  leaseSeconds: 600,
  udpTimeoutSeconds: 700,
  tcpIdleSeconds: 800,
  keepaliveSeconds: 900,
  resolvers: [0x01010101, 0xfefefefe],
  dhcpOptions: Uint8Array.of(12, 2, 0x76, 0x6d),
  dhcpServerAddress: 0x7f000001,
};

function poisoned(): DataView {
  return new DataView(new Uint8Array(BASE + abi.CONFIG_SIZE + 64).fill(POISON).buffer);
}

describe("encodeEngineConfig", () => {
  const view = poisoned();
  encodeEngineConfig(view, BASE, VALUES);
  const word = (offset: number): number => view.getUint32(BASE + offset, true);
  const octets = (offset: number, size: number): number[] => [
    ...new Uint8Array(view.buffer, BASE + offset, size),
  ];

  const words: readonly (readonly [string, number, number])[] = [
    ["guest address", abi.CONFIG_GUEST_ADDRESS_OFFSET, 0xf0000001],
    ["gateway address", abi.CONFIG_GATEWAY_ADDRESS_OFFSET, 0xf0000002],
    ["DNS address", abi.CONFIG_DNS_ADDRESS_OFFSET, 0xf0000003],
    ["prefix length", abi.CONFIG_PREFIX_LENGTH_OFFSET, 24],
    ["MTU", abi.CONFIG_MTU_OFFSET, 65520],
    ["flags", abi.CONFIG_FLAGS_OFFSET, abi.CONFIG_FLAG_HOST_LOOPBACK | abi.CONFIG_FLAG_DNS],
    ["flows", abi.CONFIG_FLOWS_MAX_OFFSET, 300],
    ["chunks", abi.CONFIG_CHUNKS_MAX_OFFSET, 400],
    ["vnet size", abi.CONFIG_VNET_SIZE_OFFSET, 10],
    ["link flags", abi.CONFIG_LINK_FLAGS_OFFSET, 9],
    ["link queue", abi.CONFIG_LINK_QUEUE_OFFSET, 500],
    ["lease", abi.CONFIG_LEASE_SECONDS_OFFSET, 600],
    ["UDP timeout", abi.CONFIG_UDP_TIMEOUT_SECONDS_OFFSET, 700],
    ["TCP idle time", abi.CONFIG_TCP_IDLE_SECONDS_OFFSET, 800],
    ["keepalive", abi.CONFIG_KEEPALIVE_SECONDS_OFFSET, 900],
    ["resolver count", abi.CONFIG_RESOLVERS_COUNT_OFFSET, 2],
    ["first resolver", abi.CONFIG_RESOLVERS_OFFSET, 0x01010101],
    ["second resolver", abi.CONFIG_RESOLVERS_OFFSET + 4, 0xfefefefe],
    ["no third resolver", abi.CONFIG_RESOLVERS_OFFSET + 8, 0],
    ["DHCP options' length", abi.CONFIG_DHCP_OPTIONS_LENGTH_OFFSET, 4],
    ["siaddr", abi.CONFIG_DHCP_SIADDR_OFFSET, 0x7f000001],
    ["no boot files", abi.CONFIG_BOOT_LENGTH_OFFSET, 0],
    ["host base, low half, left alone", abi.CONFIG_HOST_BASE_LO_OFFSET, POISON_WORD],
    ["host base, high half, left alone", abi.CONFIG_HOST_BASE_HI_OFFSET, POISON_WORD],
  ];
  for (const [what, offset, value] of words) {
    test(what, () => {
      assert.equal(word(offset), value >>> 0);
    });
  }

  test("octet strings, as on the wire", () => {
    assert.deepEqual(octets(abi.CONFIG_GATEWAY_MAC_OFFSET, 6), [1, 2, 3, 4, 5, 6]);
    assert.deepEqual(octets(abi.CONFIG_GUEST_MAC_OFFSET, 6), [7, 8, 9, 10, 11, 12]);
    assert.deepEqual(octets(abi.CONFIG_SEED_OFFSET, 32), SEED);
    assert.deepEqual(octets(abi.CONFIG_DHCP_OPTIONS_OFFSET, 4), [12, 2, 0x76, 0x6d]);
  });

  test("nothing outside the record", () => {
    const all = new Uint8Array(view.buffer);
    assert.ok(all.subarray(0, BASE).every((octet) => octet === POISON));
    assert.ok(all.subarray(BASE + abi.CONFIG_SIZE).every((octet) => octet === POISON));
  });

  test("counts from the view's own start", () => {
    const buffer = new Uint8Array(32 + abi.CONFIG_SIZE).buffer;
    encodeEngineConfig(new DataView(buffer, 32), 0, VALUES);
    assert.equal(new Uint8Array(buffer)[32 + abi.CONFIG_SEED_OFFSET], 1);
  });

  const refused: readonly (readonly [string, Partial<EngineConfigValues>])[] = [
    ["more flows than slots", { flowsMax: abi.FLOW_CAPACITY_COUNT + 1 }],
    ["more chunks than there are", { chunksMax: abi.CHUNK_CAPACITY_COUNT + 1 }],
    ["part of a chunk", { chunksMax: 1.5 }],
    ["a negative time", { keepaliveSeconds: -1 }],
    ["an address over 32 bits", { guestAddress: 2 ** 32 }],
    ["a short seed", { seed: [1] }],
    ["a short MAC", { gatewayMac: [1, 2, 3] }],
    ["too many resolvers", { resolvers: [1, 2, 3, 4] }],
    ["too many DHCP options", { dhcpOptions: new Uint8Array(abi.DHCP_OPTIONS_SIZE + 1) }],
  ];
  for (const [what, wrong] of refused) {
    test(`refuses ${what} and writes nothing`, () => {
      const untouched = poisoned();
      assert.throws(() => encodeEngineConfig(untouched, BASE, { ...VALUES, ...wrong }), RangeError);
      assert.ok(new Uint8Array(untouched.buffer).every((octet) => octet === POISON));
    });
  }
});

test("encodeResolvers replaces all resolvers", () => {
  const view = poisoned();
  encodeEngineConfig(view, BASE, VALUES);
  encodeResolvers(view, BASE, [7]);
  assert.equal(view.getUint32(BASE + abi.CONFIG_RESOLVERS_COUNT_OFFSET, true), 1);
  assert.equal(view.getUint32(BASE + abi.CONFIG_RESOLVERS_OFFSET, true), 7);
  assert.equal(view.getUint32(BASE + abi.CONFIG_RESOLVERS_OFFSET + 4, true), 0);
  assert.throws(() => encodeResolvers(view, BASE, [1, 2, 3, 4]), RangeError);
});
