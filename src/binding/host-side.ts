/**
 * What of a guest network faces the host: its sockets, the ports it publishes, the host's own
 * addresses, the TFTP service, and what becomes of flows when there is too little room for them.
 *
 * Two lives. `HostGround` is there as long as the network is: sockets of ports that are published,
 * the view of addresses, the TFTP folder, all of them opened while there were rights. `HostSide` is
 * there as long as one engine, and has what belongs to its flows.
 */
import type { BindingOptions } from "../config/attach.ts";
import type { HostEngine } from "../engine/host-engine.ts";
import type { Logger } from "../lib/log.ts";
import { monotonic } from "../loop/clock.ts";
import type { Sources } from "../loop/sources.ts";
import { AddressSource } from "../sys/addresses.ts";
import type { Epoll } from "../sys/epoll.ts";
import { EADDRINUSE } from "../sys/errno.ts";
import type { Libc } from "../sys/libc.ts";
import { findPortOwner, ownerText } from "../sys/port-owner.ts";
import { ConnectTimes } from "../upstream/connect-times.ts";
import type { HiddenPorts } from "../upstream/hidden-ports.ts";
import { LentFrames } from "../upstream/lent.ts";
import { Listeners } from "../upstream/listener.ts";
import { Outbound } from "../upstream/outbound.ts";
import { AddressWatch } from "../upstream/own-addresses.ts";
import { PortError } from "../upstream/port-error.ts";
import { PortSockets } from "../upstream/port-sockets.ts";
import { HostSockets } from "../upstream/sockets.ts";
import { spotsOf, type Versions } from "../upstream/spots.ts";
import { TftpService } from "../upstream/tftp.ts";
import type { Watch } from "./housekeeping.ts";
import type { Meters } from "./meters.ts";
import { Pressure } from "./pressure.ts";
import type { FoundRoom } from "./room.ts";
import { logLeftOut } from "./worker-lines.ts";

/** What of it outlives engines. */
export class HostGround {
  readonly ports: PortSockets;
  readonly addresses: AddressWatch;
  readonly outbound: Outbound;
  /** An engine has had all of it. */
  isOpen = false;
  readonly #sys: Libc;
  readonly #folder: string | undefined;
  readonly #log: Logger;
  #tftp: TftpService | undefined;

  constructor(sys: Libc, options: BindingOptions, log: Logger) {
    const { outbound, hostAddress } = options.hostSide;
    this.#sys = sys;
    this.#folder = options.boot?.tftp;
    this.#log = log;
    this.ports = new PortSockets(sys);
    this.outbound = new Outbound(outbound);
    const isRefused = hostAddress === "refuse";
    this.addresses = new AddressWatch(() => new AddressSource(sys), log, isRefused);
  }

