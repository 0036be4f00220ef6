/**
 * Breaks the packet engine of a running sidecar from outside, as a fault of the machine's memory
 * would: its tables of flows are overwritten by way of `/proc/PID/mem`, so that it stops at the
 * next segment or datagram. Nothing in the program helps with that.
 *
 * The engine is found by its CONFIG record (`wasm/abi.ts`), which names guest, gateway and DNS
 * server of its network, and the address in the process at which the engine's memory begins.
 */

import assert from "node:assert/strict";
import { closeSync, openSync, readFileSync, readSync, writeSync } from "node:fs";
import type { Engine } from "../../src/engine/engine.ts";
import { HostEngine } from "../../src/engine/host-engine.ts";
import { instantiateEngine } from "../../src/engine/instance.ts";
import { compileEngine } from "../../src/engine/module.ts";
import * as abi from "../../wasm/abi.ts";
import { readEngine } from "./engine-binary.ts";
import { GATEWAY_MAC, GUEST, GUEST_MAC, PEER, worldConfig } from "./engine-settings.ts";
import { ETHERTYPE_IPV4, ethernet, ip, ipv4, PROTOCOL_UDP, udp } from "./packet.ts";

interface Range {
  readonly start: number;
  readonly end: number;
}

const PAGE_SIZE = 4096;
/** Octets read at once; a record may begin in one part and end in the next. */
const PART_SIZE = 16 << 20;
/** The record comes soon in the engine's memory, and nothing else of that content does. */
const CONFIG_WITHIN = 1 << 20;
/** The engine's memory, which never grows (`asconfig.json`). */
const MEMORY_SIZE = 128 << 20;
/** Several engines may lie side by side; larger ranges are slow to read, so they come last. */
const RANGE_SIZE_MAX = 6 * MEMORY_SIZE;
/** So large that every index made of it is out of bounds. */
const BROKEN = 0x7f;
/** What is broken, or left alone, as one. */
const PART_OF_TABLE = 1 << 20;
/** Flows that are tried: each looks at another place of a table. */
const TRIES = 100;
/** A machine that is busy takes more than a second to start the next engine. */
const PATIENCE_ms = 20_000;
const EVERY_ms = 20;

/** Engines of the program are those that it ships. */
const shipped = compileEngine(readEngine("simd"));
let known: readonly number[] | undefined;
let shippedBases: Engine["bases"] | undefined;

/**
 * Offsets of what to break: the tables by which flows are found, so the next datagram or segment of
 * the guest stops the engine, and nothing but that happens. Found by trying: where they are is the
 * compiler's to say.
 */
function findTables(): readonly number[] {
  const { bases, octets } = startedEngine();
  shippedBases = bases;
  const found: number[] = [];
  const first = bases.addresses + abi.ADDRESS_CAPACITY_COUNT * abi.ADDRESS_SIZE;
  for (let at = first; at + PART_OF_TABLE <= octets.length; at += PART_OF_TABLE) {
    if (stopsWithout(at)) found.push(at);
  }
  assert.ok(found.length > 0, "nothing there that the engine stops for");
  return found;
}

function startedEngine(): Engine {
  const engine = new HostEngine(instantiateEngine(shipped));
  engine.start(worldConfig({}));
  return engine;
}

function stopsWithout(at: number): boolean {
  const engine = startedEngine();
  engine.octets.fill(BROKEN, at, at + PART_OF_TABLE);
  try {
    for (let i = 0; i < TRIES; i += 1) receive(engine, datagram(1000 + i), 1e6 + i);
    return false;
  } catch {
    return true;
  }
}

function receive(engine: Engine, frame: Uint8Array, now: number): void {
  engine.octets.set(frame, engine.bases.rxBuffers);
  engine.words[engine.bases.rxDescriptors >> 2] = engine.bases.rxBuffers;
  engine.words[(engine.bases.rxDescriptors >> 2) + 1] = frame.length;
  engine.guestRx(1, now);
  if (engine.opCount > 0) engine.complete(now);
}

