/**
 * End to end: rows of docs/operating.md whose cause is between the program and its guest: who is at
 * the socket, or is not, who has the port, and what a card's driver leaves undone. The guest is one
 * of packets, for QEMU would take minutes to be as wrong.
 */
import assert from "node:assert/strict";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { tcpServer, tryConnect } from "../support/e2e/peers.ts";
import { type Attached, startAttach } from "../support/e2e/program.ts";
import { cannotRun, oursOnly } from "../support/e2e/setup.ts";
import { until } from "../support/e2e/shell.ts";
import { createHost, HOST_ADDRESS, type Namespace } from "../support/e2e/world.ts";
import { temporaryFolder } from "../support/operating/folder.ts";
import { inShell, isMended, look, lookUntil } from "../support/operating/look.ts";
import { looksAs } from "../support/operating/screenshot.ts";
import { operatingRow } from "../support/operating/table.ts";
import { PROTOCOL_TCP, tcp } from "../support/packet.ts";
import { connectGuest, type StreamGuest } from "../support/stream-guest.ts";

const LIMIT = { timeout: 90_000 };
const STRANGER = 1234;

interface Place {
  readonly host: Namespace;
  /** Where the program listens for its guest. */
  readonly socket: string;
  start(...args: string[]): Promise<Attached>;
  guest(mac?: string): Promise<StreamGuest>;
}

async function withPlace(work: (place: Place) => Promise<void>): Promise<void> {
  const host = createHost("");
  const folder = temporaryFolder();
  const socket = join(folder, "vm.sock");
  const programs: Attached[] = [];
  const guests: StreamGuest[] = [];
  const endProgram = async (): Promise<void> => void (await programs.at(-1)?.stop());
  try {
    await work({
      host,
      socket,
      start: async (...args) => {
        await endProgram();
        const program = await startAttach(host, ["--listen", `unix:${socket}`, ...args]);
        programs.push(program);
        return program;
      },
      guest: async (mac) => {
        const guest = await connectGuest(socket, mac);
        guests.push(guest);
        return guest;
      },
    });
  } finally {
    for (const guest of guests) guest.close();
    await endProgram();
    host.remove();
    rmSync(folder, { recursive: true, force: true });
  }
}

describe("docs/operating.md: between program and guest", {
  skip: cannotRun("setpriv") || oursOnly(),
}, () => {
  test("13 a second machine on the socket", LIMIT, async () => {
    await withPlace(async ({ host, start, guest }) => {
      const row = operatingRow("13");
      await start();
      const first = await guest();
      await first.lease();
      const second = await guest("02:00:00:00:00:10");
      await until(() => second.hasEnded, "the second one to be refused");
      await lookUntil(host, row);
      first.close();
      await (await guest("02:00:00:00:00:10")).lease();
    });
  });

  test("14 QEMU of another user", LIMIT, async () => {
    await withPlace(async ({ host, socket, start }) => {
      const row = operatingRow("14");
      const as = [`--reuid=${STRANGER}`, "--clear-groups"];
      const connect = `const s = require("node:net").connect(${JSON.stringify(socket)});
        s.on("connect", () => console.log("in")).on("close", () => console.log("out"));`;
      const qemu = () => host.start(["setpriv", ...as, process.execPath, "-e", connect]);
      await start();
      host.must("chmod", "666", socket);
      await qemu().waitFor(/out/);
      await lookUntil(host, row);
      assert.ok(row.cures.includes("--peer-uid UID"));
      const allowed = await start("--peer-uid", String(STRANGER));
      host.must("chmod", "666", socket);
      const running = qemu();
      await until(() => /"guest connected"/.test(allowed.running.stderr()), "it to be let in");
      assert.doesNotMatch(running.stdout(), /out/);
      running.signal("SIGKILL");
    });
  });

  test("15 a published port refuses: nobody is at the link", LIMIT, async () => {
    await withPlace(async ({ host, start, guest }) => {
      const row = operatingRow("15");
      await start("--publish", "8080:80");
      assert.equal((await tryConnect(host, HOST_ADDRESS, 8080)).code, "ECONNREFUSED");
      await look(host, row);
      await (await guest()).lease();
      await isMended(host, row);
      const listens = async (): Promise<boolean> =>
        (await host.run(["ss", "-Hltn", "sport = :8080"])).stdout.includes(":8080");
      await until(listens, "the port to be open");
    });
  });

  test("16 a port that somebody has", LIMIT, async () => {
    await withPlace(async ({ host, start, guest }) => {
      const row = operatingRow("16");
      await start();
      await (await guest()).lease();
      const server = await tcpServer(host, "0.0.0.0", 8080);
      await look(host, row);
      const other = await host.run(inShell(row.cures[0] ?? ""));
      assert.match(other.stdout, /8081 +port 80 +listening/);
      server.running.signal("SIGKILL");
      await server.running.outcome();
      await isMended(host, row);
      looksAs("slirp-binding publish", (await host.run(inShell("slirp-binding publish"))).stdout);
    });
  });

  test("17 checksums that the guest's driver leaves to a card", LIMIT, async () => {
    await withPlace(async ({ host, start, guest }) => {
      const row = operatingRow("17");
      await start();
      const server = await tcpServer(host, HOST_ADDRESS);
      const machine = await guest();
      await machine.lease();
      const ports = { sourcePort: 4711, destinationPort: server.port };
      const addresses = { source: machine.address, destination: HOST_ADDRESS };
      const segment = tcp({ ...addresses, ...ports, seq: 1, flags: "S", checksum: 0xbad });
      machine.sendRaw(HOST_ADDRESS, PROTOCOL_TCP, segment);
      await lookUntil(host, row);
      assert.equal(await machine.knock({ address: HOST_ADDRESS, port: server.port }), "SA");
    });
  });
});
