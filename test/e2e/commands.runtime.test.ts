/**
 * End to end: commands beside a program that serves a real guest. Its flows, ports, events,
 * counters and log by the command line, found without being told where it is.
 */
import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { httpServer, tcpServer } from "../support/e2e/peers.ts";
import { ourCommand } from "../support/e2e/program.ts";
import { cannotRun, createWorld, oursOnly, type World } from "../support/e2e/setup.ts";
import { type Outcome, type Running, until } from "../support/e2e/shell.ts";
import { HOST_ADDRESS } from "../support/e2e/world.ts";

const LIMIT = { timeout: 90_000 };
/** Hides other programs of this machine, in a view of mounts that `ip netns exec` has made. */
const ALONE = `for each in /run/slirp-binding "/run/user/$(id -u)/slirp-binding"; do
  if [ -d "$each" ]; then mount -t tmpfs none "$each" || exit 1; fi
done
exec "$@"`;

describe("commands beside a guest", { skip: cannotRun("bash") || oursOnly() }, () => {
  const runtime = mkdtempSync(join(tmpdir(), "slirp-e2e-commands-"));
  const folder = join(runtime, "slirp-binding");
  let world: World;
  before(async () => {
    mkdirSync(folder, { mode: 0o700 });
    world = await createWorld({ args: ["--admin", `unix:${join(folder, "blue.sock")}`] });
  }, LIMIT);
  after(async () => {
    await world.remove();
    rmSync(runtime, { recursive: true, force: true });
  }, LIMIT);

  function start(...args: readonly string[]): Running {
    const env = ["env", `XDG_RUNTIME_DIR=${runtime}`, `SLIRP_HOOKS_DIR=${runtime}`];
    return world.host.start(["sh", "-c", ALONE, "sh", ...env, ...ourCommand(), ...args]);
  }

  async function ask(...args: readonly string[]): Promise<Outcome> {
    return start(...args).outcome();
  }

  async function records(...args: readonly string[]): Promise<Record<string, unknown>[]> {
    const { stdout, stderr, code } = await ask(...args, "--json");
    assert.equal(code, 0, stderr);
    return stdout
      .split("\n")
      .filter((line) => line !== "")
      .map((line) => JSON.parse(line));
  }

  /** A guest that holds a connection to that port of the host. */
  function talk(port: number): Running {
    const script = `require("node:net").connect(${port}, "${HOST_ADDRESS}").write("hello");`;
    return world.guest.start(["node", "-e", script]);
  }

  test("a connection is shown while it is there, in every form", LIMIT, async () => {
    const { port, running } = await tcpServer(world.host, HOST_ADDRESS);
    const filter = ["tcp", "port", String(port)];
    const watch = start("flows", "--watch", ...filter);
    await watch.waitFor(/KIND/);
    const open = talk(port);
    await until(async () => (await records("flows", ...filter))[0]?.["bytes_to_host"] === 5, "it");
    const { stdout } = await ask("flows", ...filter, "--state", "established");
    assert.match(
      stdout,
      new RegExp(`^tcp +out +established +10\\.0\\.2\\.15:\\d+ +.*:${port} `, "m"),
    );
    // Which of the two depends on when it looked first.
    await watch.waitFor(/^(?:open|new) +tcp/m);
    const other = await ask("flows", "udp", "port", String(port));
    assert.deepEqual([other.code, other.stdout.split("\n").length], [0, 2]);
    open.signal("SIGKILL");
    // Only then the far side: who closes first keeps the flow for a minute.
    const stateOf = async () => (await records("flows", ...filter))[0]?.["state"];
    await until(async () => (await stateOf()) === "CLOSE_WAIT", "the guest's end");
    running.signal("SIGKILL");
    await until(async () => (await records("flows", ...filter)).length === 0, "its end");
    await watch.waitFor(/^ended +tcp/m);
    process.kill(watch.pid, "SIGINT");
    const { code, stderr } = await watch.outcome();
    assert.deepEqual([code, stderr], [0, ""]);
  });

  test("a port is added, used, listed and removed", LIMIT, async () => {
    const web = await httpServer(world.guest, "10.0.2.15");
    const rule = `127.0.0.1:18888:${web.port}`;
    const added = await records("publish", "add", rule);
    assert.deepEqual(
      added.map((each) => [each["host_port"], each["is_added"]]),
      [[18888, true]],
    );
    const got = await world.host.run(["curl", "-sS", "-m", "20", "http://127.0.0.1:18888/"]);
    assert.notEqual(got.stdout, "", got.stderr);
    assert.match((await ask("publish")).stdout, /127\.0\.0\.1:18888 /);
    const again = await ask("publish", "add", rule);
    assert.equal(again.code, 1);
    assert.match(again.stderr, /^slirp-binding: .*18888/);
    assert.equal((await ask("publish", "remove", "127.0.0.1:18888")).code, 0);
    assert.deepEqual(await records("publish"), []);
    const events = await records("events");
    const kinds = events.map(({ kind }) => kind);
    assert.ok(kinds.includes("port_published") && kinds.includes("port_removed"), String(kinds));
  });

  test("counters, the log and its level, and who is here", LIMIT, async () => {
    const [received] = await records("stats", "guest_receive_packets");
    assert.ok(Number(received?.["value"]) > 0);
    assert.equal((await ask("log-level", "debug")).code, 0);
    assert.equal((await ask("log-level")).stdout, "debug\n");
    assert.match((await ask("log")).stdout, /log level changed/);
    const [instance, ...others] = await records("instances");
    assert.deepEqual(others, []);
    assert.deepEqual(
      [instance?.["command"], instance?.["socket"]],
      ["attach", join(folder, "blue.sock")],
    );
    const pid = String(instance?.["pid"]);
    for (const name of ["blue", String(instance?.["name"]), pid]) {
      assert.equal((await ask("log-level", "--instance", name)).code, 0, name);
    }
  });

  test("frames are captured for tshark until it is interrupted; drops have reasons", {
    ...LIMIT,
    skip: cannotRun("tshark"),
  }, async () => {
    const server = await httpServer(world.host, HOST_ADDRESS);
    const file = join(runtime, "a.pcapng");
    const capture = start("capture", "tcp", "port", String(server.port), "-w", file);
    await until(async () => (await ask("capture", "--list")).stdout.includes("a caller"), "it");
    const url = `http://${HOST_ADDRESS}:${server.port}/`;
    await world.guest.run(["curl", "-sS", "-m", "20", url]);
    await world.guest.run(["ping", "-c1", "-W1", "224.0.0.5"]);
    const drops = await records("drops");
    assert.ok(drops.some(({ reason }) => reason === "ip_destination"));
    process.kill(capture.pid, "SIGINT");
    const { code, stderr } = await capture.outcome();
    assert.equal(code, 0);
    const [, frames = ""] = /^slirp-binding: frames captured: (\d+), lost: 0\n$/.exec(stderr) ?? [];
    assert.ok(Number(frames) > 6, stderr);
    const shown = await world.host.run(["tshark", "-r", file, "-Y", "tcp"]);
    assert.equal(shown.stdout.trim().split("\n").length, Number(frames), shown.stderr);
  });

  test("the end of the program ends who watches it, and nobody is found then", LIMIT, async () => {
    const watch = start("stats", "--watch");
    await watch.waitFor(/SERIES/);
    await world.program.stop();
    const { code, stderr } = await watch.outcome();
    assert.equal(code, 3);
    assert.match(stderr, /^slirp-binding: blue does not answer: it has ended\n$/);
  });
});
