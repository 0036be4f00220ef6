/**
 * End to end, a Linux machine under QEMU as the guest, behind a stream socket: every card and every
 * way to connect. The guest does by itself what any machine does: DHCP, DNS, HTTP, ping.
 *
 * Method: program, servers and QEMU share a host namespace; the guest's shell is typed into over
 * its serial console. See test/support/qemu.ts.
 */

import assert from "node:assert/strict";
import { chmodSync, existsSync, mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test } from "node:test";
import {
  getsAddress,
  isReachable,
  pings,
  resolvesNames,
  transfers,
} from "../support/e2e/machine.ts";
import { httpServer, type Server } from "../support/e2e/peers.ts";
import { type Attached, GATEWAY, startAttach } from "../support/e2e/program.ts";
import { cannotRun, oursOnly, startDns } from "../support/e2e/setup.ts";
import { until } from "../support/e2e/shell.ts";
import { createHost, HOST_ADDRESS, type Namespace } from "../support/e2e/world.ts";
import {
  type CardModel,
  GUEST_MAC,
  type QemuGuest,
  qemuMissing,
  startGuest,
} from "../support/qemu.ts";

const LIMIT = { timeout: 600_000 };
const MIB = 1 << 20;
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
  chmodSync(folder, 0o777); // root becomes nobody, and the socket is to be gone at the end
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
      await getsAddress(first, GUEST_MAC, 65520);
      await resolvesNames(first);
      await pings(first);
      await transfers(first, world.web.port, 8 * MIB);
      await isReachable(first, world.host, PUBLISHED);

      const url = `http://${HOST_ADDRESS}:${world.web.port}/1/${2 ** 40}`;
      await first.must(`(wget -q -O /dev/null ${url} &)`);
      await first.kill(); // in the middle of a transfer
      await until(() => logged(world, "guest disconnected") === 1, "the end to be noticed");

      const second = await world.boot({ netdev, properties: "host_mtu=9000" });
      await getsAddress(second, GUEST_MAC, 9000);
      await transfers(second, world.web.port, MIB);
      await isReachable(second, world.host, PUBLISHED);
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
      await getsAddress(guest, GUEST_MAC, 1500);
      await resolvesNames(guest);
      await pings(guest);
      await transfers(guest, world.web.port, 4 * MIB);
      await isReachable(guest, world.host, PUBLISHED);
      const attempt = await guest.run(`nc -w 5 ${GATEWAY} ${port}`);
      assert.notEqual(attempt.code, 0);
      assert.match(attempt.output, /refused/i);
      assert.equal(logged(world, "second connection refused: a guest is connected"), 0);
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
      await getsAddress(guest, GUEST_MAC, 1500);
      await resolvesNames(guest);
      await pings(guest);
      await transfers(guest, world.web.port, 4 * MIB);
      await isReachable(guest, world.host, PUBLISHED);
    } finally {
      await world.remove();
    }
  });
});
