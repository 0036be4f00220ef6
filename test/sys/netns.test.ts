/** A tap in another namespace: by entering it, and unprivileged by the helper. */

import assert from "node:assert/strict";
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { chmodSync, mkdtempSync, readlinkSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe } from "node:test";
import { fileURLToPath } from "node:url";
import { EACCES, EINVAL, ENOENT, ENOTTY, EPERM, SystemError } from "../../src/sys/errno.ts";
import { Fd } from "../../src/sys/fd.ts";
import type { Libc } from "../../src/sys/libc.ts";
import { openNamespace, withNamespace } from "../../src/sys/namespace.ts";
import { openTapInNamespace } from "../../src/sys/netns.ts";
import { runTapHelper } from "../../src/sys/tap-helper.ts";
import { inNetns, netnsPath, play, systemTest, watchDescriptors, withNetns } from "./support.ts";

const NOBODY = ["--reuid=65534", "--regid=65534", "--clear-groups"];
const ownNamespace = () => readlinkSync("/proc/thread-self/ns/net");

describe("netns", () => {
  systemTest("enters a namespace and comes back, after an error too", ["root"], (sys) =>
    withNetns((name) => {
      const home = ownNamespace();
      using network = openNamespace(sys, netnsPath(name));
      const there = withNamespace(sys, network, ownNamespace);
      assert.notEqual(there, home);
      assert.equal(ownNamespace(), home);
      assert.throws(
        () =>
          withNamespace(sys, network, () => {
            throw new Error("inside");
          }),
        { message: "inside" },
      );
      assert.equal(ownNamespace(), home);
    }),
  );

  systemTest("makes a tap in a named namespace directly", ["root", "tun"], (sys) =>
    withNetns(async (name) => {
      const device = await openTapInNamespace(sys, {
        namespace: netnsPath(name),
        tap: { name: "tap0", vnetHeader: true },
        setup: { mtu: 1400, up: true },
      });
      assert.deepEqual([device.name, device.mtu, device.vnetSize], ["tap0", 1400, 10]);
      assert.ok(device.queueFrames > 0);
      assert.ok(inNetns(name, ["ip", "-o", "link", "show", "tap0"]).includes("mtu 1400"));
      sys.close(device.fd);
    }),
  );

  systemTest("says which namespace is not there", [], async (sys) => {
    const options = { tap: { name: "tap0", vnetHeader: true }, setup: {} };
    await assert.rejects(
      openTapInNamespace(sys, { ...options, namespace: "/nonexistent/ns" }),
      SystemError,
    );
  });

  systemTest("does not enter what this process may not enter", [], async (sys) => {
    const refusing = { ...sys, setns: () => -EPERM };
    const options = { tap: { name: "tap0", vnetHeader: true }, setup: {}, helper: ["false"] };
    // Our own namespace has no other owner, so the helper would not be allowed either.
    await assert.rejects(
      openTapInNamespace(refusing, { ...options, namespace: process.pid }),
      (error) => error instanceof SystemError && error.errno === EPERM,
    );
  });

  systemTest("each refusal of the way in and back is told, and nothing stays open", [], (sys) => {
    const [network, home, owner] = [50, 51, 52];
    const attempt = (entering: number, returning = 0, owned = owner) => {
      const results = [entering, returning];
      const { told, calls } = play(sys, {
        ...{ open: home, ioctl: owned, close: 0 },
        setns: () => results.shift() ?? 0,
      });
      const run = (): number => withNamespace(told, new Fd(told, network), () => 4711);
      return { run, calls };
    };
    const whole = attempt(0);
    assert.equal(whole.run(), 4711);
    assert.deepEqual(whole.calls, [
      ["open", "@", 0x80000, 0],
      ["ioctl", home, 0xb701, 0],
      ["close", owner],
      ["setns", network, 0x40000000],
      ["setns", home, 0x40000000],
      ["close", home],
    ]);
    const zero = attempt(0, 0, 0);
    zero.run();
    assert.deepEqual(zero.calls[2], ["close", 0]);
    const advice = "it takes CAP_SYS_ADMIN: start as root or as the user that made the namespace";
    for (const [each, message] of [
      [attempt(0, 0, -EPERM), `Enter the network namespace: not permitted (EPERM); ${advice}`],
      [attempt(-EPERM), `Enter the network namespace: not permitted (EPERM); ${advice}`],
      [
        attempt(-EINVAL),
        "Enter the network namespace: invalid argument (EINVAL); " +
          "name the file of a network namespace",
      ],
      [attempt(0, -EPERM), "Return to the own network namespace: not permitted (EPERM)"],
    ] as const) {
      assert.throws(each.run, { message });
      assert.deepEqual(each.calls.at(-1), ["close", home]);
    }
    const old = attempt(0, 0, -ENOTTY); // a kernel that does not tell owners
    assert.equal(old.run(), 4711);
    assert.deepEqual(
      old.calls.filter(([name]) => name === "close"),
      [["close", home]],
    );
  });

  systemTest("a namespace is a process' or a file, and told what helps", [], (sys) => {
    const open = (result: number) => () => openNamespace({ ...sys, open: () => result }, 4711);
    assert.equal(open(9)().number, 9);
    for (const [errno, message] of [
      [
        ENOENT,
        'Open "/proc/4711/ns/net": no such file or directory (ENOENT); see "ip netns" for names, ' +
          "or name a process",
      ],
      [
        EACCES,
        'Open "/proc/4711/ns/net": permission denied (EACCES); start as root or as the user that ' +
          "made it",
      ],
    ] as const) {
      assert.throws(open(-errno), { message });
    }
  });

  systemTest("the helper is for those who are refused, or could not come back", [], async (sys) => {
    const [tap, setup] = [{ name: "tap0", vnetHeader: true }, {}];
    const attempt = async (more: Partial<Libc>, helper?: readonly string[]): Promise<unknown> => {
      const options = { namespace: process.pid, tap, setup };
      const { told: watched, left } = watchDescriptors(sys);
      const told = { ...watched, ...more };
      try {
        return await openTapInNamespace(
          told,
          helper === undefined ? options : { ...options, helper },
        );
      } finally {
        assert.deepEqual([...left], [], "nothing stays open");
      }
    };
    const [refused, wrong] = [/^Enter .* not permitted \(EPERM\)/, /^Enter .* \(EINVAL\)/];
    const helped = /^Make the tap inside the user namespace: /;
    for (const [more, helper, message] of [
      [{ setns: () => -EPERM }, undefined, refused],
      [{ setns: () => -EPERM }, ["false"], refused], // our own namespace has no other owner
      [{ setns: () => -EINVAL }, ["false"], wrong],
      [{ ioctl: () => -EPERM }, undefined, refused],
      [{ ioctl: () => -EPERM }, ["false"], helped],
    ] as const) {
      await assert.rejects(attempt(more, helper), { message });
    }
  });

  systemTest("without a namespace the tap is made where this thread is", [], async (sys) => {
    const { told, calls } = play(sys, { open: 9, ioctl: 0, socket: 10, close: 0, setns: -EPERM });
    const device = await openTapInNamespace(told, {
      ...{ tap: { name: "tap0", vnetHeader: false }, setup: {} },
    });
    assert.deepEqual([device.fd, device.name], [9, "tap0"]);
    assert.ok(!calls.some(([name]) => name === "setns"));
  });

  systemTest("does not run the helper by hand", [], async () => {
    await assert.rejects(runTapHelper([]), /arguments are missing/);
  });

  systemTest(
    "makes a tap in the user namespace of an ordinary user",
    ["root", "tun", "userns"],
    async () => {
      const directory = mkdtempSync(join(tmpdir(), "slirp-test-"));
      const processes: ChildProcess[] = [];
      try {
        chmodSync(directory, 0o777);
        // A clone device everyone may open, as udev makes it; here it may be for root alone.
        const tunPath = join(directory, "tun");
        execFileSync("mknod", ["-m", "666", tunPath, "c", "10", "200"]);
        const guest = asNobody(["unshare", "-Urn", "sh", "-c", "echo ready; exec cat"], directory);
        processes.push(guest);
        assert.equal(await firstLine(guest), "ready");
        const script = fileURLToPath(new URL("./open-tap-unprivileged.ts", import.meta.url));
        const opener = asNobody([...runtime(), script, `${guest.pid}`, tunPath], directory);
        processes.push(opener);
        const { fd, offloads, ...device } = JSON.parse(await firstLine(opener)) as {
          fd: number;
          offloads: number;
        };
        assert.ok(fd > 2 && offloads !== 0);
        assert.deepEqual(device, {
          name: "tap0",
          vnetSize: 10,
          mtu: 65520,
          queueFrames: 2000,
          frame: true,
        });
        const show = ["-t", `${guest.pid}`, "-n", "ip", "-o", "-4", "addr", "show", "tap0"];
        assert.ok(execFileSync("nsenter", show, { encoding: "utf8" }).includes("10.0.2.15/24"));
      } finally {
        for (const child of processes.reverse()) await ended(child);
        rmSync(directory, { recursive: true });
      }
    },
  );
});

/** This runtime's command line up to the script. */
function runtime(): string[] {
  return "Deno" in globalThis
    ? [process.execPath, "run", "--allow-all", "--no-check", "--no-lock"]
    : [process.execPath];
}

function asNobody(command: readonly string[], home: string): ChildProcess {
  const { PATH } = process.env;
  const env = { PATH, HOME: home, DENO_DIR: join(home, "deno") };
  return spawn("setpriv", [...NOBODY, ...command], { env, stdio: ["pipe", "pipe", "inherit"] });
}

function firstLine(child: ChildProcess): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = "";
    child.stdout?.setEncoding("utf8");
    child.stdout?.on("data", (part: string) => {
      text += part;
      const end = text.indexOf("\n");
      if (end >= 0) resolve(text.slice(0, end));
    });
    child.on("error", reject);
    child.on("close", (code) => reject(new Error(`Ended with status ${code}`)));
  });
}

/** Both programs run until their standard input ends. */
function ended(child: ChildProcess): Promise<void> {
  return new Promise((resolve) => {
    if (child.exitCode !== null || child.signalCode !== null) return resolve();
    child.on("close", () => resolve());
    child.stdin?.end();
  });
}