  /**
   * The TFTP service, without transfers.
   * @throws SystemError where its folder cannot be opened
   */
  tftp(epoll: Epoll): TftpService | undefined {
    if (this.#folder === undefined) return undefined;
    if (this.#tftp === undefined) {
      this.#tftp = new TftpService(this.#sys, epoll, this.#folder, this.#log, monotonic);
    } else this.#tftp.restart(epoll);
    return this.#tftp;
  }

  close(): void {
    for (const part of [this.addresses, this.ports, this.#tftp]) part?.close();
  }
}

/** Ports that are left out of which it is told who has them: to find out takes milliseconds. */
const EXPLAINED_MAX = 8;

/** Who has a port that cannot be published; undefined: that is not the reason, or nobody tells. */
function ownerOf({ errno, rule, ports }: PortError, versions: Versions): string | undefined {
  if (errno !== EADDRINUSE) return undefined;
  const owner = findPortOwner(rule.protocol, spotsOf(rule, versions), ports.hostPort);
  return owner && ownerText(owner);
}

export interface HostSideParts {
  readonly sys: Libc;
  readonly epoll: Epoll;
  readonly engine: HostEngine;
  /** Address of the engine's memory. */
  readonly base: number;
  readonly options: BindingOptions;
  readonly hidden: HiddenPorts;
  readonly room: FoundRoom;
  readonly ground: HostGround;
  /** What the engine reads is recorded. */
  readonly isRecorded: boolean;
  readonly log: Logger;
  /** Absent: nobody watches. */
  readonly meters: Meters | undefined;
}

export class HostSide {
  readonly upstream: HostSockets;
  readonly listeners: Listeners;
  readonly pressure: Pressure;
  /** Takes what the link lends, if it may. */
  readonly lent: LentFrames | undefined;
  readonly #tftp: TftpService | undefined;
  readonly #parts: HostSideParts;

  constructor(parts: HostSideParts) {
    const { sys, epoll, engine, base, hidden, room, ground, isRecorded, log } = parts;
    this.#parts = parts;
    // What is recorded has to be in engine memory.
    const lent = isRecorded ? undefined : new LentFrames(sys, engine, base);
    this.lent = lent;
    const tftp = ground.tftp(epoll);
    this.#tftp = tftp;
    const { limits, memory } = room;
    const bounds = {
      buffers: limits.buffers,
      clock: monotonic,
      get socketsMax() {
        return limits.socketsMax - ground.ports.extra;
      },
    };
    const ways = {
      outbound: ground.outbound,
      service: tftp && (() => tftp.open()),
      connectTimes: connectTimesOf(parts),
      lent,
    };
    const upstream = new HostSockets(sys, epoll, engine, base, hidden, bounds, ways);
    const pressure = new Pressure({
      engine,
      sockets: upstream,
      memory,
      limits: engine.config,
      log,
    });
    this.upstream = upstream;
    this.pressure = pressure;
    const onShort = (now: number): boolean => pressure.shortOfSockets(now);
    this.listeners = new Listeners(sys, engine, upstream, onShort, ground.ports);
  }

  /**
   * Looks for the host's addresses and publishes ports.
   * @throws SystemError where an address to send from is not there, or a port that must be
   * published cannot be had
   */
  open(sources: Sources): void {
    const { sys, epoll, engine, ground } = this.#parts;
    if (!ground.isOpen) ground.outbound.check(sys);
    ground.addresses.start(engine, epoll, monotonic());
    if (ground.isOpen) this.listeners.resume(sources);
    else this.#publish(sources);
    ground.isOpen = true;
  }

  /** Publishes what was asked for at the start, and what was added before the network failed. */
  #publish(sources: Sources): void {
    const { options, log } = this.#parts;
    const { rules, added = [], needsEveryPort } = options.publish;
    const versions = versionsOf(options);
    let explained = 0;
    const explain = (error: PortError): string | undefined => {
      explained += 1;
      return explained > EXPLAINED_MAX ? undefined : ownerOf(error, versions);
    };
    const onFault = (error: PortError): void => logLeftOut(log, error, explain(error));
    const { listeners } = this;
    try {
      listeners.open(rules, sources, versions, needsEveryPort ? undefined : onFault);
    } catch (error) {
      if (error instanceof PortError) throw error.because(ownerOf(error, versions));
      throw error;
    }
    listeners.open(added, sources, versions, onFault, true);
  }

  /** What is to be looked at between packets. */
  get watches(): readonly Watch[] {
    const { addresses } = this.#parts.ground;
    return this.#tftp === undefined ? [addresses] : [addresses, this.#tftp];
  }

  /** Closes what belongs to flows; the rest stays for the next engine. */
  leave(): void {
    this.listeners.leave();
    this.upstream.close();
  }
}

function connectTimesOf({ meters }: HostSideParts): ConnectTimes | undefined {
  if (meters === undefined) return undefined;
  return new ConnectTimes((seconds) => meters.histograms.connect.observe(seconds), monotonic);
}

export function versionsOf({ network }: BindingOptions): Versions {
  return { ipv4: network.ipv4, ipv6: network.subnet6 !== undefined };
}
