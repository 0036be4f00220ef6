/**
 * Manual pages, section 1, in the macros of man(7): one of the program and one of each command,
 * made from what the help is made from.
 *
 * The text below the options (`epilogues.ts`) is read by its shape: a line at the margin that ends
 * with ":" is the heading of what is indented below it, which is filled where it is prose and stays
 * as it is in examples and tables; what else is at the margin is a paragraph.
 *
 * Pages are in ASCII: what a reader's terminal makes of anything else depends on its locale.
 */
import type { OptionRow } from "../config/option.ts";
import { type CommandEntry, usageOf } from "./command.ts";
import { COMMANDS } from "./commands.ts";
import { PROGRAM } from "./completion/vocabulary.ts";

/** Of which version this is, and when it was made: pages have a date. */
const RELEASE = { version: "0.1.0", date: "2026-11-30" } as const;

/** Longest line of the pages' text. */
const FILL_COLUMNS = 78;
/** Sections whose text is prose. */
const PROSE = new Set(["ENVIRONMENT"]);
const ASCII: readonly (readonly [RegExp, string])[] = [
  [/…/g, "..."],
  [/≤/g, "<="],
  [/×/g, "x"],
];

/** A page and the name of its file. */
export interface ManPage {
  readonly file: string;
  readonly text: string;
}

/** The page of a command, or of the program. */
export function manPage(entry?: CommandEntry): ManPage {
  const name = entry === undefined ? PROGRAM : `${PROGRAM}-${entry.name}`;
  const title = `.TH ${name.toUpperCase()} 1 "${RELEASE.date}" "${PROGRAM} ${RELEASE.version}"`;
  const body = entry === undefined ? programBody() : commandBody(entry);
  return { file: `${name}.1`, text: `${[`${title} "User Commands"`, ...body].join("\n")}\n` };
}

/** Every page there is. */
export function manPages(): readonly ManPage[] {
  return [manPage(), ...COMMANDS.map((entry) => manPage(entry))];
}

function programBody(): string[] {
  return [
    ...name(PROGRAM, "user-space networking for virtual machines and network namespaces"),
    ".SH SYNOPSIS",
    `.B ${roff(PROGRAM)}`,
    ".I COMMAND",
    ".RI [ OPTIONS ]",
    ".SH DESCRIPTION",
    ...fill(
      "A guest, which is a virtual machine or a network namespace, reaches the network by " +
        "ordinary sockets of this program, without privileges on the host.",
    ),
    ".SH COMMANDS",
    ...COMMANDS.flatMap(({ name: command, summary }) => [
      ".TP",
      `.BR ${roff(`${PROGRAM}-${command}`)} (1)`,
      ...fill(`${upperFirst(summary)}.`),
    ]),
    ...seeAlso(COMMANDS.map(({ name: command }) => `${PROGRAM}-${command}`)),
  ];
}

function commandBody(entry: CommandEntry): string[] {
  const { operands = [] } = entry;
  const rows = entry.rows.filter(({ isVariableOnly }) => isVariableOnly !== true);
  const { paragraphs, sections } = readEpilogue(entry.epilogue);
  return [
    ...name(`${PROGRAM}-${entry.name}`, entry.summary),
    ".SH SYNOPSIS",
    `.B ${roff(`${PROGRAM} ${entry.name}`)}`,
    `.I ${roff(usageOf(entry).join(" "))}`,
    ".SH DESCRIPTION",
    ...fill(entry.description),
    ...paragraphs.flatMap((text) => [".PP", ...fill(text)]),
    ...(operands.length === 0 ? [] : [".SH ARGUMENTS"]),
    ...operands.flatMap((operand) => [
      ".TP",
      `.I ${roff(operand.name.toUpperCase())}`,
      ...fill(sentence(operand.description)),
    ]),
    ".SH OPTIONS",
    ...optionGroups(rows),
    ".TP",
    `.BR ${roff("-h")} ", " ${roff("--help")}`,
    "Print the help.",
    ...sections.flatMap(sectionLines),
    ...seeAlso([PROGRAM]),
  ];
}

function name(of: string, summary: string): string[] {
  return [".SH NAME", `${roff(of)} \\- ${roff(summary)}`];
}

