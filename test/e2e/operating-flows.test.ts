/**
 * End to end: rows of docs/operating.md about connections that hang, pile up or come from nowhere:
 * `flows` tells of each what it waits for, and so which side is to be looked at.
 */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import {
  hold,
  httpServer,
  MODE,
  type Server,
  script,
  tcpServer,
  tryConnect,
} from "../support/e2e/peers.ts";
import { type Program, startProgram } from "../support/e2e/program.ts";
import { cannotRun, oursOnly } from "../support/e2e/setup.ts";
import { type Running, until } from "../support/e2e/shell.ts";
import { createGuest, createHost, HOST_ADDRESS, type Namespace } from "../support/e2e/world.ts";
import { createFar, FAR_ADDRESS } from "../support/operating/far.ts";
import { inShell, isMended, lookUntil, mend, untilMended } from "../support/operating/look.ts";
import { looksAs } from "../support/operating/screenshot.ts";
import { operatingRow } from "../support/operating/table.ts";

const LIMIT = { timeout: 60_000 };
const MIB = 1 << 20;
const PORT = 8000;
const SILENT_ADDRESS = "203.0.113.9";
/** Hears the end of a connection, and leaves its own side open. */
const KEEP_OPEN = `const [address, port] = process.argv.slice(1);
  const header = Buffer.alloc(16);
  header.writeUInt32LE(${MODE.finFirst}, 0);
  const options = { host: address, port: Number(port), allowHalfOpen: true };
  require("node:net").connect(options).on("end", () => console.log("end")).resume().write(header);
  setInterval(() => {}, 60_000);`;
/** Asks for more than it reads, until it is told to go on. */
const NO_READER = `const [address, port] = process.argv.slice(1);
  const socket = require("node:net").connect(Number(port), address);
  socket.write("GET /1/1000000000000 HTTP/1.1\\r\\nHost: far\\r\\n\\r\\n");
  process.stdin.on("data", () => socket.resume());
  socket.pause();`;
/** Sends one datagram from each of N ports. */
const MANY_PORTS = `const { createSocket } = require("node:dgram");
  let left = Number(process.argv[2]);
  (function next() {
    if (left-- <= 0) return;
    const socket = createSocket("udp4").on("error", () => {});
    socket.bind(0, () => socket.send("x", 9, process.argv[1], () => socket.close(next)));
  })();`;

