/**
 * `attach` as a program: what it says when it is ready, whom it listens to, and how it ends. What
 * goes through it is for `test/e2e` to show.
 */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync, readdirSync, readlinkSync } from "node:fs";
import { type AddressInfo, createServer } from "node:net";
import { describe } from "node:test";
import { fileURLToPath } from "node:url";
import { ownCommand } from "../../src/cli/program.ts";
import { netnsPath, systemTest, withNetns } from "../sys/support.ts";
import { isRoot, type Program, READY_FD, withProgram } from "./support.ts";

const CHILD = fileURLToPath(new URL("attach-child.ts", import.meta.url));
const LOG = ["--log-format", "json", "--log-level", "debug"];
const OPTIONS = [...LOG, "--ready-fd", READY_FD];
const READS_ELSEWHERE = "resolv.conf is read by a process of its own";

/** A port of loopback that nobody has. */
async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** Fields of a line of the log that not every line has. */
function said(program: Program, message: string): Readonly<Record<string, unknown>> {
  const { level, timestamp, component, pos, msg, ...fields } = program.fields(message) ?? {};
  return fields;
}

/** Only who has rights has a process read on for it. */
function assertReader(program: Program, wanted: boolean): void {
  assert.equal(program.fields(READS_ELSEWHERE) !== undefined, wanted && isRoot());
}

