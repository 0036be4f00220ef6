/**
 * What the guest in the page boots from: Debian's i386 kernel, an initial root file system of
 * busybox, and SeaBIOS. All of it comes out of Debian packages, unpacked into a folder; see
 * `src/lab/demo/debian-package.ts`.
 *
 * An emulated 32-bit processor spends seconds on what a real one does unseen, so the kernel is told
 * to leave out its self-tests and the certificates of modules, and modules come without signatures.
 */
import { mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import process from "node:process";
import { type CpioEntry, cpioArchive } from "../../src/lab/demo/cpio.ts";
import { unpackedPackage } from "../../src/lab/demo/debian-package.ts";
import { DHCP_SCRIPT } from "../../src/lab/demo/guest-image.ts";
import { SERVICE_PORT } from "./addresses.ts";

/** Drivers in the order of their dependencies. */
const MODULES = [
  ...["failover", "net_failover", "virtio", "virtio_ring"],
  ...["virtio_pci_legacy_dev", "virtio_pci_modern_dev", "virtio_pci", "virtio_net"],
];

const SIGNATURE_MARK = "~Module signature appended~\n";
/** `struct module_signature` of the kernel's include/linux/module_signature.h. */
const SIGNATURE_HEAD_SIZE = 12;

/** Paths of the files that the page loads. */
export interface GuestFiles {
  readonly kernel: string;
  readonly initrd: string;
  readonly bios: string;
  readonly vgaBios: string;
}

/** Fetches and makes what is missing in the folder. */
export function guestFiles(folder: string): GuestFiles {
  const cache = join(folder, "packages");
  const architecture = "i386";
  const system = unpackedPackage(cache, "linux-image-686", { viaDependency: true, architecture });
  const busybox = unpackedPackage(cache, "busybox-static", { architecture });
  const firmware = unpackedPackage(cache, "seabios");
  const boot = join(system, "boot");
  const kernel = readdirSync(boot).find((name) => name.startsWith("vmlinuz"));
  if (kernel === undefined) throw new Error(`No kernel in "${boot}"`);
  const initrd = join(folder, "initrd");
  mkdirSync(folder, { recursive: true });
  const draft = `${initrd}-${process.pid}`;
  writeFileSync(draft, cpioArchive(rootEntries(join(busybox, "bin/busybox"), join(system, "lib"))));
  renameSync(draft, initrd); // whole at once, as a run beside this one may read it
  const bios = join(firmware, "usr/share/seabios");
  return {
    kernel: join(boot, kernel),
    initrd,
    bios: join(bios, "bios.bin"),
    vgaBios: join(bios, "vgabios-stdvga.bin"),
  };
}

function rootEntries(busybox: string, modules: string): CpioEntry[] {
  const files = readdirSync(modules, { recursive: true, encoding: "utf8" });
  const drivers = MODULES.map((name) => {
    const file = files.find((path) => basename(path) === `${name}.ko`);
    if (file === undefined) throw new Error(`Driver "${name}" is not in the kernel's package`);
    const content = withoutSignature(readFileSync(join(modules, file)));
    return { kind: "file", path: `modules/${name}.ko`, content } as const;
  });
  const folders = ["bin", "dev", "etc", "proc", "sys", "tmp", "modules", "www", "www/cgi-bin"];
  return [
    ...folders.map((path) => ({ kind: "folder", path }) as const),
    { kind: "device", path: "dev/console", major: 5, minor: 1 },
    { kind: "file", path: "bin/busybox", content: readFileSync(busybox), executable: true },
    { kind: "file", path: "init", content: INIT, executable: true },
    { kind: "file", path: "etc/profile", content: PROFILE },
    { kind: "file", path: "etc/desk", content: DESK },
    { kind: "file", path: "etc/udhcpc", content: DHCP_SCRIPT, executable: true },
    { kind: "file", path: "www/index.html", content: "<h1>A page of the guest</h1>\n" },
    { kind: "file", path: "www/cgi-bin/facts", content: FACTS, executable: true },
    ...drivers,
  ];
}

/** A module as the kernel's build made it before it was signed. */
export function withoutSignature(module: Buffer): Buffer {
  const body = module.length - SIGNATURE_MARK.length;
  if (module.toString("latin1", Math.max(0, body)) !== SIGNATURE_MARK) return module;
  const size = module.readUInt32BE(body - 4);
  return module.subarray(0, body - SIGNATURE_HEAD_SIZE - size);
}

/** The shell has a terminal of its own, so that Control-C reaches what runs in it. */
const INIT = `#!/bin/busybox sh
/bin/busybox --install -s /bin
export PATH=/bin HOME=/tmp TERM=xterm ENV=/etc/profile
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
mkdir -p /dev/pts
mount -t devpts devpts /dev/pts
mount -t tmpfs -o size=75% tmp /tmp
${MODULES.map((name) => `insmod /modules/${name}.ko`).join("\n")}
hostname guest
ip link set lo up
ip link set eth0 up
cd /tmp
httpd -p ${SERVICE_PORT} -h /www
udhcpc -q -n -t 10 -T 1 -i eth0 -O mtu -s /etc/udhcpc
echo "The guest is up."
sh /etc/desk </dev/ttyS1 >/dev/ttyS1 2>&1 &
while :; do setsid cttyhack sh; done
`;

/**
 * On the second serial port the page asks for things: each line is run, and its output followed by
 * a line "@@ CODE". The terminal is left to whoever types there.
 */
const DESK = `stty -echo -icrnl -onlcr
echo "@@ 0"
while read -r line; do
  eval "{ $line
}" </dev/null 2>&1
  echo "@@ $?"
done
`;

const PROFILE = "PS1='guest:\\w# '\n";

/** What the guest's server tells of its machine. */
const FACTS = `#!/bin/sh
printf 'Content-Type: text/plain\\r\\n\\r\\n'
uname -snrm
echo "up $(cut -d' ' -f1 /proc/uptime) s"
ip -4 addr show dev eth0 | grep inet
`;
