/**
 * The rules of this project that no other tool checks: who imports whom, where system calls, clock
 * and environment may be used, sizes, banned constructs, a test for every file, fresh documents.
 */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import process from "node:process";
import { describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { circlesOf } from "./support/circles.ts";
import { mayImport } from "./support/layers.ts";
import {
  blank,
  declarations,
  exportedValues,
  functions,
  imports,
  usedNames,
} from "./support/source.ts";
import { UNMIRRORED } from "./support/unmirrored.ts";

const ROOT = resolve(fileURLToPath(new URL("..", import.meta.url)));
const LINES_MAX = 400;
const FUNCTION_LINES_MAX = 60;
const COLUMNS_MAX = 100;
const PARAMETERS_MAX = 7;

const CODE = /\.(?:ts|mts|mjs)$/;
const SKIPPED = new Set(["node_modules", "dist", "build", ".git", "fixtures", "gen", "proto"]);

function filesBelow(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    if (SKIPPED.has(entry.name)) return [];
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return filesBelow(path);
    return entry.isFile() ? [relative(ROOT, path)] : [];
  });
}

const FILES = filesBelow(ROOT).sort();
const SOURCES = new Map(
  FILES.filter((file) => CODE.test(file)).map((file) => {
    const text = readFileSync(join(ROOT, file), "utf8");
    return [file, { text, code: blank(text) }] as const;
  }),
);

type Found = { readonly line: number; readonly what: string };

function search(text: string, pattern: RegExp): Found[] {
  return [...text.matchAll(new RegExp(pattern, "g"))].map((match) => ({
    line: text.slice(0, match.index).split("\n").length,
    what: match[0].trim(),
  }));
}

/** All places where the code, without comments and strings, matches. */
function offenders(pattern: RegExp, isAllowed: (file: string) => boolean): string[] {
  return [...SOURCES].flatMap(([file, { code }]) =>
    isAllowed(file)
      ? []
      : search(code, pattern).map(({ line, what }) => `${file}:${line}: "${what}"`),
  );
}

function assertNone(found: readonly string[], advice: string): void {
  assert.equal(found.length, 0, `${advice}:\n${found.join("\n")}`);
}

function within(...folders: string[]): (file: string) => boolean {
  return (file) => folders.some((folder) => file === folder || file.startsWith(`${folder}/`));
}

/** Path from the root of what a relative import names; AssemblyScript leaves the ending out. */
function target(file: string, specifier: string): string {
  const path = join(dirname(file), specifier);
  return file.startsWith("wasm/") && !path.endsWith(".ts") ? `${path}.ts` : path;
}

const PRODUCT = within("src", "wasm");
/** Of the laboratory, what is no simulation. */
const LAB_PROGRAMS = ["src/lab/commands", "src/lab/demo"];
const OUTSIDE_SRC = (file: string): boolean => !file.startsWith("src/");

