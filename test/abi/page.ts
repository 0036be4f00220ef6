/**
 * `wasm/README.md`: prose with places that are filled in from the sources. A place begins with one
 * or more comments and ends with another:
 *
 *     <!-- abi NAME PATTERN_* … -->   <!-- /abi -->     constants of those names, as a table
 *     <!-- file PATH -->              <!-- /file -->    a file of the project, as code
 *     <!-- errno -->                  <!-- /errno -->   numbers of errors, in one paragraph
 */
import { readFileSync } from "node:fs";
import * as errno from "../../wasm/errno.ts";
import { allConstants, type Constant } from "./constants.ts";

const PLACE = /((?:<!-- (abi|file|errno)(?: [^>]*)? -->\n)+)[\s\S]*?(?=<!-- \/\2 -->)/g;
const MARK = /<!-- \w+ ?(.*) -->/g;

/** The page with all places filled in anew. @throws for a pattern that no constant has */
export function filledPage(page: string): string {
  const constants = allConstants();
  return page.replace(PLACE, (_, marks: string, kind: string) => {
    const words = [...marks.matchAll(MARK)].flatMap(([, list = ""]) => list.split(" "));
    if (kind === "abi") return `${marks}${tableOf(words, constants)}`;
    return `${marks}${kind === "file" ? code(words[0] ?? "") : errors()}`;
  });
}

/** Names of constants and in which place of the page they are: each pattern's own. */
export function placesOf(page: string): Map<string, number> {
  const counts = new Map(allConstants().map(({ name }) => [name, 0]));
  for (const [, name = ""] of page.matchAll(/^\| `(\w+)` \|/gm)) {
    counts.set(name, (counts.get(name) ?? 0) + 1);
  }
  return counts;
}

function tableOf(patterns: readonly string[], constants: readonly Constant[]): string {
  const tests = patterns.map((pattern) => new RegExp(`^${pattern.replace("*", "\\w*")}$`));
  for (const test of tests) {
    if (!constants.some(({ name }) => test.test(name))) throw new Error(`no constant: ${test}`);
  }
  const rows = constants
    .filter(({ name }) => tests.some((test) => test.test(name)))
    .map(({ name, spelled, comment }) => `| \`${name}\` | ${spelled} | ${escaped(comment)} |`);
  return `\n| name | value | what it is |\n|---|---|---|\n${rows.join("\n")}\n\n`;
}

function escaped(comment: string): string {
  return comment.replace(/[|<]/g, (letter) => (letter === "|" ? "\\|" : "&lt;"));
}

function code(path: string): string {
  const text = readFileSync(new URL(`../../${path}`, import.meta.url), "utf8");
  return `\n\`\`\`js\n${text}\`\`\`\n\n`;
}

function errors(): string {
  const words = Object.entries(errno).map(([name, value]) => `${name} ${Number(value)}`);
  const lines: string[] = [""];
  for (const word of words) {
    const last = lines.at(-1) ?? "";
    if (last.length + word.length > 96) lines.push(`${word},`);
    else lines[lines.length - 1] = `${last} ${word},`.trimStart();
  }
  return `\n${lines.join("\n").replace(/,$/, ".")}\n\n`;
}
