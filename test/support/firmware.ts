/**
 * Machines with nothing but firmware under QEMU (TCG), and small things for them to boot.
 *
 * What is here of formats: a program of UEFI, with one section and no relocations (Microsoft PE
 * Format; UEFI 2.10 §2.1.1), and a script of U-Boot in its legacy image (include/image.h).
 */
import { copyFileSync, existsSync } from "node:fs";
import { join } from "node:path";
import { type Running, start } from "./e2e/shell.ts";
import { concat, u32 } from "./packet.ts";
import { vhostUserGuest } from "./qemu.ts";

const OVMF_CODE = "/usr/share/OVMF/OVMF_CODE_4M.fd";
const OVMF_VARS = "/usr/share/OVMF/OVMF_VARS_4M.fd";
const UBOOT = "/usr/lib/u-boot/qemu-x86/u-boot.rom";
/** For BIOS and UEFI; QEMU takes it by itself. */
const IPXE = "/usr/lib/ipxe/qemu/efi-virtio.rom";

export type Firmware = "ipxe" | "ovmf" | "u-boot";

/** What a firmware needs: a file and the Debian package that brings it. */
const NEEDS: Readonly<Record<Firmware, readonly [string, string]>> = {
  ipxe: [IPXE, "ipxe-qemu"],
  ovmf: [OVMF_CODE, "ovmf"],
  "u-boot": [UBOOT, "u-boot-qemu"],
};

/** Why this firmware cannot run here, or false. */
export function firmwareMissing(firmware: Firmware): string | false {
  const [file, name] = NEEDS[firmware];
  return existsSync(file) ? false : `needs ${name} (Debian package)`;
}

/**
 * Starts a machine that boots from the network behind a unix socket, which is one of frames or, for
 * a virtio card, one of vhost-user.
 */
export function startFirmware(
  firmware: Firmware,
  socket: string,
  folder: string,
  isShared = false,
): Running {
  const argv = ["qemu-system-x86_64", "-accel", "tcg", "-m", "256", "-nographic", "-no-reboot"];
  argv.push("-boot", "n");
  if (isShared) {
    const { netdev, args = [] } = vhostUserGuest(socket, [], [], "reconnect=1", 256);
    argv.push("-netdev", netdev, ...args, "-global", "virtio-net-pci.vectors=0");
  } else argv.push("-netdev", `stream,id=n,server=off,addr.type=unix,addr.path=${socket}`);
  if (firmware === "ovmf") {
    const vars = join(folder, "vars.fd");
    copyFileSync(OVMF_VARS, vars);
    const flash = "if=pflash,format=raw";
    argv.push("-M", "q35", "-drive", `${flash},readonly=on,file=${OVMF_CODE}`);
    argv.push("-drive", `${flash},file=${vars}`, "-device", "virtio-net-pci,netdev=n,romfile=");
  } else if (firmware === "u-boot") {
    argv.push("-M", "pc", "-bios", UBOOT, "-device", "e1000,netdev=n");
  } else argv.push("-M", "q35", "-device", "virtio-net-pci,netdev=n");
  return start(argv);
}

/** What a machine has printed, without what moves the cursor. */
export function printed(machine: Running): string {
  return machine.stdout().replaceAll(/\x1b\[[0-9;=]*[A-Za-z]|\r/g, "");
}

/** A program of UEFI for x86-64 that prints a line and says EFI_NOT_FOUND, so the next is tried. */
export function efiProgram(line: string): Uint8Array {
  const text = new Uint8Array(2 * (line.length + 3));
  const view = new DataView(text.buffer);
  [...`${line}\r\n`].forEach((character, i) => {
    view.setUint16(2 * i, character.charCodeAt(0), true);
  });
  const code = Uint8Array.from([
    ...[0x48, 0x8b, 0x4a, 0x40], // mov rcx, [rdx + 64]: SystemTable->ConOut
    ...[0x48, 0x8d, 0x15, 0x16, 0, 0, 0], // lea rdx, [rip + 22]: the text
    ...[0x48, 0x83, 0xec, 0x28], // sub rsp, 40
    ...[0xff, 0x51, 0x08], // call [rcx + 8]: OutputString
    ...[0x48, 0x83, 0xc4, 0x28], // add rsp, 40
    ...[0x48, 0xb8, 0x0e, 0, 0, 0, 0, 0, 0, 0x80], // mov rax, EFI_NOT_FOUND
    0xc3, // ret
  ]);
  const out = new Uint8Array(0x400);
  const image = new DataView(out.buffer);
  const words = (at: number, ...values: number[]): void => {
    values.forEach((value, i) => {
      image.setUint32(at + 4 * i, value, true);
    });
  };
  image.setUint16(0, 0x5a4d, true); // "MZ"
  words(0x3c, 0x40, 0x4550); // where the next header is; "PE"
  image.setUint16(0x44, 0x8664, true);
  image.setUint16(0x46, 1, true); // sections
  image.setUint16(0x54, 0xf0, true); // size of the optional header
  image.setUint16(0x56, 0x22, true); // executable, any address
  image.setUint16(0x58, 0x20b, true); // PE32+
  words(0x5c, 0x200, 0, 0, 0x1000, 0x1000); // code, data, no data, entry, base of code
  words(0x70, 0, 0, 0x1000, 0x200); // image base, alignment in memory and file
  words(0x90, 0x2000, 0x200); // size of image and headers
  image.setUint16(0x9c, 10, true); // EFI application
  words(0xc4, 16); // directories, all empty
  out.set(new TextEncoder().encode(".text"), 0x148);
  words(0x150, 0x200, 0x1000, 0x200, 0x200); // sizes and places in memory and file
  words(0x16c, 0x60000020); // code, execute, read
  out.set(code, 0x200);
  out.set(text, 0x200 + code.length);
  return out;
}

/** CRC-32 of IEEE 802.3. */
function crc32(octets: Uint8Array): number {
  let crc = 0xffffffff;
  for (const octet of octets) {
    crc ^= octet;
    for (let bit = 0; bit < 8; bit += 1) crc = (crc >>> 1) ^ ((crc & 1) * 0xedb88320);
  }
  return ~crc >>> 0;
}

/** A script of U-Boot's, as `mkimage -A x86 -T script` makes it. */
export function ubootScript(text: string): Uint8Array {
  const data = concat(u32(text.length), u32(0), text);
  const kind = Uint8Array.of(5, 3, 6, 0); // Linux, x86, script, not compressed
  const head = (sum: number): Uint8Array => {
    const fields = [0x27051956, sum, 0, data.length, 0, 0, crc32(data)].map(u32);
    return concat(...fields, kind, new Uint8Array(32));
  };
  return concat(head(crc32(head(0))), data);
}
