/**
 * Which instructions a source's operators become, and which stand in for each other. The order is
 * 32 bits, 64 bits, floating point; signed before unsigned.
 * Source: WebAssembly Core Specification §5.4.
 */
import { OP } from "./binary.ts";

/** Opcodes by type of the operands; two where the sign makes a difference. */
type Opcodes = readonly (readonly number[])[];

const OPCODES: Readonly<Record<string, Opcodes>> = {
  "==": [[0x46], [0x51], [0x61]],
  "!=": [[0x47], [0x52], [0x62]],
  "<": [[0x48, 0x49], [0x53, 0x54], [0x63]],
  ">": [[0x4a, 0x4b], [0x55, 0x56], [0x64]],
  "<=": [[0x4c, 0x4d], [0x57, 0x58], [0x65]],
  ">=": [[0x4e, 0x4f], [0x59, 0x5a], [0x66]],
  "+": [[0x6a], [0x7c], [0xa0]],
  "-": [[0x6b], [0x7d], [0xa1]],
  "*": [[0x6c], [0x7e], [0xa2]],
  "/": [[0x6d, 0x6e], [0x7f, 0x80], [0xa3]],
  "%": [
    [0x6f, 0x70],
    [0x81, 0x82],
  ],
  "&": [[0x71], [0x83]],
  "|": [[0x72], [0x84]],
  "^": [[0x73], [0x85]],
  "<<": [[0x74], [0x86]],
  ">>": [
    [0x75, 0x76],
    [0x87, 0x88],
  ],
  // Without a sign the two shifts are one instruction.
  ">>>": [
    [0x75, 0x76],
    [0x87, 0x88],
  ],
};
const COMPARISONS = new Set(["<", ">", "<=", ">="]);

/** Where an opcode stands among those of its operator: type, then sign. */
function placeOf(operator: string, op: number): readonly [number, number] | undefined {
  const all = OPCODES[operator] ?? [];
  for (const [type, opcodes] of all.entries()) {
    const sign = opcodes.indexOf(op);
    if (sign >= 0) return [type, sign];
  }
  return undefined;
}

export function isOfOperator(operator: string, op: number): boolean {
  return placeOf(operator, op) !== undefined;
}

/** The opcode of another operator for the same type and, where it has one, the same sign. */
export function counterpart(operator: string, other: string, op: number): number | undefined {
  const [type = 0, sign = 0] = placeOf(operator, op) ?? [];
  const opcodes = OPCODES[other]?.[type];
  return opcodes?.[sign] ?? opcodes?.[0];
}

/** The comparison for operands of the other sign, and what it is called. */
export function otherSign(operator: string, op: number): { op: number; name: string } | undefined {
  if (!COMPARISONS.has(operator)) return undefined;
  const [type = 0, sign = 0] = placeOf(operator, op) ?? [];
  const other = OPCODES[operator]?.[type]?.[1 - sign];
  return other === undefined ? undefined : { op: other, name: sign === 0 ? "unsigned" : "signed" };
}

/** Less for more and the other way round, as in the comparison of `min` and `max`. */
export function turnedRound(op: number): number | undefined {
  const operator = ["<", ">"].find((each) => isOfOperator(each, op));
  return operator === undefined
    ? undefined
    : counterpart(operator, operator === "<" ? ">" : "<", op);
}

/** Writes that take an address and a value. */
export function isStore(op: number): boolean {
  return (op >= OP.i32Store && op <= OP.i64Store32) || op === OP.v128Store;
}
