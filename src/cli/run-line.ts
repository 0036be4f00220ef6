/** Where the options of `run` end and the command begins. */
import { RUN_ROWS } from "../config/run.ts";

/** Words of this program, and those of the command behind them. */
export interface SplitLine {
  readonly own: readonly string[];
  readonly command: readonly string[];
}

/** The command begins behind "--" or with the first word that is neither option nor its value. */
export function splitRunLine(argv: readonly string[]): SplitLine {
  if (argv[0] !== "run") return { own: argv, command: [] };
  let at = 1;
  while (at < argv.length) {
    const word = argv[at] ?? "";
    if (word === "--") return { own: argv.slice(0, at), command: argv.slice(at + 1) };
    if (!word.startsWith("-")) break;
    at += takesNextWord(word) ? 2 : 1;
  }
  return { own: argv.slice(0, at), command: argv.slice(at) };
}

function takesNextWord(word: string): boolean {
  const name = word.slice(2);
  return RUN_ROWS.some((row) => row.name === name && row.argument !== undefined);
}
