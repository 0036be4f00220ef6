/**
 * The outer end of a link, as the main thread opens it: the tap, in the guest's namespace, or the
 * socket that QEMU is to connect to.
 */
import type { BindingOptions } from "../config/attach.ts";
import type { StreamEndpoint } from "../config/endpoint.ts";
import type { TapLinkSettings } from "../config/link.ts";
import type { NetworkOptions } from "../config/network.ts";
import type { Subnet6 } from "../config/subnet6.ts";
import { octetsOfIpv6 } from "../lib/addr6.ts";
import { openStreamListener } from "../link/stream-listener.ts";
import type { Libc } from "../sys/libc.ts";
import type { InterfaceSetup } from "../sys/netconfig.ts";
import { openTapInNamespace } from "../sys/netns.ts";
import { OFFLOADS_ALL } from "../sys/offloads.ts";
import type { TapRequest } from "../sys/tap-helper.ts";
import { HiddenPorts } from "../upstream/hidden-ports.ts";
import type { WorkerLink } from "./worker-messages.ts";

interface OuterEndNeeds {
  /** Command that runs the tap helper in another user namespace. */
  readonly helper: readonly string[];
  /** User whose program this is. */
  readonly uid: number;
}

/**
 * Whoever gets in hands over memory and descriptors: the owner alone, root aside, unless another
 * user was named, who gets in by the group and is asked who it is.
 */
const VHOST_USER_MODE = 0o600;

/** Of all links of this process. */
export const hiddenPorts = new HiddenPorts();

/** How a tap is made and configured. */
export function tapRequestOf(network: NetworkOptions, link: TapLinkSettings): TapRequest {
  const { name, vnet } = link;
  const tap = { name, vnetHeader: vnet, offloads: vnet ? OFFLOADS_ALL : 0 };
  return { tap, setup: setupOf(network, link) };
}

function setupOf(network: NetworkOptions, tap: TapLinkSettings): InterfaceSetup {
  if (!tap.configure) return {};
  const { mtu, subnet, subnet6, ipv4 } = network;
  const setup4 = {
    address: subnet.guest,
    prefixLength: subnet.prefixLength,
    gateway: subnet.gateway,
  };
  return {
    mtu,
    up: true,
    loopback: true,
    ...(ipv4 ? setup4 : {}),
    ...(subnet6 === undefined ? {} : { ipv6: ipv6Setup(subnet6) }),
  };
}

/** Set by hand as well as advertised, so that all works as soon as the tap is there. */
function ipv6Setup(subnet: Subnet6): NonNullable<InterfaceSetup["ipv6"]> {
  return {
    address: octetsOfIpv6(subnet.guest),
    prefixLength: subnet.prefixLength,
    gateway: octetsOfIpv6(subnet.gateway),
  };
}

/** The outer end of a link. */
export interface OuterEnd {
  readonly link: WorkerLink;
  readonly endpoint: StreamEndpoint | undefined;
  /** Takes away what stays with the main thread, once the worker has ended. To be called once. */
  close(): void;
}

/** @throws SystemError when the tap or the socket cannot be had */
export async function openOuterEnd(
  sys: Libc,
  options: BindingOptions,
  { helper, uid }: OuterEndNeeds,
): Promise<OuterEnd> {
  const { link } = options;
  if (link.kind !== "tap") {
    const { kind } = link;
    if (link.role === "connect") {
      const { endpoint } = link;
      return hiding({ link: { kind, at: { endpoint } }, endpoint, close: () => {} });
    }
    const isOwn = link.peerUids.every((each) => each === uid);
    const mode = kind === "vhost-user" && isOwn ? VHOST_USER_MODE : undefined;
    const listener = openStreamListener(sys, link.endpoint, mode);
    const { endpoint } = listener;
    const at = { listener: listener.fd };
    return hiding({ link: { kind, at }, endpoint, close: () => listener.close() });
  }
  const device = await openTapInNamespace(sys, {
    ...(link.netns === undefined ? {} : { namespace: link.netns }),
    ...tapRequestOf(options.network, link),
    helper,
  });
  return { link: { kind: "tap", device }, endpoint: undefined, close: () => {} };
}

/** Keeps a loopback port from all guests of this process, until the answer is called. */
export function hidePort(port: number): () => void {
  hiddenPorts.add(port);
  return () => hiddenPorts.remove(port);
}

/** Keeps the link's port from all guests of this process until it is closed. */
function hiding(outer: OuterEnd): OuterEnd {
  const { endpoint } = outer;
  if (endpoint?.kind !== "tcp") return outer;
  const unhide = hidePort(endpoint.port);
  const close = (): void => {
    outer.close();
    unhide();
  };
  return { ...outer, close };
}
