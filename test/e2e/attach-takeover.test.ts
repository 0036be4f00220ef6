/**
 * End to end, engines that fail again and again under traffic, behind each kind of link: the guest
 * is back within a second each time, data is byte-exact afterwards, and neither a descriptor nor
 * memory is lost.
 *
 * Method: the engine's tables are spoiled from outside (`break-engine.ts`) while the guest sends an
 * echo request every tenth of a second, and transfers data. The numbers of the requests that were
 * answered say how long it was cut off. SLIRP_TRAPS is how often; `npm run soak -- --traps N` sets
 * it, and wants the second kept, which a loaded machine cannot promise.
 */
import assert from "node:assert/strict";
import { chmodSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { after, describe, test } from "node:test";
import { breakEngine } from "../support/break-engine.ts";
import { type Held, heldBy } from "../support/e2e/held.ts";
import { getsAddress, isReachable, transfers } from "../support/e2e/machine.ts";
import { httpServer, MODE, startStreams, streams, tcpServer } from "../support/e2e/peers.ts";
import { startAttach } from "../support/e2e/program.ts";
import { sha256Of } from "../support/e2e/seeded.mjs";
import { cannotRun, createWorld, oursOnly } from "../support/e2e/setup.ts";
import { endAll, type Running, until } from "../support/e2e/shell.ts";
import { createHost, HOST_ADDRESS } from "../support/e2e/world.ts";
import { GUEST_MAC, qemuMissing, startGuest, vhostUserGuest } from "../support/qemu.ts";

const asked = process.env["SLIRP_TRAPS"];
const TRAPS = asked === undefined ? 5 : Number(asked);
const LIMIT = { timeout: 60_000 + TRAPS * 20_000 };
/** Time without an answer that is allowed, in requests: ten of them are sent in a second. */
const LOST_MAX = asked === undefined ? 50 : 10;
const NETWORK = "10.0.2";
const KIB = 1 << 10;
const PUBLISHED = 8080;
/** Sockets of flows that may be there, and fewer than there are failures. */
const FLOWS = 3;
/** What the runtime's heap may grow by. */
const GROWTH_MAX_KIB = 24 * KIB;

/** The process below one that was started through `ip netns exec`, which becomes it. */
const pidOf = (running: Running): number => running.pid;

/** Sequence numbers of answers in what ping has written. */
function answersIn(text: string): number[] {
  return [...text.matchAll(/ (?:icmp_)?seq=(\d+)/g)].map(([, number]) => Number(number));
}

/** The longest row of requests without an answer. */
function longestGap(answers: readonly number[]): number {
  let longest = 0;
  answers.forEach((number, i) => {
    longest = Math.max(longest, number - (answers[i - 1] ?? number) - 1);
  });
  return longest;
}

/** Failures that the program counts. */
async function failuresOf(program: Running): Promise<number> {
  const before = program.stderr().length;
  program.signal("SIGUSR1");
  const line = await until(
    () => /^.*"msg":"counters".*$/m.exec(program.stderr().slice(before))?.[0],
    "counters",
  );
  return Number((JSON.parse(line) as Record<string, unknown>)["engine_failures"] ?? 0);
}

interface Subject {
  readonly program: Running;
  /** How many answers ping has had so far, and which. */
  count(): Promise<number>;
  answers(): Promise<number[]>;
  /** Everything works, to the octet. */
  check(): Promise<void>;
}

/** Makes the engine fail so often, and looks at what is left. */
async function survives({ program, count, answers, check }: Subject): Promise<void> {
  const pid = pidOf(program);
  await check();
  let before: Held | undefined;
  for (let i = 1; i <= TRAPS; i += 1) {
    await breakEngine(pid, NETWORK);
    await until(
      async () => (await failuresOf(program)) === i,
      () => `failure ${i}; the log: ${program.stderr().slice(-2000)}`,
      20_000,
    );
    const heard = await count();
    await until(async () => (await count()) > heard + 2, `an answer after failure ${i}`);
    // What the first ones leave in the runtime's heap stays.
    if (i === Math.ceil(TRAPS / 5)) before = heldBy(pid);
    if (i % 10 === 0 || i === TRAPS) await check();
  }
  const gap = longestGap(await answers());
  assert.ok(gap <= LOST_MAX, `${gap} requests in a row without an answer`);
  assert.equal(program.ended(), false);
  const wanted = before ?? heldBy(pid);
  await until(
    () => heldBy(pid).descriptors.length <= wanted.descriptors.length + FLOWS,
    () => `descriptors ${heldBy(pid).descriptors} to become ${wanted.descriptors}`,
    20_000,
  );
  const growth = heldBy(pid).resident_kib - wanted.resident_kib;
  assert.ok(growth < GROWTH_MAX_KIB, `${growth} KiB more than before`);
}

describe("an engine that fails: tap", { skip: cannotRun() || oursOnly() }, () => {
  after(endAll);

  test("Linux goes on where it was", LIMIT, async () => {
    const args = ["--log-format", "json"];
    const world = await createWorld({ publish: [`${PUBLISHED}:80`], args });
    const server = await tcpServer(world.host, HOST_ADDRESS);
    const inside = await httpServer(world.guest, "0.0.0.0", 80);
    const whole = { host: HOST_ADDRESS, port: server.port, mode: MODE.both, seed: 3 };
    // Connections that die with each engine, for traffic beside the requests.
    const load = startStreams(world.guest, { ...whole, streams: 4, send: 1e9, receive: 1e9 });
    const ping = world.guest.start(["ping", "-i", "0.1", HOST_ADDRESS]);
    try {
      await survives({
        program: world.program.running,
        count: async () => answersIn(ping.stdout()).length,
        answers: async () => answersIn(ping.stdout()),
        check: async () => {
          const amount = 512 * KIB;
          const task = { ...whole, streams: 4, send: amount, receive: amount };
          for (const report of await streams(world.guest, task)) {
            assert.equal(report.error, "");
            assert.equal(report.sha256, sha256Of(report.seed, amount));
          }
          const url = `http://${HOST_ADDRESS}:${PUBLISHED}/5/${amount}`;
          const page = await world.host.run(["sh", "-c", `curl -sS ${url} | sha256sum`]);
          assert.ok(page.stdout.startsWith(sha256Of(5, amount)), page.stderr);
        },
      });
    } finally {
      for (const each of [ping, load, inside.running]) each.signal("SIGKILL");
      await world.remove();
    }
  });
});

const links = [
  {
    name: "stream",
    args: (path: string) => ["--listen", `unix:${path}`],
    machine: (path: string) => ({ netdev: `stream,id=n,addr.type=unix,addr.path=${path}` }),
  },
  {
    name: "client over TCP",
    args: () => ["--listen", "tcp:127.0.0.1:4711"],
    machine: () => ({ netdev: "socket,id=n,connect=127.0.0.1:4711" }),
  },
  {
    name: "vhost-user",
    args: (path: string) => ["--vhost-user", path],
    // It does not dial again.
    machine: (path: string) => vhostUserGuest(path, [], [], "reconnect=0"),
  },
];

/** Machines take long to start: only where it is asked for. */
const machines = asked === undefined ? [] : links;

describe("an engine that fails: QEMU", { skip: cannotRun() || qemuMissing() || oursOnly() }, () => {
  after(endAll);

  for (const { name, args, machine } of machines) {
    test(`keeps its card behind ${name}`, LIMIT, async () => {
      const host = createHost();
      const folder = mkdtempSync(join(tmpdir(), "slirp-takeover-"));
      chmodSync(folder, 0o777); // root becomes nobody, and the socket is to be gone at the end
      const path = join(folder, "vm.sock");
      const { port } = await httpServer(host, HOST_ADDRESS);
      const more = ["--publish", `${PUBLISHED}:80`, "--log-format", "json"];
      const program = await startAttach(host, [...args(path), ...more]);
      const guest = await startGuest({ ...machine(path), prefix: host.argv([]) });
      try {
        await getsAddress(guest, GUEST_MAC, 65520);
        await guest.must(`(ping -i 0.1 ${HOST_ADDRESS} >/tmp/ping &)`);
        await survives({
          program: program.running,
          // All that the console says is kept, up to 1 MiB.
          count: async () => Number(await guest.must("grep -c seq= /tmp/ping || true")),
          answers: async () => answersIn(await guest.must("cat /tmp/ping")),
          check: async () => {
            await transfers(guest, port, 256 * KIB);
            await isReachable(guest, host, PUBLISHED);
          },
        });
        assert.equal(program.running.stderr().match(/"msg":"guest connected"/g)?.length, 1);
      } finally {
        await guest.kill();
        if (!program.running.ended()) await program.stop();
        host.remove();
        rmSync(folder, { recursive: true, force: true });
      }
    });
  }
});
