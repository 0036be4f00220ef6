/**
 * End to end, a Linux machine under QEMU as the guest, behind a stream socket: every card and every
 * way to connect. The guest does by itself what any machine does: DHCP, DNS, HTTP, ping.
 *
 * Method: program, servers and QEMU share a host namespace; the guest's shell is typed into over
 * its serial console. See test/support/qemu.ts.
 */

import assert from "node:assert/strict";
import { existsSync, mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test } from "node:test";
import { httpServer, type Server } from "../support/e2e/peers.ts";
import { type Attached, DNS_ADDRESS, GATEWAY, startAttach } from "../support/e2e/program.ts";
import { sha256Of } from "../support/e2e/seeded.mjs";
import { cannotRun, oursOnly, startDns } from "../support/e2e/setup.ts";
import { until } from "../support/e2e/shell.ts";
import { createHost, HOST_ADDRESS, type Namespace } from "../support/e2e/world.ts";
import {
  type CardModel,
  DHCP_COMMAND,
  GUEST_MAC,
  type QemuGuest,
  qemuMissing,
  startGuest,
} from "../support/qemu.ts";

const LIMIT = { timeout: 600_000 };
const MIB = 1 << 20;
const TRANSFER_LIMIT_MS = 240_000;
const PUBLISHED = 8080;

/** The host with its servers, a program that waits for a guest, and a folder for sockets. */
interface World {
  readonly host: Namespace;
  readonly web: Server;
  readonly folder: string;
  readonly program: Attached;
  boot(options: BootOptions): Promise<QemuGuest>;
  remove(): Promise<void>;
}

interface BootOptions {
  readonly netdev: string;
  readonly model?: CardModel;
  readonly properties?: string;
}

/** @param link arguments for the program, made from the folder that sockets go to */
async function createWorld(link: (folder: string) => readonly string[]): Promise<World> {
  const host = createHost("nameserver 127.0.0.1\n");
  const folder = mkdtempSync(join(tmpdir(), "slirp-stream-"));
  const guests: QemuGuest[] = [];
  try {
    await startDns(host, "127.0.0.1", "203.0.113.1");
    const web = await httpServer(host, HOST_ADDRESS);
    const publish = ["--publish", `${PUBLISHED}:80`, "--log-format", "json"];
    const program = await startAttach(host, [...link(folder), ...publish]);
    return {
      host,
      web,
      folder,
      program,
      boot: async (options) => {
        const guest = await startGuest({ ...options, prefix: host.argv([]) });
        guests.push(guest);
        return guest;
      },
      remove: async () => {
        for (const guest of guests) await guest.kill();
        if (!program.running.ended()) await program.stop();
        host.remove();
        rmSync(folder, { recursive: true, force: true });
      },
    };
  } catch (error) {
    host.remove();
    rmSync(folder, { recursive: true, force: true });
    throw error;
  }
}

/** How often the log says this. */
function logged(world: World, message: string): number {
  return world.program.running.stderr().split(`"msg":"${message}"`).length - 1;
}

async function getsAddress(guest: QemuGuest, mtu: number): Promise<void> {
  await guest.must(DHCP_COMMAND);
  const address = await guest.must("ip addr show eth0");
  assert.match(address, / inet 10\.0\.2\.15\/24 /);
  assert.match(address, new RegExp(` mtu ${mtu} `));
  assert.ok(address.includes(GUEST_MAC), address);
  assert.match(await guest.must("ip route"), /default via 10\.0\.2\.2 dev eth0/);
}

async function resolvesNames(guest: QemuGuest): Promise<void> {
  // Its code is 1: it asks for an IPv6 address too, which the resolver does not have.
  const { output } = await guest.run(`nslookup who.test ${DNS_ADDRESS}`);
  assert.match(output, /203\.0\.113\.1/);
}

async function pings(guest: QemuGuest): Promise<void> {
  for (const address of [GATEWAY, HOST_ADDRESS]) {
    const answer = await guest.must(`ping -c 3 -A -s 1000 -w 30 ${address}`);
    assert.match(answer, /3 packets received, 0% packet loss/);
  }
}

