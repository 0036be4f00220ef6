/**
 * `serve` as a program: KubeVirt's calls in their order over real gRPC, every way to end, starts
 * that cannot succeed, no privileges, what is left behind.
 */
import assert from "node:assert/strict";
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
} from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { after, describe, test } from "node:test";
import { ourCommand } from "../support/e2e/program.ts";
import { endAll, type Outcome, run, until } from "../support/e2e/shell.ts";
import {
  call,
  callback,
  closed,
  connectRaw,
  EMPTY,
  INFO,
  MUTATE_DOMAIN,
  refusal,
} from "../support/hook-client.ts";
import { domainsOf, fixture } from "../support/hook-fixtures.ts";
import {
  cannotServe,
  launch,
  type ServeOptions,
  SOCKET_NAME,
  startServe,
} from "../support/hook-program.ts";
import { temporaryFolder } from "../support/hook-server.ts";
import { fields, message } from "../support/protobuf.ts";

const LIMIT = { timeout: 120_000 };
const CASE = "a-user-guide";
const VMI = fixture(`${CASE}.vmi.json`);
const ON_DEFINE = callback("v1alpha3", "OnDefineDomain");
const SHUTDOWN = callback("v1alpha3", "Shutdown");
const USER = "107";

/** The domain in an answer, whose only field it is. */
function domainIn(answer: Buffer): string {
  const [field, ...more] = fields(answer);
  assert.equal(field?.number, 1);
  assert.deepEqual(more, []);
  return field.value.toString();
}

async function define(path: string, domain: string): Promise<string> {
  return domainIn(await call(path, ON_DEFINE, message([1, domain], [2, VMI])));
}

function count(text: string, part: string): number {
  return text.split(part).length - 1;
}

/** Runs a start that has to fail and returns its one line of complaint. */
async function complaint(options: ServeOptions & { readonly folder: string }): Promise<string> {
  const outcome = await launch(options).outcome(20_000);
  assert.equal(outcome.code, 1, outcome.stderr);
  assert.equal(outcome.stdout, "");
  return outcome.stderr;
}

// A failed test leaves its program running, and that would keep this process from ending.
after(endAll);

describe("serve: calls", { skip: cannotServe() }, () => {
  test(
    "the calls of a start give one card, once, and Shutdown ends the program",
    LIMIT,
    async () => {
      const serve = await startServe();
      await call(serve.path, INFO, EMPTY, { deadline_ms: 5000 });
      for (const domain of domainsOf(CASE)) {
        const answer = await define(serve.path, domain);
        assert.equal(count(answer, 'value="user,id='), 1, answer);
        assert.equal(await define(serve.path, answer), answer);
      }
      assert.deepEqual(await call(serve.path, SHUTDOWN), EMPTY);
      const { code, stdout, stderr } = await serve.running.outcome(15_000);
      assert.equal(code, 0, stderr);
      assert.equal(stdout, "");
      assert.deepEqual(stderr.trimEnd().split("\n"), [
        `info  listening for hooks path=${serve.path}`,
        "info  ending reason=Shutdown",
      ]);
      assert.deepEqual(readdirSync(serve.folder), []);
      rmSync(serve.folder, { recursive: true });
    },
  );

  test("refusals have a status and a text, here and in the log", LIMIT, async () => {
    const serve = await startServe();
    const name = "x-masquerade";
    const domain = fixture(`${name}.domain.xml`);
    const asked = message([1, domain], [2, fixture(`${name}.vmi.json`)]);
    const masquerade = await refusal(serve.path, ON_DEFINE, asked);
    assert.equal(masquerade.code, "FAILED_PRECONDITION");
    assert.match(masquerade.text, /is not set with slirp network binding plugin/);
    const wrong = await refusal(serve.path, ON_DEFINE, message([1, "<domain>"], [2, VMI]));
    assert.equal(wrong.code, "INVALID_ARGUMENT");
    assert.match(wrong.text, /^parse domain XML: /);
    const { stderr } = await serve.end();
    assert.equal(stderr.match(/^warn {2}hook refused /gm)?.length, 2, stderr);
  });

  test("links that need a data plane are refused until there is one", LIMIT, async () => {
    const serve = await startServe({ args: ["--link", "client"] });
    const asked = message([1, fixture(`${CASE}.domain.xml`)], [2, VMI]);
    assert.deepEqual(await refusal(serve.path, ON_DEFINE, asked), {
      code: "FAILED_PRECONDITION",
      text: 'iface "slirpnet": link "client" is not available here, choose "user" or "auto"',
    });
    await serve.end();
  });

  test("a Plugin's socket does the same under its own name", LIMIT, async () => {
    const plugins = temporaryFolder();
    const serve = await startServe({ args: ["--plugin-dir", plugins] });
    const domain = fixture(`${CASE}.domain.xml`);
    const asked = message([1, "libvirt"], [2, domain], [3, VMI], [4, message([1, "Boot"])]);
    const answer = domainIn(await call(join(plugins, "slirp.sock"), MUTATE_DOMAIN, asked));
    assert.equal(answer, await define(serve.path, domain));
    await serve.end();
    assert.deepEqual(readdirSync(plugins), []);
    rmSync(plugins, { recursive: true });
  });
});

