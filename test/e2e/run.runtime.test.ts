/**
 * `run`: a command in a network of its own, as root and as an ordinary user, and what is left of it
 * (nothing).
 */
import assert from "node:assert/strict";
import { chmodSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { httpServer } from "../support/e2e/peers.ts";
import { ourCommand } from "../support/e2e/program.ts";
import { cannotRun, oursOnly } from "../support/e2e/setup.ts";
import { endAll, type Outcome, type Running, start, until } from "../support/e2e/shell.ts";
import { createHost, HOST_ADDRESS, type Namespace } from "../support/e2e/world.ts";

const LIMIT = { timeout: 90_000 };
const PORT = "39081";
/** /dev/net/tun is open to all on an ordinary system; here a private node makes sure of it. */
const OPEN_TUN =
  "mount -t tmpfs none /mnt && mknod -m 666 /mnt/tun c 10 200 && " +
  'mount --bind /mnt/tun /dev/net/tun && umount -l /mnt && exec "$@"';
const AS_NOBODY = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"];
const USER = ["sh", "-c", OPEN_TUN, "sh", ...AS_NOBODY];

describe("run", { skip: cannotRun("unshare", "setpriv", "curl") || oursOnly() }, () => {
  let host: Namespace;
  let server: Awaited<ReturnType<typeof httpServer>>;
  let folder = "";

  before(async () => {
    host = createHost("nameserver 127.0.0.1\nsearch run.test\n");
    server = await httpServer(host, HOST_ADDRESS);
    folder = mkdtempSync(join(tmpdir(), "slirp-run-"));
    chmodSync(folder, 0o777);
  }, LIMIT);
  after(() => {
    rmSync(folder, { recursive: true, force: true });
    host.remove();
    endAll();
  }, LIMIT);

  function begin(args: readonly string[], prefix: readonly string[] = []): Running {
    const argv = [...prefix, ...ourCommand(), "run", ...args];
    return start(host.argv(argv), { env: { TMPDIR: folder } });
  }

  /** Waits for the end, and sees that nothing is left. */
  async function finish(running: Running): Promise<Outcome> {
    const outcome = await running.outcome(60_000);
    assert.deepEqual(readdirSync(folder), []);
    assert.equal(host.must("ss", "-Hltn", `sport = :${PORT}`), "");
    return outcome;
  }

  for (const [who, prefix, id] of [
    ["root", [], "0"],
    ["an ordinary user", USER, "65534"],
  ] as const) {
    test(`${who} gets a working network and the command's code`, LIMIT, async () => {
      const url = `http://${HOST_ADDRESS}:${server.port}/`;
      const script =
        "id -u; cat /etc/resolv.conf; ip -o -4 addr show tap0; grep CapEff /proc/self/status; " +
        `curl -sS -o /dev/null -w 'http %{http_code}\\n' ${url}; cat; exit 7`;
      const args = ["--publish", `${PORT}:80`, "--", "sh", "-c", script];
      const running = begin(args, prefix);
      running.write("its input\n");
      running.closeInput();
      const { code, stdout, stderr } = await finish(running);
      assert.equal(code, 7, stderr);
      assert.equal(stderr, "");
      const lines = stdout.split("\n");
      assert.equal(lines[0], id);
      assert.ok(lines.includes("nameserver 10.0.2.3") && lines.includes("search run.test"), stdout);
      assert.match(stdout, / 10\.0\.2\.15\/24 .*\nCapEff.*\nhttp 200\nits input\n$/);
      if (id !== "0") assert.match(stdout, /CapEff:\s0{16}\n/);
    });
  }

  test("--map-root: an ordinary user is root inside", LIMIT, async () => {
    const script = "id -u; ip link set tap0 mtu 1400 && echo changed";
    const { code, stdout, stderr } = await finish(
      begin(["--map-root", "--", "sh", "-c", script], USER),
    );
    assert.deepEqual([code, stdout], [0, "0\nchanged\n"], stderr);
  });

  test("root of a user namespace, in the network namespace it came from", LIMIT, async () => {
    const running = begin(["id", "-u"], [...USER, "unshare", "-Ur"]);
    const { code, stdout, stderr } = await finish(running);
    assert.deepEqual([code, stdout], [0, "0\n"], stderr);
  });

  test("signals go to the command, whose end is told as shells tell it", LIMIT, async () => {
    const trap = "trap 'echo got it; exit 5' INT; echo up; while :; do sleep 0.1; done";
    const trapping = begin(["--", "sh", "-c", trap], ["setsid"]);
    await trapping.waitFor(/up/);
    trapping.signal("SIGINT");
    const caught = await finish(trapping);
    assert.deepEqual([caught.code, caught.stdout], [5, "up\ngot it\n"], caught.stderr);
    const plain = begin(["--", "sh", "-c", "echo up; exec cat"]);
    await plain.waitFor(/up/);
    plain.signal("SIGTERM");
    assert.equal((await finish(plain)).code, 143);
  });

  test("killed itself, it takes the network along, and leaves no file", LIMIT, async () => {
    const running = begin(["--publish", `${PORT}:80`, "--", "sh", "-c", "echo up; exec cat"]);
    await running.waitFor(/up/);
    assert.notEqual(host.must("ss", "-Hltn", `sport = :${PORT}`), "");
    running.signal("SIGKILL");
    const isFree = (): boolean => host.must("ss", "-Hltn", `sport = :${PORT}`) === "";
    await until(isFree, "the published port to be free");
    running.closeInput();
    await finish(running);
  });

  test("what cannot be started, and what cannot be had, in one line each", LIMIT, async () => {
    const noUsers =
      "echo 0 >/proc/sys/user/max_user_namespaces; exec setpriv --bounding-set=-all " +
      '--inh-caps=-all "$@"';
    for (const [args, prefix, code, line] of [
      [["no-such-command"], [], 127, /^slirp-binding: run "no-such-command": there is no such/],
      [["/etc/passwd"], [], 126, /^slirp-binding: run "\/etc\/passwd": permission denied\n$/],
      [["--mtu", "1", "true"], [], 2, /^slirp-binding: parse --mtu "1": wanted an integer/],
      [
        ["--publish", `${HOST_ADDRESS}:${server.port}:80`, "true"],
        [],
        125,
        /^slirp-binding: Publish port .*address in use.*choose another host port\n$/,
      ],
      [
        ["true"],
        [...AS_NOBODY, "unshare", "-Ur", "sh", "-c", noUsers, "sh"],
        125,
        /^slirp-binding: make namespaces: .*; raise user\.max_user_namespaces\n$/,
      ],
    ] as const) {
      const outcome = await finish(begin(args, prefix));
      assert.equal(outcome.code, code, outcome.stderr);
      assert.match(outcome.stderr, line);
      assert.equal(outcome.stderr.split("\n").length, 2, outcome.stderr);
    }
  });

  test("a resolv.conf that is a link to nowhere, or not there", LIMIT, async () => {
    for (const make of ["ln -s /nowhere/at/all /mnt/etc/resolv.conf", "true"]) {
      const bare =
        "mount -t tmpfs none /mnt && mkdir /mnt/etc && cp /etc/passwd /mnt/etc && " +
        `${make} && mount --bind /mnt/etc /etc && exec "$@"`;
      const prefix = ["unshare", "-m", "sh", "-c", bare, "sh"];
      const { code, stdout, stderr } = await finish(
        begin(["--", "sh", "-c", "cat /etc/resolv.conf; ls /etc"], prefix),
      );
      assert.equal(code, 0, stderr);
      assert.match(stdout, /^nameserver 10\.0\.2\.3\n(?:.*\n)*passwd\nresolv\.conf\n$/);
    }
  });
});
