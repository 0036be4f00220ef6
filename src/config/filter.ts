/**
 * Filters of frames and of flows: one language, one tree, two evaluators.
 *
 *     expression  one or more terms with `and`, `&&`, `or`, `||` between them. As in pcap-filter,
 *                 both bind alike and from left to right; `not` and `!` bind tighter. Parentheses
 *                 group. No text at all: everything.
 *     protocols   tcp udp icmp icmp6 ping (echo of either version) dns (port 53) arp ip ip6
 *     addresses   [src|dst] host A, [src|dst] net A/N, src A, dst A; of ARP: sender and target
 *     ports       [src|dst] port N, [src|dst] portrange A-B: of TCP and UDP
 *     both        a protocol directly before one of these: `tcp port 80`, `udp src host A`
 *     directions  from guest = inbound, to guest = outbound: the names of libpcap, as the guest
 *                 network sees it, which captures on its own end of the cable
 *     dropped     frames that went no further
 *
 *   Of flows, `src` is the guest's end, `dst` the far end, as the guest sees it and as the host
 *   reaches it. A flow has frames of both directions; so directions, `dropped` and `arp` are errors
 *   in a filter of flows (`parseFilter(text, "flows")`).
 *   A fragment that is not the first has no ports. Frames are looked at as far as their octets go.
 *
 *   Bounds: TEXT_MAX characters, DEPTH_MAX parentheses and negations in each other; the tree has
 *   fewer nodes than the text characters, and an evaluator visits each at most once.
 *   Source: pcap-filter(7).
 */
import { ConfigError, quote } from "./errors.ts";
import {
  type FilterNetwork,
  octetsOfAddress,
  readFilterHost,
  readFilterNetwork,
  readFilterPorts,
} from "./filter-values.ts";
import {
  ABSENT,
  ETHERTYPE_ARP,
  emptyFrameHeaders,
  type FrameHeaders,
  PROTOCOL_ICMP,
  PROTOCOL_ICMP6,
  PROTOCOL_TCP,
  PROTOCOL_UDP,
  readFrameHeaders,
} from "./frame-headers.ts";

type FilterProtocol = (typeof PROTOCOLS)[number];

type FilterSide = "any" | "src" | "dst";

export type Filter =
  | { readonly kind: "all" }
  | { readonly kind: "and" | "or"; readonly left: Filter; readonly right: Filter }
  | { readonly kind: "not"; readonly of: Filter }
  | { readonly kind: "protocol"; readonly protocol: FilterProtocol }
  | ({ readonly kind: "network"; readonly side: FilterSide } & FilterNetwork)
  | {
      readonly kind: "ports";
      readonly side: FilterSide;
      readonly first: number;
      readonly last: number;
    }
  | { readonly kind: "direction"; readonly fromGuest: boolean }
  | { readonly kind: "dropped" };

const TEXT_MAX = 1024;
const DEPTH_MAX = 32;
const PROTOCOLS = ["tcp", "udp", "icmp", "icmp6", "ping", "dns", "arp", "ip", "ip6"] as const;
const TYPES: readonly string[] = ["host", "net", "port", "portrange"];
const TOKEN = /[()!]|&&|\|\||[^\s()!&|]+|[&|]/g;

/**
 * Reads a filter.
 * @param subject what is to be filtered; some words mean nothing for flows
 * @throws ConfigError that says what was wanted, and at which character
 */
export function parseFilter(text: string, subject: "frames" | "flows" = "frames"): Filter {
  if (text.length > TEXT_MAX) {
    throw new ConfigError(`wanted at most ${TEXT_MAX} characters, not ${text.length}`);
  }
  return new Parser(text, subject === "flows").parse();
}

interface Token {
  readonly text: string;
  /** Counted from 1; of the end, one after the last character. */
  readonly place: number;
}

class Parser {
  readonly #tokens: readonly Token[];
  readonly #isOfFlows: boolean;
  #next = 0;

  constructor(text: string, isOfFlows: boolean) {
    const found = [...text.matchAll(TOKEN)].map((match) => ({
      text: match[0].toLowerCase(),
      place: match.index + 1,
    }));
    this.#tokens = [...found, { text: "", place: text.length + 1 }];
    this.#isOfFlows = isOfFlows;
  }

  parse(): Filter {
    if (this.#token.text === "") return { kind: "all" };
    const filter = this.#expression(0);
    if (this.#token.text !== "") throw this.#wanted('"and" or "or"');
    return filter;
  }

  get #token(): Token {
    return this.#tokens[this.#next] ?? { text: "", place: 0 };
  }

  /** Takes the next token if it is one of these. */
  #takes(...words: readonly string[]): string | undefined {
    const { text } = this.#token;
    if (text === "" || !words.includes(text)) return undefined;
    this.#next += 1;
    return text;
  }

