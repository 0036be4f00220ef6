/**
 * The world that the guest gets to know: a resolver, a web server and a UDP echo on this machine,
 * all on ports that happen to be free.
 */
import { createHash } from "node:crypto";
import { createSocket, type Socket } from "node:dgram";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { type AddressInfo, createServer as createTcpServer } from "node:net";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { Content } from "./content.ts";
import { answerQuestion } from "./names.ts";

const LOOPBACK = "127.0.0.1";
/** A burst of the largest datagrams. */
const UDP_BUFFER_SIZE = 1 << 20;

export interface ServersOptions {
  /** Address the servers listen on. */
  readonly address: string;
  /** What the resolver knows. */
  readonly zone: ReadonlyMap<string, string>;
  /** Octets of the download, and what they derive from. */
  readonly size: number;
  readonly seed: number;
}

export class Servers {
  readonly #web: Server;
  readonly #echo: Socket;
  readonly #resolver: Socket;
  /** Octets of content that the web server has sent and received. */
  sent = 0;
  received = 0;
  questions = 0;

  /** Resolves when all of them listen. */
  static async start(options: ServersOptions): Promise<Servers> {
    const servers = new Servers(options);
    try {
      const { address } = options;
      await new Promise<void>((resolve, reject) => {
        servers.#web.once("error", reject).listen(0, address, resolve);
      });
      await bound(servers.#echo, address);
      await bound(servers.#resolver, LOOPBACK);
    } catch (error) {
      servers.close();
      throw error;
    }
    return servers;
  }

  private constructor({ zone, size, seed }: ServersOptions) {
    this.#web = createServer((request, response) => {
      this.#serve(request, response, seed, size).catch(() => response.destroy());
    });
    this.#echo = createSocket("udp4");
    this.#echo.on("message", (message, { address, port }) => {
      this.#echo.send(message, port, address, () => {});
    });
    this.#resolver = createSocket("udp4");
    this.#resolver.on("message", (message, { address, port }) => {
      this.questions += 1;
      const answer = answerQuestion(message, zone);
      if (answer !== undefined) this.#resolver.send(answer, port, address, () => {});
    });
  }

  get webPort(): number {
    return portOf(this.#web.address());
  }

  get echoPort(): number {
    return this.#echo.address().port;
  }

  get resolverPort(): number {
    return this.#resolver.address().port;
  }

  /** May be called at any time. */
  close(): void {
    this.#web.closeAllConnections();
    this.#web.close();
    for (const socket of [this.#echo, this.#resolver]) {
      try {
        socket.close();
      } catch {
        // It was never bound, or is closed.
      }
    }
  }

  /** GET: the content. PUT: the SHA-256 of what came. */
  async #serve(
    request: IncomingMessage,
    response: ServerResponse,
    seed: number,
    size: number,
  ): Promise<void> {
    if (request.method === "PUT") {
      const hash = createHash("sha256");
      for await (const part of request as AsyncIterable<Buffer>) {
        hash.update(part);
        this.received += part.length;
      }
      response.end(`${hash.digest("hex")}\n`);
      return;
    }
    response.setHeader("Content-Length", size);
    await pipeline(Readable.from(this.#parts(new Content(seed, size))), response);
  }

  *#parts(content: Content): Generator<Uint8Array> {
    for (let part = content.next(); part !== undefined; part = content.next()) {
      this.sent += part.length;
      yield part;
    }
  }
}

function bound(socket: Socket, address: string): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.once("error", reject);
    socket.bind(0, address, () => {
      socket.off("error", reject);
      // Somebody who went away is reported here, and means nothing.
      socket.on("error", () => {});
      socket.setRecvBufferSize(UDP_BUFFER_SIZE);
      resolve();
    });
  });
}

function portOf(address: AddressInfo | string | null): number {
  return typeof address === "object" ? (address?.port ?? 0) : 0;
}

/** A TCP port of this address that nobody listens on at the moment. */
export function freePort(address: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createTcpServer();
    server.once("error", reject).listen(0, address, () => {
      const port = portOf(server.address());
      server.close(() => resolve(port));
    });
  });
}
