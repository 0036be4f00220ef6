/**
 * End to end, things that go wrong: a bad cable, peers killed in mid-transfer, a guest that is not
 * root on the host.
 *
 * The bad cable is test/support/e2e/lossy-link.ts, which does what netem's loss, duplicate and
 * reorder do, in both directions and on kernels without sch_netem.
 */

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { createLossyGuest } from "../support/e2e/lossy-guest.ts";
import {
  CLIENT_SEED_OFFSET,
  connectionReports,
  MODE,
  startStreams,
  streams,
  tcpServer,
} from "../support/e2e/peers.ts";
import { programKind, startProgram } from "../support/e2e/program.ts";
import { sha256Of } from "../support/e2e/seeded.mjs";
import { cannotRun, createWorld, untilNoConnections } from "../support/e2e/setup.ts";
import { start, until } from "../support/e2e/shell.ts";
import { createHost, HOST_ADDRESS, type Namespace } from "../support/e2e/world.ts";

const MIB = 1 << 20;
const LIMIT = { timeout: 150_000 };
const NOBODY = "65534";
/** A peer stands in only to show that the harness works; libslirp takes minutes at 5 %. */
const FAULT_PERCENT = programKind() === "ours" ? 5 : 1;

describe("attach: a bad cable to the guest", { skip: cannotRun() }, () => {
  for (const mtu of [1500, 65520]) {
    const faults = `${FAULT_PERCENT} % lost, doubled and reordered`;
    test(`T21 T45 T62 ${faults}, MTU ${mtu}: 8 MiB each way intact`, LIMIT, async () => {
      const host = createHost();
      const chain = await createLossyGuest(host, { mtu, percent: FAULT_PERCENT, seed: 2026 });
      try {
        const server = await tcpServer(host, HOST_ADDRESS);
        const size = 8 * MIB;
        const task = { host: HOST_ADDRESS, port: server.port, streams: 1, seed: 3 };
        for (const part of [
          { mode: MODE.finFirst, send: 0, receive: size },
          { mode: MODE.afterFin, send: size, receive: 0 },
        ]) {
          const [report] = await streams(chain.guest, { ...task, ...part }, 70_000);
          assert.equal(report?.error, "");
          assert.equal(report?.sha256, sha256Of(3, part.receive));
        }
        await until(() => connectionReports(server).length === 2, "the server's reports");
        // Which of the two ends first is the cable's choice: it may lose the first one's last FIN.
        const upload = connectionReports(server).find(({ mode }) => mode === MODE.afterFin);
        assert.equal(upload?.sha256, sha256Of(3 + CLIENT_SEED_OFFSET, size));
        const counts = await chain.counts();
        for (const kind of ["lost", "doubled", "reordered"] as const) {
          assert.ok(counts[kind] > 0, `the cable ${kind} nothing: ${JSON.stringify(counts)}`);
        }
      } finally {
        await chain.remove();
        host.remove();
      }
    });
  }
});

