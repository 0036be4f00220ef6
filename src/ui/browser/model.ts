/**
 * What the page knows, and how it is read from the JSON of the contract: 64-bit numbers are texts
 * there, enums names, and what has its default value is left out. Everything is read leniently,
 * since an instance may be younger or older than the page; nothing throws.
 */

export interface NetworkInfo {
  readonly name: string;
  readonly link: string;
  readonly endpoint: string;
  readonly hasGuest: boolean;
  readonly isUp: boolean;
  readonly mtu: number;
  readonly subnet: string;
  readonly gateway: string;
  readonly guestAddress: string;
  readonly subnet6: string;
  readonly gateway6: string;
  readonly guestAddress6: string;
  readonly dnsAddress: string;
  readonly dnsAddress6: string;
  readonly engineFailures: number;
  readonly flowsMax: number;
}

export interface InstanceInfo {
  readonly name: string;
  readonly version: string;
  readonly pid: number;
  readonly command: string;
  readonly started_us: number;
  readonly networks: readonly NetworkInfo[];
}

export interface FlowInfo {
  /** Network and number: unique while it lives. */
  readonly key: string;
  readonly network: string;
  readonly id: number;
  /** tcp, udp, ping or dns. */
  readonly kind: string;
  readonly state: string;
  readonly guest: string;
  readonly guestPort: number;
  readonly peer: string;
  readonly peerPort: number;
  readonly local: string;
  readonly host: string;
  readonly isInbound: boolean;
  /** Octets of payload. */
  readonly toHost: number;
  readonly toGuest: number;
  /** Octets per second since the message before. */
  readonly rateToHost: number;
  readonly rateToGuest: number;
  /** Since 1970, by the instance's clock. */
  readonly born_us: number;
  readonly active_us: number;
  readonly told_us: number;
  /** Undefined while it lives. */
  readonly ended_us: number | undefined;
  /** 0 = not measured. */
  readonly rtt_us: number;
  readonly windowForGuest: number;
  readonly windowOfGuest: number;
  readonly congestionWindow: number;
  readonly inFlight: number;
  readonly retransmits: number;
  /** Name of the enum without its prefix: IDLE, GUEST_WINDOW … */
  readonly waiting: string;
  /** What a search looks at, in lower case. */
  readonly text: string;
}

export interface SampleInfo {
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
  readonly count: number;
  readonly sum: number;
}

/** Samples by the family's name. */
export type Families = ReadonlyMap<string, readonly SampleInfo[]>;

export interface DropInfo {
  readonly network: string;
  readonly time_us: number;
  readonly reason: string;
  readonly length: number;
  readonly summary: string;
  /** Hexadecimal. */
  readonly headers: string;
}

export interface EventInfo {
  readonly id: number;
  readonly time_us: number;
  readonly network: string;
  readonly kind: string;
  readonly message: string;
  readonly details: Readonly<Record<string, string>>;
}

export interface PortInfo {
  readonly network: string;
  readonly protocol: string;
  readonly host: string;
  readonly hostPort: number;
  readonly guest: string;
  readonly guestPort: number;
  readonly isAdded: boolean;
  readonly isListening: boolean;
  readonly flows: number;
  /** Ports in a row, on both sides. */
  readonly count: number;
}

export interface CaptureInfo {
  readonly id: number;
  readonly network: string;
  readonly filter: string;
  readonly file: string;
  readonly frames: number;
  readonly octets: number;
  readonly lost: number;
}

type Json = Readonly<Record<string, unknown>>;

function record(json: unknown): Json {
  return typeof json === "object" && json !== null ? (json as Json) : {};
}

function text(json: unknown): string {
  return typeof json === "string" ? json : "";
}

function number(json: unknown): number {
  const value = Number(json ?? 0);
  return Number.isFinite(value) ? value : 0;
}

/** Items of a list, each read. */
function list<T>(json: unknown, read: (item: Json) => T): T[] {
  return Array.isArray(json) ? json.map((item) => read(record(item))) : [];
}

function texts(json: unknown): Record<string, string> {
  return Object.fromEntries(Object.entries(record(json)).map(([key, value]) => [key, text(value)]));
}

