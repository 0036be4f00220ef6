/**
 * What `attach` was asked to do: environment and arguments read into one frozen, validated value.
 * Whoever holds an `AttachOptions` need not check anything in it again.
 */
import { LOG_FORMATS, LOG_LEVELS, type LogFormat, type LogLevel } from "../lib/log.ts";
import { isIpv6, type MacOctets, readDomain, readHostName, readIpv4, readMac } from "./address.ts";
import { type BootOptions, type Dns6, readBoot, readDns6 } from "./boot.ts";
import { buildDhcpOptions } from "./dhcp-options.ts";
import { buildDhcp6Options } from "./dhcp6-options.ts";
import { parseConnectEndpoint, parseListenEndpoint, type StreamEndpoint } from "./endpoint.ts";
import { ConfigError, quote } from "./errors.ts";
import {
  checkPublishGuests,
  checkPublishRules,
  formatHost,
  type PublishRule,
  parsePublish,
} from "./forward.ts";
import { ATTACH_HOST_SIDE, type HostSide, readHostSide } from "./host-side.ts";
import { BUFFER_MIB_DEFAULT, FLOWS_MAX_DEFAULT } from "./limits.ts";
import { readPeerUids } from "./peers.ts";
import { NAMESERVER_COUNT_MAX } from "./resolv.ts";
import { type RightsOptions, readRights } from "./rights.ts";
import { integerBetween, oneOf, readFlag, readMany, readOne, type Settings } from "./settings.ts";
import { defaultGatewayMac, parseSubnet, SUBNET_DEFAULT, type Subnet } from "./subnet.ts";
import { parseSubnet6, SUBNET6_DEFAULT, type Subnet6 } from "./subnet6.ts";

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
}

export type LinkSettings = TapLinkSettings | StreamLinkSettings;

/** Options of `attach`, deep-frozen. Addresses are numbers in host order unless said otherwise. */
export interface AttachOptions extends HostSide {
  readonly link: LinkSettings;
  /** Users that may be at the other end of a stream link, besides the program's own; at most 16. */
  readonly peerUids: readonly number[];
  readonly subnet: Subnet;
  /** Serve IPv4. */
  readonly ipv4: boolean;
  /** Guest network of IPv6; undefined = serve none. Only with an MTU of 1280 or more. */
  readonly subnet6: Subnet6 | undefined;
  /** Octets of an IP packet, 576 to 65520. */
  readonly mtu: number;
  /** Ports and ranges, at most 4096, no two for the same socket. */
  readonly publish: readonly PublishRule[];
  /** A port that cannot be had ends the start; else it is told of and left out. */
  readonly needsEveryPort: boolean;
  /**
   * Resolvers in place of resolv.conf's, IPv4 or IPv6 with zone if need be, at most 3; empty = use
   * resolv.conf.
   */
  readonly dns: readonly string[];
  /** Port the resolvers take queries at. */
  readonly dnsPort: number;
  /** Search list in place of resolv.conf's; empty = use resolv.conf. */
  readonly search: readonly string[];
  /** Whether the guest is told of the IPv6 DNS address; absent = always. */
  readonly dns6?: Dns6;
  /** What a guest that boots over the network loads; absent = nothing. */
  readonly boot?: BootOptions | undefined;
  /** Host name the guest gets by DHCP. */
  readonly hostname: string | undefined;
  /** DHCP options on the wire in place of those that host name and search list make. */
  readonly dhcpOptions: readonly number[] | undefined;
  /** File the frames are written to, pcap format. */
  readonly pcap: string | undefined;
  /** Octets kept of each frame in it. */
  readonly pcapSnap: number;
  /** MiB after which nothing more is written to it; undefined = no end. */
  readonly pcapLimitMib: number | undefined;
  /** File that all inputs of the engine are recorded in, for `replay`. */
  readonly record: string | undefined;
  /** Size at which a recording ends, MiB. */
  readonly recordLimitMib: number;
  /** File descriptor that gets one byte when ready. */
  readonly readyFd: number | undefined;
  /** File descriptor of a pipe or socket; once its other end is closed, it is over. */
  readonly exitFd: number | undefined;
  readonly logLevel: LogLevel;
  readonly logFormat: LogFormat;
  /** Flows of all kinds at once, 256 to 65536; undefined = what there is room for. */
  readonly flowsMax: number | undefined;
  /** Payload memory of all flows together, MiB, 4 to 64; undefined = what there is room for. */
  readonly bufferMib: number | undefined;
  /** Idle time after which a UDP flow ends, seconds, at least 120 (RFC 4787 REQ-5). */
  readonly udpTimeoutSeconds: number;
  /** Silence after which both ends of a TCP connection are asked, seconds (RFC 5382 REQ-5). */
  readonly tcpIdleSeconds: number;
  /** Keepalive interval of TCP connections, seconds; 0 = off, else at least 30. */
  readonly keepaliveSeconds: number;
  /** 32 octets that all identifiers derive from; undefined = the caller takes random ones. */
  readonly seed: readonly number[] | undefined;
  /** MAC address of gateway and DNS. */
  readonly gatewayMac: MacOctets;
}