describe("attach", () => {
  systemTest("says what it is, counts when asked, ends at SIGTERM", [], () =>
    withProgram(async (program) => {
      const socket = program.path("vm.sock");
      const port = await freePort();
      const published = ["--publish", `127.0.0.1:${port}:80`];
      const link = ["--listen", `unix:${socket}`, "--mtu", "1400"];
      const running = program.start(
        ["attach", ...link, ...published, ...OPTIONS],
        'exec "$@" 9</etc/passwd',
      );
      await program.ready();
      await program.logs(/"msg":"ready"/);
      assert.deepEqual(said(program, "ready"), {
        event: "network_started",
        listen: `unix:${socket}`,
        guest: "10.0.2.15/24",
        gateway: "10.0.2.2",
        dns: "10.0.2.3",
        guest6: "fd10:0:2::2/64",
        gateway6: "fd10:0:2::1",
        dns6: "fd10:0:2::3",
        mtu: 1400,
        published: 1,
      });
      const { user, reason } = said(program, "privileges dropped, seccomp filter loaded");
      if (isRoot()) assert.deepEqual([user, reason], ["65534:65534", undefined]);
      assertReader(program, true);
      const open = isRoot() ? readdirSync(`/proc/${running.pid}/fd`) : [];
      const leads = open.map((fd) => readlinkSync(`/proc/${running.pid}/fd/${fd}`));
      assert.ok(!leads.includes("/etc/passwd"));
      program.signal("SIGUSR1");
      await program.logs(/"msg":"counters"/);
      const { flows, chunks } = said(program, "counters");
      assert.deepEqual([flows, chunks], [0, 0]);
      program.signal("SIGTERM");
      const { code, stdout } = await program.outcome();
      assert.deepEqual([code, stdout], [0, ""]);
      assert.equal(said(program, "stopped")["flows"], 0);
      assert.deepEqual(said(program, "shutting down"), {
        event: "network_ended",
        reason: "SIGTERM",
      });
      assert.ok(!existsSync(socket));
    }),
  );

  systemTest("connects out, follows no resolv.conf if told all of it, ends at SIGINT", [], () =>
    withProgram(async (program) => {
      const endpoint = `tcp:127.0.0.1:${await freePort()}`;
      const told = ["--dns", "192.0.2.1", "--search", "a.test", "--no-seccomp", "--no-ipv4"];
      program.start(["attach", "--connect", endpoint, ...told, ...OPTIONS]);
      await program.ready();
      await program.logs(/"msg":"ready"/);
      const { connect, guest, guest6 } = said(program, "ready");
      assert.deepEqual([connect, guest, guest6], [endpoint, undefined, "fd10:0:2::2/64"]);
      const { reason, system_calls: calls } = said(program, "privileges dropped");
      assert.deepEqual([reason, calls], [undefined, undefined]);
      assertReader(program, false);
      program.signal("SIGINT");
      assert.equal((await program.outcome()).code, 0);
    }),
  );

  systemTest("stays root for a socket that may be root's, ends with who wants it", ["root"], () =>
    withProgram(async (program) => {
      const link = ["--connect", `unix:${program.path("none.sock")}`, "--no-ipv6"];
      const given = ["--dns", "192.0.2.1", "--exit-fd", "4"];
      const running = program.start(["attach", ...link, ...given, ...OPTIONS], 'exec "$@" 4<&0');
      await program.ready();
      await program.logs(/"msg":"ready"/);
      const { guest, guest6 } = said(program, "ready");
      assert.deepEqual([guest, guest6], ["10.0.2.15/24", undefined]);
      const { user, reason } = said(program, "privileges dropped, seccomp filter loaded");
      assert.deepEqual([user, reason], ["0:0", "the socket to connect to may be root's"]);
      assertReader(program, true);
      running.closeInput();
      assert.equal((await program.outcome()).code, 0);
    }),
  );

  systemTest("warns once it runs of what doctor finds", [], () =>
    withProgram(async (program) => {
      const silent = ["--dns", "127.0.0.1", "--dns-port", String(await freePort())];
      const link = ["--listen", `unix:${program.path("vm.sock")}`];
      program.start(["attach", ...link, ...silent, ...OPTIONS], 'SLIRP_NO_CHECKS=0 exec "$@"');
      await program.ready();
      await program.logs(/"msg":"check failed"/);
      const { event, check, problem } = said(program, "check failed");
      assert.deepEqual([event, check], ["check_failed", "resolvers"]);
      assert.equal(problem, "no resolver answers: 127.0.0.1");
      program.signal("SIGTERM");
      assert.equal((await program.outcome()).code, 0);
    }),
  );

  systemTest("ends well where its tap is taken away", ["root", "tun"], () =>
    withNetns((netns) =>
      withProgram(async (program) => {
        const link = ["--tap", "tap7", "--netns", netnsPath(netns), "--search", "a.test"];
        program.start(["attach", ...link, ...OPTIONS]);
        await program.ready();
        await program.logs(/"msg":"ready"/);
        const { tap, netns: place, listen } = said(program, "ready");
        assert.deepEqual([tap, place, listen], ["tap7", netnsPath(netns), undefined]);
        assertReader(program, true);
        execFileSync("ip", ["netns", "exec", netns, "ip", "link", "del", "tap7"]);
        const { code } = await program.outcome();
        assert.equal(code, 0);
        assert.match(String(said(program, "shutting down")["reason"]), /^The tap "tap7" is gone/);
        assert.equal(said(program, "stopped")["flows"], 0);
      }),
    ),
  );

  systemTest("ends with an error where its worker fails", [], () =>
    withProgram(async (program) => {
      const command = [...ownCommand().slice(0, -1), CHILD];
      const link = ["--listen", `unix:${program.path("vm.sock")}`];
      program.start([...link, ...OPTIONS], 'exec "$@"', command);
      await program.ready();
      await program.logs(/"msg":"ready"/);
      program.signal("SIGUSR2");
      assert.equal((await program.outcome()).code, 1);
      assert.equal(program.fields("a trap")?.["level"], "error");
      assert.equal(program.fields("stopped"), undefined);
      assert.equal(program.fields("shutting down"), undefined);
    }),
  );

  systemTest("leaves nothing where it cannot tell that it is ready", [], () =>
    withProgram(async (program) => {
      const socket = program.path("vm.sock");
      program.start(["attach", "--listen", `unix:${socket}`, ...LOG, "--ready-fd", "77"]);
      const { code, stderr } = await program.outcome();
      assert.equal(code, 1);
      assert.match(
        stderr,
        /^slirp-binding: Write to descriptor "77" that is to hear of it: .*\n$/m,
      );
      assert.equal(program.fields("ready"), undefined);
      assert.ok(!existsSync(socket));
    }),
  );
});
