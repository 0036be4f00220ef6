/**
 * Where the guest is: at a tap, or at the other end of a stream socket or of a vhost-user one; and
 * who may be there.
 */

import {
  ENDPOINT_FORM,
  parseConnectEndpoint,
  parseListenEndpoint,
  parseUnixEndpoint,
  type StreamEndpoint,
  type UnixEndpoint,
} from "./endpoint.ts";
import { ConfigError } from "./errors.ts";
import { LINK } from "./headings.ts";
import { flag, negatedFlag, readGroup, value } from "./option.ts";
import { parsePath } from "./path.ts";
import { ATTACH_PEERS } from "./peers.ts";
import type { Settings } from "./settings.ts";

/** A tap interface: a network namespace, or whoever holds the tap, is the guest. */
export interface TapLinkSettings {
  readonly kind: "tap";
  /** Name of the interface, 1 to 15 characters. */
  readonly name: string;
  /**
   * Namespace the tap is in, by the id of a process in it or by a file, as a name is one, too;
   * undefined = the program's own.
   */
  readonly netns: number | string | undefined;
  /** Set address, route and link state of the tap for the guest's side. Only with `netns`. */
  readonly configure: boolean;
  /** Use the virtio-net header and its offloads. */
  readonly vnet: boolean;
}

/** A stream socket with QEMU at its other end. */
export interface StreamLinkSettings {
  readonly kind: "stream";
  readonly role: "listen" | "connect";
  readonly endpoint: StreamEndpoint;
  /** Users that may be at the other end, besides the program's own; at most 16. */
  readonly peerUids: readonly number[];
}

/** A vhost-user socket with a front end, as QEMU is one, at its other end. */
export interface VhostUserLinkSettings {
  readonly kind: "vhost-user";
  readonly role: "listen" | "connect";
  readonly endpoint: UnixEndpoint;
  /** As above. */
  readonly peerUids: readonly number[];
}

export type LinkSettings = TapLinkSettings | StreamLinkSettings | VhostUserLinkSettings;

/** PID_MAX_LIMIT of a 64-bit kernel. */
const PID_MAX = 4194304;
/** Where the names of network namespaces are; /var/run is a link to /run. */
const NETNS_FOLDER = "/run/netns";
const INTERFACE_NAME_SIZE_MAX = 15;

const TAP_ONLY = "it is for a tap only";
const NOT_WITH_STREAM = {
  listen: TAP_ONLY,
  connect: TAP_ONLY,
  "vhost-user": TAP_ONLY,
  "vhost-user-connect": TAP_ONLY,
};
/** Of which one is chosen. */
const LINK_NAMES = ["tap", "listen", "connect", "vhost-user", "vhost-user-connect"] as const;

export const LINK_OPTIONS = {
  tap: value({
    name: "tap",
    argument: "NAME",
    description: "tap interface, made if it does not exist",
    heading: LINK,
    parse: parseInterfaceName,
  }),
  listen: value({
    name: "listen",
    argument: ENDPOINT_FORM,
    description:
      "stream socket that QEMU connects to, one at a time (unix:@NAME is abstract; port 0 is any)",
    heading: LINK,
    parse: parseListenEndpoint,
  }),
  connect: value({
    name: "connect",
    argument: ENDPOINT_FORM,
    description: "stream socket that QEMU listens on; tried again until it does",
    heading: LINK,
    parse: parseConnectEndpoint,
  }),
  vhostUser: value({
    name: "vhost-user",
    argument: "PATH",
    description:
      "unix socket that a vhost-user front end (QEMU, libvirt, Cloud Hypervisor) connects to, " +
      "for a virtio card whose frames are taken from the guest's memory",
    heading: LINK,
    parse: parseUnixEndpoint,
  }),
  vhostUserConnect: value({
    name: "vhost-user-connect",
    argument: "PATH",
    description: "unix socket that a vhost-user front end listens on; tried again until it does",
    heading: LINK,
    parse: parseUnixEndpoint,
  }),
  netns: value({
    name: "netns",
    argument: "NAME|PATH|PID",
    description:
      'network namespace the tap is in, by name as "ip netns" has it, by file or by a process in ' +
      "it (default: own); it all ends when that is gone",
    heading: LINK,
    parse: parseNetns,
    conflicts: NOT_WITH_STREAM,
  }),
  configure: flag({
    name: "configure",
    description: "bring the tap up in that namespace with the guest's addresses and default routes",
    heading: LINK,
    conflicts: NOT_WITH_STREAM,
  }),
  vnet: negatedFlag({
    name: "no-vnet",
    description: "do without the virtio-net header and its offloads",
    heading: LINK,
    conflicts: NOT_WITH_STREAM,
  }),
  ...ATTACH_PEERS,
};

