/**
 * What is to happen in a run, drawn from its seed before it begins. Plans are values: nothing in
 * them changes while the run goes on.
 *
 * Times are microseconds, rates octets per second (0 = no limit), chances in a million.
 */
import type { CardPlan } from "./card/card-plan.ts";
import type { TcpSettings } from "./guest/tcp-options.ts";
import type { RingPlan } from "./receive-ring.ts";
import type { WireOptions } from "./wire.ts";

/** How a connection attempt of the host ends. */
export type ConnectPlan =
  | { readonly kind: "ok"; readonly delay: number }
  | { readonly kind: "fails"; readonly delay: number; readonly errno: number }
  | { readonly kind: "never" };

/** When a side says that it has no more to send; "never" = it holds on to the connection. */
export type CloseWhen = "sent" | "peer-ended" | "never";

/** The far side of a host socket, and the socket itself. */
export interface PeerPlan {
  readonly connect: ConnectPlan;
  /** One way. */
  readonly latency: number;
  readonly rate: number;
  /** Octets the host's socket buffers hold. */
  readonly sendBuffer: number;
  readonly receiveBuffer: number;
  /** Octets the peer must have received before it begins to send. */
  readonly sendAfter: number;
  readonly closeWhen: CloseWhen;
  /** Chance per transfer that nothing moves for `stall`, as after a loss. */
  readonly stalls: number;
  readonly stall: number;
  /** The peer resets once it has sent and received this much in all; undefined = never. */
  readonly resetAt: number | undefined;
  /** Octets it reads before it reads no more; absent = all. */
  readonly readsMax?: number;
}

/** How the application in the guest behaves. */
export interface AppPlan {
  /** When it starts. */
  readonly startAt: number;
  /** "all-read" = when it has all it knows will come, as after a response of known length. */
  readonly closeWhen: CloseWhen | "all-read";
  /** Octets per read, and the pause between reads; 0 = at once whatever there is. */
  readonly readSize: number;
  readonly readPause: number;
  /** Octets per write, and the pause between writes; 0 = as much as goes. */
  readonly writeSize: number;
  readonly writePause: number;
  /** It resets once it has written and read this much in all; undefined = never. */
  readonly resetAt: number | undefined;
  readonly settings: Partial<TcpSettings>;
}

/** One TCP connection. Its `id` names its two streams: 2 * id up, 2 * id + 1 down. */
export interface TcpPlan {
  readonly id: number;
  /** Opened from outside to a published port. */
  readonly isInbound: boolean;
  readonly address: number;
  readonly port: number;
  /** Octets from the guest and to the guest. */
  readonly up: number;
  readonly down: number;
  readonly peer: PeerPlan;
  readonly app: AppPlan;
  /** It has a claim to nothing: it may be refused, and ended at any time. */
  readonly yields?: boolean;
  /** What the peer sends never reaches the guest's stack, which acknowledges nothing. */
  readonly isDeaf?: boolean;
  /** The peer breaks the connection then, counted from the start, as when its program dies. */
  readonly leavesAt?: number;
}

export type DatagramService = "echo" | "silent" | "refused";

/** Datagrams from one port of the guest to one peer, which sends them back. */
export interface UdpPlan {
  readonly id: number;
  readonly address: number;
  readonly port: number;
  readonly service: DatagramService;
  readonly startAt: number;
  readonly count: number;
  readonly pause: number;
  /** Octets of payload, of each in turn. */
  readonly sizes: readonly [number, ...number[]];
  /** Its datagrams may be lost for want of room. */
  readonly yields?: boolean;
}

export interface PingPlan {
  readonly id: number;
  readonly address: number;
  readonly startAt: number;
  readonly count: number;
  readonly pause: number;
  readonly size: number;
}

export interface DnsPlan {
  readonly id: number;
  readonly name: string;
  readonly startAt: number;
}

/** What the host's system calls may answer besides what is true. */
export interface HostFaults {
  /** A call says EAGAIN although it could go on; an edge follows. */
  readonly again: number;
  /** A call is interrupted. */
  readonly interrupted: number;
  /** A send takes only a part. */
  readonly shortWrites: number;
  /** A datagram is lost between host and peer. */
  readonly datagramLoss: number;
  /** A socket that was closed is heard of once more, as in a batch of events fetched before. */
  readonly staleNews: number;
  /** Equal datagrams in a row are received as one run (UDP_GRO). */
  readonly coalesces: boolean;
}

