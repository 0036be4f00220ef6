/**
 * Starts and ends of the sidecar in numbers, after which nothing may be left: no process, no socket
 * that listens in the pod or has a name in its folder, no file in any place for temporary ones; and
 * plans and guests that change in one sidecar, which may cost it no descriptor and no thread.
 *
 *     E2E_CYCLES=100 npm test -- --only sidecar-cycles
 *
 * makes it a hundred; by default there are fewer, for time's sake.
 */
import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { after, describe, test } from "node:test";
import { cannotRun } from "../support/e2e/setup.ts";
import { endAll, until } from "../support/e2e/shell.ts";
import { type Pod, withPod } from "../support/pod.ts";

/** From source a start takes many times as long. */
const CYCLES = process.env["SLIRP_RUNTIME"] ? 5 : Number(process.env["E2E_CYCLES"] ?? 20);
const LIMIT = { timeout: 60_000 + CYCLES * 6_000 };

/** Its command line; empty when it has ended meanwhile. */
function commandOf(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8");
  } catch {
    return "";
  }
}

/** Processes of the pod whose command names its hooks folder. */
async function programsOf({ host, folder }: Pod): Promise<string[]> {
  const { stdout } = await host.run(["ip", "netns", "pids", host.name]);
  const commands = stdout.split("\n").filter(Boolean).map(commandOf);
  return commands.filter((each) => each.includes(folder));
}

/** What is bound in the pod, to a port or to a path in the hooks folder. */
async function socketsOf({ host, folder }: Pod): Promise<string[]> {
  const { stdout } = await host.run(["ss", "-Hanltux"]);
  const columns = stdout.split("\n").map((line) => line.split(/ +/));
  return columns
    .map(([kind = "", , , , address = ""]) => ({ kind, address }))
    .filter(({ kind, address }) => /^(?:tcp|udp)/.test(kind) || address.startsWith(folder))
    .map(({ kind, address }) => `${kind} ${address}`)
    .sort();
}

/** One life with a guest on either link, and one of three ends. */
async function cycle(pod: Pod, at: number): Promise<void> {
  const isStream = at % 2 === 0;
  await pod.define({ link: isStream ? "stream" : "client", interfaces: [{}, {}] });
  const guest = isStream ? await pod.guest(1) : await pod.clientGuest(1);
  await guest.lease();
  if (at % 3 === 0) guest.close();
  if (at % 3 === 1) pod.serve.running.signal("SIGINT");
  else await pod.shutdown();
  await pod.ended();
  guest.close();
}

describe("sidecar: nothing is left behind", { skip: cannotRun() }, () => {
  after(endAll);

  test(`by ${CYCLES} starts and ends`, LIMIT, async (context) => {
    const temporary = mkdtempSync(join(tmpdir(), "slirp-home-"));
    // From source a runtime keeps what it has compiled in its own home.
    const home = process.env["SLIRP_RUNTIME"] ? {} : { HOME: temporary, XDG_CACHE_HOME: temporary };
    const env = { TMPDIR: temporary, ...home };
    try {
      await withPod({ env }, async (pod) => {
        await cycle(pod, 0);
        // What the test's own servers have bound is there before and after.
        const before = await socketsOf(pod);
        for (let at = 1; at < CYCLES; at += 1) {
          await pod.start();
          await cycle(pod, at);
        }
        const programs = await programsOf(pod);
        const sockets = await socketsOf(pod);
        const files = [pod.folder, temporary].flatMap((folder) => readdirSync(folder));
        context.diagnostic(
          `after ${CYCLES} starts and ends: ${programs.length} processes, ` +
            `${sockets.length - before.length} sockets, ${files.length} files left`,
        );
        assert.deepEqual(programs, []);
        assert.deepEqual(sockets, before);
        assert.deepEqual(files, []);
      });
    } finally {
      rmSync(temporary, { recursive: true, force: true });
    }
  });

  test(`by ${CYCLES} changed plans and new guests in one life`, LIMIT, (context) =>
    withPod({}, async (pod) => {
      let gone = 0;
      const comeAndGo = async (): Promise<void> => {
        const guest = await pod.guest();
        await guest.lease();
        guest.close();
        gone += 1;
        await pod.logged("guest disconnected", gone);
      };
      const round = async (at: number): Promise<void> => {
        await pod.define({ link: "stream", cidrs: [`10.${at}.0.0/24`] });
        await comeAndGo();
        await comeAndGo();
      };
      for (let at = 1; at <= 3; at += 1) await round(at);
      const state = (): readonly number[] => [pod.openDescriptors(), pod.status("Threads")];
      const before = state();
      for (let at = 1; at <= CYCLES; at += 1) await round(at);
      await until(
        () => state().every((count, index) => count <= (before[index] ?? 0)),
        () => `${state()} descriptors and threads to become ${before}`,
        20_000,
      );
      context.diagnostic(`descriptors and threads: ${before} before, ${state()} after`);
      await pod.shutdown();
      await pod.ended();
    }),
  );
});
