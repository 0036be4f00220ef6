/**
 * What tests of real system calls share: declared needs, network namespaces, waiting for
 * conditions.
 *
 * A test whose needs are not met is skipped with a reason; with CI=true that is a failure, except
 * on Node, which has no foreign function interface and never runs these.
 */

import { execFileSync, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { test } from "node:test";
import { Block } from "../../src/sys/block.ts";
import { check } from "../../src/sys/errno.ts";
import { type Libc, loadLibc } from "../../src/sys/libc.ts";

const { CI } = process.env;
const hasFfi = "Bun" in globalThis || "Deno" in globalThis;

/** What a test may need; each gives the reason why it is not met here. */
const NEEDS = {
  root: () => (process.getuid?.() === 0 ? "" : "needs root"),
  tun: () => (existsSync("/dev/net/tun") ? "" : 'needs "/dev/net/tun"'),
  userns: () => (commandWorks("unshare", ["-Urn", "true"]) ? "" : "needs user namespaces"),
} as const;

export type Need = keyof typeof NEEDS;

/** Why tests with these needs cannot run here; empty where they can. */
export function missing(needs: readonly Need[]): string {
  if (!hasFfi) return "needs Bun or Deno";
  return needs.map((need) => NEEDS[need]()).find((reason) => reason !== "") ?? "";
}

/** A test that makes real system calls. */
export function systemTest(
  name: string,
  needs: readonly Need[],
  run: (sys: Libc) => void | Promise<void>,
): void {
  testUnless(missing(needs), name, async () => run(await loadLibc()));
}

/** A test that is skipped for a reason; in CI that is a failure. No reason: it runs. */
export function testUnless(reason: string, name: string, run: () => void | Promise<void>): void {
  if (reason === "") {
    test(name, run);
  } else if (CI === "true" && hasFfi) {
    test(name, () => {
      throw new Error(`Run CI where nothing is skipped: this test ${reason}`);
    });
  } else {
    test(name, { skip: reason }, () => undefined);
  }
}

type SystemCall = (...args: number[]) => number;

/** What a system call was given: its name, and its arguments, addresses as "@". */
export type NotedCall = readonly (string | number)[];

const ADDRESS_MIN = 2 ** 32;

/**
 * A kernel that the test plays: each of these calls is noted and gives what the function gives, or
 * that number. All others are the system's own, and not noted.
 */
export function play(
  sys: Libc,
  answers: Readonly<Partial<Record<keyof Libc, SystemCall | number>>>,
): { readonly told: Libc; readonly calls: NotedCall[] } {
  const calls: NotedCall[] = [];
  const noted = Object.entries(answers).map(([name, answer]) => {
    const call: SystemCall = (...args) => {
      calls.push([name, ...args.map((value) => (value >= ADDRESS_MIN ? "@" : value))]);
      return typeof answer === "number" ? answer : answer(...args);
    };
    return [name, call];
  });
  return { told: { ...sys, ...(Object.fromEntries(noted) as Partial<Libc>) }, calls };
}

/**
 * The system's calls, with the descriptors that were opened by them and not closed: those of this
 * process say less, as runtimes open and close their own at any time.
 */
export function watchDescriptors(sys: Libc): { readonly told: Libc; readonly left: Set<number> } {
  const left = new Set<number>();
  const noted = (fd: number): number => {
    if (fd >= 0) left.add(fd);
    return fd;
  };
  const told: Libc = {
    ...sys,
    open: (...args) => noted(sys.open(...args)),
    socket: (...args) => noted(sys.socket(...args)),
    accept4: (...args) => noted(sys.accept4(...args)),
    close: (fd) => {
      left.delete(fd);
      return sys.close(fd);
    },
  };
  return { told, left };
}

let namespaces = 0;

/** A fresh network namespace that is removed in any case. */
export async function withNetns(run: (name: string) => void | Promise<void>): Promise<void> {
  namespaces += 1;
  const name = `slirp-test-${process.pid}-${namespaces}`;
  execFileSync("ip", ["netns", "add", name]);
  try {
    // Otherwise the kernel sends router solicitations of its own through every new interface.
    inNetns(name, ["sysctl", "-qw", "net.ipv6.conf.default.disable_ipv6=1"]);
    await run(name);
  } finally {
    execFileSync("ip", ["netns", "del", name]);
  }
}

export function netnsPath(name: string): string {
  return `/var/run/netns/${name}`;
}

/** Runs a command in a namespace made by `withNetns` and gives its output. */
export function inNetns(name: string, command: readonly string[]): string {
  const stdio: ["ignore", "pipe", "pipe"] = ["ignore", "pipe", "pipe"];
  return execFileSync("ip", ["netns", "exec", name, ...command], { encoding: "utf8", stdio });
}

/** Exit code of a command that runs while the test goes on. */
export function start(command: string, args: readonly string[]): Promise<number> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { stdio: "ignore" });
    child.on("error", reject);
    child.on("close", (code) => resolve(code ?? -1));
  });
}

/** Waits until a descriptor is ready. Throws after five seconds. */
export function waitFor(sys: Libc, fd: number, events: number): number {
  const entry = new Block(sys, 8);
  entry.setI32(0, fd);
  entry.view.setInt16(4, events, true);
  const n = check(sys.poll(entry.address, 1, 5000), `Poll descriptor ${fd}`);
  if (n === 0) throw new Error(`Descriptor ${fd} was not ready within 5 s`);
  return entry.view.getInt16(6, true);
}

/** The same for a test that must let other work of this thread go on meanwhile. */
export async function becomesReady(sys: Libc, fd: number, events: number): Promise<void> {
  const entry = new Block(sys, 8);
  entry.setI32(0, fd);
  entry.view.setInt16(4, events, true);
  for (let waited = 0; waited < 5000; waited += 10) {
    if (check(sys.poll(entry.address, 1, 10), `Poll descriptor ${fd}`) > 0) return;
    await new Promise((resolve) => setImmediate(resolve));
  }
  throw new Error(`Descriptor ${fd} was not ready within 5 s`);
}

function commandWorks(command: string, args: readonly string[]): boolean {
  try {
    execFileSync(command, args, { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}
