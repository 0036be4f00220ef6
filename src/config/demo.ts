/**
 * What `demo` was asked to do, read into one frozen, validated value.
 */
import { choice, integer, readGroup, rowsOf, type Values, value } from "./option.ts";
import { parsePath } from "./path.ts";
import type { Settings } from "./settings.ts";

/** Who plays the virtual machine: our own small network stack, or Linux under QEMU. */
const DEMO_GUESTS = ["sim", "qemu"] as const;
export type DemoGuestKind = (typeof DEMO_GUESTS)[number];

/** Links that the demonstration can attach a guest to. */
const DEMO_LINKS = ["client", "stream"] as const;
export type DemoLink = (typeof DEMO_LINKS)[number];

const DEMO = "Demonstration:";

const DEMO_OPTIONS = {
  guest: choice<DemoGuestKind, DemoGuestKind>({
    name: "guest",
    choices: DEMO_GUESTS,
    description:
      "a network stack of our own, or Linux under QEMU, whose kernel is fetched " +
      "(default {default})",
    heading: DEMO,
    fallback: "sim",
  }),
  link: choice<DemoLink, DemoLink>({
    name: "link",
    choices: DEMO_LINKS,
    description: "how guest and data plane are joined (default {default})",
    heading: DEMO,
    fallback: "client",
  }),
  /** MiB that go each way; the guest under QEMU keeps what it downloads in memory. */
  sizeMib: integer({
    name: "size",
    argument: "MIB",
    description: "MiB that go each way, {bounds} (default {default})",
    heading: DEMO,
    bounds: [1, 160],
    fallback: 64,
  }),
  /** Folder where kernel and file system of QEMU's guest are kept; undefined = the user's. */
  cache: value({
    name: "cache",
    argument: "DIR",
    description: "where kernel and busybox for QEMU are kept (default ~/.cache/slirp-binding/qemu)",
    heading: DEMO,
    parse: parsePath,
  }),
  /** File of the capture; undefined = one in the folder for temporary files. */
  pcap: value({
    name: "pcap",
    argument: "FILE",
    description: "where the frames are written to (default a file in the temporary folder)",
    heading: DEMO,
    parse: parsePath,
  }),
};

export const DEMO_ROWS = rowsOf(DEMO_OPTIONS);

/** Options of `demo`, frozen. */
export type DemoOptions = Values<typeof DEMO_OPTIONS>;

/** Reads the settings of `demo`. Throws `ConfigError`. */
export function readDemoOptions(settings: Settings): DemoOptions {
  return Object.freeze(readGroup(DEMO_OPTIONS, settings));
}
