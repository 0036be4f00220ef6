/**
 * The whole terminal for one program, given back whatever happens.
 *
 * Theory of operation
 *   The alternate screen keeps what was there, keys come as they are pressed and are not shown, the
 *   cursor is hidden. All of that is undone by `close`, and where nobody gets to call it by the
 *   `exit` event of the process, which comes after errors and `process.exit`, too. Signals that end
 *   a process without that event are the caller's to turn into an end (`interrupts.ts`). After
 *   SIGKILL, which nobody can answer, `reset` brings the terminal back.
 *   A terminal that went away (SIGHUP, EIO) has nothing to be restored.
 *
 *   A line is erased before it is drawn: behind one that fills the screen's width the cursor is
 *   still on its last character. A screen goes out in one write, so that nothing flickers.
 */
import type { Output } from "./output.ts";

const ENTER = "\u001b[?1049h\u001b[?25l\u001b[?7l";
const LEAVE = "\u001b[?7h\u001b[?25h\u001b[?1049l";
const HOME = "\u001b[H";
const ERASE_LINE = "\u001b[K";
const ERASE_BELOW = "\u001b[J";
const REVERSE = "\u001b[7m";
const PLAIN = "\u001b[0m";

/** The part of a terminal's input that is used here. */
export interface Keyboard {
  readonly isTTY?: boolean;
  setRawMode(isRaw: boolean): unknown;
  on(event: "data", listener: (octets: Buffer) => void): unknown;
  off(event: "data", listener: (octets: Buffer) => void): unknown;
  resume(): unknown;
  pause(): unknown;
}

export interface ScreenParts {
  readonly output: Output;
  /** Undefined = keys do nothing. */
  readonly keyboard: Keyboard | undefined;
  /** Told each key, an escape sequence in one piece. */
  readonly onKey: (key: string) => void;
  /** Writes at once, for the process may be about to end. May throw: the terminal is gone. */
  readonly leave: (text: string) => void;
}

export class Screen {
  readonly #parts: ScreenParts;
  readonly #restore = (): void => this.#leave();
  readonly #take = (octets: Buffer): void => {
    for (const key of keysOf(octets.toString("utf8"))) this.#parts.onKey(key);
  };
  #isOpen = false;

  constructor(parts: ScreenParts) {
    this.#parts = parts;
  }

  async open(): Promise<void> {
    const { output, keyboard } = this.#parts;
    this.#isOpen = true;
    process.once("exit", this.#restore);
    keyboard?.setRawMode(true);
    keyboard?.on("data", this.#take);
    keyboard?.resume();
    await output.write(ENTER);
  }

  /** Shows these lines, the first ones of `heads` standing out. */
  async show(lines: readonly string[], head: number): Promise<void> {
    if (!this.#isOpen) return;
    const { output } = this.#parts;
    const shown = lines.map((line, index) => {
      const text = index === head ? `${REVERSE}${line}${PLAIN}` : line;
      return `${ERASE_LINE}${text}`;
    });
    await output.write(`${HOME}${shown.join("\r\n")}${ERASE_BELOW}`);
  }

  close(): void {
    process.off("exit", this.#restore);
    this.#leave();
  }

  #leave(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    const { keyboard, leave } = this.#parts;
    keyboard?.off("data", this.#take);
    try {
      keyboard?.setRawMode(false);
      keyboard?.pause();
      leave(LEAVE);
    } catch {
      // The terminal is gone.
    }
  }
}

/** Keys among octets that came together: letters, and sequences of the arrows and their like. */
function keysOf(text: string): string[] {
  return text.match(/\u001b\[[0-9;]*[A-Za-z~]|\u001bO[A-Z]|[\s\S]/gu) ?? [];
}
