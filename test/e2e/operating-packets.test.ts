/**
 * End to end: rows of docs/operating.md where packets of the guest go no further, by their fault or
 * because they are not to: each has a reason, and the reason has a counter and, for the latest of
 * them, the frame. The guest makes them with the tools that any guest has.
 */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { httpServer, tryConnect } from "../support/e2e/peers.ts";
import { GATEWAY, type Program, startProgram } from "../support/e2e/program.ts";
import { cannotRun, oursOnly } from "../support/e2e/setup.ts";
import { createGuest, createHost, HOST_ADDRESS, type Namespace } from "../support/e2e/world.ts";
import { createFar, FAR_ADDRESS } from "../support/operating/far.ts";
import { inShell, lookUntil, mend } from "../support/operating/look.ts";
import { looksAs } from "../support/operating/screenshot.ts";
import { operatingRow } from "../support/operating/table.ts";

const LIMIT = { timeout: 60_000 };
const METADATA_ADDRESS = "169.254.169.254";
const OTHER_ADDRESS = "203.0.113.7";
const STRICT = ["--metadata-address", "refuse", "--host-address", "refuse"];
const PORT = 8000;
/** Sends a datagram to `address:port` from a port of its own. */
const SEND = `const [address, port] = process.argv.slice(1);
  const socket = require("node:dgram").createSocket("udp4");
  socket.bind(0, () => socket.send("x", Number(port), address, () => socket.close()));`;
/** Is asked at one address, answers from another. */
const ANSWER = `const [asked, other] = process.argv.slice(1);
  const { createSocket } = require("node:dgram");
  const [own, out] = [createSocket("udp4"), createSocket("udp4")];
  own.on("message", (text, { address, port }) => out.send("x", port, address));
  out.bind(${PORT}, other, () => own.bind(${PORT}, asked, () => console.log("ready")));`;
/** Asks, and tells whether it hears anything within a second. */
const ASK = `const socket = require("node:dgram").createSocket("udp4");
  socket.on("message", () => console.log("heard") ?? socket.close());
  socket.send("x", ${PORT}, process.argv[1]);
  setTimeout(() => process.exit(), 1000);`;

