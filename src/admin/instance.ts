/** What program this is, and which networks it has. */
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import type { RunningNetwork } from "../binding/networks.ts";
import { formatEndpoint } from "../config/endpoint.ts";
import type { NetworkOptions } from "../config/network.ts";
import { formatIpv4, formatMac } from "../lib/addr.ts";
import { formatIpv6 } from "../lib/addr6.ts";
import { askAll } from "../metrics/networks.ts";
import {
  type GetInstanceResponse,
  GetInstanceResponseSchema,
  type NetworkSchema,
} from "./gen/slirp_binding/admin/v1/admin_pb.js";
import type { AdminProgram } from "./program.ts";

type NetworkShape = MessageInitShape<typeof NetworkSchema>;

export async function getInstance(program: AdminProgram): Promise<GetInstanceResponse> {
  const { name, version, pid, command, started } = program;
  const networks = program.networks();
  const answers = await askAll(networks);
  return create(GetInstanceResponseSchema, {
    name,
    version,
    pid,
    command,
    startedUs: BigInt(started),
    networks: networks.map((network, i) => viewNetwork(network, answers[i]?.isUp === true)),
  });
}

function viewNetwork({ name, options, binding }: RunningNetwork, isUp: boolean): NetworkShape {
  const { link, network } = options;
  const { counters, meters, endpoint } = binding;
  const place = link.kind === "tap" ? link.name : formatEndpoint(endpoint ?? link.endpoint);
  return {
    name,
    link: link.kind,
    endpoint: place,
    // Whoever has a tap is not known to be there; its namespace is.
    hasGuest: link.kind === "tap" || counters.peers.hasPeer,
    mtu: network.mtu,
    ...addresses4(network),
    ...addresses6(network),
    isUp,
    engineFailures: counters.failures,
    gatewayMac: formatMac(Uint8Array.from(network.gatewayMac)),
    flowsMax: meters?.flowsLimit ?? 0,
  };
}

function addresses4({ ipv4, subnet }: NetworkOptions): NetworkShape {
  if (!ipv4) return {};
  return {
    subnet: `${formatIpv4(subnet.network)}/${subnet.prefixLength}`,
    gateway: formatIpv4(subnet.gateway),
    guestAddress: formatIpv4(subnet.guest),
    dnsAddress: formatIpv4(subnet.dns),
  };
}

function addresses6({ subnet6 }: NetworkOptions): NetworkShape {
  if (subnet6 === undefined) return {};
  return {
    subnet6: `${formatIpv6(subnet6.network)}/${subnet6.prefixLength}`,
    gateway6: formatIpv6(subnet6.gateway),
    guestAddress6: formatIpv6(subnet6.guest),
    dnsAddress6: formatIpv6(subnet6.dns),
  };
}
