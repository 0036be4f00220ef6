/** Parts of `run` that need no namespace: programs by name, and resolv.conf. */
import assert from "node:assert/strict";
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test } from "node:test";
import { resolvConfOf } from "../../src/cli/run.ts";
import { exitCodeOf, findProgram, problemOf } from "../../src/cli/run-inside.ts";
import { EACCES, ENOENT } from "../../src/sys/errno.ts";
import { parse } from "./support.ts";

describe("run", () => {
  test("a program is found as shells find it", () => {
    const folder = mkdtempSync(join(tmpdir(), "slirp-run-"));
    const [first, second] = [join(folder, "a"), join(folder, "b")];
    for (const each of [first, second]) mkdirSync(each);
    writeFileSync(join(first, "tool"), "");
    mkdirSync(join(first, "other"));
    writeFileSync(join(second, "other"), "");
    chmodSync(join(second, "other"), 0o755);
    try {
      const path = `${first}:${second}`;
      assert.equal(findProgram("other", path), join(second, "other"));
      assert.equal(findProgram("tool", path), EACCES);
      assert.equal(findProgram("none", path), ENOENT);
      assert.equal(findProgram(join(second, "other"), ""), join(second, "other"));
      assert.equal(findProgram(`${folder}/none`, path), ENOENT);
      assert.equal(findProgram(folder, path), EACCES);
    } finally {
      rmSync(folder, { recursive: true });
    }
    assert.deepEqual([exitCodeOf(ENOENT), exitCodeOf(EACCES)], [127, 126]);
    assert.equal(problemOf("x\n", EACCES), 'run "x\\n": permission denied');
  });

  test("resolv.conf names what the network answers at", () => {
    const textOf = (...argv: string[]): string => {
      const command = parse(["run", ...argv, "true"]);
      assert.ok(command.kind === "run");
      return resolvConfOf(command.options.attach);
    };
    assert.match(textOf(), /^nameserver 10\.0\.2\.3\nnameserver fd10:0:2::3\n/);
    const four = textOf("--no-ipv6", "--cidr", "192.168.5.0/24", "--search", "a.b");
    assert.match(four, /^nameserver 192\.168\.5\.3\nsearch a\.b\n/);
    assert.match(textOf("--no-ipv4"), /^nameserver fd10:0:2::3\n/);
  });
});
