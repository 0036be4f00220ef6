/**
 * Rights: what is read of them, and what a process that gives them up has left, by the word of the
 * kernel. The process is a child, as there is no way back.
 */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import process from "node:process";
import { describe, test } from "node:test";
import type { Libc } from "../../src/sys/libc.ts";
import {
  canBe,
  mayHandOverReading,
  mayMakeNamespaces,
  maySwitch,
  narrowToReading,
  readIgnoredSignals,
  readRights,
} from "../../src/sys/privileges.ts";
import { isMapped, parseRights } from "../../src/sys/rights.ts";
import { missing, systemTest, testUnless } from "./support.ts";

const STATUS = `Name:\tbun
Uid:\t0\t1\t2\t3
Gid:\t4\t5\t6\t7
Groups:\t8 9 
CapInh:\t0000000000000000
CapPrm:\t000001ffffffffff
CapEff:\t00000000000000c0
CapBnd:\t000001ffffffffff
CapAmb:\t0000000000000001
NoNewPrivs:\t1
`;

describe("rights of a thread", () => {
  test("are read as the kernel tells them", () => {
    const rights = parseRights(STATUS);
    assert.deepEqual(rights.uids, [0, 1, 2, 3]);
    assert.deepEqual(rights.gids, [4, 5, 6, 7]);
    assert.deepEqual(rights.groups, [8, 9]);
    assert.equal(rights.permitted, 0x1ff_ffff_ffffn);
    assert.equal(rights.ambient, 1n);
    assert.ok(rights.noNewPrivs);
    assert.deepEqual(parseRights(STATUS.replace("8 9 ", "")).groups, []);
  });

  test("are not guessed", () => {
    const without = STATUS.replace(/^CapBnd.*\n/m, "");
    assert.throws(() => parseRights(without), /does not tell "CapBnd"/);
  });

  test("to become somebody else are two", () => {
    assert.ok(maySwitch(parseRights(STATUS)));
    for (const set of ["0000000000000040", "0000000000000080", "0000000000000000"]) {
      assert.ok(!maySwitch(parseRights(STATUS.replace("00000000000000c0", set))), set);
    }
  });
});

test("a user namespace has the users of its map", () => {
  const map = "         0       1000          1\n     65534     100000         10\n";
  for (const id of [0, 65534, 65543]) assert.ok(isMapped(map, id), String(id));
  for (const id of [1, 65533, 65544]) assert.ok(!isMapped(map, id), String(id));
  assert.ok(!isMapped("", 0));
});

interface Found {
  readonly closed: readonly string[];
  readonly before: number;
  readonly after: number;
  readonly threads: number;
  readonly states: readonly string[];
  readonly open: boolean;
}

