/**
 * Breaks the packet engine of a running sidecar from outside, as a fault of the machine's memory
 * would: its records are overwritten by way of `/proc/PID/mem`, so that it stops at the next frame.
 * Nothing in the program helps with that.
 *
 * The engine is found by its CONFIG record (`wasm/abi.ts`), which names guest, gateway and DNS
 * server of its network, and the address in the process at which the engine's memory begins.
 */
import assert from "node:assert/strict";
import { closeSync, openSync, readFileSync, readSync, writeSync } from "node:fs";
import * as abi from "../../wasm/abi.ts";
import { ip } from "./packet.ts";

interface Range {
  readonly start: number;
  readonly end: number;
}

/** Octets read at once; a record may begin in one part and end in the next. */
const PART_SIZE = 16 << 20;
/** The record comes soon in the engine's memory, and nothing else of that content does. */
const CONFIG_WITHIN = 1 << 20;
/** The engine's memory, which never grows (`asconfig.json`). */
const MEMORY_SIZE = 128 << 20;
/** Several engines may lie side by side; larger ranges are a runtime's own, and slow to read. */
const RANGE_SIZE_MAX = 6 * MEMORY_SIZE;
/** So large that every index made of it is out of bounds. */
const BROKEN = Buffer.alloc(PART_SIZE, 0x7f);

/** @param network first three octets of the guest's network, a /24: "10.0.2" */
export function breakEngine(pid: number, network: string): void {
  const memory = openSync(`/proc/${pid}/mem`, "r+");
  try {
    const found = rangesOf(pid)
      .filter(({ start, end }) => end - start >= MEMORY_SIZE && end - start <= RANGE_SIZE_MAX)
      .map((range) => findConfig(memory, range, network))
      .find((each) => each !== undefined);
    assert.ok(found !== undefined, `no engine of ${network}.0/24 in the process`);
    const end = found.base + MEMORY_SIZE;
    for (let at = found.config + abi.CONFIG_SIZE; at < end; at += PART_SIZE) {
      writeSync(memory, BROKEN, 0, Math.min(PART_SIZE, end - at), at);
    }
  } finally {
    closeSync(memory);
  }
}

/** What can be written to but is no code. */
function rangesOf(pid: number): Range[] {
  const maps = readFileSync(`/proc/${pid}/maps`, "utf8");
  return [...maps.matchAll(/^([0-9a-f]+)-([0-9a-f]+) rw-/gm)].map(([, start, end]) => ({
    start: Number.parseInt(start ?? "", 16),
    end: Number.parseInt(end ?? "", 16),
  }));
}

/** Addresses of the engine's memory and of the record in it. */
interface Place {
  readonly base: number;
  readonly config: number;
}

function findConfig(memory: number, { start, end }: Range, network: string): Place | undefined {
  const pattern = patternOf(network);
  for (let at = start; at < end; at += PART_SIZE) {
    const part = readPart(memory, at, Math.min(PART_SIZE + abi.CONFIG_SIZE, end - at));
    for (let place = part.indexOf(pattern); place >= 0; place = part.indexOf(pattern, place + 1)) {
      if (place + abi.CONFIG_SIZE > part.length) break;
      const base = Number(part.readBigUInt64LE(place + abi.CONFIG_HOST_BASE_LO_OFFSET));
      const config = at + place;
      if (config > base && config < base + CONFIG_WITHIN) return { base, config };
    }
  }
  return undefined;
}

/** How the record begins: CONFIG_GUEST_ADDRESS_OFFSET to CONFIG_PREFIX_LENGTH_OFFSET. */
function patternOf(network: string): Buffer {
  const words = Uint32Array.from([...[15, 2, 3].map((last) => ip(`${network}.${last}`)), 24]);
  return Buffer.from(words.buffer);
}

/** Empty where the range cannot be read. */
function readPart(memory: number, at: number, size: number): Buffer {
  const part = Buffer.alloc(size);
  try {
    return part.subarray(0, readSync(memory, part, 0, size, at));
  } catch {
    return part.subarray(0, 0);
  }
}
