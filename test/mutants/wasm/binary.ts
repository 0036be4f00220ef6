/**
 * Reads a WebAssembly module as far as changing single instructions wants it: functions with their
 * names, signatures and instructions, each with its place in the file; and writes it with the body
 * of one function changed. Source: WebAssembly Core Specification §5, its appendix on names.
 */

const HEADER_SIZE = 8;
const SECTION_CUSTOM = 0;
const SECTION_TYPE = 1;
const SECTION_IMPORT = 2;
const SECTION_FUNCTION = 3;
const SECTION_GLOBAL = 6;
const SECTION_CODE = 10;
/** Parts of the custom section "name". */
const NAMES_OF_FUNCTIONS = 1;
const NAMES_OF_GLOBALS = 7;

/** Opcodes; one behind a prefix is 0xfc00 or 0xfd00 and what follows the prefix. */
export const OP = {
  block: 0x02,
  loop: 0x03,
  if: 0x04,
  else: 0x05,
  end: 0x0b,
  br: 0x0c,
  brIf: 0x0d,
  return: 0x0f,
  call: 0x10,
  drop: 0x1a,
  localSet: 0x21,
  localTee: 0x22,
  globalGet: 0x23,
  globalSet: 0x24,
  select: 0x1b,
  i32Store: 0x36,
  i64Store32: 0x3e,
  i32Const: 0x41,
  i64Const: 0x42,
  f64Const: 0x44,
  i32Eqz: 0x45,
  memoryCopy: 0xfc0a,
  memoryFill: 0xfc0b,
  v128Store: 0xfd0b,
} as const;

/** Types of values. */
export const TYPE = { i32: 0x7f, i64: 0x7e, f32: 0x7d, f64: 0x7c } as const;

export interface Instruction {
  readonly op: number;
  /** Places in the file of its first octet, and behind its last. */
  readonly start: number;
  readonly end: number;
  /** Its index, depth, block type or constant, where it has one. */
  readonly value: bigint;
}

interface Signature {
  readonly parameters: readonly number[];
  readonly results: readonly number[];
}

/** A stretch of the file with its size before it. */
interface Part {
  /** Place of the size. */
  readonly head: number;
  readonly start: number;
  readonly end: number;
}

export interface WasmFunction extends Signature {
  readonly name: string;
  readonly body: Part;
  readonly instructions: readonly Instruction[];
}

export interface WasmGlobal {
  readonly name: string;
  readonly isMutable: boolean;
  /** Its first value: one constant. */
  readonly init: Instruction;
}

export interface WasmModule {
  readonly octets: Uint8Array;
  readonly functions: readonly WasmFunction[];
  readonly globals: readonly WasmGlobal[];
  readonly sections: ReadonlyMap<number, Part>;
}

class Reader {
  readonly octets: Uint8Array;
  at: number;

  constructor(octets: Uint8Array, at: number) {
    this.octets = octets;
    this.at = at;
  }

  byte(): number {
    const octet = this.octets[this.at];
    if (octet === undefined) throw new Error(`no octet at ${this.at}`);
    this.at += 1;
    return octet;
  }

  #leb(isSigned: boolean): bigint {
    let value = 0n;
    for (let shift = 0; ; ) {
      const octet = this.byte();
      value |= BigInt(octet & 0x7f) << BigInt(shift);
      shift += 7;
      if (octet < 0x80) return isSigned ? BigInt.asIntN(shift, value) : value;
    }
  }

  unsigned(): bigint {
    return this.#leb(false);
  }

  signed(): bigint {
    return this.#leb(true);
  }

  u32(): number {
    return Number(this.#leb(false));
  }

  part(): Part {
    const head = this.at;
    const size = this.u32();
    return { head, start: this.at, end: this.at + size };
  }

  text(): string {
    const { start, end } = this.part();
    this.at = end;
    return new TextDecoder().decode(this.octets.subarray(start, end));
  }

  /** As many as the number before them says. */
  vector<Item>(read: () => Item): Item[] {
    return Array.from({ length: this.u32() }, read);
  }
}