describe("attach: peers killed in mid-transfer", { skip: cannotRun() }, () => {
  // Bulk both ways, so that every socket has unread data when its process dies: the kernel resets.
  const bulk = { mode: MODE.both, streams: 4, send: 2 ** 40, receive: 2 ** 40, seed: 9 };

  test("T34 the server dies: the guest's sockets are reset, no flow stays", LIMIT, async () => {
    const world = await createWorld();
    try {
      const server = await tcpServer(world.host, HOST_ADDRESS);
      const target = { host: HOST_ADDRESS, port: server.port };
      const client = startStreams(world.guest, { ...bulk, ...target });
      await untilBytesMoved(world.host, server.port);
      server.running.signal("SIGKILL");
      const outcome = await client.outcome(30_000);
      assert.equal(outcome.code, 0, `the client never noticed: ${outcome.stdout}`);
      const line = outcome.stdout.trim().split("\n").at(-1) ?? "[]";
      for (const report of JSON.parse(line) as { error: string }[]) {
        assert.match(report.error, /^(ECONNRESET|EPIPE)$/);
      }
      await untilNoConnections(world.host, server.port);
      assert.equal(world.program.running.ended(), false);
    } finally {
      await world.remove();
    }
  });

  test("T34 the guest's client dies: the server's sockets are reset", LIMIT, async () => {
    const world = await createWorld();
    try {
      const server = await tcpServer(world.host, HOST_ADDRESS);
      const target = { host: HOST_ADDRESS, port: server.port };
      const client = startStreams(world.guest, { ...bulk, ...target });
      await untilBytesMoved(world.host, server.port);
      client.signal("SIGKILL");
      await until(() => connectionReports(server).length === 4, "4 ended connections", 30_000);
      for (const report of connectionReports(server)) {
        assert.match(report.error, /^(ECONNRESET|EPIPE)$/);
      }
      await untilNoConnections(world.host, server.port);
    } finally {
      await world.remove();
    }
  });

  test("the program dies: the guest's namespace is left without a tap", LIMIT, async () => {
    const world = await createWorld();
    try {
      world.program.running.signal("SIGKILL");
      await world.program.running.outcome(10_000);
      const gone = async (): Promise<boolean> =>
        !(await world.guest.run(["ip", "-o", "link"])).stdout.includes("tap0");
      await until(gone, "the tap to vanish", 10_000);
    } finally {
      await world.remove();
    }
  });
});

/** Waits until the connections to this port have received some megabytes. */
async function untilBytesMoved(host: Namespace, port: number): Promise<void> {
  const filter = `( sport = :${port} )`;
  await until(
    async () => {
      const listing = (await host.run(["ss", "-Hnti", "state", "established", filter])).stdout;
      const counts = [...listing.matchAll(/bytes_received:(\d+)/g)].map((match) =>
        Number(match[1]),
      );
      return counts.length === 4 && counts.every((count) => count > MIB);
    },
    "4 transfers under way",
    30_000,
  );
}

describe("attach: without root", { skip: cannotRun("setpriv", "unshare") }, () => {
  test("a user namespace of nobody's is served by a program of nobody's", LIMIT, async () => {
    const host = createHost();
    try {
      const asNobody = ["setpriv", "--reuid", NOBODY, "--regid", NOBODY, "--clear-groups"];
      const guest = start(host.argv([...asNobody, "unshare", "-Urn", "sh", "-c", "echo up; cat"]));
      await guest.waitFor(/up/);
      // /dev/net/tun is open to all on an ordinary system; here a private node makes sure of it.
      const openTun =
        "mount -t tmpfs none /mnt && mknod -m 666 /mnt/tun c 10 200 && " +
        'mount --bind /mnt/tun /dev/net/tun && umount -l /mnt && exec "$@"';
      const program = await startProgram({
        host,
        netns: String(guest.pid),
        prefix: ["sh", "-c", openTun, "sh", ...asNobody],
      });
      const server = await tcpServer(host, HOST_ADDRESS);
      const inside: Namespace = {
        ...host,
        argv: (argv) => ["nsenter", "-t", String(guest.pid), "-U", "-n", ...argv],
        start: (argv) => start(inside.argv(argv)),
        run: (argv, limit_ms) => start(inside.argv(argv)).outcome(limit_ms),
      };
      const task = { host: HOST_ADDRESS, port: server.port, mode: MODE.both, streams: 2, seed: 4 };
      const reports = await streams(inside, { ...task, send: 4 * MIB, receive: 4 * MIB });
      for (const report of reports) {
        assert.equal(report.error, "");
        assert.equal(report.sha256, sha256Of(report.seed, 4 * MIB));
      }
      const ping = await inside.run(["ping", "-n", "-c", "1", "-W", "5", "10.0.2.2"], 20_000);
      assert.equal(ping.code, 0, ping.stdout + ping.stderr);
      const outcome = await program.stop();
      assert.equal(programKind() === "ours" ? outcome.code : 0, 0, outcome.stderr);
      guest.closeInput();
      await guest.outcome(10_000);
    } finally {
      host.remove();
    }
  });
});
