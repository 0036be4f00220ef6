/**
 * End to end, a Linux machine under QEMU whose virtio card is served by vhost-user: every kind of
 * ring and header that its driver can be made to use, and a program that is started anew.
 *
 * Method: as attach-stream.test.ts; memory of the machine is a memory file that QEMU shares.
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
import { httpServer } from "../support/e2e/peers.ts";
import { type Attached, startAttach } from "../support/e2e/program.ts";
import { cannotRun, oursOnly, startDns } from "../support/e2e/setup.ts";
import { until } from "../support/e2e/shell.ts";
import { createHost, HOST_ADDRESS, type Namespace } from "../support/e2e/world.ts";
import {
  GUEST_MAC,
  type QemuGuest,
  qemuMissing,
  startGuest,
  vhostUserGuest,
} from "../support/qemu.ts";

const LIMIT = { timeout: 600_000 };
const MIB = 1 << 20;
const PUBLISHED = 8080;

interface World {
  readonly host: Namespace;
  readonly port: number;
  readonly path: string;
  /** Starts the program; it listens unless it is told to connect. */
  attach(...args: readonly string[]): Promise<Attached>;
  boot(
    ...machine: readonly [card: string[], memory?: string[], socket?: string]
  ): Promise<QemuGuest>;
}

/** A host with its servers; all that was started is ended. */
async function withWorld(run: (world: World) => Promise<void>): Promise<void> {
  const host = createHost("nameserver 127.0.0.1\n");
  const folder = mkdtempSync(join(tmpdir(), "slirp-vhost-"));
  chmodSync(folder, 0o777); // root becomes nobody, and the socket is to be gone at the end
  const path = join(folder, "vm.sock");
  const programs: Attached[] = [];
  const guests: QemuGuest[] = [];
  try {
    await startDns(host, "127.0.0.1", "203.0.113.1");
    const { port } = await httpServer(host, HOST_ADDRESS);
    await run({
      host,
      port,
      path,
      attach: async (...args) => {
        const link = args.includes("--vhost-user-connect") ? [] : ["--vhost-user", path];
        const more = ["--publish", `${PUBLISHED}:80`, "--log-format", "json", ...args];
        const program = await startAttach(host, [...link, ...more]);
        programs.push(program);
        return program;
      },
      boot: async (...machine) => {
        const guest = await startGuest({
          ...vhostUserGuest(path, ...machine),
          prefix: host.argv([]),
        });
        guests.push(guest);
        return guest;
      },
    });
  } finally {
    for (const guest of guests) await guest.kill();
    for (const program of programs) if (!program.running.ended()) await program.stop();
    host.remove();
    rmSync(folder, { recursive: true, force: true });
  }
}

function logged(program: Attached, message: string): number {
  return program.running.stderr().split(`"msg":"${message}"`).length - 1;
}

describe("attach --vhost-user: a virtio card in QEMU", {
  skip: cannotRun("dnsmasq") || oursOnly() || qemuMissing() || false,
}, () => {
  test("is online, and again when the program is started anew", LIMIT, () =>
    withWorld(async ({ host, port, path, attach, boot }) => {
      const first = await attach();
      assert.equal(statSync(path).mode & 0o777, 0o600);
      const guest = await boot(["host_mtu=65520"]);
      await getsAddress(guest, GUEST_MAC, 65520);
      await resolvesNames(guest);
      await pings(guest);
      await transfers(guest, port, 32 * MIB);
      await isReachable(guest, host, PUBLISHED);
      assert.equal(logged(first, "queue stopped: its driver broke the rules"), 0);
      assert.equal(logged(first, "guest memory may be shrunk, copying it by system calls"), 0);
      const outcome = await first.stop();
      assert.equal(outcome.code, 0, outcome.stderr);
      assert.equal(existsSync(path), false, "the socket is left behind");

      const second = await attach();
      await until(() => logged(second, "guest connected") === 1, "QEMU to connect again");
      await pings(guest);
      await transfers(guest, port, 4 * MIB);
      const page = await host.run(["curl", "-sS", `http://${HOST_ADDRESS}:${PUBLISHED}/page`]);
      assert.equal(page.stdout, "from the guest\n", page.stderr);
    }),
  );

  test("connects to a QEMU that listens", LIMIT, () =>
    withWorld(async ({ port, path, attach, boot }) => {
      const program = await attach("--vhost-user-connect", path);
      const guest = await boot(["host_mtu=9000"], [], "server=on");
      await getsAddress(guest, GUEST_MAC, 9000);
      await transfers(guest, port, 4 * MIB);
      assert.equal(logged(program, "peer unreachable, retrying"), 1);
      assert.equal(logged(program, "guest connected"), 1);
    }),
  );

  for (const [name, mtu, card, memory] of [
    ["a legacy driver", 1500, ["disable-modern=on", "mrg_rxbuf=off", "event_idx=off"], []],
    ["no merging and no offloads", 1500, ["mrg_rxbuf=off", "csum=off", "guest_csum=off"], []],
    ["memory that can shrink", 65520, ["host_mtu=65520", "indirect_desc=off"], ["seal=off"]],
  ] as const) {
    test(`${name}: is online`, LIMIT, () =>
      withWorld(async ({ host, port, attach, boot }) => {
        const program = await attach("--mtu", String(mtu));
        const guest = await boot([...card], [...memory]);
        await getsAddress(guest, GUEST_MAC, mtu);
        await resolvesNames(guest);
        await pings(guest);
        await transfers(guest, port, 8 * MIB);
        await isReachable(guest, host, PUBLISHED);
        const slow = logged(program, "guest memory may be shrunk, copying it by system calls");
        assert.equal(slow, memory.length > 0 ? 1 : 0);
      }),
    );
  }
});