function datagram(sourcePort: number): Uint8Array {
  const ends = { source: GUEST, destination: PEER };
  const fields = { ...ends, sourcePort, destinationPort: 9 };
  const packet = ipv4({ ...ends, protocol: PROTOCOL_UDP }, udp(fields, "x"));
  const macs = { destination: GATEWAY_MAC, source: GUEST_MAC };
  return ethernet({ ...macs, type: ETHERTYPE_IPV4 }, packet);
}

/**
 * Waits for the engine first, which is not there for a moment where the one before it has failed.
 *
 * @param network first three octets of the guest's network, a /24: "10.0.2"
 */
export async function breakEngine(pid: number, network: string): Promise<void> {
  known ??= findTables();
  const deadline_ms = performance.now() + PATIENCE_ms;
  while (!breakIfThere(pid, network)) {
    assert.ok(performance.now() < deadline_ms, `no engine of ${network}.0/24 in the process`);
    await new Promise((resolve) => setTimeout(resolve, EVERY_ms));
  }
}

function breakIfThere(pid: number, network: string): boolean {
  const memory = openSync(`/proc/${pid}/mem`, "r+");
  try {
    const ranges = rangesOf(pid).filter(({ start, end }) => end - start >= MEMORY_SIZE);
    const pattern = patternOf(network);
    const small = ranges.filter(({ start, end }) => end - start <= RANGE_SIZE_MAX);
    const found =
      first(ranges, lookAtStart, memory, pattern) ??
      first(small, findConfig, memory, pattern) ??
      first(ranges, findConfig, memory, pattern);
    if (found === undefined) return false;
    const octets = Buffer.alloc(PART_OF_TABLE, BROKEN);
    for (const at of known ?? []) writeSync(memory, octets, 0, octets.length, found.base + at);
    return true;
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

type Search = (memory: number, range: Range, pattern: Buffer) => Place | undefined;

function first(
  ranges: readonly Range[],
  way: Search,
  memory: number,
  pattern: Buffer,
): Place | undefined {
  for (const range of ranges) {
    const found = way(memory, range, pattern);
    if (found !== undefined) return found;
  }
  return undefined;
}

/** As a rule a range is engines' memories side by side, and to look there takes no time. */
function lookAtStart(memory: number, { start, end }: Range, pattern: Buffer): Place | undefined {
  for (let at = start; at + MEMORY_SIZE <= end; at += MEMORY_SIZE) {
    for (const base of [at, at + PAGE_SIZE]) {
      const config = base + (shippedBases?.config ?? 0);
      const record = readPart(memory, config, abi.CONFIG_SIZE);
      const isThere = record.subarray(0, pattern.length).equals(pattern);
      if (isThere && baseIn(record, 0) === base) return { base, config };
    }
  }
  return undefined;
}

function findConfig(memory: number, { start, end }: Range, pattern: Buffer): Place | undefined {
  for (let at = start; at < end; at += PART_SIZE) {
    const part = readPart(memory, at, Math.min(PART_SIZE + abi.CONFIG_SIZE, end - at));
    for (let place = part.indexOf(pattern); place >= 0; place = part.indexOf(pattern, place + 1)) {
      if (place + abi.CONFIG_SIZE > part.length) break;
      const base = baseIn(part, place);
      const config = at + place;
      // A copy of the record in a JavaScript heap may have a pointer of that heap behind it, which
      // is close to it too. What is written there breaks the process, not the engine.
      const isMemory = base >= start && base % PAGE_SIZE === 0;
      if (isMemory && config > base && config < base + CONFIG_WITHIN) return { base, config };
    }
  }
  return undefined;
}

/** Where the engine's memory is, as the record at `place` has it; one in a test has it nowhere. */
function baseIn(part: Buffer, place: number): number {
  const at = place + abi.CONFIG_HOST_BASE_LO_OFFSET;
  return at + 8 > part.length ? -1 : Number(part.readBigUInt64LE(at));
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
