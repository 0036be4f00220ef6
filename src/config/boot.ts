/**
 * What a guest that boots over the network is told to load, and from where.
 *
 * Theory of operation
 *   `--boot-file [CLIENT=]NAME` names a file for one kind of client, or for all that have none of
 *   their own; `--boot-url` what clients of HTTP load; `--next-server` where files are, by default
 *   at the gateway, whose TFTP service (`--tftp DIR`) has them. Each goes into the engine as a list
 *   for each version of IP (`wasm/local/boot`): names for DHCP, whose siaddr and option 66 say the
 *   server, and whole URLs for DHCPv6, which knows nothing else (RFC 5970 §3.1).
 *
 *   Nothing is asked for IPv6 where files are elsewhere and nobody says at which IPv6 address.
 *
 * Source: RFC 2132 §9.4 and 9.5, RFC 4578 §2.1, RFC 5970; IANA, "Processor Architecture Types".
 */
import { BOOT_ANY, BOOT_HTTP, BOOT_IPXE, BOOT_SIZE } from "../../wasm/abi.ts";
import { formatIpv6, type IpAddress, type Ipv6Groups, readIpv6 } from "../lib/addr6.ts";
import { readIpv4 } from "./address.ts";
import { ConfigError } from "./errors.ts";
import { list, readGroup, value } from "./option.ts";
import type { Settings } from "./settings.ts";
import type { Subnet } from "./subnet.ts";
import type { Subnet6 } from "./subnet6.ts";

const BOOT = "Network boot:";

/** A file, and the selectors of the clients it is for: architectures, or `BOOT_*`. */
interface BootFile {
  readonly selectors: readonly number[];
  /** Name for the server, or a whole URL. */
  readonly name: string;
}

/** What a guest that boots over the network is told. */
export interface BootOptions {
  /** The engine's list for IPv4, octets, at most `BOOT_SIZE`. */
  readonly list: readonly number[];
  /** The same for IPv6; empty where it is not served. */
  readonly list6: readonly number[];
  /** Where files are, host order: the gateway if nobody says otherwise. */
  readonly nextServer: number;
  /** Folder that the gateway serves by TFTP; undefined = none. */
  readonly tftp: string | undefined;
}

/** The gateway's addresses; undefined = IPv6 is not served. */
export interface BootGateways {
  readonly subnet: Pick<Subnet, "gateway">;
  readonly subnet6: Pick<Subnet6, "gateway"> | undefined;
}

