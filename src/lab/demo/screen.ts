/**
 * What the person who runs the demonstration sees: one line for each step, with its time. On a
 * terminal there are colours and, while something is on its way, a progress bar; elsewhere there is
 * nothing but lines.
 */

import { messageOf } from "../../lib/message.ts";
import { bar, formatRate } from "./progress.ts";

/** A transfer's progress: octets so far. */
export type Progress = () => number;

/** Where lines go. */
export interface Output {
  readonly isTerminal: boolean;
  write(text: string): void;
  /** Milliseconds of any clock. */
  now(): number;
}

/** How a step went; `rate_bits` is shown as throughput. */
export interface StepResult {
  readonly text: string;
  readonly rate_bits?: number;
}

const TITLE_WIDTH = 34;
const REFRESH_MS = 80;
const ESCAPE = "\u001b[";

export class Screen {
  readonly #output: Output;
  passed = 0;
  failed = 0;
  #isMuted = false;

  constructor(output: Output) {
    this.#output = output;
  }

  line(text = ""): void {
    this.#output.write(`${text}\n`);
  }

  /** Steps say nothing from now on: the play was broken off. */
  mute(): void {
    this.#isMuted = true;
    if (this.#output.isTerminal) this.#output.write(`\r${ESCAPE}2K`);
  }

  /** A line of a difference, coloured by its mark. */
  change(text: string): void {
    const code = text.startsWith("+") ? 32 : text.startsWith("-") ? 31 : 2;
    this.line(`       ${this.#paint(code, text)}`);
  }

  /**
   * Does a step and writes its line.
   * @param total octets that `progress` goes up to
   * @throws what `work` throws, after its line
   */
  async step(
    title: string,
    work: () => Promise<StepResult>,
    progress?: { readonly total: number; readonly moved: Progress },
  ): Promise<void> {
    const began_ms = this.#output.now();
    const timer = this.#animate(title, progress);
    const finish = (mark: string, text: string): void => {
      clearInterval(timer);
      if (this.#isMuted) return;
      const seconds = ((this.#output.now() - began_ms) / 1000).toFixed(2);
      if (this.#output.isTerminal) this.#output.write(`\r${ESCAPE}2K`);
      this.line(`  ${mark} ${title.padEnd(TITLE_WIDTH)} ${seconds.padStart(6)} s  ${text}`);
    };
    try {
      const { text, rate_bits } = await work();
      this.passed += 1;
      const rate = rate_bits === undefined ? "" : `${formatRate(rate_bits)}, `;
      finish(this.#paint(32, "ok  "), rate + text);
    } catch (error) {
      if (!this.#isMuted) this.failed += 1;
      finish(this.#paint(31, "FAIL"), messageOf(error));
      throw error;
    }
  }

  #animate(
    title: string,
    progress: { readonly total: number; readonly moved: Progress } | undefined,
  ): ReturnType<typeof setInterval> | undefined {
    if (!this.#output.isTerminal) return undefined;
    const draw = (): void => {
      if (this.#isMuted) return;
      const part = progress === undefined ? "" : bar(progress.moved() / progress.total);
      this.#output.write(`\r${ESCAPE}2K  ...  ${title.padEnd(TITLE_WIDTH)} ${part}`);
    };
    draw();
    return setInterval(draw, REFRESH_MS);
  }

  #paint(code: number, text: string): string {
    return this.#output.isTerminal ? `${ESCAPE}${code}m${text}${ESCAPE}0m` : text;
  }
}
