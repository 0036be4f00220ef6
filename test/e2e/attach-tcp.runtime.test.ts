/**
 * End to end, TCP: bulk data with hashes, half-close, refusals, loopback rule, many connections.
 *
 * Method: seeded streams whose every place is different, exact byte counts and SHA-256 on both
 * sides; a throughput tool is no proof of correctness, so none is used here.
 */

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import {
  CLIENT_SEED_OFFSET,
  connectionReports,
  firstReport,
  hold,
  httpServer,
  MODE,
  type Server,
  type StreamsTask,
  script,
  startStreams,
  streams,
  tcpServer,
  tryConnect,
} from "../support/e2e/peers.ts";
import { GATEWAY } from "../support/e2e/program.ts";
import { sha256Of } from "../support/e2e/seeded.mjs";
import {
  cannotRun,
  connectionsOf,
  createWorld,
  oursOnly,
  untilNoConnections,
  type World,
} from "../support/e2e/setup.ts";
import { until } from "../support/e2e/shell.ts";
import { HOST_ADDRESS, UNREACHABLE_ADDRESS } from "../support/e2e/world.ts";

const MIB = 1 << 20;
const LIMIT = { timeout: 120_000 };

/** Runs streams and checks count and hash of every one, on both sides. */
async function exchange(world: World, server: Server, task: Partial<StreamsTask>): Promise<void> {
  const whole = {
    host: HOST_ADDRESS,
    port: server.port,
    mode: MODE.both,
    streams: 1,
    send: MIB,
    receive: MIB,
    seed: 1,
    ...task,
  };
  const before_count = connectionReports(server).length;
  const reports = await streams(world.guest, whole);
  assert.equal(reports.length, whole.streams);
  for (const report of reports) {
    assert.equal(report.error, "", `stream ${report.seed} at the client`);
    assert.equal(report.received, whole.receive, `stream ${report.seed} to the client`);
    assert.equal(report.sha256, sha256Of(report.seed, whole.receive), `stream ${report.seed}`);
  }
  const wanted = before_count + whole.streams;
  await untilReports(world, server, wanted);
  for (const report of connectionReports(server).slice(before_count)) {
    assert.equal(report.error, "", `stream ${report.seed} at the server`);
    assert.equal(report.received, whole.send, `stream ${report.seed} to the server`);
    const sha256 = sha256Of(report.seed + CLIENT_SEED_OFFSET, whole.send);
    assert.equal(report.sha256, sha256, `stream ${report.seed} to the server`);
  }
}

/** Waits for so many reports; says which connections are still open on both sides when it fails. */
async function untilReports(world: World, server: Server, wanted: number): Promise<void> {
  try {
    const enough = (): boolean => connectionReports(server).length >= wanted;
    await until(enough, `${wanted} reports of the server`, 20_000);
  } catch (error) {
    const host = await connectionsOf(world.host, server.port);
    const guest = await connectionsOf(world.guest, server.port);
    const open = ["host:", ...host, "guest:", ...guest].join("\n");
    throw new Error(`${error}, has ${connectionReports(server).length}; open are\n${open}`);
  }
}

/** 256 MiB each way by curl, compared by SHA-256. */
async function transferByHttp(world: World, size: number): Promise<void> {
  const server = await httpServer(world.host, HOST_ADDRESS);
  const url = `http://${HOST_ADDRESS}:${server.port}`;
  const pipeline = ["sh", "-c", `curl -sS ${url}/5/${size} | sha256sum`];
  const down = await world.guest.run(pipeline, 100_000);
  assert.equal(down.stdout.split(" ")[0], sha256Of(5, size), `download: ${down.stderr}`);
  const source = script("seeded.mjs", "6", String(size)).join(" ");
  const put = `${source} | curl -sS -H Expect: -T - ${url}/`;
  const up = await world.guest.run(["sh", "-c", put], 100_000);
  assert.deepEqual(
    JSON.parse(up.stdout || "{}"),
    { count: size, sha256: sha256Of(6, size) },
    `upload: ${up.stderr}`,
  );
}

