/** Ports of this machine, or a socket in its file system, that lead to a port of the guest. */

import { createServer, type ListenOptions, type Socket } from "node:net";
import { admit, checkNumber, PORT_MAX } from "../inbound.ts";
import type { Network } from "../network.ts";
import type { Endpoint } from "../upstream.ts";
import { NodeTcpSocket } from "./tcp-socket.ts";

export interface PublishOptions {
  /** Port of this machine; 0 = any that is free. Not with `path`. */
  readonly port?: number;
  /** Address that is listened at; default 127.0.0.1. */
  readonly host?: string;
  /** A socket in the file system, or a pipe's name on Windows, in place of a port. */
  readonly path?: string;
  readonly guestPort: number;
  /** Connections there may be at a time; what comes beyond is closed. Default 1024. */
  readonly connections?: number;
}

/** A port that is published. */
export interface Published {
  /** Port that is listened at, 0 for a path. */
  readonly port: number;
  /** Nobody is let in from then on; connections that exist go on. Idempotent. */
  close(): void;
}

const HOST = "127.0.0.1";
const CONNECTIONS = 1024;

/**
 * Lets connections in until it is closed or the network ends. The guest sees callers at this
 * machine as its gateway, others by their address. Rejects where nothing can be listened at, and
 * with `EngineError`: CONFIG, DISPOSED.
 */
export async function publish(network: Network, options: PublishOptions): Promise<Published> {
  const { path, port = 0, host = HOST, guestPort, connections = CONNECTIONS } = options;
  checkNumber("guestPort", guestPort, PORT_MAX);
  checkNumber("connections", connections, Number.MAX_SAFE_INTEGER);
  network.inspect(() => {}); // nothing is listened at for one that is over
  const server = createServer({ allowHalfOpen: true, pauseOnConnect: true });
  server.maxConnections = connections;
  const sockets = new Set<NodeTcpSocket>();
  server.on("connection", (socket) => letIn(network, socket, guestPort, sockets));
  const where: ListenOptions = path === undefined ? { port, host } : { path };
  return new Promise((resolve, reject) => {
    // Later ones are of a connection that could not be accepted, as for want of memory.
    server.on("error", reject);
    server.listen(where, () => {
      const address = server.address();
      const isPort = typeof address === "object" && address !== null;
      let isOpen = true;
      const close = (): void => {
        if (!isOpen) return;
        isOpen = false;
        server.close();
      };
      const end = (): void => {
        close();
        // Those that the guest has done with still send, which nobody else knows of.
        for (const socket of sockets) socket.close(true);
      };
      network.closed.then(end, end);
      resolve({ port: isPort ? address.port : 0, close });
    });
  });
}

/** @param sockets where it is while the runtime has it */
function letIn(network: Network, socket: Socket, port: number, sockets: Set<NodeTcpSocket>): void {
  socket.on("error", () => {}); // whoever has it later hears of it, too
  try {
    admit(network, {
      port,
      from: callerOf(socket),
      open: (events) => {
        const connection = new NodeTcpSocket(socket, events, () => sockets.delete(connection));
        sockets.add(connection);
        events.connected();
        socket.resume();
        return connection;
      },
      refuse: () => socket.destroy(),
    });
  } catch {
    socket.destroy(); // the network is over
  }
}

/** Who the guest sees; undefined: the gateway. */
function callerOf({ remoteAddress = "", remotePort = 0 }: Socket): Endpoint | undefined {
  const address = remoteAddress.replace(/^::ffff:(?=\d+\.)/, "");
  const isOwn = address === "" || address === "::1" || address.startsWith("127.");
  return isOwn || remotePort === 0 ? undefined : { address, port: remotePort };
}
