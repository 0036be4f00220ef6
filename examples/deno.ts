/**
 * The engine in Deno: a guest talks to a listener of Deno's. The guest here is another network, so
 * that the example needs no machine; plug a card in where it is.
 *
 *     deno run --allow-net --allow-read --allow-sys --allow-env examples/deno.ts
 */
import { createNetwork, dial, plug } from "slirp-engine";
import { nodeUpstream, readEngine } from "slirp-engine/node";

const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
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

const { readable, writable } = dial(guest, listener.addr.port);
const far = await listener.accept();
far.readable.pipeTo(far.writable); // an echo
const writer = writable.getWriter();
await writer.write(new TextEncoder().encode("hello"));
await writer.close();
console.log(`Deno.listen has echoed "${await new Response(readable).text()}"`);
guest.dispose();
network.dispose();
listener.close();
