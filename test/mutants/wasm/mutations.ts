/**
 * The changes that might be made to AssemblyScript by mistake, made where the compiler has put
 * them: a place of the source, and the instructions that it has become. They are those of
 * `../mutations.ts` as far as instructions can be told apart, and comparisons of the other sign,
 * for a type that is wrong makes those.
 */
import type { SourceMap } from "node:module";
import { type Mutation, OPERATORS } from "../mutations.ts";
import { child, children, literalOf, type SyntaxNode, walk, word } from "../syntax.ts";
import { OP, TYPE } from "./binary.ts";
import {
  type Body,
  CONST_0,
  CONST_1,
  constant,
  type Edit,
  insertBefore,
  moveArm,
  RESULT_I32,
  replace,
  VOID,
  zeroOf,
} from "./body.ts";
import { counterpart, isOfOperator, otherSign, turnedRound } from "./operators.ts";

export interface BinaryMutation extends Mutation {
  readonly edit: Edit;
}

/** All changes of one place; a sample takes one of them. */
export type BinarySite = readonly BinaryMutation[];

/** A node of the syntax tree, and what it stands in. */
interface Place {
  readonly node: SyntaxNode;
  readonly parent: SyntaxNode | undefined;
}

type Maker = (place: Place, body: Body, text: string) => BinaryMutation[];

function within(kind: string, node: SyntaxNode, text: string, edit: Edit): BinaryMutation {
  return { kind, start: node.start, end: node.end, text, edit };
}

function source(node: SyntaxNode, text: string): string {
  return text.slice(node.start, node.end);
}

// ---------------------------------------------------------------- operators

/** Other operators between two places of the text, for the instruction that the own one is. */
function operators(
  operator: string,
  [from, to]: readonly [number, number],
  [body, ordinal]: readonly [Body, number],
  text: string,
): BinaryMutation[] {
  const start = from + text.slice(from, to).indexOf(operator);
  const end = start + operator.length;
  const op = body.op(ordinal);
  const others = (OPERATORS[operator] ?? []).flatMap((other) => {
    const opcode = counterpart(operator, other, op);
    if (opcode === undefined || opcode === op) return [];
    return [{ kind: "operator", start, end, text: other, edit: replace(ordinal, [opcode]) }];
  });
  const sign = otherSign(operator, op);
  if (sign === undefined) return others;
  const edit = replace(ordinal, [sign.op]);
  return [...others, { kind: "sign", start, end, text: `${operator} (${sign.name})`, edit }];
}

const between: Maker = ({ node }, body, text) => {
  const [left, right] = [child(node, "left"), child(node, "right")];
  const operator = word(node, "operator");
  const ordinal = body.take(node.start, (at) => isOfOperator(operator, body.op(at)));
  if (left === undefined || right === undefined || ordinal === undefined) return [];
  return operators(operator, [left.end, right.start], [body, ordinal], text);
};

/** The last instruction at a place that writes. */
function writeAt(body: Body, offset: number): number | undefined {
  return body.ordinalsAt(offset).findLast((at) => body.takenBy(at) !== undefined);
}

/** How far before a write its operator is: a conversion to fewer bits may stand between. */
const CONVERSION_MAX = 4;

function operatorBefore(body: Body, write: number, operator: string): number | undefined {
  for (let at = write - 1; at >= Math.max(0, write - CONVERSION_MAX); at -= 1) {
    if (isOfOperator(operator, body.op(at)) && !body.hasPlace(at)) return at;
  }
  return undefined;
}

const assignment: Maker = ({ node }, body, text) => {
  const [left, right] = [child(node, "left"), child(node, "right")];
  const operator = word(node, "operator").slice(0, -1);
  const write = writeAt(body, node.start);
  if (left === undefined || right === undefined || operator === "" || write === undefined)
    return [];
  const ordinal = operatorBefore(body, write, operator);
  if (ordinal === undefined) return [];
  return operators(operator, [left.end, right.start], [body, ordinal], text);
};

