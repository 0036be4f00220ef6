/**
 * libvirt's `<interface type='vhostuser'>` with `attach --vhost-user` at the other end: a machine
 * is started, the cable pulled, its card unplugged and plugged in again, the machine destroyed and
 * started anew, and it is online each time, by one and the same `attach`.
 *
 * Method: libvirt, QEMU and the program are a user without privileges, the same one. The card has
 * no MSI-X, which QEMU 7.2 does not survive where it emulates the processor (docs/vhost-user.md).
 */
import assert from "node:assert/strict";
import { copyFileSync } from "node:fs";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { logged, PUBLISHED, Site } from "../guests/site.ts";
import { openConsole } from "../support/e2e/console.ts";
import {
  getsAddress,
  isReachable,
  pings,
  resolvesNames,
  transfers,
} from "../support/e2e/machine.ts";
import type { Attached } from "../support/e2e/program.ts";
import { cannotRun, oursOnly } from "../support/e2e/setup.ts";
import { endAll, until } from "../support/e2e/shell.ts";
import { type Libvirt, libvirtUser, noLibvirt, startLibvirt } from "../support/libvirt.ts";
import {
  BOOT_LIMIT_MS,
  CACHE,
  GuestShell,
  guestImage,
  KERNEL_ARGUMENTS,
  qemuMissing,
} from "../support/qemu.ts";

const LIMIT = { timeout: 300_000 };
const NAME = "vhost-user";
const MAC = "52:54:00:65:43:21";
const MTU = 9000;
const MIB = 1 << 20;

function cardOf(socket: string): string {
  return `<interface type='vhostuser'>
  <mac address='${MAC}'/>
  <source type='unix' path='${socket}' mode='client'><reconnect enabled='yes' timeout='1'/></source>
  <model type='virtio'/>
</interface>`;
}

function domainOf(libvirt: Libvirt, card: string, console: string): string {
  const image = guestImage(CACHE, "virtio", []);
  const [kernel, initrd] = [join(libvirt.folder, "kernel"), join(libvirt.folder, "initrd")];
  copyFileSync(image.kernel, kernel); // where libvirt's user may read
  copyFileSync(image.initrd, initrd);
  return `<domain type='qemu' xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'>
  <name>${NAME}</name>
  <memory unit='MiB'>320</memory>
  <memoryBacking><source type='memfd'/><access mode='shared'/></memoryBacking>
  <vcpu>1</vcpu>
  <os>
    <type arch='x86_64' machine='q35'>hvm</type>
    <kernel>${kernel}</kernel>
    <initrd>${initrd}</initrd>
    <cmdline>${KERNEL_ARGUMENTS}</cmdline>
  </os>
  <features><acpi/></features>
  <devices>
    <controller type='usb' model='none'/>
    ${card}
    <serial type='unix'><source mode='bind' path='${console}'/><target port='0'/></serial>
    <memballoon model='none'/>
  </devices>
  <qemu:commandline>
    <qemu:arg value='-global'/>
    <qemu:arg value='virtio-net-pci.vectors=0'/>
  </qemu:commandline>
</domain>`;
}

async function boot(libvirt: Libvirt, console: string): Promise<GuestShell> {
  await libvirt.startDefined(NAME);
  const shell = new GuestShell(await openConsole(console));
  libvirt.resume(NAME);
  await shell.answer(BOOT_LIMIT_MS);
  return shell;
}

async function isOnline(guest: GuestShell, site: Site, port: number): Promise<void> {
  await getsAddress(guest, MAC, MTU);
  await resolvesNames(guest);
  await pings(guest);
  await transfers(guest, port, 4 * MIB);
  await isReachable(guest, site.host, PUBLISHED.http);
}

/** By QEMU's monitor: libvirt 9.0 does not pull the cable of such an interface. */
async function cablePulled(libvirt: Libvirt, guest: GuestShell): Promise<void> {
  for (const [state, carrier] of [
    ["off", "0"],
    ["on", "1"],
  ] as const) {
    libvirt.monitor(NAME, `set_link net0 ${state}`);
    const seen = `[ "$(cat /sys/class/net/eth0/carrier)" = ${carrier} ]`;
    await guest.must(`until ${seen}; do usleep 20000; done`);
  }
  await pings(guest);
}

/** The card is taken out of the running machine, and another one put in. */
async function replugged(
  libvirt: Libvirt,
  guest: GuestShell,
  card: string,
  program: Attached,
): Promise<void> {
  const before = logged(program, "guest connected");
  libvirt.unplug(NAME, card);
  await until(() => !libvirt.dumpLive(NAME).includes("<interface"), "the card to be let go");
  await until(
    () => logged(program, "guest disconnected") === before,
    () => `the card's end: ${program.running.stderr()}`,
  );
  await guest.must("until ! [ -e /sys/class/net/eth0 ]; do usleep 20000; done");
  await libvirt.plug(NAME, card);
  await guest.must("until [ -e /sys/class/net/eth0 ]; do usleep 20000; done");
  await guest.must("killall httpd; ip link set eth0 up");
  assert.equal(logged(program, "guest connected"), before + 1);
}

describe("libvirt: an interface of type vhostuser", {
  skip: cannotRun("dnsmasq", "setpriv") || oursOnly() || noLibvirt() || qemuMissing() || false,
}, () => {
  after(endAll);

  test("is online through all that libvirt can do to it", LIMIT, async () => {
    const [user, group] = libvirtUser();
    const site = new Site(["setpriv", `--reuid=${user}`, `--regid=${group}`, "--clear-groups"]);
    try {
      const { http } = await site.serve();
      const program = await site.attach("--mtu", String(MTU));
      const libvirt = await startLibvirt(site.host.argv([]));
      try {
        const console = join(libvirt.folder, "run", "serial");
        const card = cardOf(site.socket);
        libvirt.define(domainOf(libvirt, card, console));
        const guest = await boot(libvirt, console);
        await isOnline(guest, site, http.port);
        await cablePulled(libvirt, guest);
        await replugged(libvirt, guest, card, program);
        await isOnline(guest, site, http.port);
        libvirt.end(NAME);
        await isOnline(await boot(libvirt, console), site, http.port);
        libvirt.end(NAME);
        assert.equal(logged(program, "guest connected"), 3);
        assert.equal(logged(program, "queue stopped: its driver broke the rules"), 0);
      } finally {
        await libvirt.close();
      }
    } finally {
      await site.remove();
    }
  });
});
