/**
 * End to end: a program that serves a real guest is asked what it does, by curl and by the client
 * of the commands; and who may not ask it.
 */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { type AdminClient, adminClient } from "../../src/admin/client.ts";
import { type Flow, Waiting } from "../../src/admin/gen/slirp_binding/admin/v1/admin_pb.js";
import { tcpServer } from "../support/e2e/peers.ts";
import { cannotRun, createWorld, oursOnly, type World } from "../support/e2e/setup.ts";
import { until } from "../support/e2e/shell.ts";
import { HOST_ADDRESS } from "../support/e2e/world.ts";

const LIMIT = { timeout: 90_000 };
const SERVICE = "http://localhost/slirp_binding.admin.v1.AdminService";

describe("attach: admin socket", { skip: cannotRun("setpriv") || oursOnly() }, () => {
  const folder = mkdtempSync(join(tmpdir(), "slirp-e2e-admin-"));
  const path = join(folder, "admin.sock");
  let world: World;
  let client: AdminClient;
  before(async () => {
    world = await createWorld({ args: ["--admin", `unix:${path}`] });
    client = adminClient(path);
  }, LIMIT);
  after(async () => {
    client.close();
    await world.remove();
    rmSync(folder, { recursive: true, force: true });
  }, LIMIT);

  async function flowsTo(port: number): Promise<readonly Flow[]> {
    return (await client.calls.listFlows({ filter: `tcp port ${port}` })).flows;
  }

  test("a connection is listed while it is there, by both of its sides", LIMIT, async () => {
    const server = await tcpServer(world.host, HOST_ADDRESS);
    const { port } = server;
    const talk = `require("node:net").connect(${port}, "${HOST_ADDRESS}").write("hello");`;
    const open = world.guest.start(["node", "-e", talk]);
    await until(async () => (await flowsTo(port)).length === 1, "the connection to be listed");
    await until(async () => (await flowsTo(port))[0]?.bytesToHost === 5n, "its payload to count");
    const [flow] = await flowsTo(port);
    assert.ok(flow !== undefined);
    assert.deepEqual(
      [flow.network, flow.state, flow.guestAddress, flow.peerAddress, flow.hostAddress],
      ["tap0", "ESTABLISHED", "10.0.2.15", HOST_ADDRESS, HOST_ADDRESS],
    );
    assert.equal(flow.localAddress, HOST_ADDRESS);
    assert.ok(flow.localPort > 0 && flow.rttUs > 0 && flow.ageUs > 0n);
    assert.equal(flow.waiting, Waiting.IDLE);
    open.signal("SIGKILL");
    // Only then the far side: who closes first keeps the flow for a minute.
    const isClosing = async () => (await flowsTo(port))[0]?.state === "CLOSE_WAIT";
    await until(isClosing, "the guest's end");
    server.running.signal("SIGKILL");
    await until(async () => (await flowsTo(port)).length === 0, "its end");
  });

  test("curl is answered over both versions of HTTP", LIMIT, async () => {
    const ask = ["curl", "-sS", "-m", "10", "--unix-socket", path, "-d", "{}"];
    const head = ["-H", "Content-Type: application/json", `${SERVICE}/GetInstance`];
    for (const version of ["--http1.1", "--http2-prior-knowledge"]) {
      const { stdout, stderr } = await world.host.run([...ask, version, ...head]);
      assert.match(stdout, /"command":"attach"/, stderr);
    }
  });

  test("another user gets nowhere", LIMIT, async () => {
    assert.equal(statSync(path).mode & 0o777, 0o600);
    const nobody = ["setpriv", "--reuid=65533", "--regid=65533", "--clear-groups"];
    const ask = ["curl", "-sS", "-m", "10", "--unix-socket", path, `${SERVICE}/GetInstance`];
    const { stdout } = await world.host.run([...nobody, ...ask]);
    assert.equal(stdout, "");
  });

  test("stats and events come while it runs", LIMIT, async () => {
    const { families } = await client.calls.getStats({});
    const opened = families.find(({ name }) => name === "slirp_flows_opened_total");
    const tcp = opened?.samples.find(({ labels }) => labels["protocol"] === "tcp");
    assert.ok((tcp?.value ?? 0) > 0);
    const ending = new AbortController();
    const watch = client.calls.watchStats({ intervalMs: 100 }, { signal: ending.signal });
    let count = 0;
    await assert.rejects(async () => {
      for await (const _ of watch) {
        count += 1;
        if (count === 3) ending.abort();
      }
    });
    assert.equal(count, 3);
  });
});