/** LEB128; a number that is not signed must not be negative. */
export function leb(value: bigint, isSigned: boolean): number[] {
  const octets: number[] = [];
  for (let rest = value; ; ) {
    const octet = Number(rest & 0x7fn);
    rest >>= 7n;
    const isLast = rest === (isSigned && (octet & 0x40) !== 0 ? -1n : 0n);
    octets.push(isLast ? octet : octet | 0x80);
    if (isLast) return octets;
  }
}

/** The first and last of a row of opcodes, and what follows each: see `readOperands`. */
type Row = readonly [number, number, string];

const ROWS: readonly Row[] = [
  [0x02, 0x04, "s"], // block, loop, if
  [0x0c, 0x0d, "u"], // br, br_if
  [0x0e, 0x0e, "tu"], // br_table
  [0x10, 0x10, "u"], // call
  [0x11, 0x11, "uu"], // call_indirect
  [0x1c, 0x1c, "t"], // select with types
  [0x20, 0x26, "u"], // locals, globals, tables
  [0x28, 0x3e, "uu"], // loads and stores: alignment, offset
  [0x3f, 0x40, "u"], // memory.size, memory.grow
  [0x41, 0x42, "s"],
  [0x43, 0x43, "bbbb"],
  [0x44, 0x44, "bbbbbbbb"],
  [0xd0, 0xd2, "u"],
  [0xfc08, 0xfc08, "uu"],
  [0xfc09, 0xfc09, "u"],
  [0xfc0a, 0xfc0a, "uu"],
  [0xfc0b, 0xfc0b, "u"],
  [0xfd00, 0xfd0b, "uu"], // v128 loads and store
  [0xfd0c, 0xfd0d, "bbbbbbbbbbbbbbbb"], // v128.const, i8x16.shuffle
  [0xfd15, 0xfd22, "b"], // lanes
  [0xfd54, 0xfd5b, "uub"], // loads and stores of a lane
  [0xfd5c, 0xfd5d, "uu"],
];
const PREFIX_BULK = 0xfc;
const PREFIX_SIMD = 0xfd;

/** Reads signed and unsigned LEB128, octets and lists of indices; returns the first number. */
function readOperands(reader: Reader, kinds: string): bigint {
  let first: bigint | undefined;
  for (const kind of kinds) {
    if (kind === "b") reader.byte();
    else if (kind === "t") reader.vector(() => reader.u32());
    else {
      const value = kind === "s" ? reader.signed() : reader.unsigned();
      first ??= value;
    }
  }
  return first ?? 0n;
}

function readInstruction(reader: Reader): Instruction {
  const start = reader.at;
  const octet = reader.byte();
  const isPrefix = octet === PREFIX_BULK || octet === PREFIX_SIMD;
  const op = isPrefix ? octet * 256 + reader.u32() : octet;
  const row = ROWS.find(([first, last]) => op >= first && op <= last);
  const value = readOperands(reader, row?.[2] ?? "");
  return { op, start, end: reader.at, value };
}

function readBody(octets: Uint8Array, { start, end }: Part): Instruction[] {
  const reader = new Reader(octets, start);
  reader.vector(() => [reader.u32(), reader.byte()]); // locals
  const instructions: Instruction[] = [];
  while (reader.at < end) instructions.push(readInstruction(reader));
  return instructions;
}

function readSections(octets: Uint8Array): {
  sections: Map<number, Part>;
  names: Part | undefined;
} {
  const sections = new Map<number, Part>();
  let names: Part | undefined;
  for (const reader = new Reader(octets, HEADER_SIZE); reader.at < octets.length; ) {
    const id = reader.byte();
    const part = reader.part();
    reader.at = part.start;
    if (id !== SECTION_CUSTOM) sections.set(id, part);
    else if (reader.text() === "name") names = { ...part, start: reader.at };
    reader.at = part.end;
  }
  return { sections, names };
}

