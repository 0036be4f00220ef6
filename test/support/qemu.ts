/**
 * A real Linux guest under QEMU (TCG, no KVM needed): Debian's kernel, busybox, and a shell on the
 * serial console that the test types into. Boots in a few seconds.
 *
 * Nothing is installed but QEMU: kernel and busybox are fetched as Debian packages and unpacked
 * into `build/qemu`, where they stay for the next run.
 */

import { spawnSync } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { basename, join } from "node:path";
import { type CpioEntry, cpioArchive } from "./cpio.ts";
import { ROOT } from "./e2e/program.ts";
import { onEnd, type Running, start, until, which } from "./e2e/shell.ts";

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

const CARDS: Readonly<Record<CardModel, Card>> = {
  virtio: {
    device: "virtio-net-pci",
    kernel: "linux-image-cloud-amd64",
    modules: VIRTIO_MODULES,
  },
  e1000: { device: "e1000", kernel: "linux-image-amd64", modules: ["e1000"] },
  rtl8139: { device: "rtl8139", kernel: "linux-image-amd64", modules: ["mii", "8139cp"] },
};

/** What a guest boots from. */
interface GuestImage {
  readonly kernel: string;
  readonly initrd: string;
}

export interface GuestOptions {
  readonly model?: CardModel;
  /** What follows `-netdev`, with the id `n`. */
  readonly netdev: string;
  readonly mac?: string;
  /** Further properties of the card: `host_mtu=9000`. */
  readonly properties?: string;
  /** Put before QEMU's command line, as `ip netns exec NAME`. */
  readonly prefix?: readonly string[];
  /** Programs of this machine that the guest gets too, with their libraries, by name. */
  readonly programs?: readonly string[];
}

/** A guest whose shell waits for commands. */
export interface QemuGuest {
  readonly running: Running;
  /** Runs a line of shell; its output, both streams, and its exit code. */
  run(line: string, limit_ms?: number): Promise<{ readonly code: number; readonly output: string }>;
  /** The same, for what has to succeed. */
  must(line: string, limit_ms?: number): Promise<string>;
  /** Pulls the power plug. */
  kill(): Promise<void>;
}

export const GUEST_MAC = "52:54:00:12:34:56";
const CACHE = join(ROOT, "build/qemu");
const BOOT_LIMIT_MS = 180_000;
const COMMAND_LIMIT_MS = 300_000;
const RUN_LIMIT_MS = 60_000;
const MEMORY_MIB = 320;
/** On a busy machine the kernel would find its timer missing ticks and give up. */
const KERNEL_ARGUMENTS =
  "console=ttyS0 quiet loglevel=1 panic=-1 mitigations=off no_timer_check tsc=nowatchdog";
const LIBRARY_FOLDERS = ["lib", "lib64", "lib/x86_64-linux-gnu"];

/** Why there can be no such guest here, or undefined when there can. */
export function qemuMissing(): string | undefined {
  if (process.arch !== "x64") return "the guest's kernel is for x86_64";
  if (which("qemu-system-x86_64") === undefined) {
    return "needs qemu-system-x86_64 (Debian package qemu-system-x86)";
  }
  if (which("apt-get") === undefined || which("dpkg-deb") === undefined) {
    return "needs apt-get and dpkg-deb to fetch the guest's kernel";
  }
  return undefined;
}

/** Unpacks the Debian package `name`, or the one it depends on first; returns its folder. */
function unpackedPackage(name: string, viaDependency: boolean): string {
  const folder = join(CACHE, name);
  if (existsSync(folder)) return folder;
  mkdirSync(CACHE, { recursive: true });
  const work = mkdtempSync(join(CACHE, "fetch-"));
  const forget = onEnd(() => rmSync(work, { recursive: true, force: true }));
  try {
    const wanted = viaDependency ? firstDependency(name) : name;
    command(["apt-get", "-q", "download", wanted], work);
    const file = readdirSync(work).find((entry) => entry.endsWith(".deb"));
    if (file === undefined) throw new Error(`apt-get brought no file for "${wanted}"`);
    command(["dpkg-deb", "-x", join(work, file), join(work, "root")], work);
    // Another run may have been faster.
    if (!existsSync(folder)) renameSync(join(work, "root"), folder);
  } finally {
    rmSync(work, { recursive: true, force: true });
    forget();
  }
  return folder;
}

/** Runs a command of the set-up; its output. Throws with what it said when it fails. */
function command([file = "", ...args]: readonly string[], folder = CACHE): string {
  const options = { cwd: folder, encoding: "utf8", timeout: COMMAND_LIMIT_MS } as const;
  const { status, stdout, stderr, error } = spawnSync(file, args, options);
  if (status === 0) return stdout;
  throw new Error(`"${[file, ...args].join(" ")}" gave ${status}: ${error?.message ?? stderr}`);
}

