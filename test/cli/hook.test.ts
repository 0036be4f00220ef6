/** The hooks as programs: arguments, exit codes, one line of error. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { describe, test } from "node:test";
import { hookName, runHook } from "../../src/cli/hook.ts";
import { ownCommand } from "../../src/cli/program.ts";
import type { HookName } from "../../src/hooks/exec.ts";
import { fixture } from "../support/hook-fixtures.ts";

const VMI = fixture("e-two-interfaces.vmi.json");
const DOMAIN = fixture("e-two-interfaces.domain.xml");
const BOTH = ["--vmi", VMI, "--domain", DOMAIN];

interface Ended {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

async function run(
  name: HookName,
  argv: string[],
  env: Record<string, string> = {},
): Promise<Ended> {
  let out = "";
  let err = "";
  const code = await runHook(name, argv, env, {
    out: async (text) => {
      out += text;
    },
    err: async (text) => {
      err += text;
    },
  });
  return { code, out, err };
}

describe("hook names", () => {
  test("are found in a path, and in nothing else", () => {
    assert.equal(hookName("/usr/bin/onDefineDomain"), "onDefineDomain");
    assert.equal(hookName("preCloudInitIso"), "preCloudInitIso");
    for (const name of ["", "slirp-binding", "ondefinedomain", "onDefineDomain/x", "toString"]) {
      assert.equal(hookName(name), undefined, name);
    }
  });
});

describe("onDefineDomain", () => {
  test("prints the domain, and nothing else", async () => {
    for (const argv of [BOTH, [`--domain=${DOMAIN}`, `--vmi=${VMI}`]]) {
      const { code, out, err } = await run("onDefineDomain", argv, { SLIRP_CIDR: "10.253.9.0/24" });
      assert.deepEqual([code, err], [0, ""]);
      assert.match(out, /user,id=slirp-slirpnet,net=10\.253\.9\.0\/24,.*hostfwd=tcp::80-:80/);
      assert.equal(out.slice(-9), "</domain>");
    }
  });

  test("takes another data plane's word from the environment", async () => {
    const env = { SLIRP_EXTERNAL_DATA_PLANE: "1", SLIRP_CIDR: "10.253.9.0/24" };
    assert.match((await run("onDefineDomain", BOTH, env)).out, /<interface type="client">/);
  });

  test("warns of what it has understood otherwise than written", async () => {
    const vmi = JSON.parse(VMI);
    vmi.spec.domain.devices.interfaces[0].ports = [{ port: 80 }, { port: 80 }];
    const argv = ["--vmi", JSON.stringify(vmi), "--domain", DOMAIN];
    const { code, out, err } = await run("onDefineDomain", argv);
    const { name } = vmi.spec.domain.devices.interfaces[0];
    const warning = `warning: iface "${name}": port "80/TCP" is listed twice`;
    assert.deepEqual([code, err], [0, `slirp-binding: onDefineDomain: ${warning}\n`]);
    assert.match(out, /<\/domain>$/);
  });

  test("passes on what is no refusal", async () => {
    const out = (): Promise<void> => Promise.reject(new Error("EPIPE"));
    const err = async (): Promise<void> => {};
    await assert.rejects(runHook("onDefineDomain", BOTH, {}, { out, err }), /^Error: EPIPE$/);
  });

  test("as a program writes to standard output, or to standard error", () => {
    const [runtime = "", ...args] = ownCommand();
    const start = (...argv: string[]) =>
      spawnSync(runtime, [...args, "onDefineDomain", ...argv], { encoding: "utf8" });
    const { status, stdout, stderr } = start(...BOTH);
    assert.deepEqual([status, stderr], [0, ""]);
    assert.match(stdout, /<\/domain>$/);
    const failed = start();
    assert.deepEqual([failed.status, failed.stdout], [2, ""]);
    const told = 'slirp-binding: onDefineDomain: read arguments: give "--vmi" and its value\n';
    assert.equal(failed.stderr, told);
  });

  const failures: readonly (readonly [string[], Record<string, string>, number, string])[] = [
    [["--vmi", "{", "--domain", DOMAIN], {}, 1, "parse VMI: not JSON"],
    [
      ["--vmi", VMI, "--domain", "a\nb"],
      {},
      1,
      "parse domain XML: line 1 column 1: text outside the root element",
    ],
    [
      BOTH,
      { SLIRP_LINK: "client" },
      1,
      'iface "slirpnet": link "client" needs a data plane, which a hook program does not have: ' +
        'wanted "user" or "auto"',
    ],
    [["--vmi", VMI], {}, 2, 'read arguments: give "--domain" and its value'],
    [["--vmi"], {}, 2, 'read arguments: give "--vmi" and its value'],
    [[...BOTH, "--frob"], {}, 2, 'read arguments: unknown argument "--frob"'],
    [[...BOTH, "more"], {}, 2, 'read arguments: unknown argument "more"'],
    [
      BOTH,
      { SLIRP_LINK: "tap" },
      2,
      'parse SLIRP_LINK "tap": wanted one of "auto", "client", "stream", "vhost-user", "user"',
    ],
  ];
  for (const [argv, env, wanted, message] of failures) {
    test(`${wanted}: ${message}`, async () => {
      const { code, out, err } = await run("onDefineDomain", argv, env);
      assert.deepEqual([code, out], [wanted, ""]);
      assert.equal(err, `slirp-binding: onDefineDomain: ${message}\n`);
    });
  }

  test("explains itself", async () => {
    const { code, out } = await run("onDefineDomain", ["--help"]);
    assert.equal(code, 0);
    assert.match(out, /^Usage: slirp-binding onDefineDomain --vmi JSON --domain XML\n/);
  });
});

describe("preCloudInitIso", () => {
  test("echoes", async () => {
    const data = fixture("n-configdrive.cloudInitData.json");
    const argv = ["--vmi", VMI, "--cloud-init", data];
    assert.deepEqual(await run("preCloudInitIso", argv), { code: 0, out: data, err: "" });
  });

  test("wants its own arguments", async () => {
    const { code, err } = await run("preCloudInitIso", BOTH);
    assert.equal(code, 2);
    assert.equal(
      err,
      'slirp-binding: preCloudInitIso: read arguments: unknown argument "--domain"\n',
    );
  });
});
