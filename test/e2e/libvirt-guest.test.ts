/**
 * The main job with real parts: what virt-launcher hands over goes to the sidecar over gRPC,
 * libvirt defines and starts the domain that comes back, a Linux machine boots in it and is online;
 * the machine is destroyed, and the sidecar ends: Shutdown is called, or, with vhost-user, SIGTERM
 * has come while the machine ran.
 *
 * Method: sidecar, libvirt and QEMU share a namespace as the containers of a pod do, and a user
 * without privileges. Changed of the domain is only what a plain machine needs: no KVM, no disks
 * (a kernel and its initrd instead), the hooks folder where it is here. The steps of the launcher
 * are KubeVirt 1.8's: three calls of OnDefineDomain, each followed by a definition.
 */
import assert from "node:assert/strict";
import { copyFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { after, describe, test } from "node:test";
import { openConsole } from "../support/e2e/console.ts";
import {
  getsAddress,
  isReachable,
  pings,
  resolvesNames,
  transfers,
} from "../support/e2e/machine.ts";
import { httpServer } from "../support/e2e/peers.ts";
import { cannotRun, startDns } from "../support/e2e/setup.ts";
import { endAll } from "../support/e2e/shell.ts";
import { HOST_ADDRESS } from "../support/e2e/world.ts";
import { domainsOf } from "../support/hook-fixtures.ts";
import {
  bootable,
  definable,
  type Libvirt,
  libvirtUser,
  noLibvirt,
  startLibvirt,
} from "../support/libvirt.ts";
import { type Machine, type Pod, withPod } from "../support/pod.ts";
import {
  BOOT_LIMIT_MS,
  CACHE,
  type CardModel,
  GuestShell,
  guestImage,
  KERNEL_ARGUMENTS,
  qemuMissing,
} from "../support/qemu.ts";

const LIMIT = { timeout: 600_000 };
const NAME = "default_vm-net-binding-slirp";
const MAC = "02:00:00:12:34:56";
const PORT = 80;
const MIB = 1 << 20;
/** What KubeVirt gives a sidecar where it gives a limit at all. */
const MEMORY_LIMIT_MIB = 64;
const HOOKS_FOLDER = "/var/run/kubevirt-hooks/hook-sidecar-0";

type Link = "client" | "stream" | "user" | "vhost-user";

/** Without MSI-X: QEMU 7.2, where it emulates the processor, dies of it with vhost-user. */
const NO_VECTORS =
  '<qemu:commandline><qemu:arg value="-global"/>' +
  '<qemu:arg value="virtio-net-pci-non-transitional.vectors=0"/></qemu:commandline>';

const MACHINES: readonly (readonly [Link, CardModel])[] = [
  ["vhost-user", "virtio"],
  ["client", "virtio"],
  ["client", "e1000"],
  ["client", "rtl8139"],
  ["stream", "virtio"],
  ["user", "virtio"],
];

/** Boots what is defined and waits for its shell. */
async function boot(libvirt: Libvirt, console: string): Promise<GuestShell> {
  await libvirt.startDefined(NAME);
  const shell = new GuestShell(await openConsole(console));
  libvirt.resume(NAME);
  await shell.answer(BOOT_LIMIT_MS);
  return shell;
}

/** The domain as it is here: booted from our kernel, with the pod's folder where it really is. */
function localizer(
  libvirt: Libvirt,
  pod: Pod,
  link: Link,
  model: CardModel,
): { readonly console: string; readonly local: (xml: string) => string } {
  const image = guestImage(CACHE, model, []);
  const [kernel, initrd] = [join(libvirt.folder, "kernel"), join(libvirt.folder, "initrd")];
  copyFileSync(image.kernel, kernel); // where libvirt's user may read
  copyFileSync(image.initrd, initrd);
  const console = join(libvirt.folder, "run", "serial");
  return {
    console,
    local: (xml) =>
      bootable(xml, { kernel, initrd, arguments: KERNEL_ARGUMENTS, console })
        .replaceAll(HOOKS_FOLDER, pod.folder)
        .replace("</domain>", `${link === "vhost-user" ? NO_VECTORS : ""}</domain>`),
  };
}

/** Links that libvirt has an element for: its type, and what its source says. */
const ELEMENTS: Readonly<Partial<Record<Link, readonly [type: string, source: string]>>> = {
  client: ["client", "address='127.0.0.1' port='28500'"],
  "vhost-user": ["vhostuser", "userdata/vhost-user-0.sock' mode='client'"],
};

function checkDump(libvirt: Libvirt, link: Link): void {
  const dump = libvirt.dumpLive(NAME);
  const element = ELEMENTS[link];
  if (element !== undefined) {
    const [type, source] = element;
    const [card = ""] =
      dump.match(new RegExp(`<interface type='${type}'>[\\s\\S]*?</interface>`)) ?? [];
    assert.ok(card.includes(`<mac address='${MAC}'/>`), dump);
    assert.ok(card.includes("<alias name='ua-slirpnet'/>"), dump);
    assert.ok(card.includes(source), dump);
  } else {
    // libvirt does not know the card; its arguments are all there is.
    assert.doesNotMatch(dump, /<interface/);
    assert.match(dump, new RegExp(`<qemu:arg value='${link},id=slirp-slirpnet,`));
    assert.ok(dump.replaceAll("&quot;", '"').includes(`"mac":"${MAC}"`), dump);
  }
}

/**
 * The memory of the sidecar: now, at most, and what of it the kernel cannot take back. The rest are
 * clean pages of the program file, as many as nobody else wants, so only the last has a limit.
 */
function checkMemory(pod: Pod, what: string): void {
  const mib = (name: string): number => Math.round(pod.status(name) / 102.4) / 10;
  const [now, most, own] = [mib("VmRSS"), mib("VmHWM"), mib("RssAnon")];
  process.stdout.write(`${what}: sidecar ${now} MiB, at most ${most}, of its own ${own}\n`);
  assert.ok(own < MEMORY_LIMIT_MIB, `${own} MiB`);
}

/** `state: down` of a running machine, and up again; libvirt has to know the card. */
async function cablePulled(libvirt: Libvirt, guest: GuestShell): Promise<void> {
  for (const [state, carrier] of [
    ["down", "0"],
    ["up", "1"],
  ] as const) {
    libvirt.setLink(NAME, MAC, state);
    await guest.must(`until [ "$(cat /sys/class/net/eth0/carrier)" = ${carrier} ]; do :; done`);
  }
  await pings(guest);
}

/** The pod is deleted: all its containers hear so, and the machine has minutes to power off. */
async function isServedOn(pod: Pod, guest: GuestShell, port: number): Promise<void> {
  pod.serve.running.signal("SIGTERM");
  await pod.logged("SIGTERM received");
  await transfers(guest, port, MIB);
}

/** From virt-launcher's first call to the end of the pod. */
async function live(pod: Pod, libvirt: Libvirt, link: Link, model: CardModel): Promise<void> {
  const card = { model, macAddress: MAC, ports: [{ name: "http", port: PORT }] };
  const asked: Machine = { link, interfaces: [card] };
  const { local, console } = localizer(libvirt, pod, link, model);
  let defined = "";
  for (const domain of domainsOf("a-user-guide")) {
    defined = local(await pod.define(asked, domain));
    libvirt.define(definable(defined));
  }
  const guest = await boot(libvirt, console);
  const web = await httpServer(pod.host, HOST_ADDRESS);
  await getsAddress(guest, MAC, model === "virtio" && link !== "user" ? 65520 : 1500);
  await resolvesNames(guest);
  await pings(guest);
  await transfers(guest, web.port, 4 * MIB);
  checkDump(libvirt, link);
  // A change of the running machine makes virt-launcher ask and define once more.
  const [, , third = ""] = domainsOf("a-user-guide");
  libvirt.define(definable(local(await pod.define(asked, third))));
  await transfers(guest, web.port, MIB);
  await isReachable(guest, pod.host, PORT);
  if (link === "client") await cablePulled(libvirt, guest); // libvirt 9.0 cannot with vhost-user
  assert.equal(pod.count("guest connected"), link === "user" ? 0 : 1, pod.log());
  checkMemory(pod, `${link}, ${model}`);
  const isDeleted = link === "vhost-user";
  if (isDeleted) await isServedOn(pod, guest, web.port);
  libvirt.end(NAME);
  libvirt.undefine(NAME);
  if (link !== "user") await pod.logged("guest disconnected");
  if (!isDeleted) await pod.shutdown();
  await pod.ended();
  assert.doesNotMatch(pod.log(), /^(?:warn|error)/m);
}

describe("a machine that libvirt starts from our answer", {
  skip: cannotRun("dnsmasq", "setpriv") || noLibvirt() || qemuMissing() || false,
}, () => {
  after(endAll);

  for (const [link, model] of MACHINES) {
    test(`is online: link ${link}, model ${model}`, LIMIT, () => {
      const [user] = libvirtUser();
      return withPod({ user }, async (pod) => {
        await startDns(pod.host, "127.0.0.1", "203.0.113.1");
        const libvirt = await startLibvirt(pod.host.argv([]));
        try {
          await live(pod, libvirt, link, model);
        } finally {
          await libvirt.close();
        }
      });
    });
  }
});