/** Downloads a stream and uploads it again; both ends' sums are compared. */
async function transfers(guest: QemuGuest, world: World, bytes: number): Promise<void> {
  const url = `http://${HOST_ADDRESS}:${world.web.port}`;
  const sum = sha256Of(7, bytes);
  await guest.must(`wget -q -O /tmp/data ${url}/7/${bytes}`, TRANSFER_LIMIT_MS);
  assert.ok((await guest.must("sha256sum /tmp/data", TRANSFER_LIMIT_MS)).startsWith(sum));
  // By hand, as busybox' wget sends text only.
  const head = `PUT / HTTP/1.0\\r\\nContent-Length: ${bytes}\\r\\n\\r\\n`;
  const server = `${HOST_ADDRESS} ${world.web.port}`;
  const upload = `(printf '${head}'; cat /tmp/data) | nc ${server} | tail -n 1`;
  const answer = JSON.parse(await guest.must(upload, TRANSFER_LIMIT_MS)) as unknown;
  assert.deepEqual(answer, { count: bytes, sha256: sum });
  await guest.must("rm /tmp/data");
}

/** A connection from outside to the guest's web server. */
async function isReachable(guest: QemuGuest, world: World): Promise<void> {
  await guest.must("mkdir -p /tmp/www && echo from the guest >/tmp/www/page && httpd -h /tmp/www");
  const url = `http://${HOST_ADDRESS}:${PUBLISHED}/page`;
  const page = await world.host.run(["curl", "-sS", "--max-time", "30", url]);
  assert.equal(page.stdout, "from the guest\n", page.stderr);
}

describe("attach --listen: QEMU's stream netdev", {
  skip: cannotRun("dnsmasq") || oursOnly() || qemuMissing() || false,
}, () => {
  test("a machine on a unix socket is online, and the one after it", LIMIT, async () => {
    const world = await createWorld((folder) => ["--listen", `unix:${folder}/vm.sock`]);
    const path = join(world.folder, "vm.sock");
    const netdev = `stream,id=n,server=off,addr.type=unix,addr.path=${path}`;
    try {
      assert.equal(statSync(path).mode & 0o777, 0o660);
      const first = await world.boot({ netdev, properties: "host_mtu=65520" });
      await getsAddress(first, 65520);
      await resolvesNames(first);
      await pings(first);
      await transfers(first, world, 32 * MIB);
      await isReachable(first, world);

      const url = `http://${HOST_ADDRESS}:${world.web.port}/1/${2 ** 40}`;
      await first.must(`(wget -q -O /dev/null ${url} &)`);
      await first.kill(); // in the middle of a transfer
      await until(() => logged(world, "guest disconnected") === 1, "the end to be noticed");

      const second = await world.boot({ netdev, properties: "host_mtu=9000" });
      await getsAddress(second, 9000);
      await transfers(second, world, MIB);
      await isReachable(second, world);
      assert.equal(logged(world, "guest connected"), 2);

      const outcome = await world.program.stop();
      assert.equal(outcome.code, 0, outcome.stderr);
      assert.equal(existsSync(path), false, "the socket is left behind");
    } finally {
      await world.remove();
    }
  });
});

describe("attach: QEMU's socket netdev and other cards", {
  skip: cannotRun("dnsmasq") || oursOnly() || qemuMissing() || false,
}, () => {
  test("an e1000 on loopback TCP, whose port the guest cannot reach", LIMIT, async () => {
    const port = 4711; // of a namespace of our own
    const listen = ["--listen", `tcp:127.0.0.1:${port}`, "--host-loopback", "--mtu", "1500"];
    const world = await createWorld(() => listen);
    try {
      const netdev = `socket,id=n,connect=127.0.0.1:${port}`;
      const guest = await world.boot({ netdev, model: "e1000" });
      await getsAddress(guest, 1500);
      await resolvesNames(guest);
      await pings(guest);
      await transfers(guest, world, 24 * MIB);
      await isReachable(guest, world);
      const attempt = await guest.run(`nc -w 5 ${GATEWAY} ${port}`);
      assert.notEqual(attempt.code, 0);
      assert.match(attempt.output, /refused/i);
      assert.equal(logged(world, "refused a second connection while the first one lives"), 0);
    } finally {
      await world.remove();
    }
  });

  test("an rtl8139 of a QEMU that listens itself", LIMIT, async () => {
    const world = await createWorld((folder) => {
      return ["--connect", `unix:${folder}/qemu.sock`, "--mtu", "1500"];
    });
    try {
      const path = join(world.folder, "qemu.sock");
      const netdev = `stream,id=n,server=on,addr.type=unix,addr.path=${path}`;
      const guest = await world.boot({ netdev, model: "rtl8139" });
      await getsAddress(guest, 1500);
      await resolvesNames(guest);
      await pings(guest);
      await transfers(guest, world, 16 * MIB);
      await isReachable(guest, world);
    } finally {
      await world.remove();
    }
  });
});
