/**
 * End to end: ports are published and removed while a guest runs, by real programs. What decides is
 * in test/upstream/listener-changes.test.ts and test/binding/port-desk.test.ts; often, and under
 * load: attach-publish-cycles.test.ts.
 */
import assert from "node:assert/strict";
import { after, afterEach, before, describe, test } from "node:test";
import { Code, ConnectError } from "@connectrpc/connect";
import {
  EventKind,
  type PublishedPort,
} from "../../src/admin/gen/slirp_binding/admin/v1/admin_pb.js";
import { breakEngine } from "../support/break-engine.ts";
import { hold, script, tcpServer } from "../support/e2e/peers.ts";
import { Asker, PortUser, servePort, type Use } from "../support/e2e/ports.ts";
import { cannotRun, createWorld, oursOnly, type World } from "../support/e2e/setup.ts";
import { until } from "../support/e2e/shell.ts";
import { HOST_ADDRESS, setSysctls } from "../support/e2e/world.ts";

const LIMIT = { timeout: 90_000 };
const NETWORK = "10.0.2";
const INSIDE = 7777;
const ECHO = 7778;
const KIB = 1 << 10;
const SIZE = 256 * KIB;
const DATAGRAM = 1200;

/** As it is named to be removed. */
function nameOf({ protocol, hostAddress, hostPort, count }: PublishedPort): string {
  const address = hostAddress.includes(":") ? `[${hostAddress}]` : hostAddress;
  const at = address === "*" ? "" : `${address}:`;
  const ports = count > 1 ? `${hostPort}-${hostPort + count - 1}` : `${hostPort}`;
  return `${at}${ports}/${protocol}`;
}

const refusedAs =
  (code: Code, pattern: RegExp) =>
  (error: unknown): boolean => {
    assert.ok(error instanceof ConnectError, String(error));
    assert.deepEqual(
      [Code[error.code], pattern.test(error.rawMessage)],
      [Code[code], true],
      error.rawMessage,
    );
    return true;
  };

