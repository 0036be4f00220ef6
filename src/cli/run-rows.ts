/** The command line of `run`: the options of `attach` that make sense, and where they end. */
import type { OptionRow } from "./option-row.ts";
import { ATTACH_ROWS } from "./options-table.ts";

const INSIDE = "Inside:";

/** What is about a namespace, a machine or a caller that `run` has not. */
const NOT_FOR_RUN = new Set([
  "listen",
  "connect",
  "netns",
  "configure",
  "peer-uid",
  "ready-fd",
  "exit-fd",
]);
const OF_TAP = new Set(["tap", "no-vnet"]);

export const RUN_ROWS: readonly OptionRow[] = [
  {
    name: "map-root",
    description:
      "be root inside, as with unshare -r: interfaces, routes and firewall may be changed " +
      "(default: who you are)",
    group: INSIDE,
  },
  ...ATTACH_ROWS.filter(({ name }) => !NOT_FOR_RUN.has(name)).map((row) =>
    OF_TAP.has(row.name) ? { ...row, group: INSIDE } : row,
  ),
];

/** Options of the network without a value. */
export const RUN_FLAGS: ReadonlySet<string> = new Set(
  ATTACH_ROWS.filter(({ argument }) => argument === undefined).map(({ name }) => name),
);

export const RUN_EPILOGUE = `
Without a command it starts your shell ($SHELL). The command has a network namespace of its own with
the interface tap0, its own /etc/resolv.conf and a private view of mounts; files, processes, users
and the terminal are those outside. No privilege is needed where the kernel lets users make user
namespaces. Errors alone are logged unless --log-level says otherwise.

Ends with the command's code, with 128 and the number of the signal that ended it, with 127 where
there is no such command, 126 where it cannot be started, 125 where there is no network for it.
Every option is also a variable: --publish is SLIRP_PUBLISH.

Examples:
  slirp-binding run -- curl https://example.org/
  slirp-binding run --publish 127.0.0.1:8080:80 --map-root -- python3 -m http.server 80
  slirp-binding run`;

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
