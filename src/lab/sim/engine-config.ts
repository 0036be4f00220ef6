/** The engine's configuration in a run: QEMU's addresses, limits by plan, a seed of its own. */
import * as abi from "../../../wasm/abi.ts";
import type { EngineConfigValues } from "../../engine/config.ts";
import { RESOLVERS } from "./host/host.ts";
import { VNET_SIZE } from "./nic.ts";
import type { Plan } from "./plan.ts";
import { Random } from "./random.ts";

const GUEST_ADDRESS = 0x0a00020f;
const GATEWAY_ADDRESS = 0x0a000202;
const DNS_ADDRESS = 0x0a000203;
const GATEWAY_MAC = [0x52, 0x55, 0x0a, 0x00, 0x02, 0x02];
const LEASE_SECONDS = 3600;
const ENGINE_OFFLOADS = abi.LINK_CSUM | abi.LINK_TSO4 | abi.LINK_USO | abi.LINK_RX_TSO;

const STREAM_FIRST = 4;
/** Each engine has a seed of its own, as each worker has. */
const STREAM_RESTARTED = 1000;

/** @param life how many engines have been before */
export function engineConfig(plan: Plan, life = 0): EngineConfigValues {
  const { limits } = plan;
  const random = new Random(plan.seed, life === 0 ? STREAM_FIRST : STREAM_RESTARTED + life);
  return {
    guestAddress: GUEST_ADDRESS,
    gatewayAddress: GATEWAY_ADDRESS,
    dnsAddress: DNS_ADDRESS,
    prefixLength: 24,
    mtu: limits.mtu,
    hostLoopback: false,
    dhcp: true,
    dns: true,
    strictFilter: limits.strictFilter,
    flowsMax: limits.flowsMax,
    chunksMax: limits.chunksMax,
    vnetSize: limits.offloads ? VNET_SIZE : 0,
    linkFlags: limits.offloads ? ENGINE_OFFLOADS : 0,
    linkQueue: limits.queueFrames,
    gatewayMac: GATEWAY_MAC,
    guestMac: new Uint8Array(6),
    seed: Uint8Array.from({ length: 32 }, () => random.below(256)),
    leaseSeconds: LEASE_SECONDS,
    udpTimeoutSeconds: limits.udpTimeoutSeconds,
    tcpIdleSeconds: limits.tcpIdleSeconds,
    keepaliveSeconds: limits.keepaliveSeconds,
    resolvers: RESOLVERS,
    dhcpOptions: new Uint8Array(0),
    dhcpServerAddress: 0,
  };
}