/** One step back in a loop's head never comes to an end, which takes time and says nothing. */
const update: Maker = ({ node, parent }, body, text) => {
  const operator = word(node, "operator");
  const write = writeAt(body, node.start);
  if (parent?.type === "ForStatement" || write === undefined) return [];
  const [own, other] = operator === "++" ? ["+", "-"] : ["-", "+"];
  const ordinal = operatorBefore(body, write, own);
  const opcode = ordinal === undefined ? undefined : counterpart(own, other, body.op(ordinal));
  if (ordinal === undefined || opcode === undefined) return [];
  const changed = source(node, text).replace(operator, other + other);
  return [within("operator", node, changed, replace(ordinal, [opcode]))];
};

const unary: Maker = ({ node }, body, text) => {
  const argument = child(node, "argument");
  if (argument === undefined) return [];
  const bare = source(argument, text);
  if (word(node, "operator") === "!") {
    const ordinal = body.take(node.start, (at) => body.op(at) === OP.i32Eqz);
    if (ordinal === undefined) return [];
    return [within("sign left out", node, bare, replace(ordinal, []))];
  }
  const value = literalOf(argument);
  if (word(node, "operator") !== "-" || typeof value !== "number") return [];
  return numbers(node, BigInt(-value), body);
};

/** The smaller for the larger and the other way round: compared, then chosen. */
const extreme: Maker = ({ node }, body) => {
  const callee = child(node, "callee");
  const name = callee === undefined ? "" : word(callee, "name");
  if (callee === undefined || (name !== "min" && name !== "max")) return [];
  const choice = body.take(node.start, (at) => body.op(at) === OP.select);
  const opcode = choice === undefined ? undefined : turnedRound(body.op(choice - 1));
  if (choice === undefined || opcode === undefined) return [];
  const edit = replace(choice - 1, [opcode]);
  return [within("method", callee, name === "min" ? "max" : "min", edit)];
};

// ---------------------------------------------------------------- numbers

function numbers(node: SyntaxNode, value: bigint, body: Body): BinaryMutation[] {
  const ordinal = body.take(node.start, (at) => {
    const [op, own] = [body.op(at), body.value(at)];
    if (op === OP.i32Const) return own === BigInt.asIntN(32, value);
    return op === OP.i64Const && own === BigInt.asIntN(64, value);
  });
  if (ordinal === undefined) return [];
  const [op, own] = [body.op(ordinal), body.value(ordinal)];
  const width = op === OP.i32Const ? 32 : 64;
  return [1n, -1n].map((step) => {
    const other = BigInt.asIntN(width, own + step);
    return within("number", node, String(value + step), replace(ordinal, constant(op, other)));
  });
}

const literal: Maker = ({ node }, body) => {
  const value = literalOf(node);
  if (typeof value === "number" && Number.isSafeInteger(value)) {
    return numbers(node, BigInt(value), body);
  }
  if (typeof value !== "boolean") return [];
  const ordinal = body.take(node.start, (at) => {
    return body.op(at) === OP.i32Const && body.value(at) === (value ? 1n : 0n);
  });
  if (ordinal === undefined) return [];
  const edit = replace(ordinal, value ? CONST_0 : CONST_1);
  return [within("truth", node, String(!value), edit)];
};

// ---------------------------------------------------------------- conditions

function fixed(ordinal: number, value: boolean): Edit {
  return insertBefore(ordinal, [OP.drop, ...(value ? CONST_1 : CONST_0)]);
}

function conditions(test: SyntaxNode, ordinal: number, text: string): BinaryMutation[] {
  return [
    within("condition", test, `!(${source(test, text)})`, insertBefore(ordinal, [OP.i32Eqz])),
    within("condition", test, "true", fixed(ordinal, true)),
    within("condition", test, "false", fixed(ordinal, false)),
  ];
}

const choice: Maker = ({ node }, body, text) => {
  const test = child(node, "test");
  const isStatement = node.type === "IfStatement";
  const ordinal = body.take(node.start, (at) => {
    return body.op(at) === OP.if && (body.value(at) === VOID) === isStatement;
  });
  return test === undefined || ordinal === undefined ? [] : conditions(test, ordinal, text);
};

