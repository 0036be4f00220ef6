/**
 * End to end, a Linux machine under QEMU whose virtio card is served by vhost-user: either side may
 * be the one that listens, and the program may be started anew. What guests do there, and which:
 * guests.test.ts.
 *
 * Method: as attach-stream.test.ts; memory of the machine is a memory file that QEMU shares.
 */
import assert from "node:assert/strict";
import { existsSync, statSync } from "node:fs";
import { describe, test } from "node:test";
import { logged, PUBLISHED, Site } from "../guests/site.ts";
import {
  getsAddress,
  isReachable,
  pings,
  resolvesNames,
  transfers,
} from "../support/e2e/machine.ts";
import { cannotRun, oursOnly } from "../support/e2e/setup.ts";
import { until } from "../support/e2e/shell.ts";
import { HOST_ADDRESS } from "../support/e2e/world.ts";
import {
  GUEST_MAC,
  type QemuGuest,
  qemuMissing,
  startGuest,
  vhostUserGuest,
} from "../support/qemu.ts";

const LIMIT = { timeout: 600_000 };
const MIB = 1 << 20;

type Boot = (card: readonly string[], socket?: string) => Promise<QemuGuest>;

/** A host with its servers; all that was started is ended. */
async function withSite(run: (site: Site, boot: Boot, port: number) => Promise<void>) {
  const site = new Site();
  const guests: QemuGuest[] = [];
  try {
    const { http } = await site.serve();
    const boot: Boot = async (card, socket) => {
      const machine = vhostUserGuest(site.socket, card, [], socket);
      const guest = await startGuest({ ...machine, prefix: site.host.argv([]) });
      guests.push(guest);
      return guest;
    };
    await run(site, boot, http.port);
  } finally {
    for (const guest of guests) await guest.kill();
    await site.remove();
  }
}

describe("attach --vhost-user: a virtio card in QEMU", {
  skip: cannotRun("dnsmasq") || oursOnly() || qemuMissing() || false,
}, () => {
  test("is online, and again when the program is started anew", LIMIT, () =>
    withSite(async (site, boot, port) => {
      const first = await site.attach();
      assert.equal(statSync(site.socket).mode & 0o777, 0o600);
      const guest = await boot(["host_mtu=65520"]);
      await getsAddress(guest, GUEST_MAC, 65520);
      await resolvesNames(guest);
      await pings(guest);
      await transfers(guest, port, 32 * MIB);
      await isReachable(guest, site.host, PUBLISHED.http);
      assert.equal(logged(first, "queue stopped: its driver broke the rules"), 0);
      assert.equal(logged(first, "guest memory may be shrunk, copying it by system calls"), 0);
      const outcome = await first.stop();
      assert.equal(outcome.code, 0, outcome.stderr);
      assert.equal(existsSync(site.socket), false, "the socket is left behind");

      const second = await site.attach();
      await until(() => logged(second, "guest connected") === 1, "QEMU to connect again");
      await pings(guest);
      await transfers(guest, port, 4 * MIB);
      const url = `http://${HOST_ADDRESS}:${PUBLISHED.http}/page`;
      const page = await site.host.run(["curl", "-sS", url]);
      assert.equal(page.stdout, "from the guest\n", page.stderr);
    }),
  );

  test("connects to a QEMU that listens", LIMIT, () =>
    withSite(async (site, boot, port) => {
      const program = await site.attach("--vhost-user-connect", site.socket);
      const guest = await boot(["host_mtu=9000"], "server=on");
      await getsAddress(guest, GUEST_MAC, 9000);
      await transfers(guest, port, 4 * MIB);
      assert.equal(logged(program, "peer unreachable, retrying"), 1);
      assert.equal(logged(program, "guest connected"), 1);
    }),
  );
});
