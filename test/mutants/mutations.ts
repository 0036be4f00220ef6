/**
 * The changes that might be made to a source by mistake: an operator for its neighbour, a number
 * one off, a call left out. Each is a replacement of a piece of the text, so that what is not
 * changed stays as it is written.
 */
import { child, children, flag, literalOf, type SyntaxNode, walk, word } from "./syntax.ts";

/** One change: `text` in place of what is from `start` to `end`, in UTF-16 units. */
export interface Mutation {
  readonly kind: string;
  readonly start: number;
  readonly end: number;
  readonly text: string;
}

/** All changes of one place; a sample takes one of them. */
export type Site = readonly Mutation[];

type Maker = (node: SyntaxNode, parent: SyntaxNode | undefined, text: string) => Mutation[];

/** What stands in an operator's place, the nearest mistake first. */
export const OPERATORS: Readonly<Record<string, readonly string[]>> = {
  "<": ["<=", ">="],
  "<=": ["<", ">"],
  ">": [">=", "<="],
  ">=": [">", "<"],
  "===": ["!=="],
  "!==": ["==="],
  "==": ["!="],
  "!=": ["=="],
  "+": ["-"],
  "-": ["+"],
  "*": ["/"],
  "/": ["*"],
  "%": ["*"],
  "**": ["*"],
  "<<": [">>"],
  ">>": ["<<"],
  ">>>": ["<<"],
  "&": ["|"],
  "|": ["&"],
  "^": ["&"],
  "&&": ["||"],
  "||": ["&&"],
  "+=": ["-="],
  "-=": ["+="],
  "*=": ["/="],
  "/=": ["*="],
  "|=": ["&="],
  "&=": ["|="],
  "^=": ["&="],
  "<<=": [">>="],
  ">>=": ["<<="],
  ">>>=": ["<<="],
  "??=": ["="],
  "++": ["--"],
  "--": ["++"],
};

/** Methods that are taken for each other. */
const METHODS: Readonly<Record<string, string>> = {
  min: "max",
  max: "min",
  some: "every",
  every: "some",
  startsWith: "endsWith",
  endsWith: "startsWith",
  floor: "ceil",
  ceil: "floor",
  push: "unshift",
  shift: "pop",
};
/** Methods that can be left out: what they are called on is of the type of their result. */
const TRANSFORMS = new Set([
  ...["trim", "trimEnd", "toLowerCase", "toUpperCase", "slice", "subarray", "filter"],
  ...["sort", "toSorted", "reverse", "replace", "replaceAll", "concat"],
]);

function replace(kind: string, node: SyntaxNode, text: string): Mutation {
  return { kind, start: node.start, end: node.end, text };
}

function source(node: SyntaxNode, text: string): string {
  return text.slice(node.start, node.end);
}

/** Other operators at the place of a node's own, which is between `from` and `to`. */
function operators(node: SyntaxNode, from: number, to: number, text: string): Mutation[] {
  const operator = word(node, "operator");
  const start = from + text.slice(from, to).indexOf(operator);
  return (OPERATORS[operator] ?? []).map((other) => {
    return { kind: "operator", start, end: start + operator.length, text: other };
  });
}

const between: Maker = (node, _, text) => {
  const [left, right] = [child(node, "left"), child(node, "right")];
  if (left === undefined || right === undefined) return [];
  return operators(node, left.end, right.start, text);
};

const logical: Maker = (node, parent, text) => {
  const sides = [child(node, "left"), child(node, "right")].filter((side) => side !== undefined);
  const halves = sides.map((side) => replace("operand left out", node, source(side, text)));
  return [...between(node, parent, text), ...halves];
};

const update: Maker = (node, _, text) => operators(node, node.start, node.end, text);

const unary: Maker = (node, _, text) => {
  const argument = child(node, "argument");
  if (argument === undefined || !["!", "-", "~"].includes(word(node, "operator"))) return [];
  return [replace("sign left out", node, source(argument, text))];
};

/** What a condition may be instead; a loop without end says nothing that takes no time. */
function conditions(node: SyntaxNode, text: string, isLoop: boolean): Mutation[] {
  const test = child(node, "test");
  if (test === undefined || test.type === "Literal") return [];
  const values = isLoop ? ["false"] : [`!(${source(test, text)})`, "true", "false"];
  return values.map((value) => replace("condition", test, value));
}

const choice: Maker = (node, _, text) => conditions(node, text, false);
const repetition: Maker = (node, _, text) => conditions(node, text, true);

const swap: Maker = (node, _, text) => {
  const [one, other] = [child(node, "consequent"), child(node, "alternate")];
  if (one === undefined || other === undefined) return [];
  const middle = text.slice(one.end, other.start);
  const swapped = source(other, text) + middle + source(one, text);
  const { start } = one;
  return [
    { kind: "branches swapped", start, end: other.end, text: swapped },
    ...conditions(node, text, false).slice(1),
  ];
};

function numbers(node: SyntaxNode, value: number | bigint): Mutation[] {
  const near =
    typeof value === "bigint" ? [`${value + 1n}n`, `${value - 1n}n`] : [value + 1, value - 1];
  return near.map((each) => replace("number", node, String(each)));
}

/** True for the name of a property or a module. */
function isName(node: SyntaxNode, parent: SyntaxNode): boolean {
  const isKey = child(parent, "key") === node && !flag(parent, "computed");
  return isKey || child(parent, "source") === node;
}

