/**
 * What the tests of `wasm/flow` and `wasm/local` share: the module in both variants with a
 * configuration, frames in and out, counters, and the clock they all start from.
 */
import assert from "node:assert/strict";
import fc from "fast-check";
import * as abi from "../../wasm/abi.ts";
import { DNS, GATEWAY, GATEWAY_MAC, GUEST } from "./engine-settings.ts";
import type { Frame } from "./frame.ts";
import { ip, macOctets } from "./packet.ts";
import { decodeFrame } from "./packet-decode.ts";
import { loadTestModule, type TestModule, VARIANTS, type Variant } from "./wasm.ts";

export { DNS, GATEWAY, GATEWAY_MAC, GUEST, GUEST_MAC } from "./engine-settings.ts";

export const PEER = "198.51.100.7";

/** Microseconds. */
export const SECOND = 1_000_000n;
export const NOW = 5_000n * SECOND;

/** Every property of these tests starts from this seed; fast-check prints it with a failure. */
const SEED = 20250117;

export interface LocalConfig {
  readonly mtu: number;
  readonly prefixLength: number;
  readonly gateway: string;
  readonly dns: string;
  readonly guestMac: string | undefined;
  readonly leaseSeconds: number;
  readonly dhcp: boolean;
  readonly siaddr: string;
  readonly vnetSize: number;
  /** Option list of the DHCP server, as on the wire. */
  readonly dhcpOptions: Uint8Array;
}

const DEFAULTS: LocalConfig = {
  mtu: 1500,
  prefixLength: 24,
  gateway: GATEWAY,
  dns: DNS,
  guestMac: undefined,
  leaseSeconds: 86_400,
  dhcp: true,
  siaddr: "0.0.0.0",
  vnetSize: 0,
  dhcpOptions: new Uint8Array(0),
};

/** "52:54:00:12:34:56" as the engine counts it. */
export function mac(text: string): bigint {
  return macOctets(text).reduce((sum, octet) => sum * 256n + BigInt(octet), 0n);
}

export function checkProperty<Values>(property: fc.IProperty<Values>, runs = 200): void {
  fc.assert(property, { seed: SEED, numRuns: runs });
}

export class Local {
  readonly wasm: TestModule;
  #config = DEFAULTS;

  constructor(variant: Variant) {
    this.wasm = loadTestModule("local", variant);
  }

  /** Starts over: counters zero, nothing known, old frames replaced by poison. */
  reset(config: Partial<LocalConfig> = {}): void {
    const { wasm } = this;
    const all = { ...DEFAULTS, ...config };
    this.#config = all;
    const base = wasm.u32("configBase");
    const set = (offset: number, value: number): void => {
      wasm.view.setUint32(base + offset, value, true);
    };
    wasm.octets.fill(0, base, base + abi.CONFIG_SIZE);
    set(abi.CONFIG_GUEST_ADDRESS_OFFSET, ip(GUEST));
    set(abi.CONFIG_GATEWAY_ADDRESS_OFFSET, ip(all.gateway));
    set(abi.CONFIG_DNS_ADDRESS_OFFSET, ip(all.dns));
    set(abi.CONFIG_PREFIX_LENGTH_OFFSET, all.prefixLength);
    set(abi.CONFIG_MTU_OFFSET, all.mtu);
    set(abi.CONFIG_FLAGS_OFFSET, all.dhcp ? abi.CONFIG_FLAG_DHCP : 0);
    set(abi.CONFIG_LEASE_SECONDS_OFFSET, all.leaseSeconds);
    set(abi.CONFIG_VNET_SIZE_OFFSET, all.vnetSize);
    set(abi.CONFIG_DHCP_SIADDR_OFFSET, ip(all.siaddr));
    set(abi.CONFIG_DHCP_OPTIONS_LENGTH_OFFSET, all.dhcpOptions.length);
    wasm.write(base + abi.CONFIG_DHCP_OPTIONS_OFFSET, all.dhcpOptions);
    wasm.write(base + abi.CONFIG_GATEWAY_MAC_OFFSET, macOctets(GATEWAY_MAC));
    if (all.guestMac !== undefined) {
      wasm.write(base + abi.CONFIG_GUEST_MAC_OFFSET, macOctets(all.guestMac));
    }
    for (let i = 0; i < 8; i += 1) set(abi.CONFIG_SEED_OFFSET + 4 * i, 0x9e3779b9 * (i + 1));
    const stats = wasm.u32("statsBase");
    wasm.octets.fill(0, stats, stats + 8 * (abi.STAT_COUNT + abi.DROP_COUNT));
    wasm.poison(wasm.u32("txBuffers"), abi.TX_SLOT_SIZE * 64);
    wasm.run("init");
  }

  /** Copies octets to where frames of the guest lie, at offset `at`, and returns the address. */
  place(octets: Uint8Array, at = 0): number {
    return this.wasm.write(this.wasm.u32("rxBase") + at, octets);
  }

  /** All frames waiting for the guest, decoded, which checks every length and checksum. */
  frames(): Frame[] {
    const { mtu, vnetSize } = this.#config;
    return this.rawFrames().map((octets) => decodeFrame(octets, { vnetSize, mtu }));
  }

  /** The only frame waiting. */
  frame(): Frame {
    const [frame, ...others] = this.frames();
    if (frame === undefined || others.length > 0) assert.fail("wanted exactly one frame");
    return frame;
  }

  /** All frames waiting for the guest; the list is empty afterwards. */
  rawFrames(): Uint8Array[] {
    const { wasm } = this;
    const { view } = wasm;
    const frames: Uint8Array[] = [];
    for (let i = 0; i < wasm.i32("txCount"); i += 1) {
      const record = wasm.u32("txRecords") + i * abi.TX_RECORD_SIZE;
      const length = view.getUint32(record + abi.TX_LENGTH_OFFSET, true);
      const iov = view.getUint32(record + abi.TX_IOV_OFFSET, true);
      const frame = new Uint8Array(length);
      let at = 0;
      for (let j = 0; j < view.getUint32(record + abi.TX_IOV_COUNT_OFFSET, true); j += 1) {
        const piece = iov + j * abi.IOV_SIZE;
        const base = Number(view.getBigUint64(piece + abi.IOV_BASE_OFFSET, true));
        const size = Number(view.getBigUint64(piece + abi.IOV_LENGTH_OFFSET, true));
        frame.set(wasm.octets.subarray(base, base + size), at);
        at += size;
      }
      assert.equal(at, length, "the pieces of a frame add up to its length");
      frames.push(frame);
    }
    wasm.run("txReset");
    return frames;
  }

  /** Value of a counter, STAT_*. */
  stat(index: number): number {
    return Number(this.wasm.view.getBigUint64(this.wasm.u32("statsBase") + 8 * index, true));
  }

  /** How often each reason was counted: pairs of DROP_* and number, none that is zero. */
  drops(): [number, number][] {
    const counts = Array.from({ length: abi.DROP_COUNT }, (_, reason): [number, number] => [
      reason,
      this.stat(abi.STAT_COUNT + reason),
    ]);
    return counts.filter(([, times]) => times > 0);
  }
}

/** The module in each variant. */
export function locals(): readonly (readonly [Variant, Local])[] {
  return VARIANTS.map((variant) => [variant, new Local(variant)] as const);
}