/** Reads the link, of which there is one. Throws `ConfigError`. */
export function readLink(settings: Settings): LinkSettings {
  const { tap, listen, connect, vhostUser, vhostUserConnect, peerUids, ...more } = readGroup(
    LINK_OPTIONS,
    settings,
  );
  const stream = (
    role: StreamLinkSettings["role"],
    endpoint: StreamEndpoint | undefined,
  ): LinkSettings[] =>
    endpoint === undefined ? [] : [{ kind: "stream", role, endpoint, peerUids }];
  const shared = (
    role: VhostUserLinkSettings["role"],
    endpoint: UnixEndpoint | undefined,
  ): LinkSettings[] =>
    endpoint === undefined ? [] : [{ kind: "vhost-user", role, endpoint, peerUids }];
  const [link, ...others] = [
    ...(tap === undefined ? [] : [{ kind: "tap" as const, name: tap, ...more }]),
    ...stream("listen", listen),
    ...stream("connect", connect),
    ...shared("listen", vhostUser),
    ...shared("connect", vhostUserConnect),
  ];
  if (link === undefined || others.length > 0) throw chooseOne(settings);
  if (link.kind === "tap" && link.configure && link.netns === undefined) {
    // It would change the very routes that our own sockets use.
    throw new ConfigError('add "--netns" to "--configure": our own namespace is left as it is');
  }
  return link;
}

function chooseOne(settings: Settings): ConfigError {
  const names = LINK_NAMES.filter((name) => settings.has(name));
  const origins = names.map((name) => settings.get(name)?.origin).join(" and ");
  const found = names.length === 0 ? "none" : origins;
  const choice = '"--tap", "--listen", "--connect" and "--vhost-user"';
  return new ConfigError(`choose one of ${choice}: ${found} given`);
}

/** The kernel's rules (no slash, colon or space; not a dot entry), less `%`, a pattern to it. */
function parseInterfaceName(text: string): string {
  const isName = /^[!-~]+$/.test(text) && !/[/:%]/.test(text) && text !== "." && text !== "..";
  if (!isName || text.length > INTERFACE_NAME_SIZE_MAX) {
    throw new ConfigError(
      `wanted an interface name of 1 to ${INTERFACE_NAME_SIZE_MAX} characters without "/:%"`,
    );
  }
  return text;
}

function parseNetns(text: string): number | string {
  if (text.includes("/")) return parsePath(text);
  if (!/^[0-9]+$/.test(text)) return namedNetns(text);
  const pid = Number(text);
  if (pid < 1 || pid > PID_MAX) {
    throw new ConfigError(`wanted a process id from 1 to ${PID_MAX}, a name or a path`);
  }
  return pid;
}

/** The file that "ip netns" makes for a name (ip-netns(8)). */
function namedNetns(name: string): string {
  if (!/^[^/\0]{1,255}$/.test(name) || name === "." || name === "..") {
    throw new ConfigError("wanted a process id, a name or a path");
  }
  return `${NETNS_FOLDER}/${name}`;
}
