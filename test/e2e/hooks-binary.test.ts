/**
 * The single binary under the name of a hook. How soon it listens is for `bench/hooks.ts` to say.
 */
import assert from "node:assert/strict";
import { rmSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { ourCommand } from "../support/e2e/program.ts";
import { endAll, run } from "../support/e2e/shell.ts";
import { fixture } from "../support/hook-fixtures.ts";
import { cannotServe } from "../support/hook-program.ts";
import { temporaryFolder } from "../support/hook-server.ts";

const LIMIT = { timeout: 120_000 };
const CASE = "a-user-guide";
const VMI = fixture(`${CASE}.vmi.json`);

// A failed test leaves its program running, and that would keep this process from ending.
after(endAll);

describe("serve: the single binary", { skip: cannotServe() }, () => {
  test("is a hook program under a hook's name", LIMIT, async () => {
    const folder = temporaryFolder();
    const program = join(folder, "onDefineDomain");
    symlinkSync(ourCommand()[0] ?? "", program);
    const domain = fixture(`${CASE}.domain.xml`);
    const args = ["--vmi", VMI, "--domain", domain];
    const named = await run([program, ...args], 20_000);
    assert.equal(named.code, 0, named.stderr);
    assert.match(named.stdout, /value="user,id=[\w-]*slirpnet,/);
    const asked = await run([...ourCommand(), "onDefineDomain", ...args], 20_000);
    assert.equal(asked.stdout, named.stdout);
    const wrong = await run([program, "--vmi", VMI, "--domain", "<a/>"], 20_000);
    assert.equal(wrong.code, 1);
    assert.match(wrong.stderr, /^slirp-binding: onDefineDomain: parse domain XML: [^\n]+\n$/);
    rmSync(folder, { recursive: true });
  });
});