describe("serve: the end", { skip: cannotServe() }, () => {
  const ends: readonly (readonly [NodeJS.Signals, RegExp])[] = [
    [
      "SIGTERM",
      /^info {2}SIGTERM received .*\ninfo {2}ending reason="SIGTERM, no guest attached"$/m,
    ],
    ["SIGINT", /^info {2}ending reason=SIGINT$/m],
  ];
  for (const [signal, wanted] of ends) {
    test(`${signal} ends it with code 0 and no socket`, LIMIT, async () => {
      const plugins = temporaryFolder();
      const serve = await startServe({ args: ["--plugin-dir", plugins] });
      const idle = await connectRaw(serve.path);
      await define(serve.path, fixture(`${CASE}.domain.xml`));
      serve.running.signal(signal);
      const outcome: Outcome = await serve.running.outcome(15_000);
      await closed(idle);
      assert.equal(outcome.code, 0, outcome.stderr);
      assert.match(outcome.stderr, wanted);
      for (const folder of [serve.folder, plugins]) {
        assert.deepEqual(readdirSync(folder), []);
        rmSync(folder, { recursive: true });
      }
    });
  }

  test("what a killed one left is taken over", LIMIT, async () => {
    const killed = await startServe();
    killed.running.signal("SIGKILL");
    await killed.running.outcome(15_000);
    assert.deepEqual(readdirSync(killed.folder), [SOCKET_NAME]);
    const running = launch({ folder: killed.folder });
    await until(() => /listening/.test(running.stderr()) || running.ended(), "the second start");
    assert.match(running.stderr(), /^warn {2}stale socket removed /m);
    await call(killed.path, INFO);
    running.signal("SIGINT");
    assert.equal((await running.outcome(15_000)).code, 0);
    rmSync(killed.folder, { recursive: true });
  });

  test("200 calls and broken connections leave no descriptor open", LIMIT, async () => {
    const serve = await startServe();
    const open = (): number => readdirSync(`/proc/${serve.running.pid}/fd`).length;
    const domain = fixture(`${CASE}.domain.xml`);
    const round = async (): Promise<void> => {
      for (let at = 0; at < 20; at += 1) await define(serve.path, domain);
      for (let at = 0; at < 20; at += 1) (await connectRaw(serve.path)).destroy();
    };
    await round();
    await until(() => call(serve.path, INFO).then(() => true), "an answer");
    const before = open();
    for (let at = 0; at < 10; at += 1) await round();
    await until(
      () => open() <= before,
      () => `${open()} descriptors to become ${before}`,
      10_000,
    );
    await serve.end();
  });

  test("messages of 10 MiB are refused one after the other in bounded memory", LIMIT, async () => {
    const serve = await startServe();
    const limit_mib = process.env["SLIRP_RUNTIME"] ? 400 : 200;
    const big = Buffer.alloc(10 << 20, "<a>");
    const large = Buffer.alloc(7 << 20, "<a>");
    for (let at = 0; at < 10; at += 1) {
      assert.equal(
        (await refusal(serve.path, ON_DEFINE, message([1, big], [2, VMI]))).code,
        "RESOURCE_EXHAUSTED",
      );
      assert.equal(
        (await refusal(serve.path, ON_DEFINE, message([1, large], [2, VMI]))).code,
        "INVALID_ARGUMENT",
      );
    }
    const status = readFileSync(`/proc/${serve.running.pid}/status`, "utf8");
    const peak_mib = Number(status.match(/VmHWM:\s+(\d+)/)?.[1]) / 1024;
    assert.ok(peak_mib < limit_mib, `${peak_mib} MiB`);
    await serve.end();
  });
});

describe("serve: starts that cannot succeed", { skip: cannotServe() }, () => {
  test("each says what to do in one line and ends with code 1", LIMIT, async () => {
    const folder = temporaryFolder();
    const absent = join(folder, "absent");
    assert.equal(await complaint({ folder: absent }), `error create the folder "${absent}"\n`);
    const path = join(folder, SOCKET_NAME);
    mkdirSync(path);
    assert.equal(await complaint({ folder }), `error remove "${path}", which is no socket\n`);
    rmSync(path, { recursive: true });
    const noPlugins = { folder, args: ["--plugin-dir", absent] };
    assert.equal(await complaint(noPlugins), `error create the folder "${absent}"\n`);
    assert.deepEqual(readdirSync(folder), []);
    rmSync(folder, { recursive: true });
  });

  test("without any folder it says where one belongs", {
    skip: ["/var/run/kubevirt-hooks", "/var/run/kubevirt-plugin"].some(existsSync)
      ? "KubeVirt's folders are on this machine"
      : false,
    ...LIMIT,
  }, async () => {
    const outcome = await run([...ourCommand(), "serve", "--log-format", "pretty"], 20_000);
    assert.equal(outcome.code, 1);
    assert.equal(
      outcome.stderr,
      'error mount the hooks folder at "/var/run/kubevirt-hooks", ' +
        'or name it with "--hooks-dir DIR"\n',
    );
  });
});

describe("serve: without privileges", {
  skip:
    cannotServe("setpriv") ||
    (process.getuid?.() === 0 ? false : "only root can become another user"),
}, () => {
  const prefix = ["setpriv", `--reuid=${USER}`, `--regid=${USER}`, "--clear-groups"];
  prefix.push("--bounding-set=-all", "--no-new-privs");

  test("works in a folder that its group may write to", LIMIT, async () => {
    const folder = temporaryFolder();
    chownSync(folder, 0, Number(USER));
    chmodSync(folder, 0o2770);
    const serve = await startServe({ folder, prefix });
    const { uid, gid, mode } = statSync(serve.path);
    assert.deepEqual([uid, gid, (mode & 0o777).toString(8)], [Number(USER), Number(USER), "660"]);
    await define(serve.path, fixture(`${CASE}.domain.xml`));
    await serve.end();
    rmSync(folder, { recursive: true });
  });

  test("says so when the folder may not be written to", LIMIT, async () => {
    const folder = temporaryFolder();
    chmodSync(folder, 0o755);
    const path = join(folder, SOCKET_NAME);
    assert.equal(
      await complaint({ folder, prefix }),
      `error make it possible to listen on "${path}": EACCES\n`,
    );
    rmSync(folder, { recursive: true });
  });
});