/** Names of clients, as architectures; what is not here can be given as a number. */
const CLIENTS: ReadonlyMap<string, readonly number[]> = new Map([
  ["bios", [0]],
  ["efi32", [6]],
  ["efi64", [7, 9]],
  ["arm32", [10, 21]],
  ["arm64", [11, 22]],
  ["riscv64", [27]],
  ["ipxe", [BOOT_IPXE]],
]);
const BOOT_CLIENTS = [...CLIENTS.keys()].join("|");
const NAME_SIZE_MAX = 255;
const IPV4_HOST = /^https?:\/\/[0-9.]+(?:[:/]|$)/i;
const IPV6_HOST = /^https?:\/\/\[/i;

export const BOOT_OPTIONS = {
  files: list({
    name: "boot-file",
    argument: "[CLIENT=]NAME",
    description:
      "file that a guest boots, for one kind of client or for all others: " +
      `CLIENT is one of ${BOOT_CLIENTS} or the number of an architecture (option 93)`,
    heading: BOOT,
    parse: parseBootFiles,
  }),
  servers: list({
    name: "next-server",
    argument: "ADDR",
    description:
      "server that has the files, once for each version of IP (default: the gateway's address)",
    heading: BOOT,
    parse: parseNextServer,
  }),
  tftp: value({
    name: "tftp",
    argument: "DIR",
    description: "serve the files below DIR by TFTP at the gateway's address, to be read only",
    heading: BOOT,
    parse: parseFolder,
  }),
  urls: list({
    name: "boot-url",
    argument: "URL",
    description:
      "URL for clients that boot by HTTP, and for iPXE where no file is for it; at most once for " +
      "each version of IP",
    heading: BOOT,
    parse: parseBootUrl,
  }),
};

/** Reads the options. Throws `ConfigError`; undefined where none is given. */
export function readBoot(settings: Settings, gateways: BootGateways): BootOptions | undefined {
  const { files: lists, urls, servers, tftp } = readGroup(BOOT_OPTIONS, settings);
  const files = lists.flat();
  if (files.length + urls.length + servers.length === 0 && tftp === undefined) return undefined;
  checkOnce(files);
  const ofFour = servers.filter((server) => typeof server === "number");
  const ofSix = servers.filter((server) => typeof server !== "number");
  if (ofFour.length > 1 || ofSix.length > 1) {
    throw new ConfigError('give "--next-server" once for each version of IP');
  }
  const versions = new Set(urls.map((url) => `${isForIpv4(url)} ${isForIpv6(url)}`));
  if (versions.size < urls.length || urls.length > 2) {
    throw new ConfigError('give "--boot-url" once, or once for each version of IP');
  }
  return bootOf({ files, urls, nextServer: ofFour[0], nextServer6: ofSix[0], tftp }, gateways);
}

function checkOnce(files: readonly BootFile[]): void {
  const seen = new Set<number>();
  for (const selector of files.flatMap((file) => file.selectors)) {
    if (seen.has(selector)) {
      throw new ConfigError('give "--boot-file" once for each kind of client');
    }
    seen.add(selector);
  }
}

/** One or more of `[CLIENT=]NAME`, with commas in between. */
function parseBootFiles(text: string): BootFile[] {
  return text.split(",").map((part) => {
    const [, client, name = ""] = /^(?:([^=]*)=)?(.*)$/s.exec(part) ?? [];
    const isText = /^[!-~]+$/.test(name) && name.length <= NAME_SIZE_MAX;
    if (!isText) {
      throw new ConfigError(
        `wanted [CLIENT=]NAME with a name of 1 to ${NAME_SIZE_MAX} characters of ASCII, no space`,
      );
    }
    return { selectors: client === undefined ? [BOOT_ANY] : selectorsOf(client), name };
  });
}

function selectorsOf(client: string): readonly number[] {
  const known = CLIENTS.get(client.toLowerCase());
  if (known !== undefined) return known;
  const type = /^[0-9]{1,5}$/.test(client) ? Number(client) : BOOT_HTTP;
  if (type >= BOOT_HTTP) {
    throw new ConfigError(`wanted a client of ${BOOT_CLIENTS} or the number of an architecture`);
  }
  return [type];
}

/** A URL that firmware may load. */
function parseBootUrl(text: string): string {
  if (isBootUrl(text)) return text;
  throw new ConfigError(
    `wanted a URL of at most ${NAME_SIZE_MAX} characters such as "http://192.0.2.1/boot.efi"`,
  );
}

function isBootUrl(text: string): boolean {
  return /^https?:\/\/[!-~]+$/i.test(text) && text.length <= NAME_SIZE_MAX && URL.canParse(text);
}

function parseNextServer(text: string): IpAddress {
  const server = readIpv4(text) ?? readIpv6(text);
  if (server === undefined || !isUnicast(server)) {
    throw new ConfigError("wanted the address of a server");
  }
  return server;
}

/** Neither unspecified nor multicast, of any kind that a server can have. */
function isUnicast(address: IpAddress): boolean {
  if (typeof address === "number") return address >>> 24 > 0 && address >>> 24 < 224;
  return address.some((group) => group !== 0) && (address[0] ?? 0) < 0xff00;
}

function parseFolder(text: string): string {
  if (text === "" || text.includes("\0")) throw new ConfigError("wanted a folder");
  return text;
}

function isForIpv4(url: string): boolean {
  return !IPV6_HOST.test(url);
}

function isForIpv6(url: string): boolean {
  return !IPV4_HOST.test(url);
}

/** The first URL that fits, rather one for this version alone. */
function urlFor(
  urls: readonly string[],
  fits: (url: string) => boolean,
  alsoFits: (url: string) => boolean,
): string | undefined {
  return urls.find((url) => fits(url) && !alsoFits(url)) ?? urls.find(fits);
}

interface BootParts {
  readonly files: readonly BootFile[];
  /** What clients of HTTP load; at most one with an IPv6 address and one with an IPv4 address. */
  readonly urls: readonly string[];
  /** Where files are, host order; undefined = the gateway. */
  readonly nextServer: number | undefined;
  readonly nextServer6: Ipv6Groups | undefined;
  readonly tftp: string | undefined;
}

/** Throws `ConfigError` when a list is too long. */
function bootOf(parts: BootParts, { subnet, subnet6 }: BootGateways): BootOptions {
  const { files, urls, nextServer = subnet.gateway, tftp } = parts;
  return {
    list: encode(files, urlFor(urls, isForIpv4, isForIpv6)),
    list6: subnet6 === undefined ? [] : list6Of(parts, subnet6.gateway),
    nextServer,
    tftp,
  };
}

/** URLs, as DHCPv6 knows nothing else. */
function list6Of(parts: BootParts, gateway: Ipv6Groups): readonly number[] {
  const isAtGateway = parts.tftp !== undefined || parts.nextServer === undefined;
  const server = parts.nextServer6 ?? (isAtGateway ? gateway : undefined);
  const files = parts.files.flatMap(({ selectors, name }) => {
    if (/^[a-z]+:\/\//i.test(name)) return { selectors, name };
    if (server === undefined) return [];
    return { selectors, name: `tftp://[${formatIpv6(server)}]/${name.replace(/^\/+/, "")}` };
  });
  return encode(files, urlFor(parts.urls, isForIpv6, isForIpv4));
}

function encode(files: readonly BootFile[], url: string | undefined): readonly number[] {
  const all = url === undefined ? files : [...files, { selectors: [BOOT_HTTP], name: url }];
  const out: number[] = [];
  for (const { selectors, name } of all) {
    const octets = new TextEncoder().encode(name);
    for (const selector of selectors) {
      out.push(selector >> 8, selector & 255, octets.length >> 8, octets.length & 255, ...octets);
    }
  }
  if (out.length > BOOT_SIZE) {
    const size = `${out.length} octets`;
    throw new ConfigError(`shorten boot files and URLs: ${size} do not fit ${BOOT_SIZE}`);
  }
  return out;
}

/**
 * What a VM's `dhcpOptions` say of booting: a server by address goes into siaddr, too, and a URL is
 * also what clients of HTTP load. Undefined = nothing of the kind.
 */
export function bootOfDhcp(
  tftpServerName: string | undefined,
  bootFileName: string | undefined,
  gateways: BootGateways,
): BootOptions | undefined {
  const nextServer = tftpServerName === undefined ? undefined : readIpv4(tftpServerName);
  const urls = bootFileName !== undefined && isBootUrl(bootFileName) ? [bootFileName] : [];
  if (nextServer === undefined && urls.length === 0) return undefined;
  return bootOf({ files: [], urls, nextServer, nextServer6: undefined, tftp: undefined }, gateways);
}
