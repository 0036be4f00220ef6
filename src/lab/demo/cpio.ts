/**
 * Writes an initial root file system: the "newc" cpio archive that a Linux kernel unpacks. Needs
 * neither root nor cpio, device nodes are only entries.
 * Source: Documentation/driver-api/early-userspace/buffer-format.rst of the kernel.
 */

export type CpioEntry =
  | { readonly kind: "folder"; readonly path: string }
  | {
      readonly kind: "file";
      readonly path: string;
      readonly content: Uint8Array | string;
      readonly executable?: boolean;
    }
  | {
      readonly kind: "device";
      readonly path: string;
      readonly major: number;
      readonly minor: number;
    };

const FOLDER = 0o040755;
const FILE = 0o100644;
const PROGRAM = 0o100755;
const CHARACTER_DEVICE = 0o020600;
const ALIGNMENT = 4;

/** The archive of these entries; a folder must come before what is in it. */
export function cpioArchive(entries: readonly CpioEntry[]): Uint8Array {
  const parts: Uint8Array[] = [];
  entries.forEach((entry, index) => {
    parts.push(...record(entry, index + 1));
  });
  parts.push(...record({ kind: "file", path: "TRAILER!!!", content: "" }, 0));
  return Buffer.concat(parts);
}

function record(entry: CpioEntry, inode: number): Uint8Array[] {
  const content = entry.kind === "file" ? Buffer.from(entry.content) : Buffer.alloc(0);
  const name = Buffer.from(`${entry.path}\0`);
  const device = entry.kind === "device" ? [entry.major, entry.minor] : [0, 0];
  const fields = [
    ...[inode, modeOf(entry), 0, 0, 1, 0, content.length, 0, 0],
    ...[...device, name.length, 0],
  ];
  const header = fields.map((field) => field.toString(16).padStart(8, "0")).join("");
  return [padded(Buffer.concat([Buffer.from(`070701${header}`), name])), padded(content)];
}

function modeOf(entry: CpioEntry): number {
  if (entry.kind === "folder") return FOLDER;
  if (entry.kind === "device") return CHARACTER_DEVICE;
  return entry.executable === true ? PROGRAM : FILE;
}

function padded(octets: Uint8Array): Uint8Array {
  const rest = octets.length % ALIGNMENT;
  return rest === 0 ? octets : Buffer.concat([octets, Buffer.alloc(ALIGNMENT - rest)]);
}