  #wanted(what: string): ConfigError {
    const { text, place } = this.#token;
    const found = text === "" ? "the end" : quote(text);
    return new ConfigError(`wanted ${what} at character ${place}, not ${found}`);
  }

  #expression(depth: number): Filter {
    let left = this.#term(depth);
    for (;;) {
      const isAnd = this.#takes("and", "&&") !== undefined;
      if (!isAnd && this.#takes("or", "||") === undefined) return left;
      left = { kind: isAnd ? "and" : "or", left, right: this.#term(depth) };
    }
  }

  #term(depth: number): Filter {
    const { place } = this.#token;
    if (depth > DEPTH_MAX) {
      throw new ConfigError(`wanted at most ${DEPTH_MAX} levels, at character ${place}`);
    }
    if (this.#takes("not", "!") !== undefined) return { kind: "not", of: this.#term(depth + 1) };
    if (this.#takes("(") === undefined) return this.#primitive();
    const inner = this.#expression(depth + 1);
    if (this.#takes(")") === undefined) throw this.#wanted('")"');
    return inner;
  }

  #primitive(): Filter {
    const { text } = this.#token;
    const protocol = PROTOCOLS.find((name) => name === text);
    if (protocol !== undefined) {
      if (protocol === "arp") this.#refuseOfFlows();
      this.#next += 1;
      const filter: Filter = { kind: "protocol", protocol };
      const isMore = ["src", "dst", ...TYPES].includes(this.#token.text);
      return isMore ? { kind: "and", left: filter, right: this.#end() } : filter;
    }
    if (["src", "dst", ...TYPES].includes(text)) return this.#end();
    const isDirection = ["from", "to", "inbound", "outbound"].includes(text);
    if (isDirection || text === "dropped") {
      this.#refuseOfFlows();
      this.#next += 1;
      if (!isDirection) return { kind: "dropped" };
      const isOfPcap = text === "inbound" || text === "outbound";
      if (!isOfPcap && this.#takes("guest") === undefined) throw this.#wanted('"guest"');
      return { kind: "direction", fromGuest: text === "from" || text === "inbound" };
    }
    if (octetsOfAddress(text) !== undefined) throw this.#wanted(`"host ${text}"`);
    throw this.#wanted("a protocol, host, net, port, direction or parenthesis");
  }

  #refuseOfFlows(): void {
    if (!this.#isOfFlows) return;
    const { text, place } = this.#token;
    throw new ConfigError(`${quote(text)} at character ${place} is of frames, not of flows`);
  }

  /** An address or port, of either end or of one. */
  #end(): Filter {
    const side = this.#takes("src", "dst");
    const type = this.#takes(...TYPES);
    const ofSide = { side: side === "src" ? "src" : side === "dst" ? "dst" : "any" } as const;
    const { text } = this.#token;
    if (type === "port" || type === "portrange") {
      const ports = readFilterPorts(text, type === "portrange");
      if (ports === undefined) {
        throw this.#wanted(type === "port" ? "a port number" : 'ports such as "80-89"');
      }
      this.#next += 1;
      return { kind: "ports", ...ofSide, ...ports };
    }
    const network = type === "net" ? readFilterNetwork(text) : readFilterHost(text);
    if (network === undefined) {
      throw this.#wanted(type === "net" ? 'a network such as "10.0.0.0/8"' : "an IP address");
    }
    this.#next += 1;
    return { kind: "network", ...ofSide, ...network };
  }
}

// ---------------------------------------------------------------- evaluators

/** What is known of a frame besides its octets. */
export interface FrameFacts {
  readonly fromGuest: boolean;
  readonly dropped: boolean;
}

/** A flow's ends. Addresses are text of either version, empty where they are not known. */
export interface FlowEnds {
  readonly kind: "tcp" | "udp" | "ping" | "dns";
  readonly guestAddress: string;
  readonly guestPort: number;
  /** The far end as the guest sees it. */
  readonly peerAddress: string;
  readonly peerPort: number;
  /** The far end as the host reaches it. */
  readonly hostAddress: string;
  readonly hostPort: number;
}

const DNS_PORT = 53;
const ECHO_TYPES: readonly number[] = [0, 8];
const ECHO6_TYPES: readonly number[] = [128, 129];

/** Of the frame that is looked at; nothing of it is used after the call. */
const headers: FrameHeaders = emptyFrameHeaders();

/**
 * @param octets a frame from its destination address on, or as much of it as there is
 * @param start where it begins, if not with the first of them
 * @param length its octets, if not all
 */
export function matchesFrame(
  filter: Filter,
  octets: Uint8Array,
  facts: FrameFacts,
  start = 0,
  length: number = octets.length - start,
): boolean {
  if (filter.kind === "all") return true;
  readFrameHeaders(octets, start, length, headers);
  return isFrame(filter, octets, facts);
}

function isFrame(filter: Filter, octets: Uint8Array, facts: FrameFacts): boolean {
  switch (filter.kind) {
    case "all":
      return true;
    case "and":
      return isFrame(filter.left, octets, facts) && isFrame(filter.right, octets, facts);
    case "or":
      return isFrame(filter.left, octets, facts) || isFrame(filter.right, octets, facts);
    case "not":
      return !isFrame(filter.of, octets, facts);
    case "protocol":
      return isProtocol(filter.protocol);
    case "network": {
      const { sourceAt, destinationAt, addressSize } = headers;
      if (addressSize !== filter.octets.length) return false;
      const source = filter.side !== "dst" && isIn(filter, octets, sourceAt);
      return source || (filter.side !== "src" && isIn(filter, octets, destinationAt));
    }
    case "ports": {
      const { sourcePort, destinationPort } = headers;
      const source = filter.side !== "dst" && isBetween(filter, sourcePort);
      return source || (filter.side !== "src" && isBetween(filter, destinationPort));
    }
    case "direction":
      return filter.fromGuest === facts.fromGuest;
    case "dropped":
      return facts.dropped;
  }
}

type ProtocolName = Extract<Filter, { kind: "protocol" }>["protocol"];

function isProtocol(name: ProtocolName): boolean {
  const { etherType, version, protocol, icmpType, sourcePort, destinationPort } = headers;
  switch (name) {
    case "tcp":
      return protocol === PROTOCOL_TCP;
    case "udp":
      return protocol === PROTOCOL_UDP;
    case "icmp":
      return version === 4 && protocol === PROTOCOL_ICMP;
    case "icmp6":
      return version === 6 && protocol === PROTOCOL_ICMP6;
    case "ping":
      return (version === 4 ? ECHO_TYPES : ECHO6_TYPES).includes(icmpType);
    case "dns":
      return sourcePort === DNS_PORT || destinationPort === DNS_PORT;
    case "arp":
      return etherType === ETHERTYPE_ARP;
    case "ip":
      return version === 4;
    case "ip6":
      return version === 6;
  }
}

function isBetween({ first, last }: { first: number; last: number }, port: number): boolean {
  return port !== ABSENT && port >= first && port <= last;
}

/** Whether the address that begins at octet `at` is of that network of the same version. */
function isIn(
  { octets, prefixLength }: FilterNetwork,
  found: ArrayLike<number>,
  at: number,
): boolean {
  for (let i = 0; i * 8 < prefixLength; i += 1) {
    const differing = (octets[i] ?? 0) ^ (found[at + i] ?? 0);
    if (differing >> Math.max(0, 8 - (prefixLength - i * 8)) !== 0) return false;
  }
  return true;
}

/** A flow matches where frames of it would; `filter.ts` tells what `src` and `dst` are. */
export function matchesFlow(filter: Filter, flow: FlowEnds): boolean {
  switch (filter.kind) {
    case "all":
    case "direction": // a flow has both
      return true;
    case "dropped":
      return false;
    case "and":
      return matchesFlow(filter.left, flow) && matchesFlow(filter.right, flow);
    case "or":
      return matchesFlow(filter.left, flow) || matchesFlow(filter.right, flow);
    case "not":
      return !matchesFlow(filter.of, flow);
    case "protocol":
      return isFlowProtocol(filter.protocol, flow);
    case "network": {
      const ends = bySide(filter.side, [flow.guestAddress], [flow.peerAddress, flow.hostAddress]);
      return ends.some((text) => {
        const octets = octetsOfAddress(text);
        return octets?.length === filter.octets.length && isIn(filter, octets, 0);
      });
    }
    case "ports": {
      if (flow.kind === "ping") return false;
      const ends = bySide(filter.side, [flow.guestPort], [flow.peerPort, flow.hostPort]);
      return ends.some((port) => isBetween(filter, port));
    }
  }
}

function bySide<T>(side: FilterSide, guest: readonly T[], far: readonly T[]): readonly T[] {
  if (side === "any") return [...guest, ...far];
  return side === "src" ? guest : far;
}

function isFlowProtocol(name: ProtocolName, flow: FlowEnds): boolean {
  const { kind, peerPort } = flow;
  const isIpv6 = flow.guestAddress.includes(":");
  switch (name) {
    case "tcp":
    case "ping":
      return kind === name;
    case "udp":
      return kind === "udp" || kind === "dns";
    case "icmp":
      return kind === "ping" && !isIpv6;
    case "icmp6":
      return kind === "ping" && isIpv6;
    case "dns":
      return kind === "dns" || (kind !== "ping" && peerPort === DNS_PORT);
    case "arp":
      return false;
    case "ip":
      return !isIpv6;
    case "ip6":
      return isIpv6;
  }
}
