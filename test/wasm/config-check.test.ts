/**
 * A configuration that makes no sense is refused by the engine itself, whoever wrote it; each bound
 * is met from both sides. The octets are changed, past the checks of `src/engine/config.ts`.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { encodeEngineConfig } from "../../src/engine/config.ts";
import { instantiateEngine } from "../../src/engine/instance.ts";
import * as abi from "../../wasm/abi.ts";
import { checkedEngine } from "../support/engine-binary.ts";
import { IPV6, type WorldOptions, worldConfig } from "../support/engine-settings.ts";

type Change = (view: DataView, config: number) => void;

const { functions, memory, regions } = instantiateEngine(checkedEngine());

/** What `init` says of a configuration that was changed. */
function initResult(change: Change, options: WorldOptions = {}): number {
  const view = new DataView(memory.buffer);
  const { base, size } = regions[abi.REGION_CONFIG] ?? assert.fail("no such region");
  new Uint8Array(memory.buffer, base, size).fill(0);
  encodeEngineConfig(view, base, worldConfig(options));
  change(view, base);
  return functions.init();
}

function word(offset: number, value: number): Change {
  return (view, config) => view.setUint32(config + offset, value, true);
}

/** A length, and the octets that it is of. */
function list(lengthOffset: number, offset: number, octets: readonly number[], length?: number) {
  return (view: DataView, config: number): void => {
    view.setUint32(config + lengthOffset, length ?? octets.length, true);
    for (const [i, octet] of octets.entries()) view.setUint8(config + offset + i, octet);
  };
}

/** A list of what to boot: 2 octets of kind, 2 of length, the most significant first, and text. */
function entry(size: number): number[] {
  return [0, 1, size >> 8, size & 0xff, ...new Array<number>(size).fill(0x61)];
}

describe("wasm/config-check", () => {
  const fields: readonly (readonly [string, number, readonly number[], readonly number[]])[] = [
    ["MTU", abi.CONFIG_MTU_OFFSET, [576, 65535], [0, 575, 65536, 0xffffffff]],
    ["size of the offload header", abi.CONFIG_VNET_SIZE_OFFSET, [0, 10, 12], [1, 9, 11, 13]],
    [
      "octets of DHCP options",
      abi.CONFIG_DHCP_OPTIONS_LENGTH_OFFSET,
      [0, abi.DHCP_OPTIONS_SIZE],
      [abi.DHCP_OPTIONS_SIZE + 1, 0xffffffff],
    ],
    [
      "resolvers",
      abi.CONFIG_RESOLVERS_COUNT_OFFSET,
      [0, abi.RESOLVER_COUNT],
      [abi.RESOLVER_COUNT + 1, 0xffffffff],
    ],
  ];
  for (const [name, offset, right, wrong] of fields) {
    test(`${name}: ${right.join(", ")} and no ${wrong.join(", ")}`, () => {
      for (const value of right) assert.equal(initResult(word(offset, value)), 0, `${value}`);
      for (const value of wrong) assert.equal(initResult(word(offset, value)), -1, `${value}`);
    });
  }

  for (const [name, length, octets] of [
    ["IPv4", abi.CONFIG_BOOT_LENGTH_OFFSET, abi.CONFIG_BOOT_OFFSET],
    ["IPv6", abi.CONFIG_BOOT6_LENGTH_OFFSET, abi.CONFIG_BOOT6_OFFSET],
  ] as const) {
    test(`what to boot by ${name} is whole entries, none of them empty`, () => {
      const most = [...entry(255), ...entry(255), ...entry(502)];
      assert.equal(most.length, abi.BOOT_SIZE);
      for (const right of [[], entry(1), [...entry(3), ...entry(300)], most]) {
        assert.equal(initResult(list(length, octets, right)), 0, `${right.length} octets`);
      }
      const wrong = [entry(0), [...entry(3), 0, 1, 0], entry(5).slice(0, -1), [...entry(1), 9]];
      for (const each of wrong) assert.equal(initResult(list(length, octets, each)), -1);
      const beyond = list(length, octets, [0, 1, 0x03, 0xfd], abi.BOOT_SIZE + 1);
      assert.equal(initResult(beyond), -1);
    });
  }

  test("DHCPv6 options fill their length, with IPv6 and without", () => {
    const options = (octets: readonly number[], length?: number): Change => {
      const { CONFIG_DHCP6_OPTIONS_LENGTH_OFFSET: at, CONFIG_DHCP6_OPTIONS_OFFSET: from } = abi;
      return list(at, from, octets, length);
    };
    for (const world of [{}, { ipv6: IPV6 }]) {
      assert.equal(initResult(options([0, 23, 0, 2, 7, 7]), world), 0);
      assert.equal(initResult(options([0, 23, 0, 2, 7]), world), -1);
      assert.equal(initResult(options([0, 23, 0]), world), -1);
      assert.equal(initResult(options([0, 23, 0x03, 0xfc], abi.DHCP_OPTIONS_SIZE), world), 0);
      assert.equal(initResult(options([0, 23, 0x03, 0xfd], abi.DHCP_OPTIONS_SIZE + 1), world), -1);
    }
  });

  test("with IPv6 the MTU is 1280 at least and the prefix 126 bits at most", () => {
    const prefix = (bits: number): Change => word(abi.CONFIG_PREFIX6_LENGTH_OFFSET, bits);
    const mtu = (octets: number): Change => word(abi.CONFIG_MTU_OFFSET, octets);
    const served = { ipv6: IPV6 };
    assert.deepEqual(
      [prefix(126), prefix(127), mtu(1280), mtu(1279)].map((each) => initResult(each, served)),
      [0, -1, 0, -1],
    );
    assert.deepEqual(
      [prefix(127), mtu(1279)].map((each) => initResult(each)),
      [0, 0],
    );
  });
});
