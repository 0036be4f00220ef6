/**
 * The engine in Bun: a guest fetches a page of `Bun.serve`. The guest here is another network, so
 * that the example needs no machine; plug a card in where it is.
 *
 *     bun examples/bun.ts
 */
import { createNetwork, dial, plug } from "slirp-engine";
import { nodeUpstream, readEngine } from "slirp-engine/node";

const server = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: () => new Response("hello") });
const engine = await readEngine();
const network = await createNetwork({
  engine,
  upstream: nodeUpstream(),
  settings: {
    ...{ gateway: "10.0.2.15", guest: "10.0.2.2", gatewayMac: "52:55:00:00:00:0f" },
    hostLoopback: true, // the gateway's address leads to 127.0.0.1
  },
});
const guest = await createNetwork({ engine });
plug(guest, network);

const { readable, writable } = dial(guest, server.port ?? 0);
const writer = writable.getWriter();
await writer.write(new TextEncoder().encode("GET / HTTP/1.0\r\nHost: gateway\r\n\r\n"));
await writer.close();
const [head, body] = (await new Response(readable).text()).split("\r\n\r\n");
console.log(`Bun.serve has answered ${head?.split("\r\n", 1)} "${body}"`);
guest.dispose();
network.dispose();
await server.stop(true);
