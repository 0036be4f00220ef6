/**
 * What of a guest network faces the host: its sockets, the ports it publishes, the host's own
 * addresses, the TFTP service, and what becomes of flows when there is too little room for them.
 */
import type { BindingOptions } from "../config/attach.ts";
import type { Engine } from "../engine/engine.ts";
import type { Logger } from "../lib/log.ts";
import type { OutputSink } from "../lib/output-file.ts";
import { monotonic } from "../loop/clock.ts";
import type { Sources } from "../loop/sources.ts";
import { AddressSource } from "../sys/addresses.ts";
import type { Epoll } from "../sys/epoll.ts";
import type { SystemError } from "../sys/errno.ts";
import type { Libc } from "../sys/libc.ts";
import { ConnectTimes } from "../upstream/connect-times.ts";
import type { HiddenPorts } from "../upstream/hidden-ports.ts";
import { LentFrames } from "../upstream/lent.ts";
import { Listeners } from "../upstream/listener.ts";
import { Outbound } from "../upstream/outbound.ts";
import { AddressWatch } from "../upstream/own-addresses.ts";
import { HostSockets } from "../upstream/sockets.ts";
import { TftpService } from "../upstream/tftp.ts";
import type { Watch } from "./housekeeping.ts";
import type { Meters } from "./meters.ts";
import { Pressure } from "./pressure.ts";
import type { FoundRoom } from "./room.ts";
import { logLeftOut } from "./worker-lines.ts";

export interface HostSideParts {
  readonly sys: Libc;
  readonly epoll: Epoll;
  readonly engine: Engine;
  /** Address of the engine's memory. */
  readonly base: number;
  readonly options: BindingOptions;
  readonly hidden: HiddenPorts;
  readonly room: FoundRoom;
  /** Where the engine is recorded, if it is. */
  readonly sink: OutputSink | undefined;
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
  readonly #outbound: Outbound;
  readonly #addresses: AddressWatch;
  readonly #tftp: TftpService | undefined;
  readonly #parts: HostSideParts;

  constructor(parts: HostSideParts) {
    const { sys, epoll, engine, base, options, hidden, room, sink, log } = parts;
    this.#parts = parts;
    // What is recorded has to be in engine memory.
    const lent = sink === undefined ? new LentFrames(sys, engine, base) : undefined;
    this.lent = lent;
    const tftp = openTftp(parts);
    this.#tftp = tftp;
    this.#outbound = new Outbound(options.hostSide.outbound);
    const { limits, memory } = room;
    const bounds = { ...limits, clock: monotonic };
    const ways = {
      outbound: this.#outbound,
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
    this.listeners = new Listeners(sys, engine, upstream, (now) => pressure.shortOfSockets(now));
    const isRefused = options.hostSide.hostAddress === "refuse";
    this.#addresses = new AddressWatch(() => new AddressSource(sys), log, isRefused);
  }

  /**
   * Looks for the host's addresses and publishes ports.
   * @throws SystemError where an address to send from is not there, or a port that must be
   * published cannot be had
   */
  open(sources: Sources): void {
    const { sys, epoll, engine, options, log } = this.#parts;
    this.#outbound.check(sys);
    this.#addresses.start(engine, epoll, monotonic());
    const { rules, needsEveryPort } = options.publish;
    const onFault = needsEveryPort ? undefined : (error: SystemError) => logLeftOut(log, error);
    this.listeners.open(rules, sources, versionsOf(options), onFault);
  }

  /** What is to be looked at between packets. */
  get watches(): readonly Watch[] {
    return this.#tftp === undefined ? [this.#addresses] : [this.#addresses, this.#tftp];
  }

  close(): void {
    for (const part of [this.#addresses, this.listeners, this.upstream, this.#tftp]) part?.close();
  }
}

function openTftp({ sys, epoll, options, log }: HostSideParts): TftpService | undefined {
  const folder = options.boot?.tftp;
  return folder === undefined ? undefined : new TftpService(sys, epoll, folder, log, monotonic);
}

function connectTimesOf({ meters }: HostSideParts): ConnectTimes | undefined {
  if (meters === undefined) return undefined;
  return new ConnectTimes((seconds) => meters.histograms.connect.observe(seconds), monotonic);
}

function versionsOf({ network }: BindingOptions): { ipv4: boolean; ipv6: boolean } {
  return { ipv4: network.ipv4, ipv6: network.subnet6 !== undefined };
}
