/**
 * grpc-go, the library that virt-launcher is built with, against the real program: its manners are
 * in test/support/grpc-go/main.go.
 */
import assert from "node:assert/strict";
import { readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { endAll } from "../support/e2e/shell.ts";
import {
  buildGoClient,
  cannotBuildGoClient,
  type GoCalls,
  type GoClient,
} from "../support/grpc-go/client.ts";
import { callback, EMPTY, HEALTH_CHECK, INFO, MUTATE_DOMAIN } from "../support/hook-client.ts";
import { fixture } from "../support/hook-fixtures.ts";
import { cannotServe, type Serve, startServe } from "../support/hook-program.ts";
import { temporaryFolder } from "../support/hook-server.ts";
import { fields, message } from "../support/protobuf.ts";

const LIMIT = { timeout: 300_000 };
const CASE = "a-user-guide";
const DOMAIN = fixture(`${CASE}.domain.xml`);
const VMI = fixture(`${CASE}.vmi.json`);
const ON_DEFINE = callback("v1alpha3", "OnDefineDomain");

// A failed test leaves its program running, and that would keep this process from ending.
after(endAll);

describe("grpc-go", { skip: cannotServe() || cannotBuildGoClient() }, () => {
  let client: GoClient;
  let plugins: string;
  let serve: Serve;

  const ask = (method: string, body: Buffer = EMPTY, manners: Partial<GoCalls> = {}) =>
    client.run({ socket: serve.path, method, body, ...manners });

  /** Makes calls that all have to succeed with the same answer, and returns that. */
  const answer = async (...args: Parameters<typeof ask>): Promise<Buffer> => {
    const report = await ask(...args);
    const { succeeded, different, code, message: text } = report;
    assert.deepEqual(
      { succeeded, different, code, text },
      { succeeded: args[2]?.count ?? 1, different: 0, code: "", text: "" },
    );
    return report.answer;
  };

  before(async () => {
    plugins = temporaryFolder();
    client = await buildGoClient();
    serve = await startServe({ args: ["--plugin-dir", plugins, "--log-level", "debug"] });
  }, LIMIT);
  after(() => {
    client.remove();
    rmSync(plugins, { recursive: true, force: true });
  });

  test("Info within a second, 1,000 in a row", LIMIT, async () => {
    const info = await answer(INFO, EMPTY, { count: 1000, deadline: "1s" });
    assert.deepEqual(
      fields(info).map(({ number }) => number),
      [1, 3, 3, 4, 4],
    );
    // It hangs up after each of them, which is nothing to write about.
    assert.doesNotMatch(serve.running.stderr(), /connection aborted/);
  });

  test("OnDefineDomain in every version, 1,000 in a row", LIMIT, async () => {
    const body = message([1, DOMAIN], [2, VMI]);
    const first = await answer(ON_DEFINE, body, { count: 1000 });
    const card = /<interface type="vhostuser">[\s\S]*?<alias name="ua-slirpnet"\/>/;
    assert.match(first.toString(), card);
    for (const version of ["v1alpha1", "v1alpha2"]) {
      assert.deepEqual(await answer(callback(version, "OnDefineDomain"), body), first);
    }
    const asked = message([1, "libvirt"], [2, DOMAIN], [3, VMI], [4, message([1, "Boot"])]);
    const plugin = await answer(MUTATE_DOMAIN, asked, { socket: join(plugins, "slirp.sock") });
    assert.deepEqual(plugin, first);
  });

  test("50 at once, ten times over", LIMIT, async () => {
    const many = { count: 500, parallel: 50 };
    await answer(ON_DEFINE, message([1, DOMAIN], [2, VMI]), many);
    await answer(INFO, EMPTY, { ...many, deadline: "10s" });
  });

  test("PreCloudInitIso gives back megabytes, octet by octet", LIMIT, async () => {
    const octets = Buffer.alloc(1_500_000, Buffer.from(Array.from({ length: 256 }, (_, at) => at)));
    for (const version of ["v1alpha2", "v1alpha3"]) {
      const method = callback(version, "PreCloudInitIso");
      const asked = message([1, octets], [2, VMI], [3, octets.subarray(7)]);
      const wanted = message([1, octets], [3, octets.subarray(7)]);
      assert.deepEqual(await answer(method, asked, { count: 5 }), wanted);
    }
  });

  test("connections without a call do no harm", LIMIT, async () => {
    await answer("", EMPTY, { count: 200, parallel: 20 });
  });

  test("errors arrive with status and text", LIMIT, async () => {
    const cases: readonly (readonly [string, Buffer, string, RegExp])[] = [
      [callback("v1alpha1", "Shutdown"), EMPTY, "Unimplemented", /^unknown method$/],
      [ON_DEFINE, message([1, "<a, b/>"], [2, VMI]), "InvalidArgument", /^parse domain XML: /],
      [
        ON_DEFINE,
        message([1, fixture("x-masquerade.domain.xml")], [2, fixture("x-masquerade.vmi.json")]),
        "FailedPrecondition",
        /^iface "[\w-]+" is not set with slirp network binding plugin or slirp binding method$/,
      ],
      [
        ON_DEFINE,
        Buffer.alloc(9 << 20),
        "ResourceExhausted",
        /9437184 octets: wanted at most 8388608/,
      ],
    ];
    for (const [method, body, code, text] of cases) {
      const report = await ask(method, body);
      assert.equal(report.succeeded, 0);
      assert.equal(report.code, code);
      assert.match(report.message, text);
    }
  });

  test("health is known to its standard client's words", LIMIT, async () => {
    assert.deepEqual(fields(await answer(HEALTH_CHECK)), [{ number: 1, value: 1 }]);
  });

  test("Shutdown is answered, then the program ends", LIMIT, async () => {
    assert.deepEqual(await answer(callback("v1alpha3", "Shutdown")), EMPTY);
    const { code, stderr } = await serve.running.outcome(15_000);
    assert.equal(code, 0, stderr);
    assert.deepEqual(readdirSync(serve.folder), []);
    assert.deepEqual(readdirSync(plugins), []);
    rmSync(serve.folder, { recursive: true });
  });
});
