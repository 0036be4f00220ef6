/** Connections into the guest. */
import type { Engine } from "../engine/engine.ts";
import { EngineError } from "../engine/errors.ts";
import { isIpv4, parseIpv4 } from "../lib/addr.ts";
import { octetsOfIpv6, readIpv6 } from "../lib/addr6.ts";
import type { Network } from "./network.ts";
import { type Connection, StreamPair } from "./stream-pair.ts";
import type { Endpoint, TcpEvents, TcpSocket } from "./upstream.ts";

/** A connection that somebody outside has made and that is to go on to the guest. */
export interface Knock {
  /** Port of the guest. */
  readonly port: number;
  /** Who the guest sees; absent: the gateway. */
  readonly from?: Endpoint | undefined;
  /** Makes the socket of the flow, which is connected. */
  readonly open: (events: TcpEvents) => TcpSocket;
  /** There is no slot for it, or no such address. */
  readonly refuse: () => void;
}

export const PORT_MAX = 0xffff;
/** Ports that a caller may have where it says none: those that systems hand out (RFC 6335 §6). */
const PORT_FIRST = 49_152;
const PORT_COUNT = 16_384;

/**
 * Connects to a port of the guest. What the guest refuses shows as an error of the streams.
 * @param from who the guest sees; absent: its gateway
 * @throws EngineError DISPOSED, CONFIG
 */
export function dial(network: Network, port: number, from?: Endpoint): Connection {
  const pair = new StreamPair();
  const refuse = (): void => pair.close(true);
  admit(network, { port, from, open: (events) => pair.open(events), refuse });
  return pair.connection;
}

/**
 * Has a connection that somebody else has accepted go on to the guest.
 * @throws EngineError DISPOSED, CONFIG
 */
export function admit(network: Network, { port, from, open, refuse }: Knock): void {
  checkNumber("port", port, PORT_MAX);
  if (from !== undefined) checkCaller(from);
  network.send({
    run: ({ engine, operations, now, before }) => {
      const address = numberOf(engine, from);
      const fromPort = from?.port ?? PORT_FIRST + (before % PORT_COUNT);
      const handle = address === 0 ? 0 : engine.inboundTcp(port, address, fromPort, now);
      if (handle === 0) refuse();
      else operations.adopt(handle, open);
    },
    drop: refuse,
  });
}

/** Throws `EngineError` CONFIG for what is no integer from 1 to `most`. */
export function checkNumber(name: string, value: number, most: number): void {
  if (Number.isInteger(value) && value >= 1 && value <= most) return;
  throw new EngineError("CONFIG", `set ${name} to an integer from 1 to ${most}, not "${value}"`);
}

/** Throws `EngineError` CONFIG for what is no endpoint. */
function checkCaller(from: Endpoint): void {
  const { address, port } = from ?? {};
  const isAddress = typeof address === "string" && (isIpv4(address) || readIpv6(address));
  if (isAddress && Number.isInteger(port) && port > 0 && port <= PORT_MAX) return;
  const text = `set from to an address and a port of 1 to ${PORT_MAX}, not ${JSON.stringify(from)}`;
  throw new EngineError("CONFIG", text);
}

/** The number of the caller's address; 0 = it has none. */
function numberOf(engine: Engine, from: Endpoint | undefined): number {
  const { config } = engine;
  if (from === undefined) {
    if (config.ipv4 !== false) return config.gatewayAddress;
    return engine.addressSix(octetsOfIpv6(config.ipv6?.gateway ?? []));
  }
  if (isIpv4(from.address)) return parseIpv4(from.address);
  const groups = readIpv6(from.address);
  return groups === undefined ? 0 : engine.addressSix(octetsOfIpv6(groups));
}
