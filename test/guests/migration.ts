/**
 * A guest that moves between two QEMUs, each behind an `attach` of its own on a host of its own, as
 * the sidecars of two pods are.
 *
 * Method. Four things are under way in the guest while it moves: a program writes pages of 256 MiB,
 * each of which depends on its number and on how often it was written; a TCP transfer goes both
 * ways; a DHCP client holds a lease; and a socket's queue is filled, and not read, after all memory
 * has been copied once. What fills it was written by the program under test alone, to pages that
 * the source's QEMU had already sent, and it is what tells whether the log of written pages works:
 * without that log the target has those pages as they were, the used rings included.
 *
 * QEMU is kept from switching over by a downtime that nothing can keep, until all that is to happen
 * meanwhile has happened; nothing waits for a time.
 */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { performance } from "node:perf_hooks";
import { messageOf } from "../../src/lib/message.ts";
import { pings } from "../support/e2e/machine.ts";
import { MODE, type StreamReport } from "../support/e2e/peers.ts";
import type { Attached } from "../support/e2e/program.ts";
import { sha256Of } from "../support/e2e/seeded.mjs";
import { connectionsOf } from "../support/e2e/setup.ts";
import { until } from "../support/e2e/shell.ts";
import { HOST_ADDRESS } from "../support/e2e/world.ts";
import {
  endProbe,
  guestConnects,
  guestStreams,
  probe,
  probeSays,
  reportsIn,
  startProbe,
  streamsWords,
} from "../support/guest-probe.ts";
import {
  GUEST_MAC,
  type QemuGuest,
  startGuest,
  startMachine,
  vhostUserGuest,
} from "../support/qemu.ts";
import { Qmp, qmpArguments, ringsOf } from "../support/qmp.ts";
import { type Announcements, announcementsIn } from "./announcement.ts";
import { endsWell, logged, type Servers, Site } from "./site.ts";

const MIB = 1 << 20;
/** Of the machine, and of its memory that is written all the time. */
const SIZE_MIB = 640;
const WRITTEN_MIB = 256;
/** What waits in a socket of the guest's while it moves. */
const HELD_BYTES = 4 * MIB;
const STREAM_BYTES = 2 ** 40;
/** A DHCP client that stays, and tells when the card has what it was given. */
const HOOK = "'#!/bin/sh' '/etc/udhcpc \"$@\"' 'echo done $1 $ip'";
const LEASE =
  `printf '%s\\n' ${HOOK} >/tmp/hook && chmod +x /tmp/hook; ` +
  "udhcpc -f -t 10 -T 1 -i eth0 -O mtu -s /tmp/hook >>/tmp/lease 2>&1 & echo $! >/tmp/lease.pid";
/**
 * Octets each second and downtime, milliseconds: all memory once, then a crawl that cannot keep up
 * with what is written, then what can.
 */
const ONCE = { "max-bandwidth": 512 * MIB, "downtime-limit": 1 };
const CRAWL = { "max-bandwidth": 2 * MIB, "downtime-limit": 1 };
const FAST = { "max-bandwidth": 4096 * MIB, "downtime-limit": 10_000 };
const MOVE_LIMIT_MS = 180_000;
const CONNECT_LIMIT_MS = 1000;
const FLOWS_LIMIT_MS = 20_000;
/** Of the end of what a machine printed, for a failure's message. */
const PRINTED_SIZE = 4000;
/** Of each frame, in a capture: an advertisement. */
const SNAP_BYTES = 96;

export interface MigrationOptions {
  /** Further properties of the card. */
  readonly card?: readonly string[];
  readonly mtu?: number;
  /** Begins once, and is cancelled, before it is done. */
  readonly cancels?: boolean;
  /** How often it moves: from the first host to the second, and back again. */
  readonly moves?: number;
  /** Its card cannot tell it to announce itself where it has moved to. */
  readonly isSilent?: boolean;
  readonly tell?: (line: string) => void;
}

/** A host, and the machine on it while there is one. */
interface Place {
  readonly site: Site;
  readonly servers: Servers;
  readonly program: Attached;
  /** What passed the link. */
  readonly capture: string;
}

