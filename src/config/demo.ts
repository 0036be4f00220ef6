/**
 * What `demo` was asked to do, read into one frozen, validated value.
 */
import { parsePath } from "./config.ts";
import { integerBetween, oneOf, readOne, type Settings } from "./settings.ts";

/** Who plays the virtual machine: our own small network stack, or Linux under QEMU. */
export const DEMO_GUESTS = Object.freeze(["sim", "qemu"] as const);
export type DemoGuestKind = (typeof DEMO_GUESTS)[number];

/** Links that the demonstration can attach a guest to. */
export const DEMO_LINKS = Object.freeze(["client", "stream"] as const);
export type DemoLink = (typeof DEMO_LINKS)[number];

export const DEMO_SIZE_DEFAULT = 64;
/** The guest under QEMU keeps what it downloads in memory. */
export const DEMO_SIZE_LIMITS: readonly [number, number] = [1, 160];

/** Options of `demo`, frozen. */
export interface DemoOptions {
  readonly guest: DemoGuestKind;
  readonly link: DemoLink;
  /** MiB that go each way. */
  readonly sizeMib: number;
  /** File of the capture; undefined = one in the folder for temporary files. */
  readonly pcap: string | undefined;
  /** Folder where kernel and file system of QEMU's guest are kept; undefined = the user's. */
  readonly cache: string | undefined;
}

/** Reads the settings of `demo`. Throws `ConfigError`. */
export function readDemoOptions(settings: Settings): DemoOptions {
  const size = integerBetween(...DEMO_SIZE_LIMITS);
  return Object.freeze({
    guest: readOne(settings, "guest", "sim" as const, oneOf(DEMO_GUESTS)),
    link: readOne(settings, "link", "client" as const, oneOf(DEMO_LINKS)),
    sizeMib: readOne(settings, "size", DEMO_SIZE_DEFAULT, size),
    pcap: readOne(settings, "pcap", undefined, parsePath),
    cache: readOne(settings, "cache", undefined, parsePath),
  });
}
