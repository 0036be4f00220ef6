/**
 * Commands for the guest, over its second serial port: one at a time, each with what it printed and
 * its exit code. See `DESK` in guest-files.ts for the other end.
 */
const ANSWER = /(?:^|\n)@@ (\d+)\n$/;

export interface Answer {
  readonly code: number;
  readonly output: string;
}

interface Question {
  readonly command: string;
  readonly answer: (answer: Answer) => void;
}

export class Desk {
  /** Resolves when the guest takes commands. */
  readonly ready: Promise<void>;
  readonly #send: (octets: Uint8Array) => void;
  readonly #waiting: Question[] = [];
  #asked: Question | undefined;
  #text = "";

  constructor(send: (octets: Uint8Array) => void) {
    this.#send = send;
    this.ready = new Promise((resolve) => {
      this.#asked = { command: "", answer: () => resolve() };
    });
  }

  run(command: string): Promise<Answer> {
    return new Promise((answer) => {
      this.#waiting.push({ command, answer });
      this.#next();
    });
  }

  take(octet: number): void {
    this.#text += String.fromCharCode(octet);
    const match = octet === 10 ? ANSWER.exec(this.#text) : null;
    if (match === null) return;
    const output = this.#text.slice(0, match.index);
    this.#text = "";
    const asked = this.#asked;
    this.#asked = undefined;
    asked?.answer({ code: Number(match[1]), output });
    this.#next();
  }

  #next(): void {
    if (this.#asked !== undefined) return;
    this.#asked = this.#waiting.shift();
    if (this.#asked === undefined) return;
    this.#send(new TextEncoder().encode(`${this.#asked.command}\n`));
  }
}
