/** Offloads of a tap: what the kernel may hand over and be handed unfinished. */

import type { Libc } from "./libc.ts";
import {
  TUN_F_CSUM,
  TUN_F_TSO_ECN,
  TUN_F_TSO4,
  TUN_F_TSO6,
  TUN_F_USO4,
  TUN_F_USO6,
  TUNSETOFFLOAD,
} from "./linux.ts";

const TSO = TUN_F_TSO4 | TUN_F_TSO6;
const USO = TUN_F_USO4 | TUN_F_USO6;

/** All offloads this file knows how to ask for. */
export const OFFLOADS_ALL = TUN_F_CSUM | TSO | TUN_F_TSO_ECN | USO;

/** Richest first; USO came with Linux 6.2. */
const OFFLOADS_LADDER = [
  OFFLOADS_ALL,
  TUN_F_CSUM | TSO | TUN_F_TSO_ECN,
  TUN_F_CSUM | TSO,
  TUN_F_CSUM,
  0,
];

/** Asks for `wanted`, then for less. Returns what the kernel took. */
export function setOffloads(sys: Libc, fd: number, wanted: number): number {
  for (const step of OFFLOADS_LADDER) {
    const offloads = step & wanted;
    // The argument is the value itself, not the address of one.
    if (sys.ioctl(fd, TUNSETOFFLOAD, offloads) >= 0) return offloads;
  }
  return 0;
}
