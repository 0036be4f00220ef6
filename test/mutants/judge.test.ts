/**
 * The whole way of a mutant through a copy of a small project: what is seen by which test, by time
 * or by nobody; which tests judge; what is printed.
 */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, before, describe, test } from "node:test";
import { Arena, type Outcome } from "./arena.ts";
import { commandOf, judgesOf, References } from "./choose-tests.ts";
import { change, place, score, survivors, table } from "./report.ts";
import type { Mutant } from "./sample.ts";
import { filesNamed, typed } from "./type-check.ts";

const LIMIT_MS = 60_000;

function mutant(file: string, folder: string): Mutant {
  return { file, folder, line: 3, kind: "operator", from: "a < b\nc", to: "a <= b\nc", text: "" };
}

let project = "";

function put(file: string, text: string): void {
  mkdirSync(dirname(join(project, file)), { recursive: true });
  writeFileSync(join(project, file), text);
}

before(() => {
  project = mkdtempSync(join(tmpdir(), "slirp-mutants-test-"));
  put(".gitignore", "ignored\n");
  put("src/a/one.mjs", "export const one = 1;\n");
  put("ignored", "left out");
  for (const name of ["node_modules", "dist", "build"]) mkdirSync(join(project, name));
  execFileSync("git", ["init", "--quiet"], { cwd: project });
});

after(() => rmSync(project, { recursive: true }));

describe("mutants/arena", () => {
  const run = async (arena: Arena, script: string, limit_ms = LIMIT_MS) =>
    arena.run({ command: ["node", "--input-type=module", "-e", script], env: {}, limit_ms });

  test("a change is in the copy alone, until it is taken back", async () => {
    const arena = new Arena(project, project);
    try {
      const check = 'import { one } from "./src/a/one.mjs"; process.exit(one === 1 ? 0 : 1);';
      assert.equal((await run(arena, check)).state, "passed");
      arena.write("src/a/one.mjs", "export const one = 2;\n");
      arena.write("src/a/extra.mjs", "");
      assert.equal((await run(arena, check)).state, "failed");
      assert.match(readFileSync(join(project, "src/a/one.mjs"), "utf8"), /1/);
      arena.restore("src/a/one.mjs");
      arena.restore("src/a/extra.mjs");
      assert.equal((await run(arena, check)).state, "passed");
      assert.equal(existsSync(join(arena.folder, "src/a/extra.mjs")), false);
      assert.equal(existsSync(join(arena.folder, "ignored")), false);
    } finally {
      arena.close();
    }
    assert.equal(existsSync(arena.folder), false);
  });

  test("what does not end is ended with what it has started, and its files go", async () => {
    const arena = new Arena(project, project);
    try {
      const script = `
        import { spawn } from "node:child_process";
        import { writeFileSync } from "node:fs";
        import { tmpdir } from "node:os";
        writeFileSync(tmpdir() + "/left", "");
        const { pid } = spawn("sleep", ["60"], { stdio: "inherit" });
        process.stdout.write("started\\n");
        setInterval(() => {}, 1000);`;
      const { state, output, spent_ms } = await run(arena, script, 3000);
      assert.equal(state, "late");
      assert.equal(output, "started\n");
      assert.ok(spent_ms < 30_000);
      const left = join(dirname(arena.folder), "t");
      assert.deepEqual(readdirSync(left), ["left"]);
    } finally {
      arena.close();
    }
    assert.deepEqual(
      readdirSync(project).filter((name) => name.startsWith("mutants-")),
      [],
    );
  });

  test("where it runs apart, /dev/null is a mount, which nothing can replace", async () => {
    const arena = new Arena(project, project);
    try {
      const script = `
        import { readFileSync } from "node:fs";
        const isApart = process.pid === 1;
        const isMount = readFileSync("/proc/self/mountinfo", "utf8").includes(" /dev/null rw");
        process.exit(isMount === isApart ? 0 : 1);`;
      assert.equal((await run(arena, script)).state, "passed");
    } finally {
      arena.close();
    }
  });

  test("what says nothing for too long is ended, what goes on talking is not", async () => {
    const arena = new Arena(project, project);
    try {
      const chatter = `
        let said = 0;
        const timer = setInterval(() => {
          process.stdout.write("on\\n");
          if (++said === 40) clearInterval(timer);
        }, 100);`;
      const talk = ["node", "--input-type=module", "-e", chatter];
      const limits = { env: {}, limit_ms: LIMIT_MS };
      const on = await arena.run({ command: talk, ...limits, silence_ms: 3500 });
      assert.equal(on.state, "passed");
      assert.ok(on.silence_ms < 3500);
      const mute = ["node", "-e", "setInterval(() => {}, 1000)"];
      const off = await arena.run({ command: mute, ...limits, silence_ms: 1000 });
      assert.equal(off.state, "late");
      assert.ok(off.spent_ms < LIMIT_MS / 2);
    } finally {
      arena.close();
    }
  });

  test("what cannot be run is no verdict", async () => {
    const arena = new Arena(project, project);
    try {
      const command = ["node_modules/.bin/no-such-program"];
      await assert.rejects(
        arena.run({ command, env: {}, limit_ms: LIMIT_MS }),
        /cannot run "node_/,
      );
    } finally {
      arena.close();
    }
  });
});

