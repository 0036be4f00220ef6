/**
 * All that a guest does on its network, once for each way in which it can be made: addresses by
 * DHCP of both versions, names, ping, streams both ways at once, halves of connections that end on
 * their own, datagrams of all sizes, and the same from outside by published ports. Octets are
 * compared by their sums, datagrams one by one.
 */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { getsAddress, leases6, pings, pings6, resolvesNames } from "../support/e2e/machine.ts";
import {
  CLIENT_SEED_OFFSET,
  connectionReports,
  type EchoReport,
  MODE,
  type Server,
  type StreamReport,
  type StreamsTask,
  streams,
  udpEcho,
} from "../support/e2e/peers.ts";
import { type Attached, GATEWAY6 } from "../support/e2e/program.ts";
import { sha256Of } from "../support/e2e/seeded.mjs";
import { until, which } from "../support/e2e/shell.ts";
import { HOST_ADDRESS, HOST_ADDRESS6 } from "../support/e2e/world.ts";
import { guestEcho, guestStreams, probe, reportsIn, startProbe } from "../support/guest-probe.ts";
import { GUEST_MAC, type QemuGuest, startGuest, vhostUserGuest } from "../support/qemu.ts";
import { CARD, Qmp, qmpArguments } from "../support/qmp.ts";
import type { GuestRow } from "./matrix.ts";
import { countersOf, endsWell, logged, PUBLISHED, type Servers, Site } from "./site.ts";

const MIB = 1 << 20;
const GIB = 2 ** 30;
const DHCLIENT = which("dhclient") ?? "";
const STREAMS = 8;
const HALF_BYTES = 300_001;
/** Headers in front of a datagram's payload, of both versions of IP. */
const HEADERS = { 4: 28, 6: 48 } as const;
const DATAGRAM_MAX = 65_507;

interface Stage {
  readonly site: Site;
  readonly servers: Servers;
  readonly program: Attached;
  readonly guest: QemuGuest;
  readonly qmp: Qmp;
  readonly row: GuestRow;
  /** Octets of each stream, each way. */
  readonly bytes: number;
}

/** Runs everything with a guest like this; throws where something is not as it has to be. */
export async function tryGuest(row: GuestRow, bytes = MIB): Promise<void> {
  const site = new Site();
  let guest: QemuGuest | undefined;
  try {
    const servers = await site.serve();
    const program = await site.attach("--mtu", String(row.mtu));
    const control = join(site.folder, "qmp");
    const card = [`host_mtu=${row.mtu}`, ...row.card];
    const parts = vhostUserGuest(site.socket, card, row.memory, "reconnect=1", row.size_mib);
    const more = [...qmpArguments(control), "-smp", String(row.cpus)];
    guest = await startGuest({
      ...parts,
      args: [...(parts.args ?? []), ...more],
      prefix: site.host.argv([]),
      programs: [probe(), DHCLIENT],
    });
    const qmp = await Qmp.open(control);
    const stage = { site, servers, program, guest, qmp, row, bytes };
    await live(stage);
    qmp.close();
    assert.equal(guest.running.stderr(), "");
    await endsWell(program);
  } finally {
    await guest?.kill();
    await site.remove();
  }
}

async function live(stage: Stage): Promise<void> {
  const { guest, row, program } = stage;
  assert.equal((await guest.must("nproc")).trim(), String(row.cpus));
  await getsAddress(guest, GUEST_MAC, row.mtu);
  await leases6(guest, "fd10:0:2::2");
  await resolvesNames(guest);
  await pings(guest);
  await pings6(guest, [GATEWAY6, HOST_ADDRESS6]);
  await streamsGo(stage);
  await halvesEnd(stage);
  await datagramsGo(stage);
  await isReached(stage);
  if (row.size_mib * MIB > 4 * GIB) await isAboveTheHole(stage);
  const counters = await countersOf(program);
  assert.equal(counters["broken_queues"], undefined, program.running.stderr());
  const canShrink = row.memory.includes("seal=off");
  const message = "guest memory may be shrunk, copying it by system calls";
  assert.equal(logged(program, message), canShrink ? 1 : 0);
}

/** Each stream came whole, and so did what the other end has got of it. */
function areWhole(
  reports: readonly StreamReport[],
  heard: readonly { readonly seed: number; readonly sha256: string; readonly received: number }[],
  task: StreamsTask,
): void {
  assert.equal(reports.length, task.streams);
  for (const { seed, error, received, sha256 } of reports) {
    assert.deepEqual([error, received, sha256], ["", task.receive, sha256Of(seed, task.receive)]);
    const other = heard.find((each) => each.seed === seed);
    const sent = sha256Of(seed + CLIENT_SEED_OFFSET, task.send);
    assert.deepEqual([other?.received, other?.sha256], [task.send, sent], `seed ${seed}`);
  }
}