/** Names by index, of functions or globals. */
function readNames(octets: Uint8Array, names: Part | undefined, wanted: number) {
  const found = new Map<number, string>();
  if (names === undefined) return found;
  for (const reader = new Reader(octets, names.start); reader.at < names.end; ) {
    const id = reader.byte();
    const { start, end } = reader.part();
    reader.at = start;
    if (id === wanted) reader.vector(() => found.set(reader.u32(), reader.text()));
    reader.at = end;
  }
  return found;
}

function readSignature(reader: Reader): Signature {
  reader.byte(); // 0x60
  const types = (): number[] => reader.vector(() => reader.byte());
  return { parameters: types(), results: types() };
}

function readGlobal(reader: Reader): Omit<WasmGlobal, "name"> {
  reader.byte(); // type
  const isMutable = reader.byte() !== 0;
  const init = readInstruction(reader);
  if (readInstruction(reader).op !== OP.end) throw new Error("a global that is not one constant");
  return { isMutable, init };
}

/**
 * Reads a module that imports nothing, has names and, for every global, one constant to begin with.
 * @throws {Error} for any other
 */
export function readModule(octets: Uint8Array): WasmModule {
  const { sections, names } = readSections(octets);
  if (sections.has(SECTION_IMPORT)) throw new Error("a module with imports");
  const list = <Item>(id: number, read: (reader: Reader) => Item): Item[] => {
    const part = sections.get(id);
    if (part === undefined) return [];
    const reader = new Reader(octets, part.start);
    return reader.vector(() => read(reader));
  };
  const signatures = list(SECTION_TYPE, readSignature);
  const types = list(SECTION_FUNCTION, (reader) => reader.u32());
  const bodies = list(SECTION_CODE, (reader) => {
    const body = reader.part();
    reader.at = body.end;
    return body;
  });
  const functionNames = readNames(octets, names, NAMES_OF_FUNCTIONS);
  const globalNames = readNames(octets, names, NAMES_OF_GLOBALS);
  const functions = bodies.map((body, index) => {
    const signature = signatures[types[index] ?? -1] ?? { parameters: [], results: [] };
    const name = functionNames.get(index) ?? "";
    return { ...signature, name, body, instructions: readBody(octets, body) };
  });
  const globals = list(SECTION_GLOBAL, readGlobal).map((global, index) => {
    return { ...global, name: globalNames.get(index) ?? "" };
  });
  return { octets, functions, globals, sections };
}

/** Octets in place of what is from `start` to `end` of the file. */
export interface Patch {
  readonly start: number;
  readonly end: number;
  readonly octets: readonly number[];
}

function splice(octets: Uint8Array, { start, end, octets: others }: Patch): Uint8Array {
  const spliced = new Uint8Array(octets.length - (end - start) + others.length);
  spliced.set(octets.subarray(0, start));
  spliced.set(others, start);
  spliced.set(octets.subarray(end), start + others.length);
  return spliced;
}

/**
 * The module with something else in it.
 * @param patches in order of places, all within one function's body or one global
 */
export function patchModule(
  { octets, sections }: WasmModule,
  patches: readonly Patch[],
  body: Part | undefined,
): Uint8Array {
  const section = sections.get(body === undefined ? SECTION_GLOBAL : SECTION_CODE);
  if (section === undefined) throw new Error("nothing is there to change");
  let changed = octets;
  let grown = 0;
  const apply = (patch: Patch): void => {
    changed = splice(changed, patch);
    grown += patch.octets.length - (patch.end - patch.start);
  };
  for (const patch of patches.toReversed()) apply(patch);
  for (const part of body === undefined ? [section] : [body, section]) {
    const size = BigInt(part.end - part.start + grown);
    apply({ start: part.head, end: part.start, octets: leb(size, false) });
  }
  return changed;
}
