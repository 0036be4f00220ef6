/**
 * End to end, those who connect to a link without being its guest: many that come and go, another
 * user, and guests that try to reach a link's port. What holds is counted, not timed.
 */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { after, describe, test } from "node:test";
import { httpServer, script } from "../support/e2e/peers.ts";
import { startAttach } from "../support/e2e/program.ts";
import { cannotRun, oursOnly } from "../support/e2e/setup.ts";
import { endAll, until } from "../support/e2e/shell.ts";
import { createHost } from "../support/e2e/world.ts";
import { call, EMPTY, INFO } from "../support/hook-client.ts";
import { LOOPBACK_PORT, withPod } from "../support/pod.ts";
import { connectGuest, type StreamGuest } from "../support/stream-guest.ts";

const LIMIT = { timeout: 120_000 };
const ATTEMPTS = 2000;
/** Of log: some 40 peers that come and go, and a few lines more. */
const LOG_SIZE_MAX = 16_384;
const STRANGER = 4711;
const ROUTER_OPTION = 3;

/** Leases an address; the gateway's. */
async function gatewayOf(guest: StreamGuest): Promise<string> {
  const { options } = await guest.lease();
  return (options.get(ROUTER_OPTION) ?? []).join(".");
}

describe("link: a storm of connections", { skip: cannotRun() || oursOnly() || false }, () => {
  after(endAll);

  test("to attach costs little log, and the next guest is online", LIMIT, async () => {
    const host = createHost();
    const folder = mkdtempSync(join(tmpdir(), "slirp-storm-"));
    const path = join(folder, "vm.sock");
    try {
      const program = await startAttach(host, ["--listen", `unix:${path}`, "--log-format", "json"]);
      const { stderr } = program.running;
      const { code } = await host.run(script("storm.mjs", `unix:${path}`, String(ATTEMPTS)));
      assert.equal(code, 0);
      // Node asks the kernel once, whose queue for the link is full for up to a second.
      const guest = await until(() => connectGuest(path).catch(() => undefined), "a place");
      assert.equal(await gatewayOf(guest), "10.0.2.2");
      program.running.signal("SIGUSR1");
      await until(() => /"msg":"counters"/.test(stderr()), "counters");
      const [, fleeting] = /"peers_fleeting":(\d+)/.exec(stderr()) ?? [];
      assert.ok(Number(fleeting) > 0 && Number(fleeting) <= ATTEMPTS, stderr());
      guest.close();
      const outcome = await program.stop();
      assert.equal(outcome.code, 0, outcome.stderr);
      assert.ok(outcome.stderr.length < LOG_SIZE_MAX, `${outcome.stderr.length} octets of log`);
    } finally {
      host.remove();
      rmSync(folder, { recursive: true, force: true });
    }
  });

  test("to serve does so as well, and the hooks answer", LIMIT, () =>
    withPod({}, async (pod) => {
      await pod.define({ link: "client" });
      const storm = script("storm.mjs", `tcp:${LOOPBACK_PORT}`, String(ATTEMPTS));
      const running = pod.host.start(storm);
      await call(pod.serve.path, INFO, EMPTY);
      assert.equal((await running.outcome()).code, 0);
      await call(pod.serve.path, INFO, EMPTY);
      await gatewayOf(await pod.clientGuest());
      assert.ok(pod.log().length < LOG_SIZE_MAX, `${pod.log().length} octets of log`);
      await pod.shutdown();
      await pod.ended();
    }),
  );
});

describe("link: a machine that goes", { skip: cannotRun() || oursOnly() || false }, () => {
  after(endAll);

  test("its connections end on the host, and the next machine has all of it", LIMIT, async () => {
    const host = createHost();
    const folder = mkdtempSync(join(tmpdir(), "slirp-gone-"));
    const path = join(folder, "vm.sock");
    try {
      const { port } = await httpServer(host, "127.0.0.1");
      const link = ["--listen", `unix:${path}`, "--log-format", "json"];
      const program = await startAttach(host, [...link, "--host-loopback"]);
      const guest = await connectGuest(path);
      const address = await gatewayOf(guest);
      assert.equal(await guest.knock({ address, port }), "SA");
      const filter = `( sport = :${port} or dport = :${port} )`;
      const open = async (): Promise<boolean> => {
        const { stdout } = await host.run(["ss", "-Htn", "state", "established", filter]);
        return stdout.trim() !== "";
      };
      assert.ok(await open());
      guest.close();
      await until(async () => !(await open()), "the end of the connection");
      const next = await connectGuest(path, "02:00:00:00:00:10");
      assert.equal(await gatewayOf(next), address);
      program.running.signal("SIGUSR1");
      await until(() => /"guests_gone":1,/.test(program.running.stderr()), "counters");
      next.close();
      assert.equal((await program.stop()).code, 0);
    } finally {
      host.remove();
      rmSync(folder, { recursive: true, force: true });
    }
  });
});

describe("link: who may connect", { skip: cannotRun() || oursOnly() || false }, () => {
  after(endAll);

  const skip = process.getuid?.() === 0 ? false : "only root can become another user";
  test("another user is closed and told of, its guest goes on", { ...LIMIT, skip }, () =>
    withPod({}, async (pod) => {
      await pod.define({ link: "client" });
      const connect = `exec 3<>/dev/tcp/127.0.0.1/${LOOPBACK_PORT} && read <&3`;
      const user = ["setpriv", `--reuid=${STRANGER}`, "--clear-groups"];
      for (let i = 0; i < 3; i += 1) {
        // Reads the end of the stream, or that it was reset, where it is refused.
        const { code } = await pod.host.run([...user, "bash", "-c", connect]);
        assert.notEqual(code, 0);
      }
      assert.equal(pod.count("guest connected"), 0, pod.log());
      assert.equal(pod.count("connection refused: user not allowed"), 1, pod.log());
      assert.match(pod.log(), new RegExp(`uid=${STRANGER} remedy="allow it with`));
      await gatewayOf(await pod.clientGuest());
      await pod.shutdown();
      await pod.ended();
    }),
  );

  test("no guest reaches a link's port, its own or another's", LIMIT, () =>
    withPod({ args: ["--host-loopback"] }, async (pod) => {
      const server = await httpServer(pod.host, "127.0.0.1");
      const cidrs = ["10.0.2.0/24", "10.0.3.0/24"];
      await pod.define({ link: "client", interfaces: [{}, {}], cidrs });
      for (const index of [0, 1]) {
        const guest = await pod.clientGuest(index);
        const address = await gatewayOf(guest);
        for (const port of [LOOPBACK_PORT, LOOPBACK_PORT + 1]) {
          assert.equal(await guest.knock({ address, port }), "RA", `${address}:${port}`);
        }
        assert.equal(await guest.knock({ address, port: server.port }), "SA", address);
      }
      assert.equal(pod.count("guest connected"), 2, pod.log());
      assert.equal(pod.count("refused a second connection"), 0, pod.log());
      await pod.shutdown();
      await pod.ended();
    }),
  );
});