/** Values that options have when nobody gives them, as text for the help and for reading. */
export const DEFAULTS = Object.freeze({
  cidr: SUBNET_DEFAULT,
  cidr6: SUBNET6_DEFAULT,
  mtu: 65520,
  logLevel: "info",
  dnsPort: 53,
  pcapSnap: 262144,
  recordLimitMib: 1024,
  flowsMax: FLOWS_MAX_DEFAULT,
  bufferMib: BUFFER_MIB_DEFAULT,
  udpTimeoutSeconds: 300,
  tcpIdleSeconds: 7440,
  keepaliveSeconds: 0,
} as const);

/** Bounds of numeric options, both included. */
export const LIMITS = Object.freeze({
  mtu: [576, 65520],
  dnsPort: [1, 65535],
  pcapSnap: [64, 262144],
  pcapLimitMib: [1, 1048576],
  recordLimitMib: [1, 1048576],
  flowsMax: [256, 65536],
  bufferMib: [4, 64],
  udpTimeoutSeconds: [120, 86400],
  tcpIdleSeconds: [7440, 31536000],
  keepaliveSeconds: [30, 32767],
} as const);

/** PID_MAX_LIMIT of a 64-bit kernel. */
const PID_MAX = 4194304;
/** Where the names of network namespaces are; /var/run is a link to /run. */
const NETNS_FOLDER = "/run/netns";
/** The kernel's default ceiling of file descriptor numbers (fs.nr_open). */
export const FD_MAX = 1048575;
const INTERFACE_NAME_SIZE_MAX = 15;
/** Smallest MTU IPv6 works with (RFC 8200 §5). */
export const IPV6_MTU_MIN = 1280;

/**
 * Reads the settings of `attach`. `isTerminal` says whether the log goes to a terminal, which then
 * gets the pretty format unless asked otherwise. Throws `ConfigError`.
 */
export function readAttachOptions(
  settings: Settings,
  isTerminal: boolean,
): AttachOptions & RightsOptions {
  const link = readLink(settings);
  const subnet = readOne(settings, "cidr", parseSubnet(DEFAULTS.cidr), parseSubnet);
  const mtu = readOne(settings, "mtu", DEFAULTS.mtu, integerBetween(...LIMITS.mtu));
  const versions = readVersions(settings, mtu);
  const publish = readMany(settings, "publish", parsePublish).flat();
  checkPublishRules(publish);
  checkPublishVersions(publish, versions);
  checkPublishGuests(publish, { ...versions, subnet });
  const hostname = readOne(settings, "hostname", undefined, parseHostname);
  const search = readMany(settings, "search", parseSearch);
  const boot = readBoot(settings);
  const tftpServerName = boot === undefined ? undefined : "255.255.255.255"; // the longest
  buildDhcpOptions({ hostName: hostname, search, tftpServerName });
  buildDhcp6Options({ search });
  return deepFreeze({
    link,
    peerUids: readPeerUids(settings, []),
    subnet,
    ...versions,
    mtu,
    publish,
    needsEveryPort: true,
    ...readHostSide(settings, ATTACH_HOST_SIDE),
    ...readResolvers(settings),
    dns6: readDns6(settings),
    boot,
    search,
    hostname,
    dhcpOptions: undefined,
    ...readCapture(settings),
    ...readRights(settings),
    readyFd: readOne(settings, "ready-fd", undefined, integerBetween(0, FD_MAX)),
    exitFd: readOne(settings, "exit-fd", undefined, integerBetween(0, FD_MAX)),
    logLevel: readOne(settings, "log-level", DEFAULTS.logLevel, oneOf(LOG_LEVELS)),
    logFormat: readOne(settings, "log-format", isTerminal ? "pretty" : "json", oneOf(LOG_FORMATS)),
    ...readLimits(settings),
    seed: readOne(settings, "seed", undefined, parseSeed),
    gatewayMac: readOne(settings, "mac", defaultGatewayMac(subnet.gateway), parseGatewayMac),
  });
}

