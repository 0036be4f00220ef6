/**
 * resolv.conf where only root may read it, and the program is nobody: who reads it for it, with
 * which rights by the kernel's word, and until when.
 */
import assert from "node:assert/strict";
import {
  chmodSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { describe, test } from "node:test";
import { dns } from "../support/e2e/peers.ts";
import { DNS_ADDRESS, ourCommand } from "../support/e2e/program.ts";
import { cannotRun, createWorld, oursOnly, startDns, type World } from "../support/e2e/setup.ts";
import { type Running, start, until } from "../support/e2e/shell.ts";
import { writeResolvConf } from "../support/e2e/world.ts";

const LIMIT = { timeout: 120_000 };
const NONE = "0000000000000000";
const DAC_READ_SEARCH = "0000000000000004";

function status(pid: number, name: string): string {
  const text = readFileSync(`/proc/${pid}/status`, "utf8");
  return new RegExp(`^${name}:\\s*(.*?)\\s*$`, "m").exec(text)?.[1] ?? "";
}

/** The one process that the program has started, and has not ended. */
function readerOf(program: number): number {
  const children = readdirSync("/proc").filter((name) => {
    if (!/^\d+$/.test(name)) return false;
    try {
      return status(Number(name), "PPid") === String(program);
    } catch {
      return false; // it has ended
    }
  });
  assert.equal(children.length, 1, `children of ${program}: ${children.join(" ")}`);
  return Number(children[0]);
}

async function mayReadOnly(pid: number): Promise<void> {
  for (const set of ["CapPrm", "CapEff", "CapBnd"]) assert.equal(status(pid, set), DAC_READ_SEARCH);
  for (const set of ["CapInh", "CapAmb"]) assert.equal(status(pid, set), NONE);
  assert.equal(status(pid, "NoNewPrivs"), "1");
  assert.equal(readFileSync(`/proc/${pid}/environ`, "latin1"), "");
  assert.equal(readlinkSync(`/proc/${pid}/cwd`), "/");
  // Its libraries are open for a moment when it has just begun.
  const open = (): string => readdirSync(`/proc/${pid}/fd`).sort().join();
  await until(
    () => open() === "0,1,2",
    () => `no descriptors but 0, 1 and 2: ${open()}`,
  );
}

/** Resolvers at 127.0.0.N, each of which has a word of its own for the same name. */
async function startResolvers(world: World, count: number): Promise<void> {
  for (let n = 1; n <= count; n += 1) await startDns(world.host, `127.0.0.${n}`, `203.0.113.${n}`);
}

/** Until the guest is answered by the resolver at 127.0.0.N. */
function answeredBy(world: World, n: number): Promise<unknown> {
  const ask = () => dns(world.guest, "udp", DNS_ADDRESS, "who.test");
  return until(async () => (await ask()).address === `203.0.113.${n}`, `resolver ${n}`, 20_000);
}

describe("resolv.conf that root alone may read", {
  skip: cannotRun("dnsmasq") || oursOnly() || false,
}, () => {
  test("is followed, by a process that may read and no more", LIMIT, async () => {
    const world = await createWorld({ args: ["--log-level", "debug"] });
    try {
      await startResolvers(world, 3);
      const { pid, running } = world.program;
      assert.equal(status(pid, "CapEff"), NONE);
      const reader = readerOf(pid);
      await mayReadOnly(reader);
      const file = join("/etc/netns", world.host.name, "resolv.conf");
      chmodSync(file, 0);
      writeResolvConf(world.host, "nameserver 127.0.0.2\n");
      await answeredBy(world, 2);
      writeResolvConf(world.host, "nameserver 127.0.0.3\n");
      await answeredBy(world, 3);
      // Without it what was read last counts on, and the log says that it does.
      process.kill(reader, "SIGKILL");
      const lost = "resolv.conf is no longer readable";
      await until(() => running.stderr().includes(lost), "the log to say so", 10_000);
      writeResolvConf(world.host, "nameserver 127.0.0.1\n");
      await answeredBy(world, 3);
      chmodSync(file, 0o644);
      await answeredBy(world, 1);
    } finally {
      await world.remove();
    }
  });

  test("is read by nobody any more when the program has been killed", LIMIT, async () => {
    const world = await createWorld();
    try {
      const reader = readerOf(world.program.pid);
      world.program.running.signal("SIGKILL");
      await until(() => !existsSync(`/proc/${reader}`), "the reader's end", 10_000);
    } finally {
      await world.remove();
    }
  });

  test("is not read by root where nothing of it counts: --dns and --search", LIMIT, async () => {
    const world = await createWorld({ args: ["--dns", "127.0.0.1", "--search", "a.test"] });
    try {
      assert.throws(() => readerOf(world.program.pid), /children of/);
    } finally {
      await world.remove();
    }
  });

  test("is read for the sidecar, too", LIMIT, async () => {
    const folder = mkdtempSync(join(tmpdir(), "slirp-serve-"));
    chmodSync(folder, 0o777);
    const running: Running = start([...ourCommand(), "serve", "--hooks-dir", folder]);
    try {
      await until(() => /privileges dropped/.test(running.stderr()) || running.ended(), "its log");
      const reader = readerOf(running.pid);
      // A process that has not become the reader's program yet has what it was forked with.
      const programOf = (pid: number): string => readlinkSync(`/proc/${pid}/exe`);
      await until(() => programOf(reader) !== programOf(running.pid), "the reader's program");
      await mayReadOnly(reader);
      running.signal("SIGTERM");
      const { code, stderr } = await running.outcome(15_000);
      assert.equal(code, 0, stderr);
      await until(() => !existsSync(`/proc/${reader}`), "the reader's end", 10_000);
    } finally {
      running.signal("SIGKILL");
      rmSync(folder, { recursive: true });
    }
  });
});
