/**
 * End to end, UDP and published ports: datagrams of every size class, errors, inbound flows.
 */

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import {
  firstReport,
  httpServer,
  MODE,
  streams,
  tcpServer,
  tryConnect,
  udpEcho,
  udpServer,
} from "../support/e2e/peers.ts";
import { GATEWAY, programKind } from "../support/e2e/program.ts";
import { sha256Of } from "../support/e2e/seeded.mjs";
import { cannotRun, createWorld, type World } from "../support/e2e/setup.ts";
import { createNamespace, HOST_ADDRESS, type Namespace } from "../support/e2e/world.ts";

const LIMIT = { timeout: 90_000 };
const FAR_ADDRESS = "192.0.2.7";

/** Edges of frame, fragment and datagram sizes, then a sweep with an odd stride between them. */
function udpSizes(): number[] {
  const edges = [1, 2, 3, 63, 64, 100, 511, 512, 1399, 1400, 1471, 1472, 1473, 2951, 2952, 2953];
  const large = [8000, 8972, 8973, 16384, 32768, 65491, 65492, 65493, 65506, 65507];
  const sweep = Array.from({ length: 100 }, (_, index) => 5 + index * 653);
  return [...edges, ...large, ...sweep];
}

/** What the peer standing in cannot do with ports, or false when it can. */
function noPublishing(): string | false {
  return programKind() === "slirp4netns" ? "slirp4netns publishes by an API socket only" : false;
}

describe("attach: UDP", { skip: cannotRun() }, () => {
  for (const mtu of [1500, 65520]) {
    test(`P04 datagrams of 1 to 65,507 bytes come back equal at MTU ${mtu}`, LIMIT, async () => {
      const world = await createWorld({ mtu });
      try {
        const server = await udpServer(world.host, HOST_ADDRESS);
        const sizes = udpSizes();
        const report = await udpEcho(world.guest, HOST_ADDRESS, server.port, sizes);
        assert.deepEqual(report.failed, []);
        assert.equal(report.ok, sizes.length);
        assert.ok(report.repeats <= 2, `${report.repeats} datagrams were lost`);
      } finally {
        await world.remove();
      }
    });
  }

  test("P21 P22 a port without a listener is reported to the guest's socket", LIMIT, async () => {
    const world = await createWorld();
    try {
      const report = await udpEcho(world.guest, HOST_ADDRESS, 9, [100]);
      assert.deepEqual(report.failed, [{ size: 100, answer: "ECONNREFUSED" }]);
    } finally {
      await world.remove();
    }
  });
});

describe("attach: published ports", { skip: cannotRun() || noPublishing() }, () => {
  let world: World;
  let far: Namespace;
  before(async () => {
    world = await createWorld({
      ipv6: true,
      publish: [
        "8080:80/tcp",
        "5353:5353/udp",
        "5454:5454/udp",
        "127.0.0.7:5455:5454/udp",
        "9000-9002:7000",
        "127.0.0.1:9100:80",
        `${HOST_ADDRESS}:9101:80`,
      ],
    });
    far = createNamespace("far");
    world.host.must("ip", "link", "set", "up1", "netns", far.name);
    far.must("ip", "addr", "add", `${FAR_ADDRESS}/24`, "dev", "up1");
    far.must("ip", "link", "set", "up1", "up");
    await httpServer(world.guest, "0.0.0.0", 80);
    if (programKind() === "pasta") {
      // It learns the guest's hardware address from the guest's first frame; ours must not need to.
      await tryConnect(world.guest, FAR_ADDRESS, 9, 2000);
    }
  }, LIMIT);
  after(async () => {
    far.remove();
    await world.remove();
  }, LIMIT);

  const page = async (from: Namespace, address: string): Promise<string> =>
    (await from.run(["curl", "-sS", "-m", "10", `http://${address}/`], 20_000)).stdout.trim();

  test("a remote client reaches the guest, which sees that client's address", LIMIT, async () => {
    assert.equal(await page(far, `${HOST_ADDRESS}:8080`), FAR_ADDRESS);
  });

  test("a client on the host's loopback is seen as the gateway", LIMIT, async () => {
    // pasta hands loopback connections over on the guest's own loopback.
    const wanted = programKind() === "pasta" ? "127.0.0.1" : GATEWAY;
    assert.equal(await page(world.host, "127.0.0.1:8080"), wanted);
  });

  test("a host address limits a rule to that address", LIMIT, async () => {
    assert.notEqual(await page(world.host, "127.0.0.1:9100"), "");
    assert.equal((await tryConnect(far, HOST_ADDRESS, 9100, 5000)).code, "ECONNREFUSED");
    assert.notEqual(await page(far, `${HOST_ADDRESS}:9101`), "");
    assert.equal((await tryConnect(world.host, "127.0.0.1", 9101, 5000)).code, "ECONNREFUSED");
  });

  test("a port that is not published is refused by the host", LIMIT, async () => {
    assert.equal((await tryConnect(far, HOST_ADDRESS, 9003, 5000)).code, "ECONNREFUSED");
  });

  test(
    "a published port without a server in the guest gives a reset, not silence",
    LIMIT,
    async () => {
      const client = await far.run(["curl", "-sS", "-m", "10", `http://${HOST_ADDRESS}:9002/`]);
      // curl's exit codes: 7 where the reset is there before it looks, 52 and 56 afterwards.
      assert.ok([7, 52, 56].includes(client.code ?? -1), client.stderr);
    },
  );

  test("a range leads each port to its own guest port, with data both ways", LIMIT, async () => {
    for (const offset of [0, 1, 2]) {
      const server = await tcpServer(world.guest, "0.0.0.0", 7000 + offset);
      const size = 2_000_000 + offset;
      const [report] = await streams(far, {
        host: HOST_ADDRESS,
        port: 9000 + offset,
        mode: MODE.both,
        streams: 1,
        send: size,
        receive: size,
        seed: 5,
      });
      assert.equal(report?.sha256, sha256Of(5, size));
      assert.equal((await firstReport(server))?.received, size);
    }
  });

  test("a published UDP port carries datagrams both ways", LIMIT, async () => {
    const server = await udpServer(world.guest, "0.0.0.0", 5353);
    const report = await udpEcho(far, HOST_ADDRESS, 5353, [1, 1400, 1473, 9000]);
    assert.deepEqual(report.failed, []);
    await server.running.waitFor(new RegExp(`"from":"${FAR_ADDRESS}"`));
  });

  // The client's socket is connected, so it hears nobody but whom it asked.
  test("UDP answers leave from the address and port that were asked, of both versions of IP", {
    ...LIMIT,
    skip: programKind() === "pasta" && "it answers from the address it chooses",
  }, async () => {
    await udpServer(world.guest, "::", 5454);
    for (const [address, port] of [
      ["127.0.0.1", 5454],
      ["127.0.0.53", 5454],
      [HOST_ADDRESS, 5454],
      ["::1", 5454],
      ["127.0.0.7", 5455],
    ] as const) {
      const report = await udpEcho(world.host, address, port, [1, 9000]);
      assert.deepEqual(report.failed, [], address);
    }
  });
});