describe("docs/operating.md: packets that go no further", {
  skip: cannotRun("ping", "socat") || oursOnly(),
}, () => {
  let host: Namespace;
  let far: Namespace;
  let guest: Namespace;
  let program: Program | undefined;

  before(async () => {
    host = createHost("");
    far = createFar(host, METADATA_ADDRESS, OTHER_ADDRESS);
    guest = createGuest();
    await start(...STRICT);
  }, LIMIT);
  after(async () => {
    await program?.stop();
    for (const each of [guest, far, host]) each.remove();
  }, LIMIT);

  /** Starts it anew with these arguments; the guest is as if it had just been started. */
  async function start(...args: string[]): Promise<void> {
    await program?.stop();
    const all = ["--metrics", "127.0.0.1:9100", ...args];
    program = await startProgram({ host, netns: guest.path, mtu: 1500, args: all });
  }

  const pings = async (address: string, ...args: string[]): Promise<boolean> => {
    const argv = ["ping", "-c", "1", "-W", "2", ...args, address];
    return (await guest.run(argv)).code === 0;
  };
  const reaches = async (address: string): Promise<boolean> =>
    (await tryConnect(guest, address, PORT)).ok;

  test("18 a static address outside the subnet", LIMIT, async () => {
    const row = operatingRow("18");
    guest.must("ip", "addr", "flush", "dev", "tap0");
    guest.must("ip", "addr", "add", "192.168.77.5/24", "dev", "tap0");
    guest.must("ip", "route", "add", GATEWAY, "dev", "tap0");
    guest.must("ip", "route", "add", "default", "via", GATEWAY);
    assert.equal(await pings(FAR_ADDRESS), false);
    await lookUntil(host, row);
    await mend(guest, row);
    assert.equal(await pings(FAR_ADDRESS), true);
  });

  test("19 another gateway than there is", LIMIT, async () => {
    const row = operatingRow("19");
    guest.must("ip", "route", "replace", "default", "via", "169.254.1.1", "dev", "tap0", "onlink");
    assert.equal(await pings(FAR_ADDRESS), false);
    await lookUntil(host, row);
    await mend(guest, row);
    assert.equal(await pings(FAR_ADDRESS), true);
  });

  test("20 an MTU in the guest that the link does not carry", LIMIT, async () => {
    const row = operatingRow("20");
    guest.must("ip", "link", "set", "tap0", "mtu", "9000");
    assert.equal(await pings(FAR_ADDRESS, "-s", "4000", "-M", "do"), false);
    assert.equal(await pings(FAR_ADDRESS), true);
    await lookUntil(host, row);
    await mend(guest, row);
    assert.equal(await pings(FAR_ADDRESS, "-s", "4000"), true);
  });

  test("21 the guest has the gateway's MAC", LIMIT, async () => {
    const row = operatingRow("21");
    guest.must("ip", "link", "set", "tap0", "address", "52:55:0a:00:02:02");
    assert.equal(await pings(GATEWAY), false);
    await lookUntil(host, row);
    await mend(guest, row);
    assert.equal(await pings(GATEWAY), true);
  });

  test("22 a server on the host's loopback", LIMIT, async () => {
    const row = operatingRow("22");
    const server = await httpServer(host, "127.0.0.1", PORT);
    assert.equal(await reaches(GATEWAY), false);
    await lookUntil(host, row);
    looksAs("slirp-binding drops", (await host.run(inShell("slirp-binding drops"))).stdout);
    assert.ok(row.cures.includes("--host-loopback"));
    await start(...STRICT, "--host-loopback");
    assert.equal(await reaches(GATEWAY), true);
    server.running.signal("SIGKILL");
  });

  test("23 the metadata service of a cloud", LIMIT, async () => {
    const row = operatingRow("23");
    await httpServer(far, METADATA_ADDRESS, PORT);
    assert.equal(await reaches(METADATA_ADDRESS), false);
    await lookUntil(host, row);
    assert.ok(row.cures.includes("--metadata-address allow"));
    await start("--host-address", "refuse", "--metadata-address", "allow");
    assert.equal(await reaches(METADATA_ADDRESS), true);
  });

  test("24 an address of the host, or of the pod", LIMIT, async () => {
    const row = operatingRow("24");
    await httpServer(host, HOST_ADDRESS, PORT);
    assert.equal(await reaches(HOST_ADDRESS), false);
    await lookUntil(host, row);
    assert.ok(row.cures.includes("--host-address allow"));
    await start("--host-address", "allow");
    assert.equal(await reaches(HOST_ADDRESS), true);
  });

  test("25 discovery by multicast", LIMIT, async () => {
    const row = operatingRow("25");
    await guest.run([process.execPath, "-e", SEND, "239.255.255.250", "1900"]);
    await lookUntil(host, row);
  });

  test("26 a tunnel of another protocol than TCP and UDP", LIMIT, async () => {
    const row = operatingRow("26");
    await guest.run(["sh", "-c", `echo | socat -u - IP4-SENDTO:${FAR_ADDRESS}:47`]);
    await lookUntil(host, row);
  });

  test("27 a UDP service that answers from another address", LIMIT, async () => {
    const row = operatingRow("27");
    const answers = far.start([process.execPath, "-e", ANSWER, FAR_ADDRESS, OTHER_ADDRESS]);
    await answers.waitFor(/ready/);
    const isHeard = async (): Promise<boolean> =>
      (await guest.run([process.execPath, "-e", ASK, FAR_ADDRESS])).stdout.includes("heard");
    await start("--udp-filter", "address-dependent");
    assert.equal(await isHeard(), false);
    await lookUntil(host, row);
    assert.ok(row.cures.includes("--udp-filter endpoint-independent"));
    await start("--udp-filter", "endpoint-independent");
    assert.equal(await isHeard(), true);
  });
});
