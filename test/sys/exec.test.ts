/** What a program finds that this one has become, and what was mounted before that. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { describe } from "node:test";
import { fileURLToPath } from "node:url";
import { systemTest } from "./support.ts";

const CHILD = fileURLToPath(new URL("./exec-child.ts", import.meta.url));
const RUNTIME = "Deno" in globalThis ? ["run", "-A", "--no-check", "--no-lock"] : [];
const APART = ["unshare", "--mount", "--propagation", "private"];

/** Output of a program that a child became, with these mounts. */
function become(
  prefix: readonly string[],
  mounts: readonly (readonly string[])[],
  ...argv: string[]
): string {
  const command = [process.execPath, ...RUNTIME, CHILD, JSON.stringify(mounts), ...argv];
  const [program = "", ...args] = [...prefix, ...command];
  const { stdout, stderr } = spawnSync(program, args, { encoding: "utf8" });
  assert.equal(stderr, "");
  return stdout;
}

function withFolder(run: (folder: string) => void): void {
  const folder = mkdtempSync(join(tmpdir(), "slirp-exec-"));
  try {
    run(folder);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

describe("exec", () => {
  systemTest("a program gets its arguments, and the variables that are set", [], () => {
    assert.equal(become([], [], "/usr/bin/env"), "GREETING=hello there\nEMPTY=\n");
    const script = 'printf "%s|" "$0" "$@"';
    assert.equal(become([], [], "/bin/sh", "-c", script, "a b", "", "c"), "a b||c|");
  });

  systemTest("signals are those of a fresh process", [], () => {
    const status = become([], [], "/bin/cat", "/proc/self/status");
    for (const name of ["SigBlk", "SigIgn"]) {
      const set = BigInt(`0x${new RegExp(`^${name}:\\s*(\\w+)$`, "m").exec(status)?.[1]}`);
      for (const signal of [13n, 25n]) assert.equal((set >> (signal - 1n)) & 1n, 0n, name);
      if (name === "SigBlk") assert.equal(set, 0n);
    }
    assert.match(status, /^CapAmb:\s*0{16}$/m);
  });

  systemTest("what cannot be run is told by its number", [], () => {
    assert.equal(become([], [], "/nonexistent/program"), "-2\n");
    assert.equal(become([], [], "/etc/passwd"), "-13\n");
  });

  systemTest("a file is shown in another one's place, here alone", ["root"], () =>
    withFolder((folder) => {
      const [ours, theirs] = [join(folder, "ours"), join(folder, "theirs")];
      writeFileSync(ours, "ours\n");
      writeFileSync(theirs, "theirs\n");
      const cat = (mounts: readonly (readonly string[])[]) =>
        become(APART, mounts, "/bin/cat", theirs);
      assert.equal(cat([["file", ours, theirs]]), "ours\n");
      assert.equal(cat([]), "theirs\n");
      const missing = join(folder, "missing");
      assert.equal(
        cat([["file", missing, theirs]]),
        `Mount "${missing}" on "${theirs}": no such file or directory (ENOENT)\n`,
      );
    }),
  );

  systemTest("an empty file system is put on a folder", ["root"], () =>
    withFolder((folder) => {
      writeFileSync(join(folder, "file"), "");
      assert.equal(become(APART, [["empty", folder]], "/bin/ls", folder), "");
      const stat = become(APART, [["empty", folder]], "/usr/bin/stat", "-c", "%a", folder);
      assert.equal(stat, "755\n");
      assert.equal(become(APART, [], "/bin/ls", folder), "file\n");
    }),
  );

  systemTest("a folder is shown on top of another, read-only", ["root"], () =>
    withFolder((folder) => {
      const [upper, lower] = [join(folder, "upper"), join(folder, "lower")];
      for (const place of [upper, lower]) mkdirSync(place);
      writeFileSync(join(upper, "both"), "upper\n");
      writeFileSync(join(lower, "both"), "lower\n");
      writeFileSync(join(lower, "own"), "own\n");
      const mounts = [["over", upper, lower]];
      const script = `cd ${lower} && cat both own; touch new 2>/dev/null || echo read-only`;
      assert.equal(become(APART, mounts, "/bin/sh", "-c", script), "upper\nown\nread-only\n");
    }),
  );
});
