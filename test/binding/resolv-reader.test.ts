/**
 * The process that reads resolv.conf for us: what it says of a file, whatever that is, and that
 * nothing holds it up. Its rights are the end-to-end tests' concern.
 */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { after, describe, test } from "node:test";
import { ResolvReader } from "../../src/binding/resolv-reader.ts";
import type { Logger } from "../../src/lib/log.ts";
import { ResolvAnswers } from "../../src/upstream/resolv-answers.ts";
import { until } from "../support/e2e/shell.ts";

/** What the program promises. */
const OPEN_FLAGS = "nonblock,noctty";

const LIMIT = { timeout: 30_000 };
const SIZE_MAX = 65536;
const GOOD = "nameserver 192.0.2.1\n";
const folder = mkdtempSync(join(tmpdir(), "slirp-resolv-"));
const path = join(folder, "resolv.conf");

interface Reading {
  readonly reader: ResolvReader;
  readonly answers: ResolvAnswers;
  readonly pid: number;
  /** Asks, and waits for the answer. */
  ask(): Promise<string | undefined>;
}

/** Started, and its first answer there. */
async function startReader(lines: unknown[] = []): Promise<Reading> {
  const pids: number[] = [];
  const debug: Logger["debug"] = (fields, message) => {
    lines.push([message, fields]);
    if (typeof fields["pid"] === "number") pids.push(fields["pid"]);
  };
  const log: Logger = { debug, info: () => {}, warn: () => {}, error: () => {} };
  const reader = new ResolvReader(path, log);
  readers.push(reader);
  const answers = new ResolvAnswers(reader.memory);
  const ask = async (): Promise<string | undefined> => {
    const before = answers.version;
    const answer = new Promise<void>((resolve) => {
      const forget = reader.subscribe(() => {
        forget();
        resolve();
      });
    });
    reader.ask();
    await answer;
    assert.notEqual(answers.version, before);
    return answers.read()?.text;
  };
  await reader.start(() => {});
  await until(() => answers.read(), "the first answer");
  return { reader, answers, pid: pids[0] ?? 0, ask };
}

const readers: ResolvReader[] = [];
const shared = startReader();
after(() => {
  for (const reader of readers) reader.close();
  rmSync(folder, { recursive: true });
});

/** What it says of this content; undefined = of whatever is there. */
async function said(content?: string | Uint8Array): Promise<string | undefined> {
  if (content !== undefined) {
    rmSync(path, { force: true, recursive: true });
    writeFileSync(path, content);
  }
  return (await shared).ask();
}

/** In place of what was there before. */
function place(make: () => void): void {
  rmSync(path, { force: true, recursive: true });
  make();
}

const lines = (count: number): string => `nameserver 192.0.2.1 ${"x".repeat(42)}\n`.repeat(count);

describe("the reader of resolv.conf says", () => {
  test("what means something in it, and nothing else of it", LIMIT, async () => {
    const text =
      "# none\nroot:$6$secret:1::\nsearch a.test\n\tb\nnameserver 192.0.2.1\noptions x\n";
    assert.equal(await said(text), "search a.test\nnameserver 192.0.2.1\noptions x\nok");
    assert.equal(
      await said(`domain a\\b  c `),
      "domain a\\b  c \nok",
      "as written, without an end",
    );
    assert.equal(await said(""), "ok");
    assert.equal(await said("nameserver 192.0.2.1\0\0ok\n"), "nameserver 192.0.2.1ok\nok");
  });

  test("that there is none, or no more", LIMIT, async () => {
    place(() => {});
    assert.equal(await said(), "gone");
    place(() => symlinkSync("nowhere", path));
    assert.equal(await said(), "gone");
    writeFileSync(join(folder, "nowhere"), GOOD);
    assert.equal(await said(), `${GOOD}ok`, "links are followed");
    writeFileSync(join(folder, "new"), "nameserver 192.0.2.2\n");
    renameSync(join(folder, "new"), path);
    assert.equal(await said(), "nameserver 192.0.2.2\nok", "the file of that name now");
  });

  test("that it is no file, without opening it", LIMIT, async () => {
    place(() => mkdirSync(path));
    assert.equal(await said(), "kind");
    place(() => execFileSync("mkfifo", [path]));
    assert.equal(await said(), "kind");
    for (const device of ["/dev/zero", "/dev/tty"]) {
      place(() => symlinkSync(device, path));
      assert.equal(await said(), "kind", device);
    }
  });

  test("that it is too large, as soon as it is", LIMIT, async () => {
    const whole = lines(SIZE_MAX / 64);
    assert.equal(whole.length, SIZE_MAX);
    assert.equal(await said(whole), `${whole}ok`);
    assert.match((await said(`${whole}n`)) ?? "", /\nlarge$/);
    assert.match((await said("x".repeat(SIZE_MAX * 20))) ?? "", /^large$/, "one line without end");
    assert.equal(await said(GOOD), `${GOOD}ok`, "and reads on");
  });

  test("that it cannot read it", LIMIT, async () => {
    // A file whose size is not known and that fails to be read.
    place(() => symlinkSync("/proc/self/mem", path));
    assert.equal(await said(), "error");
  });
});

describe("the reader of resolv.conf", () => {
  test("is not held up by a pipe that takes the file's place as it opens it", LIMIT, () => {
    // Its own way of opening, as the moment in between cannot be made to happen.
    place(() => execFileSync("mkfifo", [path]));
    const options = ["bs=1", "count=1", `iflag=${OPEN_FLAGS}`];
    execFileSync("dd", [`if=${path}`, ...options], { stdio: "ignore", timeout: 10_000 });
  });

  test("has no environment and no folder, and ends with us", LIMIT, async () => {
    place(() => writeFileSync(path, GOOD));
    const { reader, answers, pid } = await startReader();
    assert.equal(readFileSync(`/proc/${pid}/environ`, "latin1"), "");
    assert.equal(readlinkSync(`/proc/${pid}/cwd`), "/");
    assert.equal(readlinkSync(`/proc/${pid}/fd/2`), "/dev/null");
    reader.close();
    reader.close();
    assert.equal(answers.isThere, false);
    await until(() => !existsSync(`/proc/${pid}`), "its end");
  });

  test("is not there when it has been killed, and all hear of that", LIMIT, async () => {
    const lines: unknown[] = [];
    const { reader, answers, pid } = await startReader(lines);
    let told = 0;
    reader.subscribe(() => {
      told += 1;
    });
    process.kill(pid, "SIGKILL");
    await until(() => !answers.isThere, "the news");
    assert.equal(told, 1);
    assert.deepEqual(lines, [
      ["resolv.conf is read by a process of its own", { pid }],
      ["no process reads resolv.conf", { problem: "it has ended" }],
    ]);
    reader.ask(); // of nobody
    assert.equal(answers.read()?.text, `${GOOD}ok`, "what it said last stays");
  });

  test("is not there where the rights cannot be narrowed", LIMIT, async () => {
    const problems: unknown[] = [];
    const debug: Logger["debug"] = ({ problem }) => void problems.push(problem);
    const reader = new ResolvReader(path, {
      ...{ debug, info: () => {}, warn: () => {}, error: () => {} },
    });
    await reader.start(() => {
      throw new Error("no");
    });
    assert.deepEqual(problems, ["no"]);
    assert.equal(new ResolvAnswers(reader.memory).isThere, false);
  });
});