/** Who answers the guest's DNS questions. Throws `ConfigError`. */
export function readResolvers(settings: Settings): Pick<AttachOptions, "dns" | "dnsPort"> {
  const dns = readMany(settings, "dns", parseResolver);
  if (dns.length > NAMESERVER_COUNT_MAX) {
    throw new ConfigError(`give at most ${NAMESERVER_COUNT_MAX} resolvers, not ${dns.length}`);
  }
  const port = integerBetween(...LIMITS.dnsPort);
  return { dns, dnsPort: readOne(settings, "dns-port", DEFAULTS.dnsPort, port) };
}

/** What is written of the traffic. */
export type CaptureOptions = Pick<
  AttachOptions,
  "pcap" | "pcapSnap" | "pcapLimitMib" | "record" | "recordLimitMib"
>;

/** What is written of the traffic, into which files, and how much of it. Throws `ConfigError`. */
export function readCapture(settings: Settings): CaptureOptions {
  const octets = integerBetween(...LIMITS.pcapSnap);
  const mib = integerBetween(...LIMITS.pcapLimitMib);
  const size = integerBetween(...LIMITS.recordLimitMib);
  return {
    pcap: readOne(settings, "pcap", undefined, parsePath),
    pcapSnap: readOne(settings, "pcap-snap", DEFAULTS.pcapSnap, octets),
    pcapLimitMib: readOne(settings, "pcap-limit", undefined, mib),
    record: readOne(settings, "record", undefined, parsePath),
    recordLimitMib: readOne(settings, "record-limit", DEFAULTS.recordLimitMib, size),
  };
}

function readLink(settings: Settings): LinkSettings {
  const tap = readOne(settings, "tap", undefined, parseInterfaceName);
  const listen = readOne(settings, "listen", undefined, parseListenEndpoint);
  const connect = readOne(settings, "connect", undefined, parseConnectEndpoint);
  const given = ["tap", "listen", "connect"].filter((name) => settings.has(name));
  if (given.length !== 1) {
    const origins = given.map((name) => settings.get(name)?.origin).join(" and ");
    const found = given.length === 0 ? "none" : origins;
    throw new ConfigError(`choose one of "--tap", "--listen" and "--connect": ${found} given`);
  }
  if (tap !== undefined) {
    const peers = settings.get("peer-uid");
    if (peers === undefined) return readTap(settings, tap);
    throw new ConfigError(`leave out ${quote(peers.origin)}: it is for a stream socket only`);
  }
  for (const name of ["netns", "configure", "no-vnet"]) {
    const setting = settings.get(name);
    if (setting === undefined || setting.values.at(-1) === "false") continue;
    throw new ConfigError(`leave out ${quote(setting.origin)}: it is for a tap only`);
  }
  if (listen !== undefined) return { kind: "stream", role: "listen", endpoint: listen };
  if (connect !== undefined) return { kind: "stream", role: "connect", endpoint: connect };
  throw new ConfigError("wanted a link"); // one was given, as counted above
}

function readTap(settings: Settings, name: string): TapLinkSettings {
  const netns = readOne(settings, "netns", undefined, parseNetns);
  const configure = readFlag(settings, "configure");
  if (configure && netns === undefined) {
    // It would change the very routes that our own sockets use.
    throw new ConfigError('add "--netns" to "--configure": our own namespace is left as it is');
  }
  return { kind: "tap", name, netns, configure, vnet: !readFlag(settings, "no-vnet") };
}

type Versions = Pick<AttachOptions, "ipv4" | "subnet6">;

/** Which versions of IP are served. */
function readVersions(settings: Settings, mtu: number): Versions {
  const ipv4 = !readFlag(settings, "no-ipv4");
  const given = readOne(settings, "cidr6", undefined, parseSubnet6);
  const isOff = readFlag(settings, "no-ipv6");
  if (isOff && given !== undefined) {
    throw new ConfigError('drop "--cidr6" or "--no-ipv6": they contradict each other');
  }
  if (mtu < IPV6_MTU_MIN && (given !== undefined || !ipv4)) {
    throw new ConfigError(`raise "--mtu" to ${IPV6_MTU_MIN} or more for IPv6, from ${mtu}`);
  }
  const isServed = !isOff && mtu >= IPV6_MTU_MIN;
  if (!ipv4 && !isServed) throw new ConfigError('drop "--no-ipv4" or "--no-ipv6": one has to stay');
  return { ipv4, subnet6: isServed ? (given ?? parseSubnet6(DEFAULTS.cidr6)) : undefined };
}