const literal: Maker = (node, parent) => {
  const value = literalOf(node);
  if (parent !== undefined && isName(node, parent)) return [];
  switch (typeof value) {
    case "boolean":
      return [replace("truth", node, String(!value))];
    case "number":
    case "bigint":
      return numbers(node, value);
    case "string":
      return [replace("text", node, value === "" ? '"mutant"' : '""')];
    default:
      return [];
  }
};

const template: Maker = (node, parent) =>
  parent?.type === "TaggedTemplateExpression" ? [] : [replace("text", node, '""')];

const list: Maker = (node) =>
  children(node, "elements").length > 0 ? [replace("empty list", node, "[]")] : [];

const record: Maker = (node, _, text) =>
  children(node, "properties").map((property) => {
    const comma = /^\s*,/.exec(text.slice(property.end))?.[0].length ?? 0;
    const { start, end } = property;
    return { kind: "field left out", start, end: end + comma, text: "" };
  });

const call: Maker = (node, _, text) => {
  const callee = child(node, "callee");
  const [object, property] =
    callee?.type === "MemberExpression" && !flag(callee, "computed")
      ? [child(callee, "object"), child(callee, "property")]
      : [];
  if (object === undefined || property === undefined) return [];
  const name = word(property, "name");
  const other = METHODS[name];
  return [
    ...(other === undefined ? [] : [replace("method", property, other)]),
    ...(TRANSFORMS.has(name) ? [replace("call left out", node, source(object, text))] : []),
  ];
};

const optional: Maker = (node, _, text) => {
  const object = child(node, node.type === "CallExpression" ? "callee" : "object");
  if (object === undefined || !flag(node, "optional")) return [];
  const start = text.indexOf("?.", object.end);
  const dot = node.type === "MemberExpression" && !flag(node, "computed") ? "." : "";
  return [{ kind: "no ?.", start, end: start + 2, text: dot }];
};

const statement: Maker = (node) => {
  if (word(node, "directive") !== "") return [];
  const inner = child(node, "expression");
  const awaited = inner?.type === "AwaitExpression" ? child(inner, "argument") : inner;
  const isCall = awaited?.type === "CallExpression" || awaited?.type === "ChainExpression";
  if (awaited?.type === "CallExpression" && child(awaited, "callee")?.type === "Super") return [];
  return [replace(isCall ? "call left out" : "statement left out", node, ";")];
};

const jump: Maker = (node) => [replace("statement left out", node, ";")];

const answer: Maker = (node) => {
  const argument = child(node, "argument");
  if (argument === undefined) return jump(node, undefined, "");
  return argument.type === "Identifier" && argument.end - argument.start === "undefined".length
    ? []
    : [replace("nothing returned", argument, "undefined")];
};

const body: Maker = (node) => {
  const inner = child(node, "body");
  if (inner?.type !== "BlockStatement" && inner?.type !== "FunctionBody") return [];
  if (children(inner, "body").length < 2) return [];
  const start = inner.start + 1;
  return [{ kind: "early return", start, end: start, text: " return;" }];
};

const MAKERS: Readonly<Record<string, readonly Maker[]>> = {
  ArrayExpression: [list],
  ArrowFunctionExpression: [body],
  AssignmentExpression: [between],
  BinaryExpression: [between],
  BreakStatement: [jump],
  CallExpression: [call, optional],
  ConditionalExpression: [swap],
  ContinueStatement: [jump],
  DoWhileStatement: [repetition],
  ExpressionStatement: [statement],
  ForStatement: [repetition],
  FunctionDeclaration: [body],
  FunctionExpression: [body],
  IfStatement: [choice],
  Literal: [literal],
  LogicalExpression: [logical],
  MemberExpression: [optional],
  ObjectExpression: [record],
  ReturnStatement: [answer],
  TemplateLiteral: [template],
  ThrowStatement: [jump],
  UnaryExpression: [unary],
  UpdateExpression: [update],
  WhileStatement: [repetition],
};

/** Every place of a source that can be changed. @throws {Error} where it is no source */
export function sitesOf(file: string, text: string): Site[] {
  const sites: Site[] = [];
  walk(file, text, (node, parent) => {
    for (const make of MAKERS[node.type] ?? []) {
      const site = make(node, parent, text).filter(({ start }) => start >= 0);
      if (site.length > 0) sites.push(site);
    }
  });
  return sites;
}

/** The source with the change. */
export function applyMutation(text: string, { start, end, text: other }: Mutation): string {
  return text.slice(0, start) + other + text.slice(end);
}

/** The lines that a change makes other, without indentation: as they were and as they are. */
export function lines(text: string, mutation: Mutation): { from: string; to: string } {
  const first = text.lastIndexOf("\n", mutation.start - 1) + 1;
  const ending = text.indexOf("\n", mutation.end);
  const last = ending < 0 ? text.length : ending;
  const changed =
    text.slice(first, mutation.start) + mutation.text + text.slice(mutation.end, last);
  return { from: trimmed(text.slice(first, last)), to: trimmed(changed) };
}

function trimmed(text: string): string {
  return text
    .split("\n")
    .map((line) => line.trim())
    .join("\n")
    .trim();
}

/** Line of a position, from 1. */
export function lineOf(text: string, position: number): number {
  return text.slice(0, position).split("\n").length;
}
