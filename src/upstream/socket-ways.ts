/** What host sockets may take, and where they lead. */
import type { ConnectTimes } from "./connect-times.ts";
import type { LentFrames } from "./lent.ts";
import type { Outbound } from "./outbound.ts";

/** What all sockets together may take. */
export interface SocketBounds {
  /** Descriptors; asked for whenever one is to be opened. */
  readonly socketsMax: number;
  /** Octets in the kernel's buffers. */
  readonly buffers: number;
  /** Microseconds. */
  readonly clock: () => number;
}

/** The guest's end of a pair of sockets to a service of the host's own; or the negative errno. */
export type OpenService = () => number;

/** Where sockets lead. */
export interface SocketWays {
  /** How they leave this host. */
  readonly outbound: Outbound;
  /** To a service of the program's own, if there is one. */
  readonly service?: OpenService | undefined;
  /** What the guest's link lends, if it does. */
  readonly lent?: LentFrames | undefined;
  /** Absent: nobody watches. */
  readonly connectTimes?: ConnectTimes | undefined;
}