/** @param redirections of a shell, which runtimes do not get in the way of */
function shed(user: string, keep = "", redirections = ""): Found {
  const runtime = "Deno" in globalThis ? ["run", "-A", "--no-check", "--no-lock"] : [];
  const child = join(import.meta.dirname, "shed-child.ts");
  const command = [process.execPath, ...runtime, child, user, keep];
  const { stdout, stderr } = spawnSync(
    "sh",
    ["-c", `exec "$@" ${redirections}`, "sh", ...command],
    {
      encoding: "utf8",
      env: { ...process.env, SECRET: "not for you" },
    },
  );
  assert.match(stdout, /^\{/, stderr);
  return JSON.parse(stdout) as Found;
}

const NONE = ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"]
  .map((name) => `${name}: ${"0".repeat(16)}`)
  .join("\n");

describe("rights by their names", () => {
  test("each is read from its own line, and none is a part of another's", () => {
    const status = `${STATUS}Seccomp:\t0\n`;
    const rights = parseRights(
      status
        .replace(/CapInh:.*/, "CapInh:\t0000000000000002")
        .replace(/NoNewPrivs.*/, "NoNewPrivs:\t0"),
    );
    assert.deepEqual(
      [rights.inheritable, rights.effective, rights.bounding, rights.noNewPrivs],
      [2n, 0xc0n, 0x1ff_ffff_ffffn, false],
    );
    for (const name of [
      "Uid",
      "Gid",
      "Groups",
      "CapInh",
      "CapPrm",
      "CapEff",
      "CapAmb",
      "NoNewPrivs",
    ]) {
      const without = STATUS.replace(new RegExp(`^${name}:.*\n`, "m"), "");
      const message = `/proc does not tell "${name}" of this thread`;
      assert.throws(() => parseRights(without), { message });
    }
  });

  test("to hand over reading takes root, and the right to leave it in the bounding set", () => {
    const both = (1n << 8n) | (1n << 2n);
    const root = {
      ...parseRights(STATUS),
      uids: [0, 0, 0, 0],
      effective: both,
      bounding: 1n << 2n,
    };
    assert.equal(mayHandOverReading(root), true);
    assert.equal(mayHandOverReading({ ...root, uids: [0, 0, 0, 1] }), false);
    assert.equal(mayHandOverReading({ ...root, effective: 1n << 8n }), false);
    assert.equal(mayHandOverReading({ ...root, effective: 1n << 2n }), false);
    assert.equal(mayHandOverReading({ ...root, bounding: 1n << 8n }), false);
  });

  test("ignored signals are all of their set", () => {
    assert.deepEqual([...readIgnoredSignals("SigIgn:\t8000000000000001\n")], [1, 64]);
    assert.deepEqual([...readIgnoredSignals("SigCgt:\t0000000000000001\n")], []);
  });

  systemTest("of this thread and of others are read from /proc", [], () => {
    const [own] = readRights().uids;
    assert.equal(own, process.getuid?.());
    assert.deepEqual(readRights(process.pid).uids, readRights().uids);
    assert.throws(() => readRights(0), /ENOENT|no such/i);
  });

  systemTest("somebody of this user namespace can be", ["root"], () => {
    assert.equal(canBe({ uid: 0, gid: 0 }), true);
    assert.equal(canBe({ uid: 2 ** 32 - 1, gid: 0 }), false);
    assert.equal(canBe({ uid: 0, gid: 2 ** 32 - 1 }), false);
  });

  systemTest("what is left to reading is given up step by step", [], (sys) => {
    const calls: number[][] = [];
    const written: number[][] = [];
    const told: Libc = {
      ...sys,
      prctl: (...args) => {
        calls.push(args);
        return 0;
      },
      syscall: (number, header, data) => {
        calls.push([number]);
        written.push([...new Uint32Array(sys.view(header, 8).slice(0))]);
        written.push([...new Uint32Array(sys.view(data, 24).slice(0))]);
        return 0;
      },
    };
    const now = {
      ...parseRights(STATUS),
      bounding: 0b1111n | (1n << 40n),
      effective: 0x12_0000_0034n,
      permitted: 0x56_0000_0078n,
    };
    narrowToReading(told, now);
    const drops = [0, 1, 3, 40].map((capability) => [24, capability, 0, 0, 0]);
    const capset = process.arch === "x64" ? 126 : 91;
    assert.deepEqual(calls, [...drops, [capset], [38, 1, 0, 0, 0]]);
    assert.deepEqual(written, [
      [0x20080522, 0],
      [0x34, 0x78, 0, 0x12, 0x56, 0],
    ]);
    for (const [more, message] of [
      [{ prctl: () => -1 }, "Give up capability 0: not permitted (EPERM)"],
      [{ syscall: () => -1 }, "Give up inheritable capabilities: not permitted (EPERM)"],
      [
        { prctl: (option: number) => (option === 38 ? -1 : 0) },
        "Give up new privileges: not permitted (EPERM)",
      ],
    ] as const) {
      assert.throws(() => narrowToReading({ ...told, ...more }, now), { message });
    }
  });
});

describe("what a process may and ignores", () => {
  test("namespaces take two capabilities", () => {
    const rights = parseRights(STATUS);
    const both = (1n << 12n) | (1n << 21n);
    assert.ok(mayMakeNamespaces({ ...rights, effective: both }));
    assert.ok(!mayMakeNamespaces({ ...rights, effective: 1n << 12n }));
    assert.ok(!mayMakeNamespaces({ ...rights, effective: 1n << 21n }));
  });

  test("signals by their numbers", () => {
    assert.deepEqual([...readIgnoredSignals("SigIgn:\t0000000000001001\n")], [1, 13]);
    assert.equal(readIgnoredSignals("").size, 0);
  });
});

describe("a process that gives up what it has", () => {
  testUnless(missing(["root"]), "is nobody in all threads, without a capability", () => {
    const found = shed("65534:65533");
    const [uid, gid] = [65534, 65533].map((id) => Array.from({ length: 4 }, () => id).join(" "));
    assert.deepEqual(found.states, [`Uid: ${uid}\nGid: ${gid}\nGroups:\n${NONE}\nNoNewPrivs: 1`]);
    assert.ok(found.threads > 1);
  });

  testUnless(missing(["root"]), "stays who it was, without a capability, if told", () => {
    const [state = "", ...others] = shed("same").states;
    assert.deepEqual(others, []);
    assert.match(state, /^Uid: 0 0 0 0\nGid: 0 0 0 0\n/);
    assert.ok(state.endsWith(`${NONE}\nNoNewPrivs: 1`), state);
  });

  testUnless(missing([]), "leaves no variable to be seen", () => {
    const { before, after } = shed("same");
    assert.ok(before > "not for you".length);
    assert.equal(after, 0);
  });

  testUnless(missing([]), "has no descriptors but those it was given on purpose", () => {
    const { closed, open } = shed("same", "9", "8</etc/passwd 9</etc/group");
    assert.ok(closed.includes("/etc/passwd"), String(closed));
    assert.ok(!closed.includes("/etc/group"), String(closed));
    assert.ok(open);
  });
});