describe("imports", () => {
  test("every arrow is one of the design", () => {
    const found = [...SOURCES].flatMap(([file, { text }]) =>
      imports(text)
        .filter(({ specifier }) => specifier.startsWith("."))
        .map(({ specifier, kind }) => ({ to: target(file, specifier), kind }))
        .filter(({ to, kind }) => !mayImport(file, to, kind))
        .map(({ to }) => `${file} imports ${to}`),
    );
    assertNone(found, "Remove these imports or move the code");
  });

  test("no modules import each other in a circle, types included", () => {
    const graph = new Map(
      [...SOURCES].map(([file, { text }]) => [
        file,
        imports(text)
          .filter(({ specifier }) => specifier.startsWith("."))
          .map(({ specifier }) => target(file, specifier)),
      ]),
    );
    const found = circlesOf(graph).map((circle) => circle.join(" "));
    assertNone(found, "Move what they share into a module of its own");
  });

  test("engine and host have the same parts of the contract", () => {
    const parts = FILES.filter((file) => /^wasm\/abi\/(?!index)/.test(file));
    for (const list of ["wasm/abi.ts", "wasm/abi/index.ts"]) {
      const named = imports(SOURCES.get(list)?.text ?? "").map(({ specifier }) =>
        target(list, specifier),
      );
      assert.deepEqual(named, parts, list);
    }
  });

  test("the engine imports nothing but itself", () => {
    const found = [...SOURCES].flatMap(([file, { text }]) =>
      file.startsWith("wasm/")
        ? imports(text)
            .filter(({ specifier }) => !specifier.startsWith("."))
            .map(({ specifier }) => `${file} imports "${specifier}"`)
        : [],
    );
    assertNone(found, "Remove these imports");
  });

  test("Connect and protobuf stay in hooks, in admin and in what imitates a caller", () => {
    const allowed = within("src/hooks", "src/admin", "src/lab/demo/launcher.ts");
    const found = [...SOURCES].flatMap(([file, { text }]) =>
      imports(text)
        .filter(({ specifier }) => /^@(?:connectrpc|bufbuild)\//.test(specifier))
        .filter(() => PRODUCT(file) && !allowed(file))
        .map(({ specifier }) => `${file} imports "${specifier}"`),
    );
    assertNone(found, "Move these imports");
  });
});

describe("exclusive rights", () => {
  test("system calls are made in src/sys only", () => {
    const foreign = [...SOURCES].filter(
      ([file, { text }]) => /["']bun:ffi["']/.test(text) && !within("src/sys", "test")(file),
    );
    const found = foreign.map(([file]) => file);
    const open = offenders(/\bdlopen\b/, within("src/sys", "test", "bench", "scripts"));
    assertNone([...found, ...open], "Move the system calls to src/sys");
  });

  test("process, arguments and environment are read by main, cli, config and lab only", () => {
    const pattern = /(?<![.\w])process\s*[.[]|\b(?:Bun|Deno)\.(?:env|argv|args|exit)\b/;
    const allowed = within("src/main.ts", "src/cli", "src/config", ...LAB_PROGRAMS);
    const found = offenders(pattern, (file) => OUTSIDE_SRC(file) || allowed(file));
    assertNone(found, "Pass the value in from main, cli, config or lab");
  });

  test("wall clock and randomness are used by loop/clock, cli and lab only", () => {
    const clock = /\bDate\.now\b|\bnew Date\(\)|\bperformance\.(?:now|timeOrigin)\b|\bhrtime\b/;
    const random = /\bMath\.random\b|\b(?:getRandomValues|randomBytes|randomInt|randomUUID)\b/;
    const allowed = within(
      ...["src/loop/clock.ts", "src/network/host.ts", "src/cli"],
      ...LAB_PROGRAMS,
    );
    for (const pattern of [clock, random]) {
      const found = offenders(pattern, (file) => OUTSIDE_SRC(file) || allowed(file));
      assertNone(found, "Pass time or seed in as an argument");
    }
  });
});

describe("exports", () => {
  test("what a module exports is used by another one, and not by tests alone", () => {
    const users = new Map<string, string[]>();
    for (const [file, { text }] of SOURCES) {
      for (const { specifier, name } of usedNames(text)) {
        const key = `${target(file, specifier)} ${name}`;
        users.set(key, [...(users.get(key) ?? []), file]);
      }
    }
    const found = [...SOURCES].flatMap(([file, { text }]) =>
      file.startsWith("src/")
        ? exportedValues(text)
            .filter(({ name }) => {
              const by = [`${file} ${name}`, `${file} *`].flatMap((key) => users.get(key) ?? []);
              return by.every((user) => user.startsWith("test/"));
            })
            .map(({ name, line }) => `${file}:${line}: ${name}`)
        : [],
    );
    assertNone(found, "Move these to a file that the product uses, or test what it does use");
  });
});

describe("sizes", () => {
  test(`no file is longer than ${LINES_MAX} lines`, () => {
    const found = [...SOURCES].flatMap(([file, { text }]) => {
      const lines = text.trimEnd().split("\n").length;
      return lines > LINES_MAX ? [`${file}: ${lines} lines`] : [];
    });
    assertNone(found, "Split these files");
  });

  test(`no function has more than ${PARAMETERS_MAX} parameters`, () => {
    const found = [...SOURCES].flatMap(([file, { text }]) =>
      file.startsWith("test/")
        ? []
        : declarations(text)
            .filter(({ count }) => count > PARAMETERS_MAX)
            .map(({ line, name, count }) => `${file}:${line}: ${name}, ${count}`),
    );
    assertNone(found, "Give these a record");
  });

  test(`no function is longer than ${FUNCTION_LINES_MAX} lines`, () => {
    const found = [...SOURCES].flatMap(([file, { text }]) =>
      functions(text)
        .filter(({ lines }) => lines > FUNCTION_LINES_MAX)
        .map(({ line, lines, head }) => `${file}:${line}: ${lines} lines: ${head.slice(0, 60)}`),
    );
    assertNone(found, "Split these functions");
  });

  test(`no line is longer than ${COLUMNS_MAX} columns`, () => {
    const documents = ["README.md", "CHANGELOG.md"].map((file) => {
      return [file, { text: readFileSync(join(ROOT, file), "utf8") }] as const;
    });
    const found = [...SOURCES, ...documents].flatMap(([file, { text }]) =>
      text
        .split("\n")
        .flatMap((line, index) => ([...line].length > COLUMNS_MAX ? [`${file}:${index + 1}`] : [])),
    );
    assertNone(found, "Break these lines");
  });
});

describe("constructs", () => {
  const isJavaScript = (file: string): boolean => file.endsWith(".mjs");
  const bans: readonly (readonly [string, RegExp, (file: string) => boolean])[] = [
    ["any", /(?<![.\w$])any(?![\w$(:])/, isJavaScript],
    ["non-null assertions", /[\w)\]]!(?![=\w])/, isJavaScript],
    ["default exports", /\bexport\s+default\b/, () => false],
    ["enums", /\benum\s+\w+\s*\{/, () => false],
  ];
  for (const [name, pattern, isAllowed] of bans) {
    test(`there are no ${name}`, () => assertNone(offenders(pattern, isAllowed), "Rewrite these"));
  }

  test("nothing is left to do", () => {
    const pattern = new RegExp(["TO", "DO|FIX", "ME|XX", "X\\b"].join(""));
    const found = [...SOURCES].flatMap(([file, { text }]) =>
      search(text, new RegExp(`\\b(?:${pattern.source})`)).map(({ line }) => `${file}:${line}`),
    );
    assertNone(found, "Do these now");
  });

  test("no path of a machine is named", () => {
    const pattern = new RegExp(`(?:^|[^\\w.-])/(?:wo${"rk"}|fa${"rm"}|ro${"ot"})/`, "m");
    const found = FILES.filter((file) => statSync(join(ROOT, file)).size < 1_000_000).flatMap(
      (file) =>
        search(readFileSync(join(ROOT, file), "utf8"), pattern).map(
          ({ line, what }) => `${file}:${line}: "${what}"`,
        ),
    );
    assertNone(found, "Use a path relative to the file");
  });

  test("names of files are in kebab case, and each says first what it is", () => {
    const named = /^[a-z0-9]+(?:[-.][a-z0-9]+)*\.(?:ts|mts|mjs)$/;
    const found = [...SOURCES].flatMap(([file, { text }]) => {
      const name = file.split("/").at(-1) ?? "";
      const problems = named.test(name) ? [] : [`${file}: name`];
      return /^(?:#![^\n]*\n)?\s*\/[*/]/.test(text) ? problems : [...problems, `${file}: no head`];
    });
    assertNone(found, "Rename these, or start them with a comment");
  });
});

describe("completeness", () => {
  const tests = FILES.filter((file) => file.endsWith(".test.ts"));

  /**
   * `src/a/b.ts` is mirrored by `test/a/b.test.ts` or `test/a/b-more.test.ts`, and so is
   * `src/lab/a/b.ts`.
   */
  function isMirrored(file: string): boolean {
    const stem = `test/${file.replace(/^src\/(?:lab\/)?/, "").replace(/(?:\.d)?\.ts$/, "")}`;
    return tests.some((each) => each.startsWith(`${stem}.`) || each.startsWith(`${stem}-`));
  }

  test("every source file has a test file or a reason", () => {
    const found = [...SOURCES.keys()].filter(
      (file) => PRODUCT(file) && !isMirrored(file) && UNMIRRORED[file] === undefined,
    );
    assertNone(found, "Write tests for these, or say in test/support/unmirrored.ts why not");
  });

  test("no reason has outlived its file or its need, or names a test that is gone", () => {
    const found = Object.entries(UNMIRRORED).flatMap(([file, reason]) => {
      const named = [...reason.matchAll(/test\/[\w/.-]+\.ts/g)].map(([path]) => path);
      const gone = named.filter((path) => !existsSync(join(ROOT, path)));
      const needless = !SOURCES.has(file) || isMirrored(file);
      return needless || gone.length > 0 ? [`${file}: ${gone.join(" ")}`] : [];
    });
    assertNone(found, "Mend test/support/unmirrored.ts");
  });

  test("docs/rfc-coverage.md is up to date", () => {
    const script = join(ROOT, "scripts/rfc-coverage.mjs");
    const node =
      "bun" in process.versions || "deno" in process.versions ? "node" : process.execPath;
    const { status, stderr } = spawnSync(node, [script, "--check"], { encoding: "utf8" });
    assert.equal(status, 0, stderr);
  });

  test("docs/cve-tests.md names a test of each weakness, and every one that tests name", () => {
    const document = readFileSync(join(ROOT, "docs/cve-tests.md"), "utf8");
    const rows = [...document.matchAll(/^\| (CVE-[\d-]+) \|.* `(test\/[^`]+)` \|$/gm)];
    const empty = rows
      .filter(([, id = "", file = ""]) => !(SOURCES.get(file)?.text ?? "").includes(id))
      .map(([row]) => row);
    const listed = new Set(rows.map(([, id]) => id));
    const stray = tests.flatMap((file) =>
      search(SOURCES.get(file)?.text ?? "", /CVE-\d{4}-\d+/)
        .filter(({ what }) => !listed.has(what))
        .map(({ line, what }) => `${file}:${line}: ${what}`),
    );
    assertNone([...empty, ...stray], "Mend docs/cve-tests.md");
  });

  test("docs/security.md names a test that there is in every row of what holds", () => {
    const document = readFileSync(join(ROOT, "docs/security.md"), "utf8");
    const holds = document.slice(document.indexOf("## Shares"), document.indexOf("## Compared"));
    const rows = holds.split("\n").filter((line) => /^\| (?!---|bounded thing|what \|)/.test(line));
    assert.ok(rows.length > 40);
    const untested = rows.filter((row) => {
      const [, file = ""] = /`(test\/[^`]+)` \|$/.exec(row) ?? [];
      return !existsSync(join(ROOT, file)) || file === "";
    });
    assertNone(untested, "Name the tests of these");
  });

  test("docs/field-reports.md names a test that there is in every row", () => {
    const document = readFileSync(join(ROOT, "docs/field-reports.md"), "utf8");
    const rows = document.split("\n").filter((line) => line.startsWith("| ") && line.includes("`"));
    assert.ok(rows.length > 40);
    const untested = rows.filter((row) => {
      const [, file = "", name = ""] = /`(test\/[^`]+)`: "(.+)" \|$/.exec(row) ?? [];
      const path = join(ROOT, file);
      return name === "" || !existsSync(path) || !readFileSync(path, "utf8").includes(name);
    });
    assertNone(untested, "Name the tests of these");
  });

  test("docs/dependencies.md names every dependency with its version", () => {
    const manifest: unknown = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8"));
    const { dependencies, devDependencies } = manifest as Record<string, Record<string, string>>;
    const document = readFileSync(join(ROOT, "docs/dependencies.md"), "utf8");
    const found = Object.entries({ ...dependencies, ...devDependencies })
      .filter(([name, version]) => !document.includes(`| ${name} | ${version} |`))
      .map(([name, version]) => `${name} ${version}`);
    assertNone(found, "Name these, pinned to one version");
  });
});
