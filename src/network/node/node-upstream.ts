/**
 * The network of this machine by Node's own modules: no system calls of ours, so it runs wherever
 * Node 20, Bun or Deno do, on Linux, macOS and Windows.
 *
 * What the program's own host sockets do and these cannot: TOS; urgent data; echoes (ping) to the
 * outside; ICMP errors about UDP without a peer; segments of more than one datagram at a time.
 *
 * Sockets are bounded in number and each in what it holds (`tcp-socket.ts`, `udp-socket.ts`); a
 * connection beyond the bound fails with EMFILE, so do ports of UDP.
 *
 * Loopback of this machine: the engine lets no guest name it. What is at 127.0.0.1 and ::1 is
 * reached at the gateway's address, and only where the network's settings say `hostLoopback`. Its
 * other addresses are out of reach with `hostAddress: "refuse"`.
 */
import { getServers } from "node:dns";
import { setMaxListeners } from "node:events";
import { refused as refuse } from "../no-upstream.ts";
import type { TcpEvents, TcpSocket, UdpSocket, Upstream } from "../upstream.ts";
import { askServers, serverOf } from "./name-servers.ts";
import { OwnAddresses } from "./own-addresses.ts";
import { connectTcp, type NodeTcpSocket } from "./tcp-socket.ts";
import { type DatagramCounts, NodeUdpSocket } from "./udp-socket.ts";

export interface NodeUpstreamOptions {
  /** Versions of IP that this machine reaches; default both. */
  readonly families?: readonly (4 | 6)[];
  /** Name servers, as `192.0.2.1` or `192.0.2.1:5353`; default those of the system. */
  readonly nameServers?: readonly string[];
  /** Whether a guest reaches this machine's own addresses and link-local ones. Default "allow". */
  readonly hostAddress?: "allow" | "refuse";
  /** Connections and ports of UDP there may be at a time. Defaults 10000, 1024. */
  readonly tcpSockets?: number;
  readonly udpSockets?: number;
}

/** What a Node upstream has and has counted. */
export interface NodeUpstreamStats extends Readonly<DatagramCounts> {
  /** Sockets that the runtime has, those included that still send what was taken. */
  readonly tcpSockets: number;
  readonly udpSockets: number;
  /** Octets that wait in this program, both ways. */
  readonly held: number;
  /** Sockets that could not be had as there were too many. */
  readonly refused: number;
}

export interface NodeUpstream extends Upstream {
  stats(): NodeUpstreamStats;
}

const TCP_SOCKETS = 10_000;
const UDP_SOCKETS = 1024;
/** Questions to name servers that wait at a time. */
const QUESTIONS_MAX = 256;

/** Throws `RangeError` for a name server that is none. */
export function nodeUpstream(options: NodeUpstreamOptions = {}): NodeUpstream {
  const { families, nameServers, tcpSockets = TCP_SOCKETS, udpSockets = UDP_SOCKETS } = options;
  const own = nameServers?.map(serverOf);
  const near = options.hostAddress === "refuse" ? new OwnAddresses() : undefined;
  const streams = new Set<NodeTcpSocket>();
  const ports = new Set<NodeUdpSocket>();
  const counts = { droppedToGuest: 0, droppedToFar: 0 };
  const end = new AbortController();
  setMaxListeners(QUESTIONS_MAX + 1, end.signal); // each question waits for it
  let refused = 0;
  let questions = 0;
  return {
    ...(families && { families }),
    connect: ({ address, port }, events: TcpEvents): TcpSocket => {
      if (streams.size >= tcpSockets || end.signal.aborted) {
        refused += 1;
        return refuse(events, "EMFILE");
      }
      if (near?.has(address)) return refuse(events, "EACCES");
      const socket = connectTcp(address, port, events, () => streams.delete(socket));
      streams.add(socket);
      return socket;
    },
    openUdp: (wanted, events): UdpSocket | undefined => {
      if (ports.size >= udpSockets || end.signal.aborted) {
        refused += 1;
        return undefined;
      }
      const socket = new NodeUdpSocket(wanted, events, { counts, near }, () =>
        ports.delete(socket),
      );
      ports.add(socket);
      return socket;
    },
    resolve: async (question) => {
      if (questions === QUESTIONS_MAX) throw new Error("too many questions wait for name servers");
      questions += 1;
      try {
        return await askServers(question, own ?? getServers().map(serverOf), end.signal);
      } finally {
        questions -= 1;
      }
    },
    stats: () => {
      let held = 0;
      for (const socket of [...streams, ...ports]) held += socket.held;
      return { tcpSockets: streams.size, udpSockets: ports.size, held, refused, ...counts };
    },
    close: () => {
      end.abort();
      for (const socket of streams) socket.close(true);
      for (const socket of ports) socket.close();
    },
  };
}
