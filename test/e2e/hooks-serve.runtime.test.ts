/**
 * `serve` as a program: KubeVirt's calls in their order over real gRPC, the sockets of every link,
 * every way to end, starts that cannot succeed, no privileges, and what is left behind. How soon it
 * is there is for `bench/hooks.ts` to say; guests are in `sidecar.runtime.test.ts`.
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
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
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
/** Lines of the moment and of the machine, as the last guest's end and ping sockets. */
const MAY_BE =
  / guest (?:dis)?connected | privileges dropped| limits |still serving it|cannot ping beyond/;

/** The domain in an answer, whose only field it is. */
function domainIn(answer: Buffer): string {
  const [field, ...more] = fields(answer);
  assert.equal(field?.number, 1);
  assert.deepEqual(more, []);
  return field.value.toString();
}

/** A connection to this port of loopback. */
function connected(port: number): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, "127.0.0.1");
    socket.once("error", reject);
    socket.once("connect", () => resolve(socket));
  });
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
  after(endAll);

  test(
    "the calls of a start give one card, once, on a port that listens, until Shutdown",
    LIMIT,
    async () => {
      const serve = await startServe({ args: ["--link", "client"] });
      const { port } = serve;
      await call(serve.path, INFO, EMPTY, { deadline_ms: 5000 });
      for (const domain of domainsOf(CASE)) {
        const answer = await define(serve.path, domain);
        (await connected(port)).destroy();
        const source = `<source address="127.0.0.1" port="${port}"/>`;
        assert.equal(count(answer, '<interface type="client">'), 1, answer);
        assert.equal(count(answer, source), 1, answer);
        assert.equal(await define(serve.path, answer), answer);
      }
      assert.deepEqual(await call(serve.path, SHUTDOWN), EMPTY);
      const { code, stdout, stderr } = await serve.running.outcome(15_000);
      assert.equal(code, 0, stderr);
      assert.equal(stdout, "");
      const lines = stderr.trimEnd().split("\n");
      assert.deepEqual(
        lines.filter((line) => !MAY_BE.test(line)),
        [
          `info  listening for hooks path=${serve.path}`,
          `info  guest network ready iface=slirpnet link=tcp:127.0.0.1:${port}`,
          'info  link chosen iface=slirpnet link=client reason="asked for"',
          "info  shutting down reason=Shutdown",
        ],
      );
      await assert.rejects(connected(port));
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

  test(
    "link stream: a socket for owner and group, in a folder that goes at the end",
    LIMIT,
    async () => {
      const serve = await startServe({ args: ["--link", "stream"] });
      const folder = join(serve.folder, "userdata");
      const answer = await define(serve.path, fixture(`${CASE}.domain.xml`));
      const path = "/var/run/kubevirt-hooks/hook-sidecar-0/userdata/stream-0.sock";
      assert.ok(answer.includes(`server=off,addr.type=unix,addr.path=${path}`), answer);
      assert.equal(statSync(folder).mode & 0o777, 0o770);
      // That of the commands comes when rights are given up.
      await until(() => existsSync(join(folder, "admin.sock")), "the admin socket");
      assert.deepEqual(readdirSync(folder).sort(), ["admin.sock", "stream-0.sock"]);
      const { mode } = statSync(join(folder, "stream-0.sock"));
      assert.equal(mode & 0o777, 0o660);
      (await connectRaw(join(folder, "stream-0.sock"))).destroy();
      await serve.end();
    },
  );

  test("link user: nothing of ours listens", LIMIT, async () => {
    const serve = await startServe({ args: ["--link", "user"] });
    const answer = await define(serve.path, fixture(`${CASE}.domain.xml`));
    assert.equal(count(answer, 'value="user,id='), 1, answer);
    assert.ok(readdirSync(serve.folder).every((name) => [SOCKET_NAME, "userdata"].includes(name)));
    const { stderr } = await serve.end();
    assert.doesNotMatch(stderr, /guest network/);
  });

  test("link vhost-user: shared memory, a socket that listens, until Shutdown", LIMIT, async () => {
    const serve = await startServe({ args: ["--link", "vhost-user"] });
    const file = "userdata/vhost-user-0.sock";
    for (const domain of domainsOf(CASE)) {
      const answer = await define(serve.path, domain);
      (await connectRaw(join(serve.folder, file))).destroy();
      const source = `<source type="unix" path="/var/run/kubevirt-hooks/hook-sidecar-0/${file}"`;
      assert.equal(count(answer, '<interface type="vhostuser">'), 1, answer);
      assert.equal(count(answer, source), 1, answer);
      assert.equal(count(answer, '<access mode="shared"/>'), 1, answer);
      assert.equal(await define(serve.path, answer), answer);
    }
    assert.deepEqual(await call(serve.path, SHUTDOWN), EMPTY);
    const { code, stderr } = await serve.running.outcome(15_000);
    assert.equal(code, 0, stderr);
    assert.match(
      stderr,
      /^info {2}guest network ready iface=slirpnet link=unix:.*vhost-user-0\.sock$/m,
    );
    assert.deepEqual(readdirSync(serve.folder), []);
    rmSync(serve.folder, { recursive: true });
  });

  test("link auto: the kind that suits memory and card, and why, in one line", LIMIT, async () => {
    const serve = await startServe();
    const domain = fixture(`${CASE}.domain.xml`);
    const backing = '<memoryBacking><access mode="private"/></memoryBacking>';
    await define(serve.path, domain.replace("<os>", `${backing}<os>`));
    (await connected(serve.port)).destroy();
    await define(serve.path, domain.replace("<os>", `${backing}<os>`));
    const { stderr } = await serve.end();
    const reason = String.raw`"memory access \"private\": wanted \"shared\""`;
    assert.deepEqual(stderr.match(/^.* link chosen .*$/gm), [
      `info  link chosen iface=slirpnet link=client reason=${reason}`,
    ]);
  });

  test("a loopback port that somebody else has is a refusal that names it", LIMIT, async () => {
    const taken = createServer();
    await new Promise<void>((resolve) => taken.listen(0, "127.0.0.1", resolve));
    const { port } = taken.address() as AddressInfo;
    const env = { SLIRP_LINK: "client", SLIRP_LOOPBACK_PORT: String(port) };
    const serve = await startServe({ env });
    const asked = message([1, fixture(`${CASE}.domain.xml`)], [2, VMI]);
    const { code, text } = await refusal(serve.path, ON_DEFINE, asked);
    assert.equal(code, "FAILED_PRECONDITION");
    assert.match(
      text,
      new RegExp(`^iface "slirpnet": Listen on "tcp:127.0.0.1:${port}": .*EADDRINUSE`),
    );
    await new Promise((resolve) => taken.close(resolve));
    await define(serve.path, fixture(`${CASE}.domain.xml`)); // and then it is possible
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
  after(endAll);

  const ends: readonly (readonly [NodeJS.Signals, RegExp])[] = [
    [
      "SIGTERM",
      /^info {2}SIGTERM received .*\ninfo {2}shutting down reason="SIGTERM, no guest attached"$/m,
    ],
    ["SIGINT", /^info {2}shutting down reason=SIGINT$/m],
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
    assert.ok(readdirSync(killed.folder).includes(SOCKET_NAME));
    const running = launch({ folder: killed.folder });
    await until(() => /listening/.test(running.stderr()) || running.ended(), "the second start");
    assert.match(running.stderr(), /^warn {2}removed stale socket /m);
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
    assert.equal(
      await complaint({ folder: absent }),
      `slirp-binding: "${absent}" is not a folder\n`,
    );
    const path = join(folder, SOCKET_NAME);
    mkdirSync(path);
    assert.equal(
      await complaint({ folder }),
      `slirp-binding: "${path}" exists and is not a socket\n`,
    );
    rmSync(path, { recursive: true });
    const noPlugins = { folder, args: ["--plugin-dir", absent] };
    assert.equal(await complaint(noPlugins), `slirp-binding: "${absent}" is not a folder\n`);
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
      'slirp-binding: mount the hooks folder at "/var/run/kubevirt-hooks", ' +
        'or name it with "--hooks-dir DIR"\n',
    );
  });
});