/** `host:port` as people write it; an address that is not known is a dash. */
export function endpoint(address: string, port: number): string {
  if (address === "") return port === 0 ? "–" : `:${port}`;
  return address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`;
}

export function readInstance(json: unknown): InstanceInfo {
  const { name, version, pid, command, startedUs, networks } = record(json);
  return {
    name: text(name),
    version: text(version),
    pid: number(pid),
    command: text(command),
    started_us: number(startedUs),
    networks: list(networks, readNetwork),
  };
}

function readNetwork(from: Json): NetworkInfo {
  return {
    name: text(from["name"]),
    link: text(from["link"]),
    endpoint: text(from["endpoint"]),
    hasGuest: from["hasGuest"] === true,
    isUp: from["isUp"] === true,
    mtu: number(from["mtu"]),
    subnet: text(from["subnet"]),
    gateway: text(from["gateway"]),
    guestAddress: text(from["guestAddress"]),
    subnet6: text(from["subnet6"]),
    gateway6: text(from["gateway6"]),
    guestAddress6: text(from["guestAddress6"]),
    dnsAddress: text(from["dnsAddress"]),
    dnsAddress6: text(from["dnsAddress6"]),
    engineFailures: number(from["engineFailures"]),
    flowsMax: number(from["flowsMax"]),
  };
}

export function flowKey(from: Json): string {
  return `${text(from["network"])} ${number(from["id"])}`;
}

/** @param before the same flow as it was told last, for its rates */
export function readFlow(from: Json, time_us: number, before: FlowInfo | undefined): FlowInfo {
  const kind = text(from["kind"]).replace("FLOW_KIND_", "").toLowerCase() || "?";
  const state = text(from["state"]);
  const waiting = text(from["waiting"]).replace("WAITING_", "");
  const guest = text(from["guestAddress"]);
  const guestPort = number(from["guestPort"]);
  const peer = text(from["peerAddress"]);
  const peerPort = number(from["peerPort"]);
  const local = endpoint(text(from["localAddress"]), number(from["localPort"]));
  const host = endpoint(text(from["hostAddress"]), number(from["hostPort"]));
  const toHost = number(from["bytesToHost"]);
  const toGuest = number(from["bytesToGuest"]);
  const elapsed = before === undefined ? 0 : (time_us - before.told_us) / 1e6;
  const rate = (now: number, then: number): number =>
    elapsed > 0 ? Math.max(0, now - then) / elapsed : 0;
  const ends = `${endpoint(guest, guestPort)} ${endpoint(peer, peerPort)} ${local} ${host}`;
  return {
    key: flowKey(from),
    network: text(from["network"]),
    id: number(from["id"]),
    ...{ kind, state, waiting, guest, guestPort, peer, peerPort, local, host, toHost, toGuest },
    isInbound: from["isInbound"] === true,
    rateToHost: rate(toHost, before?.toHost ?? 0),
    rateToGuest: rate(toGuest, before?.toGuest ?? 0),
    born_us: time_us - number(from["ageUs"]),
    active_us: time_us - number(from["idleUs"]),
    told_us: time_us,
    ended_us: undefined,
    rtt_us: number(from["rttUs"]),
    windowForGuest: number(from["windowForGuest"]),
    windowOfGuest: number(from["windowOfGuest"]),
    congestionWindow: number(from["congestionWindow"]),
    inFlight: number(from["inFlight"]),
    retransmits: number(from["retransmits"]),
    text: `${kind} ${state} ${waiting} ${ends} ${text(from["network"])}`.toLowerCase(),
  };
}

/** A flow as it came. */
export type JsonFlow = Json;

export interface FlowsMessage {
  readonly flows: readonly JsonFlow[];
  readonly ended: readonly string[];
  readonly isComplete: boolean;
  readonly time_us: number;
}

export function readFlows(json: unknown): FlowsMessage {
  const { flows, ended, isComplete, timeUs } = record(json);
  return {
    flows: list(flows, (flow) => flow),
    ended: list(ended, flowKey),
    isComplete: isComplete === true,
    time_us: number(timeUs),
  };
}

export function readStats(json: unknown): { time_us: number; families: Families } {
  const { timeUs, families } = record(json);
  const read = list(
    families,
    ({ name, samples }) => [text(name), list(samples, readSample)] as const,
  );
  return { time_us: number(timeUs), families: new Map(read) };
}

function readSample({ labels, value, count, sum }: Json): SampleInfo {
  return { labels: texts(labels), value: number(value), count: number(count), sum: number(sum) };
}

export function readDrops(json: unknown): DropInfo[] {
  return list(record(json)["frames"], (from) => ({
    network: text(from["network"]),
    time_us: number(from["timeUs"]),
    reason: text(from["reason"]),
    length: number(from["length"]),
    summary: text(from["summary"]),
    headers: hexOf(text(from["headers"])),
  }));
}

function hexOf(base64: string): string {
  let octets = "";
  try {
    octets = atob(base64);
  } catch {
    return "";
  }
  return [...octets].map((each) => each.charCodeAt(0).toString(16).padStart(2, "0")).join("");
}

export function readEvent(json: unknown): EventInfo {
  const { id, timeUs, network, kind, message, details } = record(json);
  return {
    id: number(id),
    time_us: number(timeUs),
    network: text(network),
    kind: text(kind).replace("EVENT_KIND_", ""),
    message: text(message),
    details: texts(details),
  };
}

export function readPorts(json: unknown): PortInfo[] {
  return list(record(json)["ports"], (from) => ({
    network: text(from["network"]),
    protocol: text(from["protocol"]),
    host: text(from["hostAddress"]),
    hostPort: number(from["hostPort"]),
    guest: text(from["guestAddress"]),
    guestPort: number(from["guestPort"]),
    isAdded: from["isAdded"] === true,
    isListening: from["isListening"] === true,
    flows: number(from["flows"]),
    count: Math.max(1, number(from["count"])),
  }));
}

export function readCaptures(json: unknown): CaptureInfo[] {
  return list(record(json)["captures"], (from) => ({
    id: number(from["id"]),
    network: text(from["network"]),
    filter: text(from["filter"]),
    file: text(from["file"]),
    frames: number(from["frames"]),
    octets: number(from["octets"]),
    lost: number(from["framesLost"]),
  }));
}

export function readLogLine(json: unknown): { text: string; lost: number } {
  const line = record(json);
  return { text: text(line["text"]), lost: number(line["lost"]) };
}

/** error, warn, info or debug. */
export function readLevel(json: unknown): string {
  return text(record(json)["level"]).replace("LOG_LEVEL_", "").toLowerCase();
}

export function readLost(json: unknown): string {
  return text(record(json)["message"]);
}
