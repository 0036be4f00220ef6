/**
 * The constants of the ABI with what their sources say of them, read out of `wasm/abi/*.ts`: for
 * the page `wasm/README.md` and the C header of `examples/c-host`.
 *
 * A comment is the block above a constant, the words behind it, or both. Lines of `//` above one
 * are about those that follow, and title a section where they begin with dashes; they are the
 * page's business.
 */
import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import * as abi from "../../wasm/abi.ts";

const FOLDER = fileURLToPath(new URL("../../wasm/abi/", import.meta.url));
const DECLARATION = /^export const (\w+): i32 = (-?(?:0x[0-9a-f]+|\d+));(?: \/\/ (.*))?$/;

export interface Constant {
  readonly name: string;
  readonly value: number;
  /** The value as the source has it: numbers that are patterns are hexadecimal there. */
  readonly spelled: string;
  /** One line; "" = there is none. */
  readonly comment: string;
}

/** Parts of the contract, by file, in the order of the alphabet. */
export function abiParts(): string[] {
  return readdirSync(FOLDER)
    .filter((name) => name.endsWith(".ts") && name !== "index.ts")
    .sort();
}

/** All constants of one part, in their order. @throws where a line is of no known form */
export function constantsOf(part: string): Constant[] {
  return readConstants(readFileSync(FOLDER + part, "utf8"));
}

/** All constants. */
export function allConstants(): Constant[] {
  return abiParts().flatMap(constantsOf);
}

/** Constants of a source text. */
export function readConstants(text: string): Constant[] {
  const found: Constant[] = [];
  let block: string[] = [];
  let isInside = false;
  for (const line of text.split("\n")) {
    if (line.startsWith("/**")) {
      block = [];
      isInside = true;
    }
    if (isInside) {
      block.push(line.replace(/^\s*(?:\/\*\*|\*(?!\/))?\s?/, "").replace(/\s*\*\/\s*$/, ""));
      if (line.trimEnd().endsWith("*/")) isInside = false;
    } else if (line.startsWith("export")) {
      found.push(declared(line, block));
      block = [];
    } else {
      block = []; // a blank line or one of `//`: the block was about the file
    }
  }
  return found;
}

function declared(line: string, block: readonly string[]): Constant {
  const [, name, spelled, behind = ""] = DECLARATION.exec(line) ?? [];
  if (name === undefined || spelled === undefined) throw new Error(`no constant: ${line}`);
  const value = Number.parseInt(spelled, spelled.includes("x") ? 16 : 10);
  if (Reflect.get(abi, name) !== value) throw new Error(`${name} is not ${value}`);
  const above = block.join(" ").replace(/\s+/g, " ").trim();
  return { name, value, spelled, comment: [above, behind].filter((each) => each !== "").join(" ") };
}
