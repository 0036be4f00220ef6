/**
 * The relay: a Wisp server on loopback, for pages of this machine. It connects to the servers of
 * the demonstration and to nothing else, whatever a page asks for.
 */
import { createServer, type Server } from "node:http";
import { connect, type Socket } from "node:net";
import { logging, server as wisp } from "@mercuryworkshop/wisp-js/server";
import { listen } from "./listen.ts";

/** A server that the relay leads to, and its port on loopback. */
export interface Destination {
  /** Either is what a stream may ask for. */
  readonly name: string;
  readonly address: string;
  readonly port: number;
  readonly localPort: number;
}

/** The library asks a resolver of its own choice unless told; here is none to ask. */
Object.assign(wisp.options, {
  allow_loopback_ips: true,
  allow_private_ips: true,
  allow_udp_streams: false,
  dns_method: async () => "127.0.0.1",
  dns_ttl: 0,
});
logging.set_level(logging.NONE);

export async function openRelay(destinations: readonly Destination[]): Promise<Server> {
  const TCPSocket = class extends Stream {
    constructor(hostname: string, port: number) {
      super(hostname, destinations.find((each) => leads(each, hostname, port))?.localPort);
    }
  };
  const server = createServer((_, response) => response.writeHead(426).end());
  server.on("upgrade", (request, socket, head) => {
    wisp.routeRequest(request, socket, head, { TCPSocket });
  });
  await listen(server);
  return server;
}

function leads(to: Destination, hostname: string, port: number): boolean {
  return (to.name === hostname || to.address === hostname) && to.port === port;
}

/** A stream's socket, as the library wants one. */
class Stream {
  /** The library's log names it. */
  readonly hostname: string;
  readonly #port: number | undefined;
  #socket: Socket | undefined;
  #chunks: AsyncIterator<Buffer> | undefined;

  constructor(hostname: string, port: number | undefined) {
    this.hostname = hostname;
    this.#port = port;
  }

  /** Rejects where nothing is to be reached; the stream is closed with an error then. */
  async connect(): Promise<void> {
    const port = this.#port;
    if (port === undefined) throw new Error("not a server of the demonstration");
    const socket = connect({ host: "127.0.0.1", port, noDelay: true });
    this.#socket = socket;
    await new Promise((resolve, reject) => socket.once("connect", resolve).once("error", reject));
    this.#chunks = socket[Symbol.asyncIterator]();
  }

  /** Resolves to null when nothing more comes. */
  async recv(): Promise<Buffer | null> {
    const next = await this.#chunks?.next();
    return next === undefined || next.done === true ? null : next.value;
  }

  send(data: Uint8Array): Promise<void> {
    return new Promise((resolve, reject) => {
      if (this.#socket === undefined) throw new Error("not connected");
      this.#socket.write(data, (error) => (error ? reject(error) : resolve()));
    });
  }

  /** What was sent still arrives. */
  close(): void {
    this.#socket?.destroySoon();
  }

  /** The iterator stops reading by itself while nobody asks it for more. */
  pause(): void {}
  resume(): void {}
}