describe("serve: without privileges", {
  skip:
    cannotServe("setpriv") ||
    (process.getuid?.() === 0 ? false : "only root can become another user"),
}, () => {
  after(endAll);
  const prefix = ["setpriv", `--reuid=${USER}`, `--regid=${USER}`, "--clear-groups"];
  prefix.push("--bounding-set=-all", "--no-new-privs");

  test("works in a folder that its group may write to", LIMIT, async () => {
    const folder = temporaryFolder();
    chownSync(folder, 0, Number(USER));
    chmodSync(folder, 0o2770);
    const serve = await startServe({ folder, prefix, args: ["--link", "vhost-user"] });
    const { uid, gid } = statSync(serve.path);
    assert.deepEqual([uid, gid], [Number(USER), Number(USER)]);
    // It may be there a moment before its group may use it.
    await until(() => (statSync(serve.path).mode & 0o777) === 0o660, "mode 660 of the socket");
    await define(serve.path, fixture(`${CASE}.domain.xml`));
    await until(() => existsSync(join(folder, "userdata", "admin.sock")), "the admin socket");
    const sockets = readdirSync(join(folder, "userdata")).sort();
    assert.deepEqual(sockets, ["admin.sock", "vhost-user-0.sock"]);
    const owners = sockets.map((name) => statSync(join(folder, "userdata", name)));
    for (const { uid, mode } of owners) assert.deepEqual([uid, mode & 0o777], [107, 0o600]);
    await serve.end();
    rmSync(folder, { recursive: true });
  });

  test("says so when the folder may not be written to", LIMIT, async () => {
    const folder = temporaryFolder();
    chmodSync(folder, 0o755);
    const path = join(folder, SOCKET_NAME);
    assert.equal(
      await complaint({ folder, prefix }),
      `slirp-binding: cannot listen on "${path}": EACCES\n`,
    );
    rmSync(folder, { recursive: true });
  });
});
