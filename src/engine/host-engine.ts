/**
 * The engine in a host with sockets, links and settings that change: what `Engine` has, and the
 * calls that a network in memory has no use for.
 */
import * as abi from "../../wasm/abi.ts";
import {
  type EngineConfigValues,
  encodeOptions,
  encodeResolvers,
  type ResolverAddress,
} from "./config.ts";
import { Engine } from "./engine.ts";
import { EngineError } from "./errors.ts";

/** What flows and payload may take. */
export type EngineLimits = Pick<EngineConfigValues, "flowsMax" | "chunksMax">;

/** Below it the engine cannot work. */
const LIMIT_MIN = 16;

const PROTOCOL_TCP = 6;
const PROTOCOL_UDP = 17;

const HEARD_WORD = abi.CONTROL_HEARD_OFFSET >> 2;

export class HostEngine extends Engine {
  /**
   * Says where engine memory lies in the host process, so that iovecs and msghdrs carry addresses
   * a system call can use. Without it they carry engine offsets. Only before `start`.
   */
  setHostBase(address: bigint): void {
    if (this.isStarted) {
      throw new EngineError("START", "cannot move the memory of an engine that has started");
    }
    this.hostBase = address;
  }

  /** Replaces the resolvers behind the DNS address, at most `RESOLVER_COUNT`. Cold. */
  setResolvers(addresses: readonly ResolverAddress[]): void {
    encodeResolvers(this.view, this.bases.config, addresses);
  }

  /**
   * Replaces what DHCP and DHCPv6 tell the guest, octets as on the wire, `DHCP_OPTIONS_SIZE` at
   * most each; the search list among it is advertised at once. Throws `RangeError`. Cold.
   */
  setDhcpOptions(dhcp: Uint8Array, dhcp6: Uint8Array): void {
    encodeOptions(this.view, this.bases.config, { dhcp, dhcp6 });
  }

  /**
   * Replaces the host's own addresses, 16 octets each, IPv4 as ::ffff:A.B.C.D. Allowed between any
   * two calls. Returns how many found no room. Cold.
   */
  setHostAddresses(addresses: readonly ArrayLike<number>[]): number {
    this.calls.host_address(abi.HOST_CLEAR);
    return addresses.filter((octets) => !this.#hostAddress(octets, abi.HOST_OWN)).length;
  }

  #hostAddress(octets: ArrayLike<number>, kind: number): boolean {
    this.octets.set(octets, this.bases.control + abi.CONTROL_ADDRESS_OFFSET);
    return this.calls.host_address(kind) !== 0;
  }

  /**
   * Tells of a published port, so that the guest gets to it by the host's own addresses; address as
   * above, ::ffff:0.0.0.0 or :: for all of a version of IP. False = there is no room. Cold.
   */
  addHostPort(protocol: "tcp" | "udp", octets: ArrayLike<number>, port: number): boolean {
    const number = protocol === "tcp" ? PROTOCOL_TCP : PROTOCOL_UDP;
    return this.#hostAddress(octets, number * 2 ** abi.HOST_PORT_SHIFT + port);
  }

  /** Tells that a published port is so no longer. False = it was not. Cold. */
  removeHostPort(protocol: "tcp" | "udp", octets: ArrayLike<number>, port: number): boolean {
    const number = (protocol === "tcp" ? PROTOCOL_TCP : PROTOCOL_UDP) + abi.HOST_GONE;
    return this.#hostAddress(octets, number * 2 ** abi.HOST_PORT_SHIFT + port);
  }

  /** Tells whether spot 0 of a guest's UDP port has a socket of both versions. Cold. */
  setDual(guestPort: number, isDual = true): void {
    const kind = isDual ? abi.HOST_DUAL : abi.HOST_DUAL + abi.HOST_GONE;
    this.calls.host_address(kind * 2 ** abi.HOST_PORT_SHIFT + guestPort);
  }

  /**
   * Changes what flows and payload memory may take, from the next `step` on: up to what the engine
   * was started with, at least 16 of each. Flows beyond the limit end, a few in each step. Cold.
   */
  setLimits({ flowsMax, chunksMax }: EngineLimits): void {
    const at = this.bases.config >> 2;
    const { config } = this;
    this.words[at + (abi.CONFIG_FLOWS_MAX_OFFSET >> 2)] = within(flowsMax, config.flowsMax);
    this.words[at + (abi.CONFIG_CHUNKS_MAX_OFFSET >> 2)] = within(chunksMax, config.chunksMax);
  }

  /** What flows and payload memory may take now. */
  get limits(): EngineLimits {
    const at = this.bases.config >> 2;
    return {
      flowsMax: this.words[at + (abi.CONFIG_FLOWS_MAX_OFFSET >> 2)] ?? 0,
      chunksMax: this.words[at + (abi.CONFIG_CHUNKS_MAX_OFFSET >> 2)] ?? 0,
    };
  }

  /**
   * Something has come in at a published UDP port: opens a flow for its socket, or ties the socket
   * to the flow that waits for it. Returns the flow's handle; 0 = there is no slot, or the flow has
   * its socket already.
   * @param family version of IP of the socket
   * @param spot which of the sockets of the guest port, below `SPOT_COUNT`
   * @param guest address of the guest, of that version, it leads to and no other; 0 = whichever
   */
  inboundUdp(
    guestPort: number,
    hostPort: number,
    now: number,
    family: 4 | 6 = 4,
    spot = 0,
    guest = 0,
  ): number {
    const code = (family === 6 ? abi.FAMILY_SIX : 0) | (spot << abi.INBOUND_SPOT_SHIFT);
    return this.calls.inbound_udp(guestPort, hostPort, code, guest, now) >>> 0;
  }

  /** Changes whenever the guest is heard of at an address that is not link-local. */
  get heard(): number {
    return this.control[HEARD_WORD] ?? 0;
  }

  /** Has the guest's addresses asked for every so often, or no longer. */
  askForGuest(on: boolean): void {
    const at = (this.bases.config + abi.CONFIG_FLAGS_OFFSET) >> 2;
    const flags = (this.words[at] ?? 0) & ~abi.CONFIG_FLAG_ASK_GUEST;
    this.words[at] = on ? flags | abi.CONFIG_FLAG_ASK_GUEST : flags;
  }

  /** What frames the link may be given from now on, LINK_…; LINK_RX_TSO stays as it was. */
  setLinkFlags(flags: number): void {
    const at = (this.bases.config + abi.CONFIG_LINK_FLAGS_OFFSET) >> 2;
    const kept = (this.words[at] ?? 0) & abi.LINK_RX_TSO;
    this.words[at] = kept | (flags & ~abi.LINK_RX_TSO);
  }

  /**
   * The link has lost its peer: unless the same machine is back within two seconds, all flows end
   * and whoever comes next begins anew (`wasm/guest.ts`).
   */
  guestGone(now: number): void {
    this.calls.guest_gone(now);
  }

  /** The end is near: prepares frames for the guest that say so. Nothing else may be waiting. */
  farewell(): void {
    this.calls.farewell();
  }
}

/** `value` as a limit that the engine has room for. */
function within(value: number, most: number): number {
  return Math.min(most, Math.max(LIMIT_MIN, Math.floor(value)));
}
