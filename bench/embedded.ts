/**
 * `npm run bench -- --embedded [--reps N] [--mib N]`: two engines back to back in one thread of
 * Node, as an embedder has them. One dials, the other has a service that reads.
 *
 * Each row is a kind of link and a number of connections; its numbers are medians: Gbit/s of
 * payload by the clock, and by the time that the processor spent on it, which other programs
 * disturb less.
 * Kinds take turns, so a machine that slows down slows all of them.
 *
 * There is no other stack beside it: tcpip.js (npm `tcpip`, lwIP as WebAssembly) is not to be had
 * from the registry that this was written with.
 */
import { readFileSync } from "node:fs";
import process from "node:process";
import { parseArgs } from "node:util";
import {
  createNetworkSync,
  dial,
  type Network,
  type NetworkSettings,
  plug,
  type Service,
  withServices,
} from "../src/network/index.ts";
import { median, table } from "./report.ts";

const PORT = 80;
const CHUNK = new Uint8Array(256 * 1024);
const MIB = 1 << 20;
const LINKS: Readonly<Record<string, NetworkSettings>> = {
  "MTU 1500": { mtu: 1500 },
  "MTU 65520": { mtu: 65520 },
  "MTU 65520, offloads": { mtu: 65520, offloads: true },
};
const FLOWS = [1, 8];
const FAR = {
  ...{ gateway: "10.0.2.15", guest: "10.0.2.2", gatewayMac: "52:55:00:00:00:0f" },
  hostLoopback: true,
};

interface Speed {
  readonly byClock: number;
  readonly byProcessor: number;
}

const module = new WebAssembly.Module(
  readFileSync(new URL("../dist/engine.wasm", import.meta.url)),
);

/** Reads all there is, and counts it. */
async function read({ readable }: Pick<ReturnType<typeof dial>, "readable">): Promise<number> {
  const reader = readable.getReader();
  let octets = 0;
  for (let next = await reader.read(); !next.done; next = await reader.read()) {
    octets += next.value.length;
  }
  return octets;
}

async function upload(caller: Network, octets: number): Promise<void> {
  const connection = dial(caller, PORT);
  const writer = connection.writable.getWriter();
  for (let sent = 0; sent < octets; sent += CHUNK.length) await writer.write(CHUNK);
  await writer.close();
  await read(connection); // the service ends when it has all of it
}

async function measure(link: NetworkSettings, flows: number, octets: number): Promise<Speed> {
  let heard = 0;
  const service: Service = {
    address: "127.0.0.1",
    port: PORT,
    serve: async (connection) => {
      const octets = await read(connection);
      heard += octets;
      await connection.writable.close();
    },
  };
  const settings = { ipv6: false, ...link } as const;
  const caller = createNetworkSync({ engine: module, settings });
  const server = createNetworkSync({
    engine: module,
    upstream: withServices([service]),
    settings: { ...settings, ...FAR },
  });
  plug(caller, server);
  const before = process.cpuUsage();
  const since = performance.now();
  await Promise.all(Array.from({ length: flows }, () => upload(caller, octets / flows)));
  const milliseconds = performance.now() - since;
  const { user, system } = process.cpuUsage(before);
  caller.dispose();
  server.dispose();
  if (heard < octets) throw new Error(`${heard} octets of ${octets} arrived`);
  const bits = heard * 8;
  return { byClock: bits / milliseconds / 1e6, byProcessor: bits / (user + system) / 1e3 };
}

const { values } = parseArgs({
  options: {
    reps: { type: "string", default: "5" },
    mib: { type: "string", default: "512" },
  },
});
const [reps, octets] = [Number(values.reps), Number(values.mib) * MIB];
const cases = Object.entries(LINKS).flatMap(([name, link]) =>
  FLOWS.map((flows) => ({ name, link, flows, speeds: [] as Speed[] })),
);
await measure({ mtu: 65520 }, 1, octets / 4); // once for the compilers
for (let rep = 0; rep < reps; rep += 1) {
  for (const { link, flows, speeds } of cases) speeds.push(await measure(link, flows, octets));
}
const rows = cases.map(({ name, flows, speeds }) => [
  name,
  String(flows),
  median(speeds.map(({ byClock }) => byClock)).toFixed(2),
  median(speeds.map(({ byProcessor }) => byProcessor)).toFixed(2),
]);
const head = ["link", "connections", "Gbit/s", "Gbit per second of processor time"];
process.stdout.write(`${table([head, ...rows])}\n`);