/** Only ended at once: a loop without end says nothing that takes no time. */
const repetition: Maker = ({ node }, body) => {
  const test = child(node, "test");
  if (test === undefined || test.type === "Literal") return [];
  const [first] = body.ordinalsAt(test.start);
  const ordinal = first === undefined ? undefined : body.nextCondition(first);
  return ordinal === undefined ? [] : [within("condition", test, "false", fixed(ordinal, false))];
};

/** `a && b` is "if a then b else 0", `a || b` is "if a then 1 else b". */
const logical: Maker = ({ node }, body, text) => {
  const [left, right] = [child(node, "left"), child(node, "right")];
  const opening = body.take(node.start, (at) => {
    return body.op(at) === OP.if && body.value(at) === RESULT_I32;
  });
  if (left === undefined || right === undefined || opening === undefined) return [];
  const { otherwise, end } = body.closing(opening);
  if (otherwise === undefined) return [];
  const isAnd = word(node, "operator") === "&&";
  const start = left.end + text.slice(left.end, right.start).indexOf(isAnd ? "&&" : "||");
  const edit = moveArm([opening, otherwise, end], isAnd);
  const neutral = isAnd ? CONST_1 : CONST_0;
  const onlyLeft = insertBefore(isAnd ? otherwise : end, [OP.drop, ...neutral]);
  return [
    { kind: "operator", start, end: start + 2, text: isAnd ? "||" : "&&", edit },
    within("operand left out", node, source(left, text), onlyLeft),
    within("operand left out", node, source(right, text), fixed(opening, isAnd)),
  ];
};

// ---------------------------------------------------------------- statements

const drops = (count: number): number[] => new Array<number>(count).fill(OP.drop);

const statement: Maker = ({ node }, body) => {
  const isCall = child(node, "expression")?.type === "CallExpression";
  const kind = isCall ? "call left out" : "statement left out";
  const write = writeAt(body, node.start);
  if (write !== undefined) {
    return [within(kind, node, ";", replace(write, drops(body.takenBy(write) ?? 0)))];
  }
  // A call whose result nobody takes.
  const end = body.ordinalsAt(node.start).findLast((at) => body.op(at) === OP.drop);
  const callee = end === undefined ? undefined : body.callee(end - 1);
  if (end === undefined || callee === undefined) return [];
  return [within(kind, node, ";", replace(end - 1, drops(callee.parameters.length), end))];
};

const jump: Maker = ({ node }, body) => {
  const ordinal = body.take(node.start, (at) => body.op(at) === OP.br);
  return ordinal === undefined
    ? []
    : [within("statement left out", node, ";", replace(ordinal, []))];
};

/** Types that a function may return and this can make a zero of. */
const TYPES: readonly number[] = [TYPE.i32, TYPE.i64, TYPE.f64];

const answer: Maker = ({ node }, body) => {
  const ordinal = body.take(node.start, (at) => body.op(at) === OP.return);
  const argument = child(node, "argument");
  if (ordinal === undefined) return [];
  if (argument === undefined)
    return [within("statement left out", node, ";", replace(ordinal, []))];
  const [type = 0] = body.fn.results;
  if (argument.type === "Literal" || body.isZero(ordinal - 1) || !TYPES.includes(type)) return [];
  return [
    within("zero returned", argument, "0", insertBefore(ordinal, [OP.drop, ...zeroOf(type)])),
  ];
};

/** Where a function begins, if it has more to do than one thing. */
const early: Maker = ({ node }, body) => {
  const inner = child(node, "body");
  const [type] = body.fn.results;
  if (inner === undefined || children(inner, "body").length < 2) return [];
  if (type !== undefined && !TYPES.includes(type)) return [];
  const zero = type === undefined ? [] : zeroOf(type);
  const start = inner.start + 1;
  const text = type === undefined ? " return;" : " return 0;";
  const edit = insertBefore(0, [...zero, OP.return]);
  return [{ kind: "early return", start, end: start, text, edit }];
};