function firstDependency(name: string): string {
  const listing = command(["apt-cache", "depends", "--important", name]);
  const found = /Depends: (linux-image-\S+)/.exec(listing)?.[1];
  if (found === undefined) throw new Error(`Package "${name}" names no kernel: ${listing}`);
  return found;
}

function filesBelow(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
}

/** Kernel and initial root file system for a card; fetched and built when they are not there. */
function guestImage(model: CardModel, programs: readonly string[] = []): GuestImage {
  const card = CARDS[model];
  const root = unpackedPackage(card.kernel, true);
  const boot = join(root, "boot");
  const kernel = readdirSync(boot).find((name) => name.startsWith("vmlinuz"));
  if (kernel === undefined) throw new Error(`No kernel in "${boot}"`);
  const entries = rootEntries(card, filesBelow(join(root, "lib")), programs);
  const folder = mkdtempSync(join(CACHE, "image-"));
  const draft = join(folder, "initrd");
  const initrd = join(
    CACHE,
    [`initrd-${model}`, ...programs.map((path) => basename(path))].join("-"),
  );
  writeFileSync(draft, cpioArchive(entries));
  renameSync(draft, initrd); // whole at once, as a run beside this one may read it
  rmSync(folder, { recursive: true });
  return { kernel: join(boot, kernel), initrd };
}

function rootEntries(
  card: Card,
  modules: readonly string[],
  programs: readonly string[],
): CpioEntry[] {
  const busybox = join(unpackedPackage("busybox-static", false), "bin/busybox");
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
const DHCP_SCRIPT = `#!/bin/sh
[ "$1" = bound ] || [ "$1" = renew ] || exit 0
ip addr flush dev "$interface"
ip addr add "$ip/$mask" dev "$interface"
[ -z "$mtu" ] || ip link set dev "$interface" mtu "$mtu"
ip route replace default via "$router"
: >/etc/resolv.conf
for server in $dns; do echo "nameserver $server" >>/etc/resolv.conf; done
`;

/** The guest gets its lease; what it printed. */
export const DHCP_COMMAND = "udhcpc -f -q -n -t 10 -T 1 -i eth0 -O mtu -s /etc/udhcpc";

/** Starts a guest and waits for its shell. */
export async function startGuest(options: GuestOptions): Promise<QemuGuest> {
  const model = options.model ?? "virtio";
  const image = guestImage(model, options.programs);
  const properties = options.properties === undefined ? "" : `,${options.properties}`;
  const device = `${CARDS[model].device},netdev=n,romfile=,mac=${options.mac ?? GUEST_MAC}`;
  const running = start([
    ...(options.prefix ?? []),
    ...["qemu-system-x86_64", "-nodefaults", "-no-user-config", "-no-reboot"],
    ...["-display", "none", "-accel", "tcg", "-m", String(MEMORY_MIB), "-serial", "stdio"],
    ...["-kernel", image.kernel, "-initrd", image.initrd],
    ...["-append", KERNEL_ARGUMENTS],
    ...["-netdev", options.netdev, "-device", `${device}${properties}`],
  ]);
  const shell = new GuestShell(running);
  try {
    await shell.answer(BOOT_LIMIT_MS);
  } catch (error) {
    running.signal("SIGKILL");
    throw error;
  }
  return shell;
}

/** Answers are told apart by counting them: the output of the console is kept whole. */
class GuestShell implements QemuGuest {
  readonly running: Running;
  #seen = 0;

  constructor(running: Running) {
    this.running = running;
  }

  /** What was printed up to the next answer, and the answer. */
  async answer(limit_ms: number): Promise<{ code: string; output: string }> {
    const { running } = this;
    const rest = (): string => running.stdout().slice(this.#seen);
    const match = await until(
      () => /@@ (\w+)\r?\n/.exec(rest()) ?? (running.ended() ? "ended" : undefined),
      () => `an answer of the guest; it said: ${rest()}`,
      limit_ms,
    );
    if (match === "ended") throw new Error(`QEMU has ended: ${rest()}${running.stderr()}`);
    const output = rest().slice(0, match.index);
    this.#seen += match.index + match[0].length;
    return { code: match[1] ?? "", output };
  }

  async run(line: string, limit_ms = RUN_LIMIT_MS): Promise<{ code: number; output: string }> {
    this.running.write(`${line}\n`);
    const { code, output } = await this.answer(limit_ms);
    return { code: Number(code), output: output.replaceAll("\r", "") };
  }

  async must(line: string, limit_ms?: number): Promise<string> {
    const { code, output } = await this.run(line, limit_ms);
    if (code !== 0) throw new Error(`The guest's "${line}" gave ${code}: ${output}`);
    return output;
  }

  async kill(): Promise<void> {
    this.running.signal("SIGKILL");
    await this.running.outcome();
  }
}
