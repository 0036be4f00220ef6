/**
 * Assembles minimal WebAssembly modules that look like an engine, each wrong in one way, for the
 * tests of the loader. Functions have the engine's signatures and return a constant or nothing.
 * Source: WebAssembly Core Specification §5.
 */
import * as abi from "../../wasm/abi.ts";
import { concat } from "./packet.ts";

export interface TinyOptions {
  /** Import "env.abort". */
  readonly imports?: boolean;
  /** An export left out: a function, or "memory". */
  readonly without?: string;
  /** A function that takes one argument less. */
  readonly shorter?: string;
  /** Pages; no maximum when undefined. */
  readonly maximum?: number | undefined;
  readonly magic?: number;
  readonly version?: number;
  /** Address `control` returns. */
  readonly control?: number;
  /** Result of `init`. */
  readonly init?: number;
  /** Changes the region table: base and size by index. */
  readonly regions?: (regions: (readonly [number, number])[]) => void;
}

const I32 = 0x7f;
const F64 = 0x7c;
const PAGE = 65536;
const CONTROL = 1024;

const SIGNATURES: readonly (readonly [string, readonly number[], readonly number[]])[] = [
  ["control", [], [I32]],
  ["init", [], [I32]],
  ["guest_rx", [I32, F64], []],
  ["upstream_event", [I32, I32, F64], []],
  ["step", [F64], []],
  ["complete", [F64], []],
  ["tx_done", [], []],
  ["inbound_tcp", [I32, I32, I32, I32, F64], [I32]],
  ["inbound_udp", [I32, I32, I32, I32, F64], [I32]],
  ["host_address", [I32], [I32]],
  ["address_six", [], [I32]],
  ["guest_gone", [F64], []],
  ["farewell", [], []],
  ["next_deadline", [], [F64]],
];

/** Unsigned LEB128. */
function leb(value: number): Uint8Array {
  const octets: number[] = [];
  let rest = value;
  do {
    octets.push((rest & 0x7f) | (rest > 0x7f ? 0x80 : 0));
    rest >>>= 7;
  } while (rest > 0);
  return Uint8Array.from(octets);
}

/** Signed LEB128 of 32 bits. */
function sleb(value: number): Uint8Array {
  const octets: number[] = [];
  let rest = value | 0;
  for (;;) {
    const octet = rest & 0x7f;
    rest >>= 7;
    const done = (rest === 0 && (octet & 0x40) === 0) || (rest === -1 && (octet & 0x40) !== 0);
    octets.push(done ? octet : octet | 0x80);
    if (done) return Uint8Array.from(octets);
  }
}

function vector(items: readonly Uint8Array[]): Uint8Array {
  return concat(leb(items.length), ...items);
}

function text(value: string): Uint8Array {
  return concat(leb(value.length), value);
}

function section(id: number, content: Uint8Array): Uint8Array {
  return concat(Uint8Array.of(id), leb(content.length), content);
}

function body(result: readonly number[], value: number): Uint8Array {
  const code =
    result[0] === F64
      ? concat(Uint8Array.of(0x44), new Uint8Array(8))
      : result[0] === I32
        ? concat(Uint8Array.of(0x41), sleb(value))
        : "";
  const all = concat(Uint8Array.of(0), code, Uint8Array.of(0x0b));
  return concat(leb(all.length), all);
}

/** Sizes of the regions, as the engine lays them out. */
const REGION_SIZES = [
  abi.CONTROL_SIZE,
  abi.CONFIG_SIZE,
  8 * (abi.STAT_COUNT + abi.DROP_COUNT),
  abi.RX_SLOT_COUNT * abi.RX_DESCRIPTOR_SIZE,
  abi.RX_SLOT_COUNT * abi.RX_SLOT_SIZE,
  abi.TX_CAPACITY_COUNT * abi.TX_RECORD_SIZE,
  abi.TX_CAPACITY_COUNT * abi.TX_SLOT_SIZE,
  2 * abi.OP_CAPACITY_COUNT * abi.OP_SIZE,
  abi.FLOW_CAPACITY_COUNT * abi.FLOW_SIZE,
  abi.CHUNK_CAPACITY_COUNT * abi.CHUNK_SIZE,
  abi.SCRATCH_SLOT_COUNT * abi.SCRATCH_SLOT_SIZE,
  abi.ADDRESS_CAPACITY_COUNT * abi.ADDRESS_SIZE,
];

function controlBlock(options: TinyOptions): { block: Uint8Array; end: number } {
  let base = CONTROL;
  const regions = REGION_SIZES.map((size): readonly [number, number] => {
    const at = base;
    base = at + Math.ceil(size / 16) * 16;
    return [at, size];
  });
  options.regions?.(regions);
  const block = new DataView(new ArrayBuffer(abi.CONTROL_SIZE));
  block.setInt32(abi.CONTROL_MAGIC_OFFSET, options.magic ?? abi.ABI_MAGIC, true);
  block.setInt32(abi.CONTROL_VERSION_OFFSET, options.version ?? abi.ABI_VERSION, true);
  regions.forEach(([at, size], index) => {
    block.setUint32(abi.CONTROL_REGIONS_OFFSET + 8 * index, at, true);
    block.setUint32(abi.CONTROL_REGIONS_OFFSET + 8 * index + 4, size, true);
  });
  return { block: new Uint8Array(block.buffer), end: base };
}

/** A module that the loader takes, unless `options` spoil it. */
export function tinyEngine(options: TinyOptions = {}): Uint8Array {
  const functions = SIGNATURES.map(([name, params, results]) => {
    return [name, name === options.shorter ? params.slice(1) : params, results] as const;
  });
  const { block, end } = controlBlock(options);
  const pages = Math.ceil(end / PAGE);
  const maximum = "maximum" in options ? options.maximum : pages;
  const first = options.imports === true ? 1 : 0;
  const types = functions.map(([, params, results]) =>
    concat(
      Uint8Array.of(0x60),
      leb(params.length),
      Uint8Array.from(params),
      leb(results.length),
      Uint8Array.from(results),
    ),
  );
  const imported = concat(text("env"), text("abort"), Uint8Array.of(0), leb(6));
  const memory =
    maximum === undefined
      ? concat(Uint8Array.of(0), leb(pages))
      : concat(Uint8Array.of(1), leb(pages), leb(maximum));
  const exported = functions
    .map(
      ([name], index) => [name, concat(text(name), Uint8Array.of(0), leb(first + index))] as const,
    )
    .concat([["memory", concat(text("memory"), Uint8Array.of(2, 0))]])
    .filter(([name]) => name !== options.without)
    .map(([, entry]) => entry);
  const values: Record<string, number> = {
    control: options.control ?? CONTROL,
    init: options.init ?? 0,
  };
  return concat(
    Uint8Array.of(0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00),
    section(1, vector(types)),
    ...(first === 1 ? [section(2, vector([imported]))] : []),
    section(3, vector(functions.map((_, index) => leb(index)))),
    section(5, vector([memory])),
    section(7, vector(exported)),
    section(10, vector(functions.map(([name, , results]) => body(results, values[name] ?? 0)))),
    section(
      11,
      vector([
        concat(
          Uint8Array.of(0, 0x41),
          sleb(CONTROL),
          Uint8Array.of(0x0b),
          leb(block.length),
          block,
        ),
      ]),
    ),
  );
}