describe("attach: ports at run time", { skip: cannotRun("setpriv") || oursOnly() }, () => {
  const asker = new Asker();
  let world: World;
  let user: PortUser;
  before(async () => {
    world = await createWorld({ ipv6: true, args: asker.args });
    await servePort(world.guest, INSIDE);
    user = new PortUser(world.host);
  }, LIMIT);
  afterEach(async () => {
    const rows = await asker.list();
    for (const row of rows) await asker.remove(nameOf(row));
  }, LIMIT);
  after(async () => {
    await world.remove();
    asker.close();
  }, LIMIT);

  const tcp = (host: string, port: number): Use => ({ protocol: "tcp", host, port, size: SIZE });
  const udp = (host: string, port: number): Use => ({
    protocol: "udp",
    host,
    port,
    size: DATAGRAM,
  });

  test("TCP: added, used to the octet, removed; an open connection goes on", LIMIT, async () => {
    assert.deepEqual(await asker.list(), []);
    const [added, ...others] = await asker.add(`8000:${INSIDE}`);
    const { protocol, hostAddress, hostPort, guestPort, count, isAdded } = added ?? assert.fail();
    assert.deepEqual(
      [others.length, protocol, hostAddress, hostPort, guestPort, count, isAdded],
      [0, "tcp", "*", 8000, INSIDE, 1, true],
    );
    await asker.listening();
    for (const host of ["127.0.0.1", "::1", HOST_ADDRESS]) await user.works(tcp(host, 8000));
    await asker.remove("8000");
    for (const host of ["127.0.0.1", "::1"]) await user.refused(tcp(host, 8000));

    await tcpServer(world.guest, "0.0.0.0", ECHO);
    await asker.add(`8000:${ECHO}`);
    await asker.listening();
    const open = hold(world.host, "127.0.0.1", 8000, 3);
    await open.waitFor(/open 3/);
    assert.deepEqual(
      (await asker.remove("8000")).map(({ flows }) => flows),
      [3],
    );
    await user.refused(tcp("127.0.0.1", 8000));
    open.write("still there\n");
    await open.waitFor(/echoed 3/);
    open.write("end\n");
    assert.deepEqual(await asker.list(), []);
  });

  test("UDP and a range, at addresses of both versions of IP", LIMIT, async () => {
    await asker.add(`127.0.0.1:5000:${INSIDE}/udp`);
    await asker.add(`[::1]:5000:${INSIDE}/udp`);
    await user.works(udp("127.0.0.1", 5000));
    await user.works(udp("::1", 5000));
    const rows = await asker.list();
    assert.deepEqual(
      rows.map(({ hostAddress, flows, isListening }) => [hostAddress, flows, isListening]),
      [
        ["127.0.0.1", 1, true],
        ["::1", 1, true],
      ],
    );
    await asker.remove("127.0.0.1:5000/udp");
    await user.refused(udp("127.0.0.1", 5000));
    await user.works(udp("::1", 5000));
    await asker.remove(`[::1]:5000:${INSIDE}/udp`);
    await asker.add(`5000:${INSIDE}/udp`);
    for (const host of ["127.0.0.1", "::1"]) await user.works(udp(host, 5000));
    await asker.remove("5000/udp");
    for (const host of ["127.0.0.1", "::1"]) await user.refused(udp(host, 5000));

    await asker.add(`127.0.0.1:${INSIDE - 2}-${INSIDE + 2}:${INSIDE - 2}`);
    await asker.listening();
    await user.works(tcp("127.0.0.1", INSIDE));
    await asker.remove(`127.0.0.1:${INSIDE - 2}-${INSIDE + 2}`);
    await user.refused(tcp("127.0.0.1", INSIDE));
  });

  test(
    "an engine that fails in between: what was added stays, what went is gone",
    LIMIT,
    async () => {
      await asker.add(`8001:${INSIDE}`);
      await asker.add(`8001:${INSIDE}/udp`);
      await asker.add(`8002:${INSIDE}`);
      await asker.remove("8002");
      await asker.listening();
      await user.works(udp("127.0.0.1", 8001));
      const failures = async () => (await asker.calls.getInstance({})).networks[0]?.engineFailures;
      await breakEngine(world.program.pid, NETWORK);
      const ping = world.guest.start(["ping", "-i", "0.1", HOST_ADDRESS]);
      await until(async () => (await failures()) === 1, "the engine's failure");
      ping.signal("SIGTERM");
      assert.deepEqual(
        (await asker.list()).map(({ hostPort, protocol, isAdded, flows }) => [
          hostPort,
          protocol,
          isAdded,
          flows,
        ]),
        [
          [8001, "tcp", true, 0],
          [8001, "udp", true, 0],
        ],
      );
      await asker.listening();
      await user.works(tcp("127.0.0.1", 8001));
      await user.works(udp("127.0.0.1", 8001));
      await user.refused(tcp("127.0.0.1", 8002));
      for (const rule of ["8001", "8001/udp"]) await asker.remove(rule);
      await user.refused(tcp("127.0.0.1", 8001));
      await user.refused(udp("127.0.0.1", 8001));
    },
  );

  test("what cannot be had is refused with the reason, and nothing changes", LIMIT, async () => {
    // The program gave up root for nobody, so only a process of nobody's can be named.
    const nobody = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"];
    const server = world.host.start([...nobody, ...script("port-user.mjs", "serve", "8102")]);
    await server.waitFor(/listening/);
    const failed = Code.FailedPrecondition;
    const own = new RegExp(
      `^port "\\*:8102/tcp" is in use: "[^"]+" \\(pid ${server.pid}\\) has \\[::\\]:8102$`,
    );
    await assert.rejects(asker.add("8100-8104:1"), refusedAs(failed, own));
    await user.refused(tcp("127.0.0.1", 8100));
    const rooted = world.host.start(script("port-user.mjs", "serve", "8105"));
    await rooted.waitFor(/listening/);
    const roots = /^port "127\.0\.0\.1:8105\/udp" is in use: a process of user 0 has \[::\]:8105$/;
    await assert.rejects(asker.add("127.0.0.1:8105:1/udp"), refusedAs(failed, roots));
    const rights = /permission denied \(EACCES\); rights were given up: lower net\.ipv4/;
    setSysctls(world.host, { "net.ipv4.ip_unprivileged_port_start": "1024" });
    await assert.rejects(asker.add("80:80"), refusedAs(failed, rights));
    await asker.add("8103:1");
    await assert.rejects(
      asker.add("8103:2"),
      refusedAs(Code.AlreadyExists, /^already published by "8103:1"$/),
    );
    await asker.remove("8103");
    await assert.rejects(asker.remove("8103"), refusedAs(Code.NotFound, /^no published port/));
    for (const rule of ["", "80", "8000:", "[fe80::1]:80:80", "80:192.0.2.9:80"]) {
      await assert.rejects(asker.add(rule), refusedAs(Code.InvalidArgument, /./));
    }
    assert.deepEqual(await asker.list(), []);
  });

  test("events tell what came and went", LIMIT, async () => {
    await asker.add("8200:1");
    await asker.remove("8200");
    const { events } = await asker.calls.listEvents({});
    const told = events.slice(-2).map(({ kind, details }) => [EventKind[kind], details["rule"]]);
    assert.deepEqual(told, [
      ["PORT_PUBLISHED", "8200:1"],
      ["PORT_REMOVED", "8200:1"],
    ]);
  });
});
