/** A Wisp relay on loopback, of the package that nobody here wrote, which can go and come back. */
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import type { Duplex } from "node:stream";
import { logging, server as wisp } from "@mercuryworkshop/wisp-js/server";

logging.set_level(logging.NONE);
Object.assign(wisp.options, { allow_loopback_ips: true, allow_private_ips: true });

export interface WispRelay {
  readonly url: string;
  readonly port: number;
  /** WebSockets that are open. */
  readonly count: number;
  /** Cuts every connection and listens no more. */
  kill(): Promise<void>;
  /** Listens again on the same port. */
  restart(): Promise<void>;
}

/** @param files what it serves beside, by path: type and content */
export async function startWispRelay(
  files: Readonly<Record<string, readonly [string, Uint8Array | string]>> = {},
): Promise<WispRelay> {
  const sockets = new Set<Duplex>();
  let server: Server | undefined;
  const listen = async (port: number): Promise<number> => {
    const fresh = createServer(({ url = "" }, response) => {
      const [type, content] = files[url] ?? ["text/plain", ""];
      response.writeHead(url in files ? 200 : 404, { "content-type": type }).end(content);
    });
    fresh.on("connection", (socket) => {
      sockets.add(socket);
      socket.on("close", () => sockets.delete(socket));
    });
    fresh.on("upgrade", (request, socket, head) => wisp.routeRequest(request, socket, head));
    await new Promise<void>((resolve) => fresh.listen(port, "127.0.0.1", resolve));
    server = fresh;
    return (fresh.address() as AddressInfo).port;
  };
  const port = await listen(0);
  return {
    url: `ws://127.0.0.1:${port}/`,
    port,
    get count() {
      return sockets.size;
    },
    async kill() {
      const closed = new Promise((resolve) => server?.close(resolve));
      for (const socket of sockets) socket.destroy();
      await closed;
    },
    async restart() {
      await listen(port);
    },
  };
}
