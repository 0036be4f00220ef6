/**
 * `attach` ends by itself, with code 0 and a reason, once nobody is there any more whom it serves
 * or who wants it; its published ports are free at once.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { ourCommand, startAttach, startProgram } from "../support/e2e/program.ts";
import { cannotRun, oursOnly } from "../support/e2e/setup.ts";
import { run, start } from "../support/e2e/shell.ts";
import { createGuest, createHost, type Namespace } from "../support/e2e/world.ts";

const LIMIT = { timeout: 60_000 };
const PORT = "39080";
const WITH_PORT = ["--log-level", "info", "--publish", `${PORT}:80`];

async function assertFree(host: Namespace): Promise<void> {
  const { stdout } = await host.run(["ss", "-Hltn", `sport = :${PORT}`]);
  assert.equal(stdout, "");
}

describe("attach: the end of what it serves", { skip: cannotRun("unshare") || oursOnly() }, () => {
  for (const form of ["PID", "/proc/PID/ns/net"]) {
    test(`the process ends: --netns ${form}`, LIMIT, async () => {
      const host = createHost();
      try {
        const guest = start(["unshare", "-n", "sh", "-c", "echo up; exec cat"]);
        await guest.waitFor(/up/);
        const netns = form.replace("PID", String(guest.pid));
        const program = await startProgram({ host, netns, args: WITH_PORT });
        guest.signal("SIGKILL");
        const { code, stderr } = await program.running.outcome(10_000);
        assert.equal(code, 0, stderr);
        assert.match(stderr, new RegExp(`process ${guest.pid}, whose namespace is served, has`));
        await assertFree(host);
      } finally {
        host.remove();
      }
    });
  }

  test("the namespace is deleted, by its name", LIMIT, async () => {
    const host = createHost();
    const guest = createGuest();
    try {
      const name = guest.path.slice(guest.path.lastIndexOf("/") + 1);
      const program = await startProgram({ host, netns: name, args: WITH_PORT });
      guest.remove();
      const { code, stderr } = await program.running.outcome(10_000);
      assert.equal(code, 0, stderr);
      assert.match(stderr, /the namespace .* has been deleted/);
      await assertFree(host);
    } finally {
      guest.remove();
      host.remove();
    }
  });

  test("the tap is deleted", LIMIT, async () => {
    const host = createHost();
    const guest = createGuest();
    try {
      const program = await startProgram({ host, netns: guest.path, args: WITH_PORT });
      guest.must("ip", "link", "del", "tap0");
      const { code, stderr } = await program.running.outcome(10_000);
      assert.equal(code, 0, stderr);
      assert.match(stderr, /The tap .* is gone/);
      await assertFree(host);
    } finally {
      guest.remove();
      host.remove();
    }
  });

  test("--exit-fd: the other end is closed, not merely written to", LIMIT, async () => {
    const host = createHost();
    try {
      const path = "unix:@slirp-attach-ends";
      const program = await startAttach(host, ["--listen", path, "--exit-fd", "0", ...WITH_PORT]);
      program.running.write("still wanted\n");
      program.running.closeInput();
      const { code, stderr } = await program.running.outcome(10_000);
      assert.equal(code, 0, stderr);
      assert.match(stderr, /the other end of descriptor 0 has been closed/);
      await assertFree(host);
      const other = [...ourCommand(), "attach", "--listen", path, "--exit-fd", "77"];
      const refused = await run(other, 20_000);
      assert.equal(refused.code, 1);
      assert.equal(refused.stderr, "slirp-binding: hand over a pipe or socket as descriptor 77\n");
    } finally {
      host.remove();
    }
  });
});
