/**
 * One function of a module side by side with its source: which instructions stand at which place of
 * the text. A compiler that optimizes nothing writes the instructions of the inner expression
 * before those of the outer one, so among several at one place the first one left is the right one.
 */
import { leb, OP, type Patch, TYPE, type WasmFunction, type WasmModule } from "./binary.ts";
import { isStore } from "./operators.ts";

/** What changes a function, in any module that has it: some modules number other things anew. */
export type Edit = (fn: WasmFunction, octets: Uint8Array) => Patch[];

const NOT_FOUND = -1;

export class Body {
  readonly fn: WasmFunction;
  readonly #module: WasmModule;
  /** Of each instruction its place in the text. */
  readonly #offsets: readonly (number | undefined)[];
  readonly #at = new Map<number, number[]>();
  readonly #taken = new Set<number>();

  /** @param offsets of each instruction; undefined where it stands for nothing in the text */
  constructor(module: WasmModule, fn: WasmFunction, offsets: readonly (number | undefined)[]) {
    this.#module = module;
    this.fn = fn;
    this.#offsets = offsets;
    for (const [ordinal, offset] of offsets.entries()) {
      if (offset === undefined) continue;
      const known = this.#at.get(offset);
      if (known === undefined) this.#at.set(offset, [ordinal]);
      else known.push(ordinal);
    }
  }

  op(ordinal: number): number {
    return this.fn.instructions[ordinal]?.op ?? NOT_FOUND;
  }

  value(ordinal: number): bigint {
    return this.fn.instructions[ordinal]?.value ?? 0n;
  }

  /** Places of the text that have instructions. */
  get offsets(): Iterable<number> {
    return this.#at.keys();
  }

  ordinalsAt(offset: number): readonly number[] {
    return this.#at.get(offset) ?? [];
  }

  hasPlace(ordinal: number): boolean {
    return this.#offsets[ordinal] !== undefined;
  }

  /** The first instruction at this place that nothing else of the text is. */
  take(offset: number, is: (ordinal: number) => boolean): number | undefined {
    const found = this.ordinalsAt(offset).find(
      (ordinal) => !this.#taken.has(ordinal) && is(ordinal),
    );
    if (found !== undefined) this.#taken.add(found);
    return found;
  }

  callee(ordinal: number): WasmFunction | undefined {
    if (this.op(ordinal) !== OP.call) return undefined;
    return this.#module.functions[Number(this.value(ordinal))];
  }

  /** True for what puts a zero that cannot change on the stack. */
  isZero(ordinal: number): boolean {
    const op = this.op(ordinal);
    if (op === OP.i32Const || op === OP.i64Const) return this.value(ordinal) === 0n;
    if (op !== OP.globalGet) return false;
    const global = this.#module.globals[Number(this.value(ordinal))];
    return global !== undefined && !global.isMutable && global.init.value === 0n;
  }

  /** How many values an instruction takes that writes and returns nothing; undefined for others. */
  takenBy(ordinal: number): number | undefined {
    const op = this.op(ordinal);
    if (op === OP.localSet || op === OP.globalSet) return 1;
    if (isStore(op)) return 2;
    if (op === OP.memoryCopy || op === OP.memoryFill) return 3;
    const callee = this.callee(ordinal);
    return callee?.results.length === 0 ? callee.parameters.length : undefined;
  }

  /** The `end` of a block, or its `else`, from its first instruction on. */
  closing(opening: number): { otherwise: number | undefined; end: number } {
    let depth = 0;
    let otherwise: number | undefined;
    for (let at = opening; at < this.fn.instructions.length; at += 1) {
      const op = this.op(at);
      if (op >= OP.block && op <= OP.if) depth += 1;
      if (op === OP.else && depth === 1) otherwise = at;
      if (op === OP.end) depth -= 1;
      if (depth === 0) return { otherwise, end: at };
    }
    throw new Error(`"${this.fn.name}" has a block without end`);
  }

  /** The next `if` without a result that is not inside of a block which begins later. */
  nextCondition(from: number): number | undefined {
    for (let at = from; at < this.fn.instructions.length; at += 1) {
      const op = this.op(at);
      if (op === OP.if && this.value(at) === VOID) return at;
      if (op >= OP.block && op <= OP.if) at = this.closing(at).end;
      else if (op === OP.end) return undefined;
    }
    return undefined;
  }
}

/** Block type without a result, as a signed number. */
export const VOID = -64n;
/** Block type with one result of 32 bits. */
export const RESULT_I32 = -1n;

export const CONST_0 = [OP.i32Const, 0] as const;
export const CONST_1 = [OP.i32Const, 1] as const;

/** A zero of that type. */
export function zeroOf(type: number): readonly number[] {
  switch (type) {
    case TYPE.i32:
      return CONST_0;
    case TYPE.i64:
      return [OP.i64Const, 0];
    case TYPE.f64:
      return [OP.f64Const, ...new Array<number>(8).fill(0)];
    default:
      throw new Error(`no zero of type ${type}`);
  }
}

function placesOf(fn: WasmFunction, ordinal: number): { start: number; end: number } {
  const instruction = fn.instructions[ordinal];
  if (instruction === undefined) throw new Error(`"${fn.name}" has no instruction ${ordinal}`);
  return instruction;
}

/** Other octets in place of instructions `first` to `last`. */
export function replace(first: number, octets: readonly number[], last = first): Edit {
  return (fn) => [{ start: placesOf(fn, first).start, end: placesOf(fn, last).end, octets }];
}

export function insertBefore(ordinal: number, octets: readonly number[]): Edit {
  return (fn) => {
    const { start } = placesOf(fn, ordinal);
    return [{ start, end: start, octets }];
  };
}

/**
 * The two arms of a condition: the first becomes what the second is, and the second a constant; or
 * the other way round.
 */
export function moveArm(
  [opening, otherwise, end]: readonly [number, number, number],
  isAnd: boolean,
): Edit {
  return (fn, octets) => {
    const from = placesOf(fn, opening).end;
    const middle = placesOf(fn, otherwise);
    const to = placesOf(fn, end).start;
    const arm = isAnd ? octets.subarray(from, middle.start) : octets.subarray(middle.end, to);
    const swapped = isAnd ? [...CONST_1, OP.else, ...arm] : [...arm, OP.else, ...CONST_0];
    return [{ start: from, end: to, octets: swapped }];
  };
}

export function constant(op: number, value: bigint): readonly number[] {
  return [op, ...leb(value, true)];
}