/** A port can only be published in a version of IP that is served. */
function checkPublishVersions(rules: readonly PublishRule[], versions: Versions): void {
  for (const rule of rules) {
    const isSix = typeof rule.hostAddress !== "number";
    const isFour = rule.hostAddress !== 0 || rule.ipv4Only === true;
    const missing = isSix ? versions.subnet6 === undefined : isFour && !versions.ipv4;
    if (!missing) continue;
    const spot = quote(`${formatHost(rule)}:${rule.hostPort}`);
    throw new ConfigError(`publish ${spot} without IPv${isSix ? 6 : 4}: it is not served`);
  }
}

type EngineLimits = Pick<
  AttachOptions,
  "flowsMax" | "bufferMib" | "tcpIdleSeconds" | "udpTimeoutSeconds" | "keepaliveSeconds"
>;

/** What flows and payload may take at most, undefined = as found out at start; and how long. */
export function readRoom(
  settings: Settings,
): Pick<AttachOptions, "flowsMax" | "bufferMib" | "tcpIdleSeconds"> {
  const integer = (name: string, bounds: readonly [number, number]): number | undefined =>
    readOne(settings, name, undefined, integerBetween(...bounds));
  return {
    flowsMax: integer("flows-max", LIMITS.flowsMax),
    bufferMib: integer("buffer-mib", LIMITS.bufferMib),
    tcpIdleSeconds: integer("tcp-idle-timeout", LIMITS.tcpIdleSeconds) ?? DEFAULTS.tcpIdleSeconds,
  };
}

function readLimits(settings: Settings): EngineLimits {
  const timeout = integerBetween(...LIMITS.udpTimeoutSeconds);
  return {
    ...readRoom(settings),
    udpTimeoutSeconds: readOne(settings, "udp-timeout", DEFAULTS.udpTimeoutSeconds, timeout),
    keepaliveSeconds: readOne(settings, "keepalive", DEFAULTS.keepaliveSeconds, parseKeepalive),
  };
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

export function parsePath(text: string): string {
  if (text === "" || text.includes("\0")) throw new ConfigError("wanted a path");
  return text;
}

function parseResolver(text: string): string {
  if (isIpv6(text)) {
    if (/^(ff|::$|0(:0)*$)/i.test(text)) throw new ConfigError("wanted the address of a resolver");
    return text;
  }
  const address = readIpv4(text);
  const first = (address ?? 0) >>> 24;
  if (address === undefined || first === 0 || first >= 224) {
    throw new ConfigError("wanted the address of a resolver");
  }
  return text; // strict reading leaves one way to write an address
}

function parseSearch(text: string): string {
  const domain = readDomain(text);
  if (domain === undefined) throw new ConfigError("wanted a DNS name");
  return domain;
}

function parseHostname(text: string): string {
  const name = readHostName(text);
  if (name === undefined) {
    throw new ConfigError("wanted a host name of letters, digits, hyphens and dots");
  }
  return name;
}

function parseKeepalive(text: string): number {
  return text === "0" ? 0 : integerBetween(...LIMITS.keepaliveSeconds)(text);
}

function parseSeed(text: string): readonly number[] {
  if (!/^[0-9a-f]{64}$/i.test(text)) throw new ConfigError("wanted 64 hex digits");
  return (text.match(/../g) ?? []).map((octet) => Number.parseInt(octet, 16));
}

/** A MAC that frames can come from: one station's, not a group's, and not the unknown one. */
function parseGatewayMac(text: string): MacOctets {
  const mac = readMac(text);
  if (mac === undefined) {
    throw new ConfigError(`wanted six octets such as ${quote("52:55:0a:00:02:02")}`);
  }
  if ((mac[0] & 1) === 1 || mac.every((octet) => octet === 0)) {
    throw new ConfigError("wanted a unicast MAC address");
  }
  return mac;
}

/** Freezes a value of plain objects and arrays all the way down. */
function deepFreeze<T>(value: T): T {
  if (typeof value === "object" && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value);
    for (const part of Object.values(value)) deepFreeze(part);
  }
  return value;
}