describe("docs/operating.md: connections", {
  skip: cannotRun("ping", "ethtool") || oursOnly(),
}, () => {
  let host: Namespace;
  let far: Namespace;
  let guest: Namespace;
  let program: Program | undefined;
  let guestServer: Server;

  before(async () => {
    host = createHost("");
    far = createFar(host);
    // What is for it gets lost there.
    far.must("ip", "route", "add", "blackhole", SILENT_ADDRESS);
    guest = createGuest();
    await start();
    await httpServer(far, FAR_ADDRESS, PORT);
    guestServer = await tcpServer(guest, "0.0.0.0", 80);
  }, LIMIT);
  after(async () => {
    await program?.stop();
    for (const each of [guest, far, host]) each.remove();
  }, LIMIT);

  async function start(...args: string[]): Promise<Program> {
    await program?.stop();
    const publish = ["8080:80"];
    program = await startProgram({ host, netns: guest.path, mtu: 1500, publish, args });
    return program;
  }

  const guestScript = (text: string, ...args: readonly (string | number)[]): Running =>
    guest.start([process.execPath, "-e", text, ...args.map(String)]);

  async function end(running: Running): Promise<void> {
    running.signal("SIGKILL");
    await running.outcome();
  }

  const connectTo = (address: string, port: number): Running => {
    const task = { task: "connect", host: address, port };
    return guest.start(script("tcp-client.mjs", JSON.stringify(task)));
  };

  /** Starts an upload to the far side that goes on until it is ended. */
  function upload(port: number, mode: number): Running {
    const task = { task: "streams", host: FAR_ADDRESS, port, mode, streams: 1, receive: 0 };
    return guest.start(
      script("tcp-client.mjs", JSON.stringify({ ...task, send: 512 * MIB, seed: 1 })),
    );
  }

  test("a picture of all that can hang", LIMIT, async () => {
    const server = await tcpServer(far, FAR_ADDRESS);
    const begin: readonly (() => Running)[] = [
      () => connectTo(SILENT_ADDRESS, 443),
      () => upload(server.port, MODE.stalled),
      () => guestScript(NO_READER, FAR_ADDRESS, PORT),
      () => guestScript(KEEP_OPEN, FAR_ADDRESS, server.port),
      () => hold(host, "127.0.0.1", 8080, 1),
    ];
    const running: Running[] = [];
    const picture = async (): Promise<string> =>
      (await host.run(inShell("slirp-binding flows tcp"))).stdout;
    for (const [at, beginOne] of begin.entries()) {
      running.push(beginOne());
      // One after the other, so that they are in this order.
      const isThere = async () => (await picture()).trimEnd().split("\n").length === at + 2;
      await until(isThere, () => `flow ${at + 1} to be listed`);
    }
    const isStill = async () => /guest to close/.test(await picture());
    await until(isStill, "all of them to hang");
    looksAs("slirp-binding flows tcp", await picture());
    for (const each of running) await end(each);
    await start();
  });

  test("28 a connection is never up: the far side does not answer", LIMIT, async () => {
    const row = operatingRow("28");
    const trying = connectTo(SILENT_ADDRESS, PORT);
    await lookUntil(host, row);
    await end(trying);
    far.must("ip", "route", "del", "blackhole", SILENT_ADDRESS);
    far.must("ip", "addr", "add", `${SILENT_ADDRESS}/32`, "dev", "lo");
    await httpServer(far, SILENT_ADDRESS, PORT);
    assert.equal((await tryConnect(guest, SILENT_ADDRESS, PORT)).ok, true);
    await start();
  });

  test("29 an upload stands still: the far side does not take it", LIMIT, async () => {
    const row = operatingRow("29");
    const server = await tcpServer(far, FAR_ADDRESS);
    const client = upload(server.port, MODE.stalled);
    await client.waitFor(/stalled/);
    await lookUntil(host, row);
    server.running.write("go on\n");
    await untilMended(host, row);
    await end(client);
  });

  test("30 a download stands still: the guest does not take it", LIMIT, async () => {
    const row = operatingRow("30");
    const reader = guestScript(NO_READER, FAR_ADDRESS, PORT);
    await lookUntil(host, row);
    reader.write("go on\n");
    await untilMended(host, row);
    await end(reader);
  });

  test("31 connections pile up: the guest does not close its side", LIMIT, async () => {
    const row = operatingRow("31");
    const server = await tcpServer(far, FAR_ADDRESS);
    const client = guestScript(KEEP_OPEN, FAR_ADDRESS, server.port);
    await client.waitFor(/end/);
    await lookUntil(host, row);
    await end(client);
    await untilMended(host, row);
  });

  test("32 large requests hang: the way out loses large packets", LIMIT, async () => {
    const row = operatingRow("32");
    const server = await tcpServer(far, FAR_ADDRESS);
    // A veth pair loses without a word what its other end does not take.
    far.must("ip", "link", "set", "up1", "mtu", "1280");
    far.must("ip", "route", "replace", "192.0.2.0/24", "dev", "up1", "advmss", "1460");
    host.must("ethtool", "-K", "up0", "tso", "off", "gso", "off");
    const client = upload(server.port, MODE.both);
    await client.waitFor(/stalled/);
    await lookUntil(host, row);
    await mend(host, row);
    await untilMended(host, row);
    await end(client);
    far.must("ip", "link", "set", "up1", "mtu", "1500");
  });

  test("33 clients of a published port have the gateway's address", LIMIT, async () => {
    const row = operatingRow("33");
    const near = hold(host, "127.0.0.1", 8080, 1);
    await near.waitFor(/open 1/);
    await lookUntil(host, row);
    near.write("end\n");
    for (const [where, seen] of [
      [host, HOST_ADDRESS],
      [far, FAR_ADDRESS],
    ] as const) {
      const client = hold(where, HOST_ADDRESS, 8080, 1);
      await client.waitFor(/open 1/);
      client.write("end\n");
      await guestServer.running.waitFor(new RegExp(`"peer":"${seen}"`));
    }
    assert.match(guestServer.running.stdout(), /"peer":"10\.0\.2\.2"/);
  });

  test("34 connections end early: more flows than there may be", LIMIT, async () => {
    const row = operatingRow("34");
    const many = async (...args: string[]): Promise<void> => {
      await start(...args);
      await guestScript(MANY_PORTS, FAR_ADDRESS, 400).outcome();
    };
    await many("--flows-max", "256");
    await lookUntil(host, row);
    assert.ok(row.cures.includes("--flows-max N"));
    await many("--flows-max", "1024");
    await guestScript(MANY_PORTS, FAR_ADDRESS, 1).outcome();
    await isMended(host, row);
  });
});
