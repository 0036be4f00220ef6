/**
 * End to end: what of the host a guest reaches, and what of the host's ports its UDP takes. The
 * kernel is both the guest and the one who says which addresses are the host's.
 */

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { httpServer, tcpServer, tryConnect, udpEcho, udpServer } from "../support/e2e/peers.ts";
import { cannotRun, createWorld, oursOnly, type World } from "../support/e2e/setup.ts";
import { until } from "../support/e2e/shell.ts";
import { HOST_ADDRESS, HOST_ADDRESS6 } from "../support/e2e/world.ts";

const LIMIT = { timeout: 90_000 };
const LATER_ADDRESS = "192.0.2.77";
const KNOWN_PORT = 8125;
/** One datagram from a port of its own choice. */
const KNOCK = `const s = require("node:dgram").createSocket("udp4");
const [, port] = process.argv;
s.bind(${KNOWN_PORT}, () => s.send("knock", Number(port), "${HOST_ADDRESS}", () => s.close()));`;
/** Whether a program can have that port. */
const BIND = `const s = require("node:dgram").createSocket("udp4");
s.bind(${KNOWN_PORT}, () => { console.log("bound"); s.close(); });`;

describe("attach: a guest and the host's own addresses", {
  skip: cannotRun() || oursOnly(),
}, () => {
  let world: World;
  before(async () => {
    world = await createWorld({
      ipv6: true,
      publish: ["8080:80/tcp", "5353:53/udp"],
      args: ["--host-address", "refuse", "--metadata-address", "refuse"],
    });
  }, LIMIT);
  after(() => world.remove(), LIMIT);

  test("own addresses are refused, of both versions of IP, and so is metadata", LIMIT, async () => {
    const server = await tcpServer(world.host, "0.0.0.0");
    for (const address of [HOST_ADDRESS, HOST_ADDRESS6, "169.254.169.254", "169.254.1.1"]) {
      const { code } = await tryConnect(world.guest, address, server.port, 10_000);
      assert.equal(code, "ECONNREFUSED", address);
    }
    const echo = await udpServer(world.host, HOST_ADDRESS);
    const report = await udpEcho(world.guest, HOST_ADDRESS, echo.port, [100]);
    assert.equal(report.ok, 0);
    assert.notEqual(report.failed[0]?.answer, "LATE", "told at once");
  });

  test("N06 published ports are reached by them, TCP and UDP", LIMIT, async () => {
    await httpServer(world.guest, "0.0.0.0", 80);
    const page = await world.guest.run(["curl", "-sS", "-m", "10", `http://${HOST_ADDRESS}:8080/`]);
    assert.equal(page.stdout.trim(), HOST_ADDRESS, page.stderr);
    await udpServer(world.guest, "0.0.0.0", 53);
    const report = await udpEcho(world.guest, HOST_ADDRESS, 5353, [1, 1400, 9000]);
    assert.deepEqual(report.failed, []);
  });

  test("an address that comes later is refused as soon as it is there", LIMIT, async () => {
    const server = await tcpServer(world.host, "0.0.0.0");
    world.host.must("ip", "addr", "add", `${LATER_ADDRESS}/24`, "dev", "up0");
    await until(async () => {
      const { code } = await tryConnect(world.guest, LATER_ADDRESS, server.port, 10_000);
      return code === "ECONNREFUSED";
    }, "the new address to be refused");
  });
});

describe("attach: the guest's UDP on the host", { skip: cannotRun() || oursOnly() }, () => {
  test("it takes no port that a program of the host may want", LIMIT, async () => {
    const world = await createWorld();
    try {
      const echo = await udpServer(world.host, HOST_ADDRESS);
      const sent = await world.guest.run(["node", "-e", KNOCK, String(echo.port)]);
      assert.equal(sent.code, 0, sent.stderr);
      await echo.running.waitFor(/"size":5/);
      const bound = await world.host.run(["node", "-e", BIND]);
      assert.equal(bound.stdout.trim(), "bound", bound.stderr);
    } finally {
      await world.remove();
    }
  });
});
