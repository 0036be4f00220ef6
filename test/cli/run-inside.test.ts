/**
 * The part of `run` that becomes the command, in namespaces of its own: what the command finds
 * there, and what is said where it cannot be started. The test is the program outside.
 */
import assert from "node:assert/strict";
import { chmodSync, mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { describe, test } from "node:test";
import { tapRequestOf } from "../../src/binding/outer-end.ts";
import { RUN_COMMAND } from "../../src/cli/internal.ts";
import {
  exitCodeOf,
  findProgram,
  GATE,
  type InsideRequest,
  problemOf,
} from "../../src/cli/run-inside.ts";
import { EACCES, ENOENT } from "../../src/sys/errno.ts";
import type { Outcome } from "../support/e2e/shell.ts";
import { systemTest } from "../sys/support.ts";
import { parse, withProgram } from "./support.ts";

const CONF = "nameserver 10.0.2.3\nsearch inside.test\n";
/** Puts a folder of a few files in the place of /etc; what is done to it goes between. */
const ETC = (change: string): string =>
  "mount -t tmpfs none /mnt && mkdir /mnt/etc && cp /etc/passwd /mnt/etc && " +
  `${change} && mount --bind /mnt/etc /etc && umount -l /mnt`;

interface Asked {
  readonly command: readonly string[];
  /** Whether it is told that the network is there. */
  readonly isLetIn?: boolean;
  /** Shell commands inside, before the program starts. */
  readonly before?: string;
  readonly conf?: string | undefined;
}

/** Plays the program outside until the one inside has ended. */
async function inside(asked: Asked): Promise<Outcome> {
  const { command, isLetIn = true, before = "true", conf = CONF } = asked;
  let outcome: Outcome | undefined;
  await withProgram(async (program) => {
    const options = parse(["run", "true"]);
    assert.ok(options.kind === "run");
    const { link, network } = options.options.attach;
    assert.ok(link.kind === "tap");
    const { folder } = program;
    mkdirSync(join(folder, "etc"));
    if (conf !== "") writeFileSync(join(folder, "etc/resolv.conf"), conf);
    const gate = createServer();
    const arrival = new Promise<Socket>((resolve) => gate.once("connection", resolve));
    await new Promise<void>((resolve) => gate.listen(join(folder, GATE), resolve));
    const request: InsideRequest = { folder, command, tap: tapRequestOf(network, link) };
    const script = `${before} && exec "$@"`.replace(/["$]/g, "\\$&");
    const shell = `exec unshare --net --mount -- sh -c "${script}" sh "$@"`;
    const running = program.start([RUN_COMMAND, JSON.stringify(request)], shell);
    const socket = await Promise.race([arrival, program.outcome()]);
    assert.ok("write" in socket, `ended before it arrived: ${running.stderr()}`);
    assert.equal(running.stdout(), "", "the command waits for the network");
    if (isLetIn) socket.write("1");
    socket.end();
    outcome = await program.outcome();
    gate.close();
  });
  assert.ok(outcome);
  return outcome;
}

function script(...lines: string[]): Asked {
  return { command: ["sh", "-c", lines.join("\n"), "its-name"] };
}

describe("the process inside", () => {
  systemTest(
    "becomes the command, with tap, resolv.conf and what users may do",
    ["root", "tun"],
    async () => {
      const { code, stdout, stderr } = await inside(
        script(
          "echo $0 $SLIRP_SECRET",
          "cat /etc/resolv.conf",
          "ip -o link show tap0 | cut -d: -f2",
          "cd /proc/sys/net/ipv4; cat ping_group_range ip_unprivileged_port_start",
          "exit 7",
        ),
      );
      assert.deepEqual([code, stderr], [7, ""]);
      const gid = process.getgid?.();
      assert.equal(stdout, `its-name x\n${CONF} tap0\n${gid}\t${gid}\n0\n`);
    },
  );

  systemTest("ends without a word where there is no network", ["root", "tun"], async () => {
    const { code, stdout, stderr } = await inside({ ...script("echo ran"), isLetIn: false });
    assert.deepEqual([code, stdout, stderr], [125, "", ""]);
  });

  systemTest("says what it cannot become", ["root", "tun"], async () => {
    const missing = await inside({ command: ["no-such-command"] });
    const line = 'slirp-binding: run "no-such-command": there is no such command\n';
    assert.deepEqual([missing.code, missing.stderr], [127, line]);
    const closed = await inside({ command: ["/etc/passwd"] });
    const denied = 'slirp-binding: run "/etc/passwd": permission denied\n';
    assert.deepEqual([closed.code, closed.stderr], [126, denied]);
    const noShell = "mount -t tmpfs none /srv && printf '\\177ELF' >/srv/x && chmod +x /srv/x";
    const broken = await inside({ command: ["/srv/x"], before: noShell });
    assert.equal(broken.code, 127, broken.stderr); // what sh makes of it
  });

  systemTest("has sh read a script that names no interpreter", ["root", "tun"], async () => {
    const write =
      "mount -t tmpfs none /srv && echo 'echo $0 $#; exit 4' >/srv/x && chmod +x /srv/x";
    const { code, stdout } = await inside({ command: ["/srv/x", "a", "b"], before: write });
    assert.deepEqual([code, stdout], [4, "/srv/x 2\n"]);
  });

  systemTest("covers the folder of a resolv.conf that is not there", ["root", "tun"], async () => {
    for (const change of ["true", "ln -s /nowhere/at/all /mnt/etc/resolv.conf"]) {
      const { code, stdout, stderr } = await inside({
        ...script("cat /etc/resolv.conf; ls /etc; touch /etc/new 2>/dev/null || echo closed"),
        before: ETC(change),
      });
      assert.equal(code, 0, stderr);
      assert.equal(stdout, `${CONF}passwd\nresolv.conf\nclosed\n`, stderr);
      assert.doesNotMatch(stderr, /stays as it is/);
    }
  });

  systemTest("goes on with the resolv.conf there is where it must", ["root", "tun"], async () => {
    const stays = /^slirp-binding: \/etc\/resolv\.conf stays as it is: [^\n]+\n$/;
    const list = script("ls -d /etc/resolv.conf; exit 3");
    for (const asked of [
      { ...list, before: ETC("mkdir /mnt/etc/resolv.conf") },
      { ...list, before: ETC("echo >/mnt/etc/resolv.conf"), conf: "" },
    ]) {
      const { code, stdout, stderr } = await inside(asked);
      assert.deepEqual([code, stdout], [3, "/etc/resolv.conf\n"]);
      assert.match(stderr, stays);
    }
  });
});

describe("a program", () => {
  test("is found as shells find it", () => {
    const folder = realpathSync(mkdtempSync(join(tmpdir(), "slirp-run-")));
    const [first, second] = [join(folder, "a"), join(folder, "b")];
    for (const each of [first, second]) mkdirSync(each);
    writeFileSync(join(first, "tool"), "");
    mkdirSync(join(first, "other"));
    writeFileSync(join(second, "other"), "");
    chmodSync(join(second, "other"), 0o755);
    const before = process.cwd();
    try {
      const path = `${first}:${second}`;
      assert.equal(findProgram("other", path), join(second, "other"));
      assert.equal(findProgram("tool", path), EACCES);
      assert.equal(findProgram("none", path), ENOENT);
      assert.equal(findProgram(join(second, "other"), ""), join(second, "other"));
      assert.equal(findProgram(`${folder}/none`, path), ENOENT);
      assert.equal(findProgram(folder, path), EACCES);
      process.chdir(second);
      assert.equal(findProgram("other", `${first}:`), "./other", "nothing is the current folder");
      assert.equal(findProgram("other", first), EACCES);
      assert.match(String(findProgram("sh", undefined)), /^(?:\/usr)?(?:\/local)?\/bin\/sh$/);
      assert.equal(findProgram("no-such-command", undefined), ENOENT);
    } finally {
      process.chdir(before);
      rmSync(folder, { recursive: true });
    }
  });

  test("that cannot be run has a code and a line", () => {
    assert.deepEqual([exitCodeOf(ENOENT), exitCodeOf(EACCES)], [127, 126]);
    assert.equal(problemOf("x\n", EACCES), 'run "x\\n": permission denied');
    assert.equal(problemOf("x", ENOENT), 'run "x": there is no such command');
  });
});
