/** Which signals `run` hands on, and to whom. */
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { constants } from "node:os";
import process from "node:process";
import { after, describe, test } from "node:test";
import { forwardSignals } from "../../src/cli/forward-signals.ts";

const { SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2 } = constants.signals;
const ALL = { SIGTERM, SIGHUP, SIGINT, SIGQUIT, SIGUSR1, SIGUSR2 };
type Name = keyof typeof ALL;
const NAMES = Object.keys(ALL) as Name[];

/** A line of /proc/PID/stat; the program's name may have anything in it. */
function stat(group: number, terminal: number, foreground: number): () => string {
  return () => `12 (a) b) S 1 ${group} ${group} ${terminal} ${foreground} 4194304`;
}
const WITHOUT_TERMINAL = stat(12, 0, -1);

/** Comes after all others: the kernel delivers what is pending by number. */
const LAST = "SIGWINCH";

/** Says which of the signals come, one line each, and ends with its input. */
const TELLER = `
for (const name of ${JSON.stringify([...NAMES, LAST])}) process.on(name, () => console.log(name));
process.stdin.on("end", () => process.exit(0));
process.stdin.resume();
console.log("there");
`;

/** A child that tells of its signals. */
class Teller {
  readonly child: ChildProcess;
  #text = "";

  constructor() {
    const args = "Deno" in globalThis ? ["eval", TELLER] : ["-e", TELLER];
    this.child = spawn(process.execPath, args, { stdio: ["pipe", "pipe", "inherit"] });
    this.child.stdout?.on("data", (text: Buffer) => {
      this.#text += text.toString();
    });
  }

  /** Resolves when it has said so. */
  async says(word: string): Promise<void> {
    const { stdout } = this.child;
    while (!this.#text.includes(`${word}\n`)) await once(stdout ?? this.child, "data");
  }

  /** What has come, once all that was sent before has. */
  async end(): Promise<string[]> {
    this.child.kill(LAST);
    await this.says(LAST);
    this.child.stdin?.end();
    await once(this.child, "close");
    return this.#text.split("\n").filter((line) => (NAMES as string[]).includes(line));
  }
}

/** Calls our handlers, as a signal would. */
function send(name: Name): void {
  process.emit(name);
}

function counts(): number[] {
  return NAMES.map((name) => process.listenerCount(name));
}

describe("signals", () => {
  const tellers: Teller[] = [];
  after(() => {
    for (const { child } of tellers) child.kill("SIGKILL");
  });

  /** What a child hears of all signals. */
  async function heard(ignored: readonly number[], state: () => string): Promise<string[]> {
    const teller = new Teller();
    tellers.push(teller);
    await teller.says("there");
    const before = counts();
    const forget = forwardSignals(teller.child, { ignored: new Set(ignored), stat: state });
    for (const name of NAMES) send(name);
    forget();
    assert.deepEqual(counts(), before);
    return (await teller.end()).sort();
  }

  test("are all handed on where there is no terminal", async () => {
    assert.deepEqual(await heard([], WITHOUT_TERMINAL), [...NAMES].sort());
  });

  test("of a terminal are not, where it sends them to the command itself", async () => {
    const others = ["SIGTERM", "SIGUSR1", "SIGUSR2"];
    assert.deepEqual(await heard([], stat(12, 34816, 12)), others);
    assert.deepEqual(await heard([], stat(12, 34816, 7)), [...NAMES].sort());
  });

  test("that were ignored from the start stay so", async () => {
    assert.deepEqual(await heard([SIGHUP, SIGUSR1], WITHOUT_TERMINAL), [
      "SIGINT",
      "SIGQUIT",
      "SIGTERM",
      "SIGUSR2",
    ]);
  });

  test("have no effect on what is not there, or no longer", async () => {
    const child = spawn(process.execPath, ["--version"], { stdio: "ignore" });
    await once(child, "exit");
    const state = { ignored: new Set<number>(), stat: WITHOUT_TERMINAL };
    const sent: unknown[] = [];
    const { kill } = process;
    process.kill = (pid, name) => {
      sent.push([pid, name]);
      return true;
    };
    try {
      for (const each of [child, { pid: undefined, exitCode: null }]) {
        const forget = forwardSignals(each, state);
        send("SIGTERM");
        forget();
      }
      assert.deepEqual(sent, []);
      process.kill = () => {
        throw new Error("ESRCH");
      };
      const forget = forwardSignals({ pid: 1 << 22, exitCode: null }, state);
      send("SIGTERM");
      forget();
    } finally {
      process.kill = kill;
    }
  });

  test("are those of this process, and so is its terminal", () => {
    const before = counts();
    const forget = forwardSignals({ pid: undefined, exitCode: null });
    const ignored = BigInt(
      `0x${/SigIgn:\s*(\w+)/.exec(readFileSync("/proc/self/status", "utf8"))?.[1]}`,
    );
    const isHeard = (name: Name): boolean => ((ignored >> BigInt(ALL[name] - 1)) & 1n) === 0n;
    assert.deepEqual(
      counts(),
      before.map((count, at) => count + (isHeard(NAMES[at] ?? "SIGTERM") ? 1 : 0)),
    );
    send("SIGINT"); // reads how things are
    forget();
    assert.deepEqual(counts(), before);
  });
});
