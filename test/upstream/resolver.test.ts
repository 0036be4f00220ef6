/** The resolvers behind the DNS address: fixed ones, the file's, and the file's after a change. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { RESOLV_CONF_PATH, readIfChanged } from "../../src/config/resolv.ts";
import { ResolverWatch } from "../../src/upstream/resolver.ts";
import { EngineWorld } from "../support/engine-harness.ts";
import { missing, testUnless } from "../sys/support.ts";
import { attachOptions, logTo } from "./resolver-support.ts";

/** This runtime's command line up to the script. */
function runtime(): string[] {
  return "Deno" in globalThis
    ? [process.execPath, "run", "--allow-all", "--no-check", "--no-lock"]
    : [process.execPath];
}

describe("resolver", () => {
  test("resolvers and search list of the command line are never looked up again", () => {
    const lines: string[] = [];
    const options = attachOptions(["192.0.2.1"], ["own.test"]);
    const watch = new ResolverWatch(options, logTo(lines));
    const { engine } = new EngineWorld();
    const told: unknown[] = [];
    engine.setResolvers = (addresses) => told.push(addresses);
    assert.equal(watch.wait(0), undefined);
    for (const now of [0, 1e6, 1e12]) watch.poll(engine, now);
    assert.deepEqual(told, []);
    assert.deepEqual(lines, [], "what the file lacks is nobody's concern");
  });

  test("the file is looked at once a second at most", () => {
    const watch = new ResolverWatch(attachOptions(), logTo([]));
    const { engine } = new EngineWorld();
    assert.deepEqual(watch.conf, readIfChanged(RESOLV_CONF_PATH).conf);
    assert.equal(watch.wait(7_000_000), 0, "at once");
    watch.poll(engine, 7_000_000);
    assert.equal(watch.wait(7_000_000), 1_000_000);
    assert.equal(watch.wait(7_400_000), 600_000);
    watch.poll(engine, 7_400_000);
    assert.equal(watch.wait(7_400_000), 600_000, "a look too early changes nothing");
    assert.equal(watch.wait(9_000_000), 0);
  });

  testUnless(missing(["root"]), "a change of the file reaches the engine", () => {
    follow(new URL("./resolver-follow.ts", import.meta.url), []);
  });

  testUnless(missing(["root"]), "where only a reader may read it, its answers do", () => {
    const none = ["--bounding-set=-all", "--inh-caps=-all"];
    follow(new URL("./resolver-forbidden.ts", import.meta.url), ["setpriv", ...none]);
  });
});

/** Runs a program where the file is its own: in a mount namespace, so the machine's stays. */
function follow(program: URL, prefix: readonly string[]): void {
  const folder = mkdtempSync(join(tmpdir(), "slirp-resolv-"));
  try {
    const file = join(folder, "resolv.conf");
    const marker = `# ${folder}`;
    writeFileSync(file, `${marker}\nnameserver 192.0.2.1\n`);
    const mount = `mount --bind "$1" ${RESOLV_CONF_PATH} && shift && exec "$@"`;
    const command = ["unshare", "-m", "--", "sh", "-c", mount, "sh", file];
    const argv = [...command, ...prefix, ...runtime(), fileURLToPath(program), marker];
    execFileSync("env", argv, { stdio: ["ignore", "ignore", "pipe"] });
  } finally {
    rmSync(folder, { recursive: true });
  }
}
