/**
 * Syntax trees of TypeScript and AssemblyScript sources, as oxc-parser makes them (ESTree): nodes
 * by the name of their type, with positions in the text. Types are left out: they are gone when a
 * program runs.
 */
import { parseSync, visitorKeys } from "oxc-parser";

/** A node; what it has besides is read by `child`, `children` and `word`. */
export interface SyntaxNode {
  readonly type: string;
  readonly start: number;
  readonly end: number;
}

/** The nodes of TypeScript that hold an expression which runs. */
const RUNS = new Set([
  "TSAsExpression",
  "TSInstantiationExpression",
  "TSNonNullExpression",
  "TSSatisfiesExpression",
  "TSTypeAssertion",
]);
/** What names other modules and what is taken of them. */
const MODULES = new Set(["ImportDeclaration", "ExportAllDeclaration", "ExportSpecifier"]);

function isNode(value: unknown): value is SyntaxNode {
  return typeof value === "object" && value !== null && "type" in value && "start" in value;
}

function field(node: SyntaxNode, name: string): unknown {
  return (node as unknown as Record<string, unknown>)[name];
}

/** The node that a field holds; undefined where it holds none. */
export function child(node: SyntaxNode, name: string): SyntaxNode | undefined {
  const value = field(node, name);
  return isNode(value) ? value : undefined;
}

/** The nodes that a field holds a list of. */
export function children(node: SyntaxNode, name: string): readonly SyntaxNode[] {
  const value = field(node, name);
  return Array.isArray(value) ? value.filter(isNode) : [];
}

/** A field that holds a word, as the operator of an expression. */
export function word(node: SyntaxNode, name: string): string {
  const value = field(node, name);
  return typeof value === "string" ? value : "";
}

/** True where a field of the node holds `true`. */
export function flag(node: SyntaxNode, name: string): boolean {
  return field(node, name) === true;
}

/** The value of a literal. */
export function literalOf(node: SyntaxNode): unknown {
  return field(node, "value");
}

function runs(node: SyntaxNode): boolean {
  return !MODULES.has(node.type) && (!node.type.startsWith("TS") || RUNS.has(node.type));
}

function visit(
  node: SyntaxNode,
  parent: SyntaxNode | undefined,
  see: (node: SyntaxNode, parent: SyntaxNode | undefined) => void,
): void {
  see(node, parent);
  for (const key of visitorKeys[node.type] ?? []) {
    const value = field(node, key);
    for (const each of Array.isArray(value) ? value : [value]) {
      if (isNode(each) && runs(each)) visit(each, node, see);
    }
  }
}

/**
 * Calls `see` for every node of a source that runs, the outer ones first.
 * @param file its name, for messages
 * @throws {Error} where nothing could be read; decorators of AssemblyScript are no obstacle
 */
export function walk(
  file: string,
  text: string,
  see: (node: SyntaxNode, parent: SyntaxNode | undefined) => void,
): void {
  const { program, errors } = parseSync(file, text, { lang: "ts" });
  const bad = errors.find(({ message }) => !message.startsWith("Decorators are not valid"));
  if (bad !== undefined) throw new Error(`${file}: ${bad.message}`);
  visit(program, undefined, see);
}
