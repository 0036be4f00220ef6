/**
 * Connections into the guest: asked for at any time, opened in the next turn, when no operation is
 * under way and the engine has a slot for them.
 */
import type { Engine } from "../engine/engine.ts";
import { isIpv4, parseIpv4 } from "../lib/addr.ts";
import { octetsOfIpv6, readIpv6 } from "../lib/addr6.ts";
import type { SocketOperations } from "./socket-operations.ts";
import type { Endpoint, TcpEvents, TcpSocket } from "./upstream.ts";

/** A connection that waits to be opened. */
export interface Knock {
  /** Port of the guest. */
  readonly port: number;
  /** Who the guest sees; absent: the gateway. */
  readonly from?: Endpoint | undefined;
  /** Makes the socket of the flow. */
  readonly open: (events: TcpEvents) => TcpSocket;
  /** There is no slot for it, or no such address. */
  readonly refuse: () => void;
}

/** Connections that wait for their turn at most. */
const WAITING_MAX = 1024;
/** Ports that a caller may have where it says none: those that systems hand out (RFC 6335 §6). */
const PORT_FIRST = 49_152;
const PORT_COUNT = 16_384;

export class Inbound {
  readonly #engine: Engine;
  readonly #operations: SocketOperations;
  readonly #waiting: Knock[] = [];
  #calls = 0;

  constructor(engine: Engine, operations: SocketOperations) {
    this.#engine = engine;
    this.#operations = operations;
  }

  /** Whether it may be opened in the next turn; false = too many wait. */
  add(knock: Knock): boolean {
    if (this.#waiting.length === WAITING_MAX) return false;
    this.#waiting.push(knock);
    return true;
  }

  /** Opens those that wait; how many. */
  accept(now: number): number {
    const knocks = this.#waiting.splice(0);
    for (const knock of knocks) {
      const address = this.#peer(knock.from);
      const port = knock.from?.port ?? PORT_FIRST + (this.#calls % PORT_COUNT);
      this.#calls += 1;
      const handle = address === 0 ? 0 : this.#engine.inboundTcp(knock.port, address, port, now);
      if (handle === 0) knock.refuse();
      else this.#operations.adopt(handle, knock.open);
    }
    return knocks.length;
  }

  /** The number of the caller's address; 0 = it has none. */
  #peer(from: Endpoint | undefined): number {
    const { config } = this.#engine;
    if (from === undefined) {
      if (config.ipv4 !== false) return config.gatewayAddress;
      return this.#engine.addressSix(octetsOfIpv6(config.ipv6?.gateway ?? []));
    }
    if (isIpv4(from.address)) return parseIpv4(from.address);
    const groups = readIpv6(from.address);
    return groups === undefined ? 0 : this.#engine.addressSix(octetsOfIpv6(groups));
  }

  /** The network ends. */
  close(): void {
    for (const { refuse } of this.#waiting.splice(0)) refuse();
  }
}