function seeAlso(pages: readonly string[]): string[] {
  const [last = "", ...others] = [...pages].reverse();
  return [
    ".SH SEE ALSO",
    ...others.reverse().map((page) => `.BR ${roff(page)} (1),`),
    `.BR ${roff(last)} (1)`,
  ];
}

/** Options under the headings they have in the help. */
function optionGroups(rows: readonly OptionRow[]): string[] {
  const headings = [...new Set(rows.map(({ heading }) => heading))];
  return headings.flatMap((heading) => [
    `.SS ${roff(heading.replace(/:$/, ""))}`,
    ...rows.filter((row) => row.heading === heading).flatMap(optionLines),
  ]);
}

function optionLines({ name: long, short, argument, description, variable }: OptionRow): string[] {
  const names = [...(short === undefined ? [] : [`-${short}`]), `--${long}`];
  const bold = names.map((each) => `\\fB${roff(each)}\\fR`).join(", ");
  const value = argument === undefined ? "" : ` \\fI${roff(argument)}\\fR`;
  return [".TP", `${bold}${value}`, ...fill(sentence(description)), ".br", `(${roff(variable)})`];
}

interface Section {
  readonly heading: string;
  /** Without the indentation of all. */
  readonly lines: readonly string[];
}

function readEpilogue(text: string): { paragraphs: string[]; sections: Section[] } {
  const paragraphs: string[] = [];
  const sections: { heading: string; lines: string[] }[] = [];
  let paragraph: string[] = [];
  const endParagraph = (): void => {
    if (paragraph.length > 0) paragraphs.push(paragraph.join(" "));
    paragraph = [];
  };
  for (const line of text.split("\n")) {
    const current = sections.at(-1);
    if (/^\S.*:$/.test(line)) {
      endParagraph();
      sections.push({ heading: line.slice(0, -1).toUpperCase(), lines: [] });
    } else if (line.startsWith("  ") && current !== undefined) current.lines.push(line.slice(2));
    else if (line === "") {
      endParagraph();
      current?.lines.push("");
    } else paragraph.push(line);
  }
  endParagraph();
  return { paragraphs, sections };
}

function sectionLines({ heading, lines }: Section): string[] {
  const text = lines.join("\n").trim();
  const head = `.SH ${roff(heading)}`;
  if (!PROSE.has(heading)) {
    const literal = text.split("\n").map((line) => (line === "" ? ".sp" : roff(line)));
    return [head, ".nf", ...literal, ".fi"];
  }
  const out: string[] = [head];
  let prose: string[] = [];
  let isTable = false;
  const endProse = (): void => {
    if (prose.length > 0) out.push(...(isTable ? [".br"] : []), ...fill(prose.join(" ")));
    prose = [];
  };
  for (const line of text.split("\n")) {
    if (!line.startsWith(" ")) prose.push(line);
    else {
      // Indented further: a table in the prose.
      endProse();
      out.push(".br", roff(line.trim()));
      isTable = true;
    }
  }
  endProse();
  return out;
}

/** Text as lines of input, none of which is taken for a request. */
function fill(text: string): string[] {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(/\s+/).filter((each) => each !== "")) {
    const next = roff(word);
    if (line !== "" && line.length + next.length + 1 > FILL_COLUMNS) {
      lines.push(line);
      line = next;
    } else line = line === "" ? next : `${line} ${next}`;
  }
  return line === "" ? lines : [...lines, line];
}

/** Text that the formatter shows as it is: dashes that can be copied, no requests, no escapes. */
function roff(text: string): string {
  const plain = ASCII.reduce((so, [from, to]) => so.replace(from, to), text);
  return plain
    .replaceAll("\\", "\\e")
    .replaceAll("-", "\\-")
    .replaceAll("'", "\\(aq")
    .replaceAll("`", "\\(ga")
    .replaceAll("^", "\\(ha")
    .replaceAll("~", "\\(ti")
    .replace(/^\./, "\\&.");
}

function sentence(text: string): string {
  return `${upperFirst(text)}${text.endsWith(".") ? "" : "."}`;
}

function upperFirst(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
