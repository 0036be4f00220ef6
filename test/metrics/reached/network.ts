/**
 * Guest networks with all that is around them, for what only a running one counts: workers, links,
 * sockets, the metrics' server. Started under Bun by `running.ts`; prints, as JSON, what the last
 * scrape of each network said.
 */
import { mkdtempSync, rmSync } from "node:fs";
import type { AddressInfo } from "node:net";
import { connect, createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import packageJson from "../../../package.json" with { type: "json" };
import { type Binding, startBinding } from "../../../src/binding/binding.ts";
import { readAttachOptions } from "../../../src/config/attach.ts";
import { processFigures } from "../../../src/metrics/process-figures.ts";
import { startMetricsServer } from "../../../src/metrics/server.ts";
import { loadLibc } from "../../../src/sys/libc.ts";
import { connectUnix } from "../../../src/sys/socket.ts";
import { QUESTION } from "../../binding/program.ts";
import { settingsOf } from "../../config/support.ts";
import { framed } from "../../link/fake-socket.ts";
import { FrontEnd } from "../../link/vhost-user/front-end.ts";
import { breakEngine } from "../../support/break-engine.ts";
import { GATEWAY, GATEWAY_MAC, GUEST, GUEST_MAC, PEER } from "../../support/engine-settings.ts";
import {
  ethernet,
  icmpEcho,
  ipv4,
  PROTOCOL_ICMP,
  PROTOCOL_TCP,
  PROTOCOL_UDP,
  pattern,
  tcp,
  udp,
} from "../../support/packet.ts";
import { type Rows, rowsOfText } from "./rows.ts";

const LOOPBACK = "127.0.0.1";
const LIMIT_ms = 20_000;
const AGAIN_ms = 20;
/** More answers than a socket holds. */
const PINGS = 2000;

/** A frame of the guest as the stream has it. */
function frame(protocol: number, destination: string, payload: Uint8Array): Uint8Array {
  const link = { destination: GATEWAY_MAC, source: GUEST_MAC };
  return framed(ethernet(link, ipv4({ source: GUEST, destination, protocol }, payload)));
}

/** Runs with a network, and hands out what its scrapes say. */
async function withNetwork(
  options: Readonly<Record<string, string>>,
  run: (binding: Binding, scrape: () => Promise<string>) => Promise<void>,
): Promise<string> {
  const all = settingsOf({ "log-level": "error", ...options });
  const binding = await startBinding(readAttachOptions(all, false), {
    seed: Array.from({ length: 32 }, (_, i) => i),
    program: process.execPath,
    uid: process.getuid?.() ?? 0,
    helper: [],
    memoryGroup: undefined,
    isWatched: true,
  });
  const startSeconds = Date.now() / 1000 - process.uptime();
  const server = await startMetricsServer(
    { host: LOOPBACK, port: 0 },
    {
      networks: () => [{ name: "net", binding }],
      isReady: () => true,
      figures: () => processFigures(process, packageJson.version, startSeconds),
    },
  );
  const scrape = async (): Promise<string> =>
    (await fetch(`http://${LOOPBACK}:${server.port}/metrics`)).text();
  try {
    await run(binding, scrape);
    return await scrape();
  } finally {
    await server.close();
    binding.stop();
    await binding.ended;
  }
}

/** Acts again and again until the row says so much. */
async function until(
  scrape: () => Promise<string>,
  row: string,
  act: () => void = () => {},
): Promise<void> {
  for (const end = performance.now() + LIMIT_ms; performance.now() < end; ) {
    act();
    const rows: Rows = rowsOfText(await scrape());
    if ((rows.get(row) ?? 0) > 0) return;
    await new Promise((resolve) => setTimeout(resolve, AGAIN_ms));
  }
  throw new Error(`Waited in vain for ${row}`);
}

/** A guest behind a stream: it connects, does not read for a while, and has an engine fail. */
async function stream(folder: string): Promise<string> {
  const path = join(folder, "vm.sock");
  const options = { listen: `unix:${path}`, "host-loopback": "true" };
  return withNetwork(options, async (_binding, scrape) => {
    const guest = connect(path);
    const server = await listening();
    guest.resume();
    await until(scrape, "slirp_link_peer", () => guest.write(QUESTION));
    let port = 41_000;
    await until(scrape, "slirp_connect_seconds", () => {
      port += 1;
      guest.write(knock(port, (server.address() as AddressInfo).port));
    });
    await isDeaf(guest);
    await until(scrape, "slirp_link_blocked_seconds");
    await breakEngine(process.pid, "10.0.2");
    await until(scrape, "slirp_engine_failures_total", () => {
      port += 1;
      guest.write(datagram(port));
    });
    guest.destroy();
    server.close();
  });
}

async function listening(): Promise<Server> {
  const server = createServer((socket) => socket.on("error", () => {}));
  await new Promise<void>((resolve) => server.listen(0, LOOPBACK, resolve));
  return server;
}

function knock(from: number, to: number): Uint8Array {
  const ports = { sourcePort: from, destinationPort: to };
  const ends = { source: GUEST, destination: GATEWAY };
  return frame(PROTOCOL_TCP, GATEWAY, tcp({ ...ends, ...ports, seq: 1, flags: "S" }));
}

function datagram(from: number): Uint8Array {
  const ports = { sourcePort: from, destinationPort: 9 };
  const ends = { source: GUEST, destination: PEER };
  return frame(PROTOCOL_UDP, PEER, udp({ ...ends, ...ports }, "x"));
}

/** The guest asks for more than its socket holds, and reads none of it before all is asked. */
async function isDeaf(guest: Socket): Promise<void> {
  guest.pause();
  const ping = frame(PROTOCOL_ICMP, GATEWAY, icmpEcho(1, 1, pattern(1400)));
  const all = Buffer.concat(Array.from({ length: PINGS }, () => ping));
  await new Promise((resolve) => guest.write(all, resolve));
  guest.resume();
}

/** A card whose driver offers more than its ring has. */
async function card(folder: string): Promise<string> {
  const path = join(folder, "card.sock");
  const sys = await loadLibc();
  return withNetwork({ "vhost-user": path }, async (_binding, scrape) => {
    const front = new FrontEnd(sys, connectUnix(sys, path));
    front.start();
    const [, fromGuest] = front.queues;
    fromGuest.driver.availableIndex = fromGuest.driver.size + 1;
    await until(scrape, "slirp_link_broken_queues_total", () => fromGuest.kick.signal());
    front.close();
  });
}

const folder = mkdtempSync(join(tmpdir(), "slirp-reached-"));
try {
  const texts = { stream: await stream(folder), card: await card(folder) };
  await new Promise((resolve) => process.stdout.write(JSON.stringify(texts), resolve));
} finally {
  rmSync(folder, { recursive: true });
}
process.exit(0);