describe("attach: TCP with offloads", { skip: cannotRun() }, () => {
  let world: World;
  let server: Server;
  before(async () => {
    world = await createWorld({ mtu: 65520 });
    server = await tcpServer(world.host, HOST_ADDRESS);
  }, LIMIT);
  after(() => world.remove(), LIMIT);

  test("HTTP download and upload of 256 MiB arrive intact", LIMIT, async () => {
    await transferByHttp(world, 256 * MIB);
  });

  test("8 parallel streams of 20 MiB both ways at once arrive intact", LIMIT, async () => {
    await exchange(world, server, { streams: 8, send: 20 * MIB, receive: 20 * MIB, seed: 10 });
  });

  test("T36 after the guest's FIN data from the host flows on", LIMIT, async () => {
    const task = { mode: MODE.afterFin, streams: 3, send: 3 * MIB, receive: 5 * MIB, seed: 30 };
    await exchange(world, server, task);
    await exchange(world, server, { ...task, send: 0, receive: 1, seed: 40 });
  });

  test("T36 after the host's FIN data from the guest flows on", LIMIT, async () => {
    const task = { mode: MODE.finFirst, streams: 3, send: 5 * MIB, receive: 3 * MIB, seed: 50 };
    await exchange(world, server, task);
    await exchange(world, server, { ...task, send: 1, receive: 0, seed: 60 });
  });

  test(
    "T51 T55 a reader that stops holds the sender back, and all arrives later",
    LIMIT,
    async () => {
      const slow = await tcpServer(world.host, HOST_ADDRESS);
      const size = 64 * MIB;
      const task = { host: HOST_ADDRESS, port: slow.port, mode: MODE.stalled, seed: 70 };
      const client = startStreams(world.guest, { ...task, streams: 1, send: size, receive: 10 });
      const stalled = await client.waitFor(/stalled (\d+)/, 60_000);
      assert.ok(Number(stalled[1]) < 48 * MIB, `${stalled[1]} bytes were taken without a reader`);
      slow.running.write("go on\n");
      const outcome = await client.outcome(60_000);
      assert.match(outcome.stdout, /"received":10/);
      const report = await firstReport(slow);
      assert.equal(report?.received, size);
      assert.equal(report?.sha256, sha256Of(70 + CLIENT_SEED_OFFSET, size));
    },
  );

  test("2,000 connections are open at once, all answer, all end", LIMIT, async () => {
    const client = hold(world.guest, HOST_ADDRESS, server.port, 2000);
    await client.waitFor(/open 2000/, 60_000);
    client.write("again\n");
    await client.waitFor(/echoed 2000/, 30_000);
    client.write("end\n");
    assert.equal((await client.outcome()).code, 0);
    await untilNoConnections(world.host, server.port);
  });

  test("T32 a port without a listener is refused at once", LIMIT, async () => {
    const answer = await tryConnect(world.guest, HOST_ADDRESS, 9);
    assert.equal(answer.code, "ECONNREFUSED");
    assert.ok(answer.elapsed_ms < 2000, `${answer.elapsed_ms} ms`);
  });

  test("T32 N14 an unreachable destination is reported, not left waiting", LIMIT, async () => {
    const answer = await tryConnect(world.guest, UNREACHABLE_ADDRESS, 80);
    assert.match(answer.code, /^E(HOST|NET)UNREACH$/);
    assert.ok(answer.elapsed_ms < 5000, `${answer.elapsed_ms} ms`);
  });

  test("the host's loopback is out of reach unless allowed", LIMIT, async () => {
    const inner = await tcpServer(world.host, "127.0.0.1");
    const answer = await tryConnect(world.guest, GATEWAY, inner.port, 5000);
    assert.equal(answer.ok, false);
    const direct = await tryConnect(world.guest, "127.0.0.1", inner.port, 5000);
    assert.equal(direct.ok, false);
  });
});

describe("attach: TCP at MTU 1500", { skip: cannotRun() }, () => {
  test("bulk data arrives intact with offloads", LIMIT, async () => {
    const world = await createWorld({ mtu: 1500 });
    try {
      await transferByHttp(world, 32 * MIB);
      const server = await tcpServer(world.host, HOST_ADDRESS);
      await exchange(world, server, { streams: 8, send: 4 * MIB, receive: 4 * MIB });
    } finally {
      await world.remove();
    }
  });

  test("bulk data arrives intact without offloads (--no-vnet)", LIMIT, async () => {
    const world = await createWorld({ mtu: 1500, vnet: false });
    try {
      await transferByHttp(world, 32 * MIB);
      const server = await tcpServer(world.host, HOST_ADDRESS);
      await exchange(world, server, { streams: 8, send: 4 * MIB, receive: 4 * MIB });
    } finally {
      await world.remove();
    }
  });
});

describe("attach: --host-loopback", { skip: cannotRun() }, () => {
  test(
    "the gateway address leads to the host's loopback, and nothing else does",
    LIMIT,
    async () => {
      const world = await createWorld({ hostLoopback: true });
      try {
        const server = await tcpServer(world.host, "127.0.0.1");
        await exchange(world, server, { host: GATEWAY, streams: 2 });
        const http = await httpServer(world.host, "127.0.0.1");
        const page = await world.guest.run(["curl", "-sS", `http://${GATEWAY}:${http.port}/`]);
        assert.equal(page.stdout, "127.0.0.1\n", page.stderr);
        const direct = await tryConnect(world.guest, "127.0.0.1", server.port, 5000);
        assert.equal(direct.ok, false);
      } finally {
        await world.remove();
      }
    },
  );
});

describe("attach: --cidr", { skip: cannotRun() || oursOnly() }, () => {
  test("another subnet moves guest, gateway and DNS with it", LIMIT, async () => {
    const world = await createWorld({ args: ["--cidr", "172.30.7.0/24"], hostLoopback: true });
    try {
      const address = world.guest.must("ip", "-o", "-4", "addr", "show", "dev", "tap0");
      assert.ok(address.includes("172.30.7.15/24"), address);
      const http = await httpServer(world.host, "127.0.0.1");
      const page = await world.guest.run(["curl", "-sS", `http://172.30.7.2:${http.port}/`]);
      assert.equal(page.code, 0, page.stderr);
    } finally {
      await world.remove();
    }
  });
});
