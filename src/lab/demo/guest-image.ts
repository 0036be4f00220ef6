/**
 * What a Linux guest under QEMU boots from: Debian's kernel, and an initial root file system of
 * busybox with a shell on the serial console, which tells after each line how it went.
 *
 * Kernel and busybox are fetched as Debian packages and unpacked into a folder, where they stay for
 * the next time; nothing is installed, and no privilege is needed.
 */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { basename, join, resolve } from "node:path";
import { type CpioEntry, cpioArchive } from "./cpio.ts";
import { unpackedPackage } from "./debian-package.ts";

/** Network cards that QEMU emulates and the guest has drivers for. */
export type CardModel = "virtio" | "e1000" | "rtl8139";

interface Card {
  readonly device: string;
  /** Debian package that depends on the kernel. The small cloud kernel knows virtio only. */
  readonly kernel: string;
  /** Drivers in the order of their dependencies. */
  readonly modules: readonly string[];
}

const VIRTIO_MODULES = [
  ...["failover", "net_failover", "virtio_ring", "virtio"],
  ...["virtio_pci_legacy_dev", "virtio_pci_modern_dev", "virtio_pci", "virtio_net"],
];

export const CARDS: Readonly<Record<CardModel, Card>> = {
  virtio: {
    device: "virtio-net-pci",
    kernel: "linux-image-cloud-amd64",
    modules: VIRTIO_MODULES,
  },
  e1000: { device: "e1000", kernel: "linux-image-amd64", modules: ["e1000"] },
  rtl8139: { device: "rtl8139", kernel: "linux-image-amd64", modules: ["mii", "8139cp"] },
};

/** What a guest boots from. */
export interface GuestImage {
  readonly kernel: string;
  readonly initrd: string;
}

/** On a busy machine the kernel would find its timer missing ticks and give up. */
export const KERNEL_ARGUMENTS =
  "console=ttyS0 quiet loglevel=1 panic=-1 mitigations=off no_timer_check tsc=nowatchdog";
const LIBRARY_FOLDERS = ["lib", "lib64", "lib/x86_64-linux-gnu"];

/** Path of a program of a Debian package, which is fetched if it is not there. */
export function packagedProgram(cache: string, name: string, path: string): string {
  return join(unpackedPackage(resolve(cache), name), path);
}

function filesBelow(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
}

/** Kernel and initial root file system for a card. */
export function guestImage(
  cache: string,
  model: CardModel,
  programs: readonly string[],
): GuestImage {
  const card = CARDS[model];
  const root = unpackedPackage(cache, card.kernel, { viaDependency: true });
  const boot = join(root, "boot");
  const kernel = readdirSync(boot).find((name) => name.startsWith("vmlinuz"));
  if (kernel === undefined) throw new Error(`No kernel in "${boot}"`);
  const entries = rootEntries(cache, card, filesBelow(join(root, "lib")), programs);
  const folder = mkdtempSync(join(cache, "image-"));
  const draft = join(folder, "initrd");
  const names = programs.map((path) => basename(path));
  const initrd = join(cache, [`initrd-${model}`, ...names].join("-"));
  writeFileSync(draft, cpioArchive(entries));
  renameSync(draft, initrd); // whole at once, as a run beside this one may read it
  rmSync(folder, { recursive: true });
  return { kernel: join(boot, kernel), initrd };
}

function rootEntries(
  cache: string,
  card: Card,
  modules: readonly string[],
  programs: readonly string[],
): CpioEntry[] {
  const busybox = join(unpackedPackage(cache, "busybox-static"), "bin/busybox");
  const folders = ["bin", "dev", "etc", "proc", "sys", "tmp", "modules", ...LIBRARY_FOLDERS];
  const drivers = card.modules.map((name) => {
    const file = modules.find((path) => basename(path) === `${name}.ko`);
    if (file === undefined) throw new Error(`Driver "${name}" is not in "${card.kernel}"`);
    return { kind: "file", path: `modules/${name}.ko`, content: readFileSync(file) } as const;
  });
  return [
    ...folders.map((path) => ({ kind: "folder", path }) as const),
    { kind: "device", path: "dev/console", major: 5, minor: 1 },
    { kind: "file", path: "bin/busybox", content: readFileSync(busybox), executable: true },
    { kind: "file", path: "init", content: initScript(card.modules), executable: true },
    { kind: "file", path: "etc/udhcpc", content: DHCP_SCRIPT, executable: true },
    ...drivers,
    ...programs.flatMap(programEntries),
  ];
}

/** A program with the libraries that the loader would give it here. */
function programEntries(path: string): CpioEntry[] {
  const { stdout } = spawnSync("ldd", [path], { encoding: "utf8" });
  const libraries = stdout.match(/\/\S+\.so\S*/g) ?? []; // none where it is static
  return [path, ...new Set(libraries)].map((file) => {
    const place = file === path ? `bin/${basename(path)}` : libraryPlace(file);
    return { kind: "file", path: place, content: readFileSync(file), executable: true };
  });
}

/** Where the loader looks by itself; the loader has a place of its own. */
function libraryPlace(file: string): string {
  const folder = basename(file).startsWith("ld-linux") ? "lib64" : "lib/x86_64-linux-gnu";
  return `${folder}/${basename(file)}`;
}

/** A line read from the console is run, then told of: "@@ CODE". */
function initScript(modules: readonly string[]): string {
  return `#!/bin/busybox sh
/bin/busybox --install -s /bin
export PATH=/bin HOME=/tmp
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
mount -t tmpfs -o size=75% tmp /tmp
${modules.map((name) => `insmod /modules/${name}.ko`).join("\n")}
ip link set lo up
ip link set eth0 up
stty -echo -onlcr
cd /tmp
echo "@@ ready"
while read -r line; do
  eval "{ $line
}" </dev/null 2>&1
  echo "@@ $?"
done
poweroff -f
`;
}

/** For busybox' DHCP client: applies the lease, MTU too where the card can do it. */
export const DHCP_SCRIPT = `#!/bin/sh
[ "$1" = bound ] || [ "$1" = renew ] || exit 0
ip -4 addr flush dev "$interface"
ip addr add "$ip/$mask" dev "$interface"
[ -z "$mtu" ] || ip link set dev "$interface" mtu "$mtu"
ip route replace default via "$router"
: >/etc/resolv.conf
for server in $dns; do echo "nameserver $server" >>/etc/resolv.conf; done
`;

/** The guest gets its lease; what it printed. */
export const DHCP_COMMAND = "udhcpc -f -q -n -t 10 -T 1 -i eth0 -O mtu -s /etc/udhcpc";

/** What the console has said since the last answer, if it ends with one; see `initScript`. */
export function readAnswer(
  text: string,
): { readonly code: string; readonly output: string; readonly size: number } | undefined {
  const match = /@@ (\w+)\r?\n/.exec(text);
  if (match === null) return undefined;
  const output = text.slice(0, match.index).replaceAll("\r", "");
  return { code: match[1] ?? "", output, size: match.index + match[0].length };
}