const MAKERS: Readonly<Record<string, Maker>> = {
  AssignmentExpression: assignment,
  BinaryExpression: between,
  BreakStatement: jump,
  CallExpression: extreme,
  ConditionalExpression: choice,
  ContinueStatement: jump,
  ExpressionStatement: statement,
  ForStatement: repetition,
  IfStatement: choice,
  Literal: literal,
  LogicalExpression: logical,
  ReturnStatement: answer,
  UnaryExpression: unary,
  UpdateExpression: update,
  WhileStatement: repetition,
};

// ---------------------------------------------------------------- the source

/** True for what is there in the checked build alone, or stops the engine where it is wrong. */
function isAssertion(node: SyntaxNode, text: string): boolean {
  const test = node.type === "IfStatement" ? child(node, "test") : undefined;
  if (test !== undefined && source(test, text).includes("CHECKED")) return true;
  const callee = node.type === "CallExpression" ? child(node, "callee") : undefined;
  return callee !== undefined && ["assert", "check"].includes(word(callee, "name"));
}

interface Entry {
  readonly originalSource?: string;
  readonly originalLine?: number;
  readonly originalColumn?: number;
}

/** What the compiler has noted about a place of its output: all in one line. */
export function entryAt(map: SourceMap, place: number): Entry {
  return map.findEntry(0, place) as Entry;
}

/** A source by the places of its text at which something is that can be changed. */
export class Source {
  readonly file: string;
  readonly text: string;
  readonly #places = new Map<number, Place[]>();
  readonly #functions: SyntaxNode[] = [];
  readonly #lines: number[] = [0];
  /** Of constants whose value is written down: the name and the number. */
  readonly constants = new Map<string, SyntaxNode>();

  constructor(file: string, text: string) {
    this.file = file;
    this.text = text;
    for (let at = text.indexOf("\n"); at >= 0; at = text.indexOf("\n", at + 1)) {
      this.#lines.push(at + 1);
    }
    const assertions: SyntaxNode[] = [];
    walk(file, text, (node, parent) => {
      if (isAssertion(node, text)) assertions.push(node);
      const isAsserted = assertions.some(
        ({ start, end }) => node.start >= start && node.end <= end,
      );
      if (!isAsserted) this.#add(node, parent);
    });
    for (const places of this.#places.values()) places.sort((a, b) => a.node.end - b.node.end);
  }

  #add(node: SyntaxNode, parent: SyntaxNode | undefined): void {
    if (node.type === "FunctionDeclaration" || node.type === "FunctionExpression") {
      this.#functions.push(node);
    }
    const [name, value] = [child(node, "id"), child(node, "init")];
    if (node.type === "VariableDeclarator" && name !== undefined && value !== undefined) {
      if (Number.isSafeInteger(literalOf(value))) this.constants.set(word(name, "name"), value);
    }
    if (MAKERS[node.type] === undefined) return;
    // A loop's own place has no instruction, its condition's has.
    const { start } = MAKERS[node.type] === repetition ? (child(node, "test") ?? node) : node;
    const places = this.#places.get(start);
    if (places === undefined) this.#places.set(start, [{ node, parent }]);
    else places.push({ node, parent });
  }

  /** Place in the text that an instruction stands for; undefined where it stands for none in it. */
  offsetIn(map: SourceMap, place: number): number | undefined {
    const { originalSource, originalLine = 0, originalColumn = 0 } = entryAt(map, place);
    if (originalSource !== this.file) return undefined;
    return (this.#lines[originalLine] ?? 0) + originalColumn;
  }

  /** Every place of a function that can be changed. */
  sitesOf(body: Body): BinarySite[] {
    const offsets = [...body.offsets];
    const sites = offsets.flatMap((offset) =>
      (this.#places.get(offset) ?? []).map((place) => {
        return MAKERS[place.node.type]?.(place, body, this.text) ?? [];
      }),
    );
    const [first] = offsets;
    const own =
      first === undefined
        ? undefined
        : this.#functions.findLast(({ start, end }) => start <= first && first < end);
    if (own !== undefined) sites.push(early({ node: own, parent: undefined }, body, this.text));
    return sites.filter((site) => site.length > 0);
  }
}
