/**
 * Standard output of the commands that ask a running program.
 *
 * A write is over when the descriptor has taken all of it, so that nothing is lost when the program
 * ends, and a reader that is slow slows down whoever asks and nothing else. A reader that has left
 * (`| head`) is the end of the command, and no failure.
 */
import { write } from "node:fs";
import { isatty } from "node:tty";

const FD = 1;
/** How long a descriptor that does not block and is full is left alone. */
const RETRY_ms = 5;
const COLUMNS_DEFAULT = 80;
const ROWS_DEFAULT = 24;

/** Where answers go. */
export interface Output {
  readonly isTerminal: boolean;
  /** Width of the terminal; undefined = none, lines may have any. */
  columns(): number | undefined;
  /** Height of the terminal. */
  rows(): number;
  /** Resolves when it is out. Throws `OutputClosed` where nobody reads any more. */
  write(text: string | Uint8Array): Promise<void>;
}

/** Nobody reads what is written. */
export class OutputClosed extends Error {
  override readonly name: string = "OutputClosed";
}

/** This process' own. */
export function standardOutput(): Output {
  const isTerminal = isatty(FD);
  return {
    isTerminal,
    columns: () => (isTerminal ? size(process.stdout.columns, COLUMNS_DEFAULT) : undefined),
    rows: () => size(process.stdout.rows, ROWS_DEFAULT),
    write: (text) => writeAll(typeof text === "string" ? Buffer.from(text) : text),
  };
}

/** A terminal without a size has none of 0 columns. */
function size(value: number | undefined, fallback: number): number {
  return value === undefined || value < 1 ? fallback : value;
}

async function writeAll(octets: Uint8Array): Promise<void> {
  for (let at = 0; at < octets.length; ) at += await writeSome(octets.subarray(at));
}

function writeSome(octets: Uint8Array): Promise<number> {
  return new Promise((resolve, reject) => {
    write(FD, octets, 0, octets.length, null, (error, length) => {
      if (error === null) resolve(length);
      else if (error.code === "EAGAIN") setTimeout(() => resolve(0), RETRY_ms);
      else if (error.code === "EPIPE") reject(new OutputClosed("nobody reads"));
      else reject(new Error(`write to standard output: ${error.message}`));
    });
  });
}
