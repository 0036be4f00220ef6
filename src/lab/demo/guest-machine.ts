/** The command that runs a guest image in QEMU. */

import { resolve } from "node:path";
import { CARDS, type CardModel, guestImage, KERNEL_ARGUMENTS } from "./guest-image.ts";

export interface GuestMachine {
  /** Folder where what is fetched and built is kept. */
  readonly cache: string;
  readonly model?: CardModel;
  /** What follows `-netdev`, with the id `n`. */
  readonly netdev: string;
  readonly mac: string;
  /** Further properties of the card: `host_mtu=9000`. */
  readonly properties?: string;
  /** Programs of this machine that the guest gets too, with their libraries, by name. */
  readonly programs?: readonly string[];
  /** Further arguments of QEMU. */
  readonly args?: readonly string[];
}

const QEMU = "qemu-system-x86_64";
const MEMORY_MIB = 320;

/** Why there can be no such guest, or undefined when there can. */
export function guestMissing(has: (program: string) => boolean): string | undefined {
  if (process.arch !== "x64") return "the guest's kernel is for x86_64";
  if (!has(QEMU)) return `needs ${QEMU} (Debian package qemu-system-x86)`;
  if (!has("apt-get") || !has("dpkg-deb")) {
    return "needs apt-get and dpkg-deb to fetch the guest's kernel";
  }
  return undefined;
}

/** QEMU's command line for a guest; what it boots from is fetched and built if it is not there. */
export function qemuCommand(machine: GuestMachine): string[] {
  const { model = "virtio", netdev, mac, properties, programs = [], args = [] } = machine;
  const image = guestImage(resolve(machine.cache), model, programs);
  const more = properties === undefined ? "" : `,${properties}`;
  return [
    ...[QEMU, "-nodefaults", "-no-user-config", "-no-reboot"],
    ...["-display", "none", "-accel", "tcg", "-m", String(MEMORY_MIB), "-serial", "stdio"],
    ...["-kernel", image.kernel, "-initrd", image.initrd],
    ...["-append", KERNEL_ARGUMENTS],
    ...["-netdev", netdev],
    ...["-device", `${CARDS[model].device},netdev=n,romfile=,mac=${mac}${more}`],
    ...args,
  ];
}
