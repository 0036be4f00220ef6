/**
 * Becoming another program, and what is done in a mount namespace of one's own before that.
 *
 * A JavaScript runtime leaves traces that a program it becomes would inherit: signals ignored,
 * others blocked, capabilities kept across execve on purpose. They are undone first. Descriptors
 * are not among them, as runtimes open all with close-on-exec.
 * Source: execve(2), signal(7), mount(2), capabilities(7), environ(7).
 */

import { Block } from "./block.ts";
import { callNumber } from "./call-numbers.ts";
import { check } from "./errno.ts";
import type { Libc } from "./libc.ts";

const MS_RDONLY = 0x1;
const MS_BIND = 0x1000;
/** Ignored by one runtime or another: SIGPIPE, SIGXFSZ. */
const IGNORED_SIGNALS = [13, 25];
const SIG_SETMASK = 2;
/** The kernel's signal set, and glibc's struct sigaction. */
const SIGSET_SIZE = 8;
const SIGACTION_SIZE = 152;
const PR_CAP_AMBIENT = 47;
const PR_CAP_AMBIENT_CLEAR_ALL = 4;
const POINTER_SIZE = 8;

/**
 * Shows a file in the place of another one, for this mount namespace.
 * @throws SystemError
 */
export function mountFile(sys: Libc, from: string, to: string): void {
  mount(sys, from, to, "", MS_BIND, "");
}

/**
 * Shows the content of one folder on top of another's, read-only, for this mount namespace.
 * @throws SystemError; in a user namespace before Linux 5.11
 */
export function mountOver(sys: Libc, upper: string, lower: string): void {
  mount(sys, "overlay", lower, "overlay", MS_RDONLY, `lowerdir=${upper}:${lower}`);
}

/**
 * Puts an empty file system on a folder, for this mount namespace.
 * @throws SystemError
 */
export function mountEmpty(sys: Libc, folder: string): void {
  mount(sys, "tmpfs", folder, "tmpfs", 0, "mode=755");
}

function mount(
  sys: Libc,
  source: string,
  target: string,
  kind: string,
  flags: number,
  options: string,
): void {
  const block = (text: string): Block => Block.text(sys, text);
  const [from, to, type, data] = [block(source), block(target), block(kind), block(options)];
  const number = callNumber("mount");
  const result = sys.syscall(number, from.address, to.address, type.address, flags, data.address);
  check(result, `Mount "${source}" on "${target}"`);
}

/**
 * Runs another program in place of this one, with signals as a fresh process has them and without
 * capabilities that only this one was to have.
 * @returns the negative errno; it does not return otherwise
 */
export function becomeProgram(
  sys: Libc,
  file: string,
  argv: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
): number {
  sys.prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
  const plain = new Block(sys, SIGACTION_SIZE); // zero is the default
  for (const signal of IGNORED_SIGNALS) sys.sigaction(signal, plain.address, 0);
  const none = new Block(sys, SIGSET_SIZE);
  sys.syscall(callNumber("rt_sigprocmask"), SIG_SETMASK, none.address, 0, SIGSET_SIZE, 0);
  const variables = Object.entries(env).flatMap(([name, value]) =>
    value === undefined ? [] : [`${name}=${value}`],
  );
  const name = Block.text(sys, file);
  const [arguments_, environment] = [new Strings(sys, argv), new Strings(sys, variables)];
  const number = callNumber("execve");
  return sys.syscall(number, name.address, arguments_.address, environment.address, 0, 0);
}

/** An array of pointers to strings, with a zero at its end. */
class Strings {
  readonly #texts: readonly Block[];
  readonly #pointers: Block;

  constructor(sys: Libc, texts: readonly string[]) {
    this.#texts = texts.map((text) => Block.text(sys, text));
    this.#pointers = new Block(sys, (texts.length + 1) * POINTER_SIZE);
    for (const [at, text] of this.#texts.entries()) {
      this.#pointers.setU64(at * POINTER_SIZE, text.address);
    }
  }

  get address(): number {
    return this.#pointers.address;
  }
}