/** Streams from the guest to a server of the host's. */
async function streamOut(stage: Stage, server: Server, task: StreamsTask): Promise<void> {
  const before = connectionReports(server).length;
  const reports = await guestStreams(stage.guest, task);
  const heard = () => connectionReports(server).slice(before);
  await until(() => heard().length === task.streams, "the server's reports");
  areWhole(reports, heard(), task);
}

async function streamsGo(stage: Stage): Promise<void> {
  const { servers, bytes } = stage;
  const task = { mode: MODE.both, streams: STREAMS, send: bytes, receive: bytes };
  const [four, six] = [servers.tcp, servers.tcp6];
  await streamOut(stage, four, { ...task, host: HOST_ADDRESS, port: four.port, seed: 1000 });
  await streamOut(stage, six, { ...task, host: HOST_ADDRESS6, port: six.port, seed: 2000 });
}

/** Either end has ended while the other one sends on. */
async function halvesEnd(stage: Stage): Promise<void> {
  const { tcp } = stage.servers;
  const task = { host: HOST_ADDRESS, port: tcp.port, streams: 1, seed: 3000 };
  const halves = { send: HALF_BYTES, receive: HALF_BYTES };
  await streamOut(stage, tcp, { ...task, ...halves, mode: MODE.afterFin });
  await streamOut(stage, tcp, { ...task, ...halves, mode: MODE.finFirst, seed: 3001 });
}

/** Sizes around the MTU, of Ethernet's, and the ends. */
function sizesOf(mtu: number, version: 4 | 6): number[] {
  const whole = mtu - HEADERS[version];
  const sizes = [0, 1, 1472, 1473, 8192, whole - 1, whole, whole + 1, DATAGRAM_MAX];
  return [...new Set(sizes)].filter((size) => size <= DATAGRAM_MAX);
}

function areEchoed(report: EchoReport, sizes: readonly number[]): void {
  assert.deepEqual([report.failed, report.ok], [[], sizes.length]);
}

async function datagramsGo({ guest, servers, row }: Stage): Promise<void> {
  const [four, six] = [sizesOf(row.mtu, 4), sizesOf(row.mtu, 6)];
  areEchoed(await guestEcho(guest, HOST_ADDRESS, servers.udp.port, four), four);
  areEchoed(await guestEcho(guest, HOST_ADDRESS6, servers.udp6.port, six), six);
}

/** Streams and datagrams from the host to servers of the guest's. */
async function isReached({ site, guest, row, bytes }: Stage): Promise<void> {
  const { host } = site;
  await startProbe(guest, "tcp-server", "tcp-serve 7000");
  await startProbe(guest, "udp-server", "udp-serve 7001");
  await guest.must("until netstat -ltn | grep -q :7000; do usleep 20000; done");
  await guest.must("until netstat -lun | grep -q :7001; do usleep 20000; done");
  const task = { host: HOST_ADDRESS, port: PUBLISHED.tcp, streams: 2, send: bytes, receive: bytes };
  const seeds = [MODE.both, MODE.afterFin, MODE.finFirst].map((mode) => ({
    mode,
    seed: 10 * mode,
  }));
  for (const each of seeds) {
    const reports = await streams(host, { ...task, ...each });
    const told = `$(grep -c '"mode":${each.mode},' /tmp/tcp-server)`;
    await guest.must(`until [ "${told}" = ${task.streams} ]; do usleep 20000; done`);
    const heard = reportsIn<StreamReport>(await guest.must("cat /tmp/tcp-server"));
    areWhole(reports, heard, { ...task, ...each });
  }
  const sizes = sizesOf(row.mtu, 4);
  areEchoed(await udpEcho(host, HOST_ADDRESS, PUBLISHED.udp, sizes), sizes);
}

/** Memory above 4 GiB is mapped, and the rings and a buffer in use are there. */
async function isAboveTheHole({ qmp, program, row }: Stage): Promise<void> {
  const maps = readFileSync(`/proc/${program.running.pid}/maps`, "utf8");
  const sizes = maps.split("\n").flatMap((line) => {
    const [, from, to] = /^([0-9a-f]+)-([0-9a-f]+) .*memfd:memory-backend-memfd/.exec(line) ?? [];
    return from === undefined || to === undefined ? [] : Number(`0x${to}`) - Number(`0x${from}`);
  });
  const all = row.size_mib * MIB;
  assert.ok(sizes.includes(all), "the upper region, mapped from the file's beginning");
  assert.ok(
    sizes.some((size) => size < 4 * GIB && size > GIB),
    "the lower region",
  );
  for (const queue of [0, 1]) {
    const where = { path: CARD, queue };
    const ring = await qmp.ask("x-query-virtio-queue-status", where);
    assert.ok(Number(ring["vring-desc"]) >= 4 * GIB, JSON.stringify(ring));
    const element = await qmp.ask("x-query-virtio-queue-element", { ...where, index: 0 });
    const descriptors = element["descs"] as readonly { readonly addr: number }[];
    assert.ok(
      descriptors.some(({ addr }) => addr >= 4 * GIB),
      JSON.stringify(element),
    );
  }
}
