/**
 * `serve` as a program: calls of the launcher, signals, where sockets belong, and how it ends.
 * `test/e2e/hooks-serve.runtime.test.ts` has more of what may come by the sockets.
 */
import assert from "node:assert/strict";
import { chmodSync, existsSync, mkdirSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { HOOKS_DIR_DEFAULT, PLUGIN_DIR_DEFAULT } from "../../src/config/serve.ts";
import { call, callback, EMPTY, INFO, MUTATE_DOMAIN } from "../support/hook-client.ts";
import { fixture } from "../support/hook-fixtures.ts";
import { message } from "../support/protobuf.ts";
import { systemTest } from "../sys/support.ts";
import { type Program, READY_FD, withProgram } from "./support.ts";

const CASE = "a-user-guide";
const VMI = fixture(`${CASE}.vmi.json`);
const DOMAIN = fixture(`${CASE}.domain.xml`);
const ON_DEFINE = callback("v1alpha3", "OnDefineDomain");
const SHUTDOWN = callback("v1alpha3", "Shutdown");
const LOG = ["--log-format", "pretty", "--ready-fd", READY_FD];
/** QEMU has its frames itself, so no network is started. */
const USER_LINK = ["--link", "user"];

interface Sockets {
  readonly hooks: string;
  readonly plugins: string;
}

/** Folders of the sockets, for everybody to write to. */
function foldersOf(program: Program): Sockets {
  const folders = { hooks: program.path("hooks"), plugins: program.path("plugins") };
  for (const folder of Object.values(folders)) {
    mkdirSync(folder);
    chmodSync(folder, 0o777);
  }
  return folders;
}

/** As a text between quotation marks of the shell's. */
function escaped(commands: string): string {
  return commands.replace(/["$]/g, "\\$&");
}

/** The hook socket; `userdata/` beside it is not for virt-launcher. */
function socketIn(hooks: string): string {
  return join(hooks, readdirSync(hooks).find((name) => name !== "userdata") ?? "");
}

function defined(): Buffer {
  return message([1, DOMAIN], [2, VMI]);
}

describe("serve", () => {
  systemTest("answers at both sockets until Shutdown, and leaves none", [], () =>
    withProgram(async (program) => {
      const { hooks, plugins } = foldersOf(program);
      program.start([
        ...["serve", "--hooks-dir", hooks, "--plugin-dir", plugins],
        ...[...LOG, "--link", "stream"],
      ]);
      await program.ready();
      const path = socketIn(hooks);
      assert.ok((await call(path, INFO)).length > 0);
      const answer = await call(path, ON_DEFINE, defined());
      assert.match(answer.toString(), /userdata\/stream-0\.sock/);
      await program.logs(/^info {2}guest network ready iface=slirpnet link=unix:/m);
      const asked = message([1, "libvirt"], [2, DOMAIN], [3, VMI], [4, message([1, "Boot"])]);
      const plugin = join(plugins, readdirSync(plugins)[0] ?? "");
      assert.deepEqual(await call(plugin, MUTATE_DOMAIN, asked), answer);
      program.signal("SIGUSR1");
      await program.logs(/^info {2}hook counters .*/m);
      await program.logs(/^info {2}counters iface=slirpnet flows=0/m);
      assert.deepEqual(await call(path, SHUTDOWN), EMPTY);
      const { code, stdout, stderr } = await program.outcome();
      assert.deepEqual([code, stdout], [0, ""]);
      assert.match(stderr, /^info {2}shutting down reason=Shutdown\n$/m);
      assert.match(stderr, /^info {2}privileges dropped/m);
      assert.doesNotMatch(stderr, /^(?:warn {2}(?!guests cannot ping)|error)/m);
      assert.deepEqual([readdirSync(hooks), readdirSync(plugins)], [[], []]);
    }),
  );

  for (const [signal, pattern] of [
    ["SIGTERM", /grace_s=7\ninfo {2}shutting down reason="SIGTERM, no guest attached"$/m],
    ["SIGINT", /^info {2}shutting down reason=SIGINT$/m],
  ] as const) {
    systemTest(`ends at ${signal}`, [], () =>
      withProgram(async (program) => {
        const { hooks } = foldersOf(program);
        const given = ["--hooks-dir", hooks, "--grace", "7", ...USER_LINK];
        program.start(["serve", ...given, ...LOG]);
        await program.ready();
        program.signal(signal);
        const { code, stderr } = await program.outcome();
        assert.equal(code, 0);
        assert.match(stderr, pattern);
        assert.deepEqual(readdirSync(hooks), []);
      }),
    );
  }

  systemTest("ends when it is left alone after a call", [], () =>
    withProgram(async (program) => {
      const { hooks } = foldersOf(program);
      program.start(["serve", "--hooks-dir", hooks, "--abandon", "1", ...LOG]);
      await program.ready();
      await call(socketIn(hooks), INFO);
      const { code, stderr } = await program.outcome();
      assert.equal(code, 0);
      assert.match(stderr, /^info {2}shutting down reason="no hook call and no guest for 1 s"$/m);
    }),
  );

  systemTest("tells what it was warned of", [], () =>
    withProgram(async (program) => {
      const { hooks } = foldersOf(program);
      program.start(["serve", "--hooks-dir", hooks, ...USER_LINK, ...LOG]);
      await program.ready();
      const vmi = JSON.parse(VMI);
      vmi.spec.domain.devices.interfaces[0].ports = [{ port: 80 }, { port: 80 }];
      const asked = message([1, DOMAIN], [2, JSON.stringify(vmi)]);
      await call(socketIn(hooks), ON_DEFINE, asked);
      await program.logs(/^warn {2}iface "slirpnet": port "80\/TCP" is listed twice$/m);
    }),
  );

  systemTest(
    "is no nobody where sockets or captures are in folders of root's",
    ["root"],
    async () => {
      const reasonWith = async (args: (sockets: Sockets, mine: string) => string[]) => {
        let reason = "";
        await withProgram(async (program) => {
          const mine = program.path("mine");
          mkdirSync(mine, { mode: 0o755 });
          program.start(["serve", ...args(foldersOf(program), mine), ...USER_LINK, ...LOG]);
          await program.ready();
          const [line] = await program.logs(/^info {2}privileges dropped.*$/m);
          reason = line.replace(program.folder, "");
        });
        return reason;
      };
      const closed = / user=0:0 reason="folder .*\/mine.* is not for nobody"/;
      assert.match(await reasonWith((_, mine) => ["--hooks-dir", mine]), closed);
      const both = ({ hooks }: Sockets, mine: string) => [
        "--hooks-dir",
        hooks,
        "--plugin-dir",
        mine,
      ];
      assert.match(await reasonWith(both), closed);
      for (const kind of ["pcap", "record"]) {
        const files = ({ hooks }: Sockets, mine: string): string[] => [
          ...["--hooks-dir", hooks, `--${kind}`, join(mine, "file")],
        ];
        assert.match(await reasonWith(files), closed, kind);
      }
      assert.match(await reasonWith(({ hooks }) => ["--hooks-dir", hooks]), / user=65534:65534 /);
    },
  );

  systemTest(
    "finds the folder of hooks or of plugins where KubeVirt mounts it",
    ["root"],
    async () => {
      for (const folder of [HOOKS_DIR_DEFAULT, PLUGIN_DIR_DEFAULT]) {
        await withProgram(async (program) => {
          const place = `mount -t tmpfs none /run && mkdir -m 777 '${folder}' && exec "$@"`;
          const before = `exec unshare -m sh -c "${escaped(place)}" sh "$@"`;
          program.start(["serve", ...USER_LINK, ...LOG], before);
          await program.ready();
          await program.logs(new RegExp(`^info {2}listening for hooks path=${folder}/`, "m"));
        });
      }
    },
  );

  systemTest("leaves no socket where it cannot tell that it is ready", [], () =>
    withProgram(async (program) => {
      const { hooks } = foldersOf(program);
      const given = ["--hooks-dir", hooks, "--log-format", "json", "--ready-fd", "77"];
      program.start(["serve", ...given, ...USER_LINK]);
      const { code, stderr } = await program.outcome();
      assert.equal(code, 1);
      assert.match(stderr, /^slirp-binding: Write to descriptor "77" that is to hear of it: .*$/m);
      assert.deepEqual(readdirSync(hooks), []);
    }),
  );

  const isMounted = [HOOKS_DIR_DEFAULT, PLUGIN_DIR_DEFAULT].some((path) => existsSync(path));
  test(
    "says where its folder belongs",
    {
      skip: isMounted ? "KubeVirt's folders are on this machine" : false,
    },
    () =>
      withProgram(async (program) => {
        program.start(["serve", "--log-format", "json"]);
        const { code, stderr } = await program.outcome();
        assert.equal(code, 1);
        const advice = `mount the hooks folder at "${HOOKS_DIR_DEFAULT}", or name it with`;
        assert.equal(stderr, `slirp-binding: ${advice} "--hooks-dir DIR"\n`);
      }),
  );
});
