/** What is found out about the machine, for checks to judge. Undefined: it could not be told. */

export interface Interface {
  readonly name: string;
  readonly mtu: number;
  readonly isUp: boolean;
  readonly isLoopback: boolean;
}

export interface ResolverFact {
  readonly address: string;
  /** Milliseconds until it answered; undefined = it did not. */
  readonly answered_ms: number | undefined;
}

export interface Facts {
  /** Bun and Deno make system calls; Node does not. */
  readonly hasSystemCalls: boolean;
  readonly uid: number;
  readonly gid: number;
  /** May bind ports below `portStart` (CAP_NET_BIND_SERVICE). */
  readonly mayBindAny: boolean;
  /** Seccomp mode of the process: 0 none, 1 strict, 2 filter. */
  readonly seccompMode: number | undefined;
  /** Opening /dev/net/tun: undefined = it can be, else the errno's name. */
  readonly tunProblem: string | undefined;
  /** net.ipv4.ping_group_range. */
  readonly pingGroups: readonly [first: number, last: number] | undefined;
  /** Whether a ping socket can be had. */
  readonly mayPing: boolean | undefined;
  /** net.ipv4.ip_unprivileged_port_start. */
  readonly portStart: number | undefined;
  /** Hard limit of descriptors. */
  readonly descriptors: number | undefined;
  /** Text of resolv.conf. */
  readonly resolvConf: string | undefined;
  readonly resolvers: readonly ResolverFact[];
  /** IPv6 is switched off for all interfaces, or not in the kernel at all. */
  readonly isIpv6Off: boolean;
  /** There is a default route of IPv6. */
  readonly hasIpv6Route: boolean;
  readonly interfaces: readonly Interface[];
  /** Milliseconds since 1970, and when the program was made. */
  readonly clock_ms: number;
  readonly built_ms: number | undefined;
  /** What the kernel or a filter refuses of what is used if it is there. */
  readonly missingFeatures: readonly string[];
  /** Limit of memory, octets, and the file that says so. */
  readonly memoryLimit: { readonly octets: number; readonly source: string } | undefined;
  readonly hooksFolder: {
    readonly path: string;
    /** undefined = there is none. */
    readonly isWritable: boolean | undefined;
  };
}

/** What the program would be asked to do. */
export interface Wishes {
  readonly flowsMax: number;
  /** Sockets that published ports need. */
  readonly publishedSockets: number;
  /** The lowest of these ports; undefined = none are published. */
  readonly lowestPort: number | undefined;
}
