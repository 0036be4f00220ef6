/** The configuration that an epoch of the fuzzer draws for its engine. */
import * as abi from "../../wasm/abi.ts";
import { groups, IPV6, type WorldOptions } from "../support/engine-settings.ts";
import { ip } from "../support/packet.ts";
import type { Random } from "./random.ts";

/** Three, so that queries move on; one of IPv6. */
const RESOLVERS = [
  ip("198.18.0.53"),
  { groups: groups("2001:db8::53"), scope: 0 },
  ip("198.18.0.54"),
];

/** Segmentation offload comes with checksum offload only (virtio 1.2 §5.1.3.1). */
const LINK_FLAGS = [
  0,
  abi.LINK_CSUM,
  abi.LINK_RX_TSO,
  abi.LINK_CSUM | abi.LINK_TSO4,
  abi.LINK_CSUM | abi.LINK_USO | abi.LINK_RX_TSO,
  abi.LINK_CSUM | abi.LINK_TSO4 | abi.LINK_USO | abi.LINK_RX_TSO,
  abi.LINK_CSUM | abi.LINK_TSO6 | abi.LINK_USO6,
] as const;

export function epochOptions(random: Random, epoch: number): WorldOptions {
  const options = ipv4Options(random, epoch);
  const six = { ...IPV6, prefixLength: random.pick([120, 64, 8]) };
  const { mtu = 1500 } = options;
  // IPv6 wants an MTU of 1280; one epoch in four does without.
  return mtu < 1280 || random.oneIn(4) ? options : { ...options, ipv6: six };
}

function ipv4Options(random: Random, epoch: number): WorldOptions {
  const vnetSize = random.pick<0 | 10 | 12>([0, 0, 10, 10, 12]);
  return {
    variant: epoch % 2 === 0 ? "simd" : "scalar",
    seed: random.u32(),
    vnetSize,
    linkFlags: vnetSize === 0 ? 0 : random.pick(LINK_FLAGS),
    linkQueue: random.pick([0, 1, 64, 500]),
    mtu: random.pick([576, 1500, 1500, 9000, 65520]),
    flowsMax: random.pick([16, 64, 256, 4096]),
    chunksMax: random.pick([16, 64, 512]),
    strictFilter: random.oneIn(3),
    strictDf: random.oneIn(2),
    hostLoopback: random.oneIn(3),
    dhcp: !random.oneIn(4),
    dns: !random.oneIn(4),
    keepaliveSeconds: random.pick([0, 0, 60]),
    resolvers: random.oneIn(4) ? [] : RESOLVERS,
    ...(random.oneIn(4) ? { guestMac: new Uint8Array(6) } : {}),
    refusesHost: random.oneIn(2),
    refusesMetadata: random.oneIn(2),
    preservesUdpPorts: random.oneIn(2),
  };
}