describe("mutants/choose-tests", () => {
  const TESTS = [
    "test/a/one-more.test.ts",
    "test/a/one.test.ts",
    "test/a/ones.test.ts",
    "test/a/stranger.test.ts",
    "test/a/two.test.ts",
    "test/b/other.test.ts",
    "test/b/three.test.ts",
  ];

  before(() => {
    put("test/a/ones.test.ts", 'import { two } from "../../src/a/two.ts";');
    put("test/a/two.test.ts", 'spawn("node", "src/a/worker.mjs");');
    put("test/a/stranger.test.ts", 'import { four } from "../../src/a/four.ts";');
    put("src/a/two.ts", 'import { one } from "./one.ts";');
    put("src/a/worker.mjs", 'new Worker(new URL("./two.ts", import.meta.url));');
  });

  test("own tests first, then those of the folder that have to do with the file", () => {
    const reasons = { "src/a/one.ts": "test/b/three.test.ts; test/e2e/slow.test.ts" };
    const judges = judgesOf("src/a/one.ts", TESTS, new References(project), reasons);
    assert.deepEqual(
      judges.map(({ test: file, nearness }) => `${nearness} ${file}`),
      [
        "mirror test/a/one-more.test.ts",
        "mirror test/a/one.test.ts",
        "mirror test/b/three.test.ts",
        "folder test/a/ones.test.ts",
        "folder test/a/two.test.ts",
      ],
    );
  });

  test("a file runs under Bun where the plan has it so", () => {
    const file = "test/a/one.test.ts";
    const node = { runtime: "node", file, limit_s: 1, env: {} } as const;
    assert.deepEqual(commandOf([node]), ["node", "--import", "tsx", file]);
    const [program] = commandOf([node, { ...node, runtime: "bun" }]);
    assert.equal(program, "node_modules/.bin/bun");
    const jobs = [node, { ...node, runtime: "bun" }, { ...node, runtime: "deno" }] as const;
    assert.equal(commandOf(jobs, "src/sys/deno.ts")[0], "node_modules/.bin/deno");
    assert.equal(commandOf(jobs, "src/sys/bun.ts")[0], "node_modules/.bin/bun");
    assert.throws(() => commandOf([]), /no such/);
  });
});

describe("mutants/type-check", () => {
  test("the files are those with errors", () => {
    const output =
      "src/a.mutant-1.ts(2,3): error TS2322: no.\n  more in b.ts(1,1)\nFound 1 error.\n";
    assert.deepEqual([...filesNamed(output)], ["src/a.mutant-1.ts"]);
  });

  test("one that cannot be parsed does not let the others pass unchecked", async () => {
    const texts = ["right", "type error", "syntax error", "right too"];
    const mutants = texts.map((text) => ({ ...mutant("src/a/one.ts", "a"), text }));
    const files = new Map<string, string>();
    const checker = {
      write: (file: string, text: string) => void files.set(file, text),
      restore: (file: string) => void files.delete(file),
      run: async (): Promise<Outcome> => {
        const about = (what: string, code: string): string =>
          [...files]
            .filter(([, text]) => text === what)
            .map(([file]) => `${file}(1,1): error ${code}: no.\n`)
            .join("");
        const output = about("syntax error", "TS1005") || about("type error", "TS2322");
        return { state: output === "" ? "passed" : "failed", output, spent_ms: 1, silence_ms: 0 };
      },
    };
    const left = await typed(mutants, checker);
    assert.deepEqual(
      left.map(({ text }) => text),
      ["right", "right too"],
    );
    assert.equal(files.size, 0);
  });
});

describe("mutants/report", () => {
  const verdicts = [
    { mutant: mutant("src/a/one.ts", "a"), by: "mirror", test: "t" },
    { mutant: mutant("src/a/one.ts", "a"), by: "late", test: "t" },
    { mutant: mutant("src/a/one.ts", "a"), by: "folder", test: "t" },
    { mutant: mutant("src/a/two.ts", "a"), by: "nobody", test: "" },
    { mutant: mutant("src/b/one.ts", "b"), by: "mirror", test: "t" },
  ] as const;

  test("survivors are told as changes", () => {
    const told = "src/a/two.ts:3: operator survives\n    - a < b\n    - c\n    + a <= b\n    + c\n";
    assert.equal(survivors(verdicts), told);
    assert.equal(place(mutant("src/a/two.ts", "a")), "src/a/two.ts:3: operator");
    assert.match(change(mutant("src/a/two.ts", "a")), /^ {4}- a < b\n/);
  });

  test("the table has a line for each folder, and one for all where there are several", () => {
    const rows = table(verdicts)
      .split("\n")
      .map((row) => row.split(/ {2,}/).slice(0, 7));
    assert.deepEqual(rows.slice(1), [
      ["a", "4", "1", "1", "1", "1", "75.0 %"],
      ["b", "1", "1", "0", "0", "0", "100.0 %"],
      ["all", "5", "2", "1", "1", "1", "80.0 %"],
    ]);
    assert.equal(table(verdicts.slice(4)).split("\n").length, 2);
    const [head, line] = table(verdicts.slice(4), ["simulator"]).split("\n");
    assert.match(head ?? "", /^folder +mutants +simulated +by time +survive +score$/);
    assert.match(line ?? "", /^b +1 +0 +0 +0 +100\.0 %$/);
    assert.equal(score([]), 100);
  });
});
