/**
 * The guest's memory as a domain describes it, for a link that shares it with another process.
 *
 * vhost-user needs every part of that memory to be mapped shared from a file: a memfd, a file or
 * huge pages. libvirt takes it from these, the more exact one first:
 *
 *     memAccess of a NUMA cell, access of a memory device    shared or private
 *     memoryBacking/access mode                              of all that say nothing themselves
 *     memoryBacking/source type                              memfd, file, anonymous; huge pages
 *                                                            are files whatever it says
 *
 * What the domain leaves open is completed, what it says is never changed: whoever says `private`
 * or `anonymous` (KubeVirt, an admin, another sidecar) has a reason. libvirt 9.0 defines and starts
 * each combination that comes out of this; `anonymous` it refuses with huge pages, and takes for a
 * file on disk when it is to be shared.
 *
 * Contract: pure. Source: libvirt's domain format, "Memory Backing", "Guest NUMA topology" and
 * "Memory devices".
 */

import { type Domain, findIn, isConfidential } from "./document.ts";
import type { Edit } from "./edits.ts";
import { quoteTruncated } from "./errors.ts";
import { append, insertAfter, insertBefore, type NewElement } from "./layout.ts";
import { attributeOf, childOf, childrenOf, type XmlElement } from "./xml.ts";

/** What a link has to know of the guest's memory. */
export interface GuestMemory {
  /** Why no other process can have it; undefined = it can, after the edits of `shareMemory`. */
  readonly obstacle: string | undefined;
  /** Octets, with those that can be plugged in. */
  readonly size: number;
  /** Huge pages, which no control group counts as memory. */
  readonly isHuge: boolean;
  /** QEMU touches each page before the guest runs, and gives none back. */
  readonly isPreallocated: boolean;
}

const SHARED: NewElement = { name: "access", attributes: { mode: "shared" } };
const MEMFD: NewElement = { name: "source", attributes: { type: "memfd" } };

const KIB = 1024;
/** Units of libvirt's scaled integers, octets each. */
const UNITS: ReadonlyMap<string, number> = new Map([
  ["b", 1],
  ["byte", 1],
  ["bytes", 1],
  ...["k", "m", "g", "t"].flatMap((letter, index): [string, number][] => [
    [letter, KIB ** (index + 1)],
    [`${letter}ib`, KIB ** (index + 1)],
    [`${letter}b`, 1000 ** (index + 1)],
  ]),
]);
const UNIT_DEFAULT = "kib";
/** Digits of a size that a double holds exactly. */
const SIZE = /^\s*(\d{1,15})\s*$/;

/** Reads what a domain says of its memory. */
export function readMemory(domain: Domain): GuestMemory {
  const { text, root, devices } = domain;
  const backing = childOf(root, "memoryBacking");
  const isHuge = backing !== undefined && childOf(backing, "hugepages") !== undefined;
  const allocation = backing === undefined ? undefined : childOf(backing, "allocation");
  const balloon = attributeOf(childOf(devices, "memballoon"), "freePageReporting");
  const sizes = ["memory", "maxMemory"].map((name) => sizeOf(text, childOf(root, name)));
  return {
    obstacle: obstacleOf(domain),
    size: Math.max(...sizes),
    isHuge,
    isPreallocated: isHuge || (attributeOf(allocation, "mode") === "immediate" && balloon !== "on"),
  };
}

function obstacleOf({ root, devices }: Domain): string | undefined {
  if (isConfidential(root)) return "memory is encrypted";
  for (const cell of cellsOf(root)) {
    const access = attributeOf(cell, "memAccess") ?? "shared";
    if (access === "shared") continue;
    return `memory access ${quoteTruncated(access)} of a NUMA cell: wanted "shared"`;
  }
  for (const device of childrenOf(devices, "memory")) {
    const access = attributeOf(device, "access") ?? "shared";
    if (access === "shared") continue;
    return `memory access ${quoteTruncated(access)} of a memory device: wanted "shared"`;
  }
  const backing = childOf(root, "memoryBacking");
  if (backing === undefined) return undefined;
  const mode = attributeOf(childOf(backing, "access"), "mode");
  if (mode !== undefined && mode !== "shared" && !isSharedByCells(root)) {
    return `memory access ${quoteTruncated(mode)}: wanted "shared"`;
  }
  const source = attributeOf(childOf(backing, "source"), "type");
  if (source !== "anonymous") return undefined;
  return 'memory source "anonymous": wanted "memfd" or "file"';
}

/** Shares the memory with QEMU's back ends; none where it is so already. */
export function shareMemory({ text, root, devices }: Domain): readonly Edit[] {
  const backing = childOf(root, "memoryBacking");
  if (backing === undefined) {
    const children = [MEMFD, ...(isSharedByCells(root) ? [] : [SHARED])];
    const element = { name: "memoryBacking", children };
    const memory = childOf(root, "memory");
    if (memory !== undefined) return [insertAfter(text, root, memory, element)];
    return [insertBefore(text, root, devices, element)];
  }
  const hasFile = ["source", "hugepages"].some((name) => childOf(backing, name) !== undefined);
  const isShared = childOf(backing, "access") !== undefined || isSharedByCells(root);
  return append(text, backing, [...(hasFile ? [] : [MEMFD]), ...(isShared ? [] : [SHARED])]);
}

/** Every NUMA cell says itself that its memory is shared, and no memory can be added to them. */
function isSharedByCells(root: XmlElement): boolean {
  const cells = cellsOf(root);
  const isEach = cells.every((cell) => attributeOf(cell, "memAccess") === "shared");
  return isEach && cells.length > 0 && childOf(root, "maxMemory") === undefined;
}

function cellsOf(root: XmlElement): readonly XmlElement[] {
  const numa = findIn(root, "cpu", "numa");
  return numa === undefined ? [] : childrenOf(numa, "cell");
}

/** Octets that an element says; 0 where it is absent or no size. */
function sizeOf(text: string, element: XmlElement | undefined): number {
  if (element === undefined) return 0;
  const [, digits = "0"] = SIZE.exec(text.slice(element.openEnd, element.closeStart)) ?? [];
  const unit = attributeOf(element, "unit")?.toLowerCase() ?? UNIT_DEFAULT;
  return Number(digits) * (UNITS.get(unit) ?? 0);
}
