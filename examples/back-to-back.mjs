/**
 * The engine against itself: two networks back to back, each the guest of the other. One has an
 * echo service at its loopback, which its gateway's address leads to; the other calls it.
 *
 *     node examples/back-to-back.mjs [mebibytes]
 */
import { createNetwork, dial, plug, withServices } from "slirp-engine";
import { readEngine } from "slirp-engine/node";

const octets = Number(globalThis.process?.argv[2] ?? 8) << 20;
const engine = await WebAssembly.compile(await readEngine());
const echo = {
  address: "127.0.0.1",
  port: 7,
  serve: ({ readable, writable }) => readable.pipeTo(writable),
};
const server = await createNetwork({
  engine,
  upstream: withServices([echo]),
  // The other's addresses, from the other side; and a MAC of its own.
  settings: {
    gateway: "10.0.2.15",
    guest: "10.0.2.2",
    gatewayMac: "52:55:00:00:00:0f",
    hostLoopback: true,
  },
});
const caller = await createNetwork({ engine });
plug(caller, server);

const { readable, writable } = dial(caller, 7);
const sent = new Uint8Array(octets).map((_octet, i) => i * 7 + (i >> 8));
const writer = writable.getWriter();
writer.write(sent).then(() => writer.close());
let at = 0;
for await (const chunk of readable) {
  if (chunk.some((octet, i) => octet !== sent[at + i])) throw new Error(`wrong beyond ${at}`);
  at += chunk.length;
}
console.log(`${at} of ${octets} octets came back`);
caller.dispose();
server.dispose();
