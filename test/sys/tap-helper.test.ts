/**
 * The helper that makes a tap elsewhere: how it is started, what it passes back, and what is told
 * of one that fails. `nsenter` is a script here that runs what is to be run without entering
 * anything; that the real one leads into a user namespace is shown by netns.test.ts.
 */
import assert from "node:assert/strict";
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { describe } from "node:test";
import { fileURLToPath } from "node:url";
import { openFile } from "../../src/sys/fd.ts";
import type { Libc } from "../../src/sys/libc.ts";
import { F_GETFD, FD_CLOEXEC, O_RDONLY } from "../../src/sys/linux.ts";
import { openNamespace, withNamespace } from "../../src/sys/namespace.ts";
import { NetConfig } from "../../src/sys/netconfig.ts";
import { openTapByHelper, type TapRequest } from "../../src/sys/tap-helper.ts";
import { netnsPath, systemTest, watchDescriptors, withNetns } from "./support.ts";

const REQUEST: TapRequest = { tap: { name: "tap7", vnetHeader: true }, setup: {} };
const RUNTIME = "Deno" in globalThis ? ["run", "-A", "--no-check", "--no-lock"] : [];
const CHILD = fileURLToPath(new URL("./open-tap-unprivileged.ts", import.meta.url));
const FAILED = "Make the tap inside the user namespace: ";
const NSENTER = `#!/bin/sh
printf "%s\\n" "$@" > "$(dirname "$0")/arguments"
while [ "$1" != -- ]; do shift; done
shift
exec "$@"
`;

/** With that `nsenter`, and a folder for temporary files of its own; which stays empty. */
async function withNsenter(run: (argumentsPath: string) => Promise<void>): Promise<void> {
  const before = { PATH: process.env["PATH"], TMPDIR: process.env["TMPDIR"] };
  const [programs, temporary] = ["bin", "tmp"].map((name) => {
    const folder = mkdtempSync(join(tmpdir(), `slirp-helper-${name}-`));
    chmodSync(folder, 0o755);
    return folder;
  }) as [string, string];
  try {
    writeFileSync(join(programs, "nsenter"), NSENTER, { mode: 0o755 });
    Object.assign(process.env, { PATH: `${programs}:${before.PATH}`, TMPDIR: temporary });
    await run(join(programs, "arguments"));
    assert.deepEqual(readdirSync(temporary), []);
  } finally {
    for (const [name, value] of Object.entries(before)) {
      if (value === undefined) delete process.env[name];
      else process.env[name] = value;
    }
    for (const folder of [programs, temporary]) rmSync(folder, { recursive: true });
  }
}

/** Asks a helper that is a shell's script, which has socket and request as arguments. */
async function ask(sys: Libc, script: string): Promise<unknown> {
  using network = openFile(sys, "/dev/null", O_RDONLY);
  const { told, left } = watchDescriptors(sys);
  try {
    return await openTapByHelper(told, ["sh", "-c", script, "sh"], undefined, network, REQUEST);
  } finally {
    assert.deepEqual([...left], [], "nothing stays open");
  }
}

describe("tap helper", () => {
  systemTest("one that fails is told of by its own words, else by how it ended", [], (sys) =>
    withNsenter(async () => {
      for (const [script, message] of [
        ["echo ' no tap ' >&2; exit 1", "no tap"],
        ["exit 3", "ended with status 3"],
        ["kill -TERM $$", "ended with SIGTERM"],
      ] as const) {
        await assert.rejects(ask(sys, script), { message: `${FAILED}${message}` });
      }
      await assert.rejects(ask(sys, "printf '%04097d' 1 >&2; exit 1"), {
        message: FAILED + "0".repeat(4096),
      });
    }),
  );

  systemTest("one that passes nothing back, or cannot reach us, is told of", [], (sys) =>
    withNsenter(async () => {
      await assert.rejects(ask(sys, "echo unread; exit 0"), {
        message: "Accept the helper's connection: not ready, try again (EAGAIN)",
      });
      const refusing: Libc = { ...sys, listen: () => -1 };
      await assert.rejects(ask(refusing, "exit 0"), {
        message: /^Listen on ".*\/tap\.sock": not permitted \(EPERM\)$/,
      });
    }),
  );

  systemTest("is started in the namespaces it is given, by their descriptors", [], (sys) =>
    withNsenter(async (argumentsPath) => {
      using user = openFile(sys, "/dev/null", O_RDONLY);
      using network = openFile(sys, "/dev/null", O_RDONLY);
      const own = `/proc/${process.pid}/fd`;
      for (const [given, option] of [
        [user, [`--user=${own}/${user.number}`]],
        [undefined, []],
      ] as const) {
        await assert.rejects(openTapByHelper(sys, ["false"], given, network, REQUEST));
        const found = readFileSync(argumentsPath, "utf8").trimEnd().split("\n");
        const path = found.at(-2) ?? "";
        assert.deepEqual(found, [
          ...["--preserve-credentials", ...option, `--net=${own}/${network.number}`],
          ...["--", "false", path, JSON.stringify(REQUEST)],
        ]);
        assert.match(path, /\/slirp-binding-[^/]+\/tap\.sock$/);
      }
      process.env["PATH"] = "/nonexistent";
      await assert.rejects(openTapByHelper(sys, ["false"], undefined, network, REQUEST), {
        message: /^Install "nsenter" of util-linux to make a tap unprivileged: .*nsenter/,
      });
    }),
  );

  systemTest("makes the tap as it is wanted, and tells of it as it is", ["root", "tun"], (sys) =>
    withNetns(async (name) => {
      using network = openNamespace(sys, netnsPath(name));
      const helper = [process.execPath, ...RUNTIME, CHILD, "helper"];
      const mac = Uint8Array.of(2, 1, 2, 3, 4, 5);
      const setup = { mtu: 1300, txQueueLength: 77, mac };
      const { told: watched, left } = watchDescriptors(sys);
      const request = { ...REQUEST, setup };
      const device = await openTapByHelper(watched, helper, undefined, network, request);
      assert.deepEqual([...left], [], "but for the tap, which came by a message");
      const { fd, offloads, ...told } = device;
      assert.deepEqual(told, { name: "tap7", vnetSize: 10, mtu: 1300, queueFrames: 77 });
      assert.ok(offloads > 0);
      assert.equal(sys.fcntl(fd, F_GETFD, 0), FD_CLOEXEC);
      withNamespace(sys, network, () => {
        using config = new NetConfig(sys);
        assert.deepEqual(config.getMac("tap7"), mac);
      });
      sys.close(fd);
    }),
  );

  systemTest("that cannot reach us says so itself", ["root", "tun"], (sys) =>
    withNetns(async (name) => {
      using network = openNamespace(sys, netnsPath(name));
      const run = [process.execPath, ...RUNTIME, CHILD, "helper"].join(" ");
      const helper = ["sh", "-c", `exec ${run} /nonexistent/tap.sock "$2"`, "sh"];
      await assert.rejects(openTapByHelper(sys, helper, undefined, network, REQUEST), {
        message: /Connect to "\/nonexistent\/tap\.sock": no such file or directory \(ENOENT\)/,
      });
    }),
  );
});
