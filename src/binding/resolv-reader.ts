/**
 * A process that reads resolv.conf for us where only root may, once this program is nobody.
 *
 * Theory of operation
 *   A shell, started as root just before rights are given up, with no right but to read any file
 *   (`narrowToReading`), no environment, and no descriptors but two pipes and /dev/null. A line end
 *   asks; the answer is the file's lines that mean something in a resolv.conf, what came of it
 *   ("ok", "gone", "kind", "large", "error") and a zero octet. It knows one path, from its start
 *   on; so who gets hold of this program gets resolvers and search list of it and nothing else.
 *   It ends when its input does, so however this program ends.
 *
 *   The file may be anything. What is no regular file is not opened; what becomes one in between
 *   is opened without waiting, so no pipe holds it up. 64 KiB are read, at once. Where it does not
 *   answer all the same, as on a dead network file system, nobody waits for it: what was read last
 *   counts on.
 *
 *   Without a shell and a dd(1) that knows `iflag=nonblock` (GNU, uutils) there is no reader, and
 *   resolv.conf is followed as far as nobody may.
 *
 * The main thread owns it, as networks of `serve` come and go; `upstream/resolv-answers.ts` is how
 * workers hear of answers.
 */
import type { ChildProcess } from "node:child_process";
import type { Logger } from "../lib/log.ts";
import { messageOf } from "../lib/message.ts";
import { ANSWER_SIZE_MAX, ResolvAnswers } from "../upstream/resolv-answers.ts";

const SHELL = "/bin/sh";

/** Of the file, octets; whoever changes it looks at ANSWER_SIZE_MAX too. */
const FILE_SIZE_MAX = 65536;

/** How dd(1) opens the file: without waiting for the other end of a pipe. */
const OPEN_FLAGS = "nonblock,noctty";

/**
 * The status of dd comes as a last line of its own, behind a line end the file may lack: three
 * octets that are not the file's. Lines are read by the octet, so they are told by octets in the
 * locale C; zero octets, which would end the answer early, are left out by every shell.
 */
const SCRIPT = `cd / || exit
PATH=/usr/bin:/bin LC_ALL=C
while IFS= read -r _; do
  if [ ! -e "$1" ]; then printf 'gone'
  elif [ ! -f "$1" ]; then printf 'kind'
  else
    { dd if="$1" bs=${FILE_SIZE_MAX + 1} count=1 iflag=${OPEN_FLAGS}; printf '\\n%s\\n' $?; } | {
      size=-3
      while IFS= read -r line; do
        size=$((size + \${#line} + 1)) last=$line
        case $line in
          nameserver*|domain*|search*|options*) printf '%s\\n' "$line" ;;
        esac
      done
      if [ "$last" != 0 ]; then printf 'error'
      elif [ $size -gt ${FILE_SIZE_MAX} ]; then printf 'large'
      else printf 'ok'
      fi
    }
  fi
  printf '\\000'
done
`;

export class ResolvReader {
  readonly #path: string;
  readonly #log: Logger;
  readonly #answers = new ResolvAnswers();
  readonly #listeners = new Set<() => void>();
  #child: ChildProcess | undefined;
  /** It has ended, or is to end. */
  #isLost = false;
  /** Asked, and not answered yet. */
  #isAsked = false;
  #parts: Buffer[] = [];
  #size = 0;

  constructor(path: string, log: Logger) {
    this.#path = path;
    this.#log = log;
  }

  /** For a worker's `ResolvAnswers`. */
  get memory(): SharedArrayBuffer {
    return this.#answers.memory;
  }

  /**
   * Starts it and asks for the first time. Where it cannot be started, the log says so and nobody
   * will ask.
   * @param narrow called right before, in the same thread, whose rights go over to the process
   */
  async start(narrow: () => void): Promise<void> {
    try {
      // Not before it is needed: whoever is not root does without.
      const { spawn } = await import("node:child_process");
      narrow();
      const child = spawn(SHELL, ["-c", SCRIPT, "sh", this.#path], {
        stdio: ["pipe", "pipe", "ignore"],
        env: {},
        cwd: "/",
        detached: true, // a terminal's signals are not for it
      });
      this.#child = child;
      child.once("error", (error) => this.#lose(error.message));
      // Its end is not seen where the filter keeps a runtime from waiting for children; that of
      // its pipes is.
      const ended = (): void => this.#lose("it has ended");
      child.stdin?.on("error", ended);
      child.stdout?.on("error", ended);
      child.stdout?.once("end", ended);
      child.stdout?.on("data", (octets: Buffer) => this.#take(octets));
      if (child.pid === undefined) return; // the event will tell
      this.#answers.isThere = true;
      this.#log.debug({ pid: child.pid }, "resolv.conf is read by a process of its own");
      this.ask();
    } catch (error) {
      this.#lose(messageOf(error));
    }
  }

  /** Has the file read; one question at a time. */
  ask(): void {
    if (this.#isAsked || !this.#answers.isThere) return;
    this.#isAsked = true;
    this.#child?.stdin?.write("\n");
  }

  /** Calls back after every answer, and when there will be none; returns what ends that. */
  subscribe(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Ends it. Idempotent. */
  close(): void {
    this.#isLost = true;
    this.#answers.isThere = false;
    this.#child?.stdin?.end();
    this.#child = undefined;
  }

  #take(octets: Buffer): void {
    let rest = octets;
    for (let end = rest.indexOf(0); end >= 0; end = rest.indexOf(0)) {
      this.#keep(rest.subarray(0, end));
      const answer = Buffer.concat(this.#parts, this.#size);
      this.#parts = [];
      this.#size = 0;
      this.#isAsked = false;
      this.#answers.write(answer);
      this.#notify();
      rest = rest.subarray(end + 1);
    }
    this.#keep(rest);
  }

  #keep(octets: Buffer): void {
    if (octets.length === 0) return;
    if (this.#size + octets.length > ANSWER_SIZE_MAX) {
      this.#lose("its answer is too long");
      return;
    }
    this.#parts.push(octets);
    this.#size += octets.length;
  }

  #lose(problem: string): void {
    if (this.#isLost) return;
    this.close();
    this.#log.debug({ problem }, "no process reads resolv.conf");
    this.#notify();
  }

  #notify(): void {
    for (const listener of this.#listeners) listener();
  }
}