/** One of the two resolvers gives no answers for a while. */
export interface ResolverOutage {
  readonly resolver: 0 | 1;
  readonly at: number;
  readonly duration: number;
  /** Its host says that the port is closed, instead of nothing. */
  readonly isRefused: boolean;
}

/** A router beyond the host that lets only small packets through. */
export interface NarrowPath {
  /** Octets of the largest IP packet. */
  readonly mtu: number;
  /** It says so by ICMP; otherwise it is a black hole. */
  readonly isTold: boolean;
}

/** The limits and kind of the network under test. */
export interface EngineLimits {
  readonly mtu: number;
  readonly flowsMax: number;
  readonly chunksMax: number;
  readonly queueFrames: number;
  readonly udpTimeoutSeconds: number;
  readonly tcpIdleSeconds: number;
  readonly keepaliveSeconds: number;
  readonly strictFilter: boolean;
  /** The link has a virtio_net_hdr and offloads. */
  readonly offloads: boolean;
}

/**
 * What is promised to each whatever the others do, times in virtual microseconds. Times in which
 * the guest does not read do not count.
 */
export interface Promises {
  /** A connection is up so long after the guest, or somebody outside, asked for it. */
  readonly connectWithin: number;
  /** A flow whose two ends want to move moves. */
  readonly moveWithin: number;
  /** A question is answered. */
  readonly answerWithin: number;
  /** A flow that is half-closed and idle is ended (RFC 5382 REQ-5 has it live 4 min at least). */
  readonly halfClosedWithin: number;
}

/** The guest's end of the link does not read for a while. */
export interface Silence {
  readonly at: number;
  readonly duration: number;
}

export interface Plan {
  readonly seed: number;
  readonly limits: EngineLimits;
  /** Waits are made with one lazy alarm, as the binding does. */
  readonly alarmed: boolean;
  readonly toGuest: WireOptions;
  readonly toEngine: WireOptions;
  readonly host: HostFaults;
  readonly tcp: readonly TcpPlan[];
  readonly udp: readonly UdpPlan[];
  readonly pings: readonly PingPlan[];
  readonly dns: readonly DnsPlan[];
  /** Faults stop then, counted from the start. */
  readonly calmAt: number;
  /** Everything is over at the latest this long after that. */
  readonly patience: number;
  /** The host is cut off for a while: connections break, nothing can be opened or sent. */
  readonly outage: { readonly at: number; readonly duration: number } | undefined;
  /**
   * The worker fails then, and another one starts at once: engine and host sockets are gone, and so
   * are the connections. Absent = never.
   */
  readonly restarts?: readonly number[];
  /** The first of the two resolvers never answers. */
  readonly resolverIsDead: boolean;
  readonly resolverOutages?: readonly ResolverOutage[];
  /** What datagrams and echo requests meet; the host's TCP finds out by itself, as kernels do. */
  readonly path?: NarrowPath;
  /** The table is small enough for flows to be evicted. */
  readonly isCrowded: boolean;
  /** Several parties compete, and this is what each is promised. Absent = nothing is. */
  readonly promises?: Promises;
  readonly silences?: readonly Silence[];
  /**
   * The guest's writes block when so many frames wait, and while one blocks it does not read.
   * Absent = it never waits, and what finds no room is lost.
   */
  readonly guestBacklog?: number;
  /** The guest's card has a ring that bursts overflow. Absent = it takes whatever comes. */
  readonly guestRing?: RingPlan;
  /** The link is a vhost-user card, which has offloads. Absent = it is memory. */
  readonly card?: CardPlan;
}

export const FAULTLESS_HOST: HostFaults = {
  again: 0,
  interrupted: 0,
  shortWrites: 0,
  datagramLoss: 0,
  staleNews: 0,
  coalesces: false,
};

/** Connections of this plan may break at any time although their own plans do not say so. */
export function hasTrouble({ isCrowded, outage }: Plan): boolean {
  return isCrowded || outage !== undefined;
}

/** Connections of this plan may break although their own plans do not say so. */
export function mayBreak(plan: Plan): boolean {
  return hasTrouble(plan) || plan.restarts !== undefined;
}
