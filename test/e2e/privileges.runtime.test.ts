/**
 * What the program has left once it runs, by the kernel's word, and that it does all of its work
 * with that: traffic through a tap, ports below 1024, sockets of hooks. All other tests of the
 * program run under its filter too.
 */
import assert from "node:assert/strict";
import { chmodSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test } from "node:test";
import { httpServer } from "../support/e2e/peers.ts";
import { ourCommand } from "../support/e2e/program.ts";
import { cannotRun, createWorld, oursOnly } from "../support/e2e/setup.ts";
import { type Running, start, until } from "../support/e2e/shell.ts";
import { HOST_ADDRESS } from "../support/e2e/world.ts";

const LIMIT = { timeout: 120_000 };
const LOW_PORT = 80;
const NONE = "0000000000000000";
const SETS = ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"];

/** A line of the kernel's account of each thread, each answer once. */
function said(pid: number, name: string): string[] {
  const answers = readdirSync(`/proc/${pid}/task`).map((thread) => {
    const status = readFileSync(`/proc/${pid}/task/${thread}/status`, "utf8");
    return new RegExp(`^${name}:\\s*(.*)$`, "m").exec(status)?.[1] ?? "";
  });
  return [...new Set(answers)];
}

function hasNothing(pid: number, uid: number): void {
  for (const set of SETS) assert.deepEqual(said(pid, set), [NONE], set);
  assert.deepEqual(said(pid, "NoNewPrivs"), ["1"]);
  assert.deepEqual(said(pid, "Seccomp"), ["2"]);
  assert.deepEqual(said(pid, "Uid"), [Array.from({ length: 4 }, () => uid).join("\t")]);
  const environment = readFileSync(`/proc/${pid}/environ`, "latin1");
  assert.equal(environment.replaceAll("\0", ""), "");
}

/** Where descriptors of the program lead, its own event descriptors aside. */
function targets(pid: number): string[] {
  return readdirSync(`/proc/${pid}/fd`)
    .filter((fd) => Number(fd) > 2)
    .map((fd) => {
      try {
        return readlinkSync(`/proc/${pid}/fd/${fd}`);
      } catch {
        return "anon_inode:"; // closed meanwhile
      }
    })
    .filter((target) => !target.startsWith("anon_inode:"));
}

describe("attach, once it runs", { skip: cannotRun() || oursOnly() || false }, () => {
  test("has no right left and does its work", LIMIT, async () => {
    const left = ["sh", "-c", 'exec "$@" 9</etc/passwd', "sh"];
    const world = await createWorld({ publish: [`${LOW_PORT}:8080`], prefix: left });
    try {
      const { host, guest, program } = world;
      hasNothing(program.pid, 65534);
      assert.ok(!targets(program.pid).includes("/etc/passwd"));
      const loaded = /seccomp filter loaded/;
      await until(() => loaded.test(program.running.stderr()), "the log to say so", 10_000);
      const outside = await httpServer(host, HOST_ADDRESS);
      await httpServer(guest, "10.0.2.15", 8080);
      const down = await guest.run(curl(`http://${HOST_ADDRESS}:${outside.port}/1/1048576`));
      assert.equal(down.stdout, "200 1048576", down.stderr);
      const up = await host.run(curl(`http://127.0.0.1:${LOW_PORT}/1/1048576`));
      assert.equal(up.stdout, "200 1048576", up.stderr);
      hasNothing(program.pid, 65534); // and no thread made meanwhile has more
    } finally {
      await world.remove();
    }
  });

  test("is who it is told to be, without the filter if told", LIMIT, async () => {
    const world = await createWorld({ args: ["--user", "107:36", "--no-seccomp"] });
    try {
      const { pid } = world.program;
      assert.deepEqual(said(pid, "Uid"), ["107\t107\t107\t107"]);
      assert.deepEqual(said(pid, "Gid"), ["36\t36\t36\t36"]);
      assert.deepEqual(said(pid, "Seccomp"), ["0"]);
      assert.deepEqual(said(pid, "CapEff"), [NONE]);
    } finally {
      await world.remove();
    }
  });
});

function curl(url: string): string[] {
  return ["curl", "-sS", "-o", "/dev/null", "-w", "%{http_code} %{size_download}", url];
}

describe("serve, once it runs", { skip: cannotRun() || oursOnly() || false }, () => {
  test("has no right left, and leaves its socket to nobody", LIMIT, async () => {
    const folder = mkdtempSync(join(tmpdir(), "slirp-serve-"));
    chmodSync(folder, 0o777);
    const running: Running = start([...ourCommand(), "serve", "--hooks-dir", folder]);
    try {
      await until(() => /privileges dropped/.test(running.stderr()) || running.ended(), "its log");
      hasNothing(running.pid, 65534);
      running.signal("SIGTERM");
      const { code, stderr } = await running.outcome(15_000);
      assert.equal(code, 0, stderr);
      assert.deepEqual(readdirSync(folder), []);
    } finally {
      running.signal("SIGKILL");
      rmSync(folder, { recursive: true });
    }
  });
});