interface Machine {
  readonly guest: QemuGuest;
  readonly qmp: Qmp;
  readonly place: Place;
}

class Migration {
  readonly #options: MigrationOptions;
  readonly #folder = mkdtempSync(join(tmpdir(), "slirp-move-"));
  readonly #machines: Machine[] = [];
  #count = 0;

  constructor(options: MigrationOptions) {
    this.#options = options;
  }

  /** A machine at a place: one that boots, or one that another is about to move to. */
  async start(place: Place, isIncoming: boolean): Promise<Machine> {
    this.#count += 1;
    const control = join(this.#folder, `q${this.#count}`);
    const { card = [], mtu = 1500, isSilent = false } = this.#options;
    const silence = isSilent ? ["guest_announce=off"] : [];
    const properties = [`host_mtu=${mtu}`, ...card, ...silence];
    const parts = vhostUserGuest(place.site.socket, properties, [], "reconnect=1", SIZE_MIB);
    const incoming = isIncoming ? ["-incoming", "defer"] : [];
    const options = {
      ...parts,
      args: [...(parts.args ?? []), ...qmpArguments(control), ...incoming],
      prefix: place.site.host.argv([]),
      programs: [probe()],
    };
    const guest = isIncoming ? startMachine(options) : await startGuest(options);
    try {
      const machine = { guest, qmp: await Qmp.open(control), place };
      this.#machines.push(machine);
      return machine;
    } catch (error) {
      guest.running.signal("SIGKILL");
      throw error;
    }
  }

  /** Begins to move: it goes on until it is let go by `finish`, or cancelled. */
  async begin(from: Machine, to: Machine): Promise<void> {
    this.#count += 1;
    const uri = `unix:${join(this.#folder, `m${this.#count}`)}`;
    await to.qmp.ask("migrate-incoming", { uri });
    await from.qmp.ask("migrate-set-parameters", ONCE);
    await from.qmp.ask("migrate", { uri });
    await this.#passes(from, 2);
    await from.qmp.ask("migrate-set-parameters", CRAWL);
  }

  /** Waits until all memory has been looked through `count` times. */
  async #passes(from: Machine, count: number): Promise<void> {
    await until(
      async () => {
        const { ram } = await this.#state(from);
        const passes = (ram as Record<string, number> | undefined)?.["dirty-sync-count"] ?? 0;
        return passes >= count;
      },
      `memory to be copied ${count} times`,
      MOVE_LIMIT_MS,
    );
  }

  async cancel(from: Machine): Promise<void> {
    await from.qmp.ask("migrate_cancel");
    await until(
      async () => (await this.#state(from))["status"] === "cancelled",
      "the move to be cancelled",
      MOVE_LIMIT_MS,
    );
  }

  /**
   * The machine is stopped first: QEMU 7.2 without KVM loses what the processor has written between
   * its last look for written pages and the switch, whatever serves the card (docs/vhost-user.md).
   * @returns how long it did not run, milliseconds
   */
  async finish(from: Machine, to: Machine): Promise<number> {
    const stopped_ms = performance.now();
    await from.qmp.ask("stop");
    await from.qmp.ask("migrate-set-parameters", FAST);
    await until(
      async () => (await this.#state(from))["status"] === "completed",
      () => `the move to end; ${from.guest.running.stderr()}${to.guest.running.stderr()}`,
      MOVE_LIMIT_MS,
    );
    await until(
      async () => (await to.qmp.ask("query-status"))["status"] === "paused",
      "the machine to be whole at its target",
    );
    await to.qmp.ask("cont");
    await until(
      async () => (await to.qmp.ask("query-status"))["status"] === "running",
      "the machine to run at its target",
    );
    return performance.now() - stopped_ms;
  }

  async end(machine: Machine): Promise<void> {
    machine.qmp.close();
    await machine.guest.kill();
  }

  /** Where each machine is, for whoever wonders why something has not come. */
  async tells(): Promise<string> {
    const states = this.#machines.map(async ({ guest, qmp }, i) => {
      if (guest.running.ended()) return `machine ${i} has ended`;
      const { status } = await qmp.ask("query-status");
      const [place] = /RIP=\w+/.exec(await qmp.monitor("info registers")) ?? [];
      const printed = `${guest.running.stderr()}${guest.running.stdout().slice(-PRINTED_SIZE)}`;
      const rings = status === "running" ? `\n${await ringsOf(qmp)}` : "";
      return `machine ${i} is ${status}, ${place}${rings}; it printed: ${printed}`;
    });
    return (await Promise.all(states)).join("\n");
  }

  async remove(): Promise<void> {
    for (const machine of this.#machines) await this.end(machine);
    rmSync(this.#folder, { recursive: true, force: true });
  }

  /** @throws Error where it has failed */
  async #state(from: Machine): Promise<Readonly<Record<string, unknown>>> {
    const state = await from.qmp.ask("query-migrate");
    if (state["status"] === "failed") throw new Error(`the move failed: ${JSON.stringify(state)}`);
    return state;
  }
}

async function settle(site: Site, mtu: number, like?: Servers): Promise<Place> {
  const servers = await site.serve(like);
  const capture = join(site.socket, "..", "capture");
  const words = ["--pcap", capture, "--pcap-snap", String(SNAP_BYTES)];
  const program = await site.attach("--mtu", String(mtu), ...words);
  return { site, servers, program, capture };
}

/** Has the guest do what it is to be doing while it moves. */
async function occupy(guest: QemuGuest, port: number, seed: number): Promise<void> {
  await startProbe(guest, "memory", `memory ${WRITTEN_MIB}`);
  await probeSays(guest, "memory", "filled");
  const task = { host: HOST_ADDRESS, port, mode: MODE.both, streams: 1, seed };
  const words = streamsWords({ ...task, send: STREAM_BYTES, receive: STREAM_BYTES });
  await startProbe(guest, "transfer", words);
}

/** Has octets wait in the guest that nobody but the card writes to where they are. */
async function hold(guest: QemuGuest, port: number, seed: number): Promise<void> {
  await startProbe(guest, "hold", `hold ${HOST_ADDRESS} ${port} ${seed} ${HELD_BYTES}`);
  await probeSays(guest, "hold", "held");
}

/** What the guest kept has to be as it was: what it wrote, and what was written for it. */
async function isIntact(guest: QemuGuest, heldSeed: number): Promise<void> {
  const held = await endProbe<StreamReport>(guest, "hold");
  assert.equal(held.received, HELD_BYTES);
  assert.equal(held.sha256, sha256Of(heldSeed, HELD_BYTES), "what the card had written is lost");
  const memory = await endProbe<{ bad: number; writes: number }>(guest, "memory");
  assert.equal(memory.bad, 0, JSON.stringify(memory));
  assert.ok(memory.writes > 0);
}

/** The transfer broke off, by a reset: what came until then is what was sent. */
async function hasBrokenOff(guest: QemuGuest): Promise<void> {
  await probeSays(guest, "transfer", "^{");
  const [report] = reportsIn<StreamReport>(await guest.must("cat /tmp/transfer"));
  assert.equal(report?.error, "ECONNRESET");
  assert.equal(report.sha256, sha256Of(report.seed, report.received));
}

/** The lease is asked for anew; pings and transfers go both ways. */
async function isOnline(guest: QemuGuest, port: number): Promise<void> {
  await guest.must(": >/tmp/lease; kill -USR1 $(cat /tmp/lease.pid)");
  await probeSays(guest, "lease", "done renew 10.0.2.15");
  await pings(guest);
  const task = { host: HOST_ADDRESS, port, mode: MODE.both, streams: 8, seed: 40 };
  const streams = await guestStreams(guest, { ...task, send: MIB, receive: MIB });
  assert.equal(streams.length, 8);
  for (const { seed, error, sha256 } of streams) {
    assert.equal(error, "");
    assert.equal(sha256, sha256Of(seed, MIB));
  }
}

async function announces(place: Place, before: Announcements): Promise<void> {
  await until(
    () => {
      const now = announcementsIn(place.capture, GUEST_MAC);
      return now.arp > before.arp && now.advertisements > before.advertisements;
    },
    () => `an announcement: ${JSON.stringify(announcementsIn(place.capture, GUEST_MAC))}`,
  );
}

/** How long connections live on where the machine was, from its QEMU's end on, milliseconds. */
async function forgets(place: Place): Promise<number> {
  const began_ms = performance.now();
  await until(
    async () => (await connectionsOf(place.site.host, place.servers.tcp.port)).length === 0,
    "the connections of the machine that has left to end",
    FLOWS_LIMIT_MS,
  );
  return performance.now() - began_ms;
}

/** What QEMU complained of; that nobody reads what it sends is so where a move was cancelled. */
function complaintsOf({ running }: QemuGuest, hasCancelled: boolean): string {
  const lines = running.stderr().split("\n");
  const pipe = "Unable to write to socket: Broken pipe";
  return lines.filter((line) => !(hasCancelled && line.includes(pipe))).join("\n");
}

/** One move, and all that has to hold before and after. */
async function move(
  migration: Migration,
  from: Machine,
  place: Place,
  number: number,
  { cancels = false, isSilent = false, tell = () => {} }: MigrationOptions,
): Promise<Machine> {
  const { port } = from.place.servers.tcp;
  const [transferSeed, heldSeed] = [100 + number, 200 + number];
  await occupy(from.guest, port, transferSeed);
  if (cancels) {
    const never = await migration.start(place, true);
    await migration.begin(from, never);
    await migration.cancel(from);
    await migration.end(never);
    const broken = await from.guest.must("cat /tmp/transfer");
    assert.equal(broken, "", "the transfer goes on where the machine has stayed");
  }
  const to = await migration.start(place, true);
  await migration.begin(from, to);
  await hold(from.guest, port, heldSeed);
  const before = announcementsIn(place.capture, GUEST_MAC);
  const stopped_ms = await migration.finish(from, to);
  const connected = await guestConnects(to.guest, HOST_ADDRESS, port);
  assert.ok(connected.ok && connected.elapsed_ms < CONNECT_LIMIT_MS, JSON.stringify(connected));
  await migration.end(from);
  const kept_ms = await forgets(from.place);
  await hasBrokenOff(to.guest);
  await isIntact(to.guest, heldSeed);
  await isOnline(to.guest, port);
  if (!isSilent) await announces(place, before);
  for (const { guest } of [from, to]) assert.equal(complaintsOf(guest, cancels), "");
  const times = `connected after ${connected.elapsed_ms.toFixed(1)} ms`;
  tell(`stopped ${Math.round(stopped_ms)} ms, ${times}, flows kept ${Math.round(kept_ms)} ms`);
  return to;
}

/** A machine boots, gets its lease and moves. Throws where something is not as it has to be. */
export async function migrates(options: MigrationOptions): Promise<void> {
  const migration = new Migration(options);
  const sites: Site[] = [];
  try {
    const { mtu = 1500, moves = 1 } = options;
    const places: Place[] = [];
    for (const i of [0, 1]) {
      const site = new Site();
      sites.push(site);
      places[i] = await settle(site, mtu, places[0]?.servers);
    }
    const [first, second] = places;
    assert.ok(first !== undefined && second !== undefined);
    let machine = await migration.start(first, false);
    await machine.guest.must(LEASE);
    await probeSays(machine.guest, "lease", "done bound 10.0.2.15");
    for (let i = 0; i < moves; i += 1) {
      machine = await move(migration, machine, i % 2 === 0 ? second : first, i, options);
    }
    for (const { program } of places) {
      await endsWell(program);
      assert.equal(logged(program, "queue stopped: its driver broke the rules"), 0);
    }
  } catch (error) {
    throw new Error(`${messageOf(error)}\n${await migration.tells()}`, { cause: error });
  } finally {
    await migration.remove();
    for (const site of sites) await site.remove();
  }
}
