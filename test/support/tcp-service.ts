/** TCP servers of Node's at loopback, and what a test does at the ends of a connection. */
import { createHash } from "node:crypto";
import { createServer, type Server, type Socket } from "node:net";
import type { Connection } from "../../src/network/stream-pair.ts";
import { blocks } from "./e2e/seeded.mjs";

export interface TcpService {
  readonly port: number;
  readonly sockets: Set<Socket>;
  close(): void;
}

/** Serves at a free port of 127.0.0.1. */
export function tcpService(serve: (socket: Socket) => void): Promise<TcpService> {
  const sockets = new Set<Socket>();
  const server: Server = createServer({ allowHalfOpen: true }, (socket) => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
    socket.on("error", () => {}); // a reset is an end like any other
    serve(socket);
  });
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen({ port: 0, host: "127.0.0.1", backlog: 1024 }, () => {
      const address = server.address();
      if (address === null || typeof address === "string") return;
      const close = (): void => {
        server.close();
        for (const socket of sockets) socket.destroy();
      };
      resolve({ port: address.port, sockets, close });
    });
  });
}

/** A port of 127.0.0.1 that nobody listens at. */
export async function closedPort(): Promise<number> {
  const { port, close } = await tcpService(() => {});
  close();
  return port;
}

/** Everything that comes, up to the end. */
export async function octetsOf({ readable }: Pick<Connection, "readable">): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of readable) chunks.push(chunk);
  return Buffer.concat(chunks);
}

/** Sends the stream of a seed through a connection, and then its end. */
export async function sendSeeded(
  { writable }: Pick<Connection, "writable">,
  seed: number,
  count: number,
): Promise<void> {
  const writer = writable.getWriter();
  for (const block of blocks(seed, count)) await writer.write(block);
  await writer.close();
}

export async function textOf(connection: Pick<Connection, "readable">): Promise<string> {
  return (await octetsOf(connection)).toString();
}

/** Sends a text; the connection stays open. */
export async function say({ writable }: Pick<Connection, "writable">, text: string): Promise<void> {
  const writer = writable.getWriter();
  await writer.write(new TextEncoder().encode(text));
  writer.releaseLock();
}

export function sha256(octets: Uint8Array): string {
  return createHash("sha256").update(octets).digest("hex");
}
