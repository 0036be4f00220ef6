/** Giving rights up, step by step: what each thread is told to do, and what counts as done. */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { readdirSync, readlinkSync } from "node:fs";
import { arch } from "node:os";
import { describe, test } from "node:test";
import { Block } from "../../src/sys/block.ts";
import { EventFd, openFile } from "../../src/sys/fd.ts";
import type { Libc } from "../../src/sys/libc.ts";
import { F_GETFD, F_SETFD, FD_CLOEXEC, O_RDONLY } from "../../src/sys/linux.ts";
import {
  closeInherited,
  dropPrivileges,
  type Identity,
  keepDescriptors,
  wipeEnvironment,
} from "../../src/sys/privileges.ts";
import { isMapped, type Rights } from "../../src/sys/rights.ts";
import { play, systemTest } from "./support.ts";

const PAGE = 65536;
const SETPCAP = 1n << 8n;
const [CAPSET, PRCTL, SETGROUPS, SETRESGID, SETRESUID] =
  arch() === "x64" ? [126, 157, 116, 119, 117] : [91, 167, 159, 149, 147];
const DROP = 24;

const NOTHING: Rights = {
  ...{ uids: [7, 7, 7, 7], gids: [8, 8, 8, 8], groups: [] },
  ...{ inheritable: 0n, permitted: 0n, effective: 0n, bounding: 0n, ambient: 0n },
  noNewPrivs: true,
};

/** The calls that threads are to make who have this; nobody makes them. */
function callsFor(sys: Libc, identity: Identity | undefined, now: Rights): number[][] {
  const memory = new Block(sys, 2 * PAGE);
  const calls: number[][] = [];
  const { told } = play(sys, {
    mmap: () => memory.address,
    munmap: 0,
    prctl: 0,
    mprotect: () => {
      for (let at = PAGE; memory.view.getBigInt64(at, true) >= 0n; at += 56) {
        calls.push([...new BigInt64Array(memory.bytes.buffer, at, 6)].map(Number));
      }
      return -1;
    },
  });
  assert.throws(() => dropPrivileges(told, identity, now, () => now), /executable: not permitted/);
  return calls;
}

describe("rights given up", () => {
  systemTest("each step before the one that takes its capability away", [], (sys) => {
    const all = { bounding: 0b101n | (1n << 63n), ambient: 1n, effective: SETPCAP };
    const calls = callsFor(sys, { uid: 65534, gid: 65533 }, { ...NOTHING, ...all });
    const [header = 0, data = 0] = calls.find(([number]) => number === CAPSET)?.slice(1) ?? [];
    assert.deepEqual(calls, [
      ...[0, 2, 63].map((capability) => [PRCTL, DROP, capability, 0, 0, 0]),
      [PRCTL, 47, 4, 0, 0, 0],
      [SETGROUPS, 0, 0, 0, 0, 0],
      [SETRESGID, 65533, 65533, 65533, 0, 0],
      [SETRESUID, 65534, 65534, 65534, 0, 0],
      [CAPSET, header, data, 0, 0, 0],
      [PRCTL, 38, 1, 0, 0, 0],
    ]);
    assert.ok(header > 2 ** 32 && data > 2 ** 32, "addresses");
  });

  systemTest("nothing is asked for that cannot be done or is done already", [], (sys) => {
    const last = [PRCTL, 38, 1, 0, 0, 0];
    const numbers = (now: Partial<Rights>): (number | undefined)[] => {
      const calls = callsFor(sys, undefined, { ...NOTHING, noNewPrivs: false, ...now });
      assert.deepEqual(calls.at(-1), last);
      return calls.slice(0, -1).map(([number]) => number);
    };
    assert.deepEqual(numbers({}), []);
    assert.deepEqual(numbers({ bounding: 3n }), [], "the bounding set takes a capability");
    assert.deepEqual(numbers({ ambient: 1n }), [PRCTL, CAPSET]);
    for (const set of ["inheritable", "permitted", "effective"] as const) {
      assert.deepEqual(numbers({ [set]: 1n }), [CAPSET], set);
    }
  });

  systemTest(
    "whoever has nothing is asked for nothing, but is looked into by nobody",
    [],
    (sys) => {
      const { told, calls } = play(sys, { prctl: 0, mmap: -1 });
      const done = { ...NOTHING, groups: [8] };
      dropPrivileges(told, { uid: 7, gid: 8 }, { ...done, effective: SETPCAP }, () => done);
      assert.deepEqual(calls, [["prctl", 4, 0, 0, 0, 0]]);
      const refusing = { ...told, prctl: () => -1 };
      assert.throws(() => dropPrivileges(refusing, undefined, done, () => done), {
        message: "Keep others from looking in: not permitted (EPERM)",
      });
    },
  );

  systemTest("a thread with anything left is not done", [], (sys) => {
    const { told } = play(sys, { prctl: 0, mmap: -1 });
    const identity = { uid: 7, gid: 8 };
    const now = { ...NOTHING, effective: SETPCAP };
    const isTried = (left: Partial<Rights>): boolean => {
      try {
        dropPrivileges(told, identity, now, () => ({ ...NOTHING, ...left }));
        return false;
      } catch (error) {
        assert.match(String(error), /Map the memory that changes all threads/);
        return true;
      }
    };
    assert.ok(!isTried({}));
    for (const set of ["inheritable", "permitted", "effective", "ambient", "bounding"] as const) {
      assert.ok(isTried({ [set]: 1n }), set);
    }
    assert.ok(isTried({ noNewPrivs: false }));
    assert.ok(isTried({ uids: [7, 7, 7, 0] }));
    assert.ok(isTried({ gids: [8, 0, 8, 8] }));
    assert.ok(isTried({ groups: [8, 9] }) && !isTried({ groups: [8] }));
  });

  systemTest("what is not told of a living thread is an error", [], (sys) => {
    const { told } = play(sys, { prctl: 0, mmap: -1 });
    const silent = (): Rights => {
      throw new Error("no word of it");
    };
    assert.throws(() => dropPrivileges(told, undefined, NOTHING, silent), /no word of it/);
  });
});

describe("descriptors", () => {
  const targetOf = (fd: number): string => readlinkSync(`/proc/self/fd/${fd}`);

  systemTest("of a runtime that marks its own: those without a mark are closed", [], (sys) => {
    using file = openFile(sys, "/etc/passwd", O_RDONLY);
    const marks = (fd: number): number => (fd === file.number ? 0 : FD_CLOEXEC);
    const { told, calls } = play({ ...sys, runtime: "deno" }, { fcntl: marks, close: 0 });
    assert.deepEqual(closeInherited(told, []), ["/etc/passwd"]);
    assert.deepEqual(
      calls.filter(([name]) => name === "close"),
      [["close", file.number]],
    );
    assert.ok(
      calls.every(([name, fd, what]) => name === "close" || (Number(fd) > 2 && what === F_GETFD)),
    );
    assert.deepEqual(closeInherited(told, [file.number]), []);
    const gone = play({ ...sys, runtime: "deno" }, { fcntl: -9, close: 0 });
    assert.deepEqual(closeInherited(gone.told, []), []);
  });

  systemTest("of a runtime that does not: all but those that lead nowhere", [], (sys) => {
    using file = openFile(sys, "/etc/passwd", O_RDONLY);
    using event = new EventFd(sys);
    const { told, calls } = play({ ...sys, runtime: "bun" }, { fcntl: FD_CLOEXEC, close: 0 });
    const closed = closeInherited(told, []);
    assert.ok(closed.includes("/etc/passwd"));
    assert.ok(!closed.includes(targetOf(event.number)));
    assert.ok(calls.some(([name, fd]) => name === "close" && fd === file.number));
    assert.ok(!calls.some(([name, fd]) => name === "close" && fd === event.number));
  });

  systemTest("none but the standard ones go to programs that are started", [], (sys) => {
    using file = openFile(sys, "/etc/passwd", O_RDONLY);
    const { told, calls } = play(sys, { fcntl: 0 });
    keepDescriptors(told);
    const open = readdirSync("/proc/self/fd").map(Number);
    assert.ok(calls.length >= open.filter((fd) => fd > 2).length - 1);
    assert.ok(calls.some(([, fd]) => fd === file.number));
    for (const [, fd, what, marks] of calls) {
      assert.ok(Number(fd) > 2);
      assert.deepEqual([what, marks], [F_SETFD, FD_CLOEXEC]);
    }
  });
});

systemTest("the environment is wiped from its first octet to its last", [], (sys) => {
  const seen: { address: number; octets: Uint8Array }[] = [];
  const view = (address: number, length: number): ArrayBuffer => {
    const octets = new Uint8Array(length).fill(0xff);
    seen.push({ address, octets });
    return octets.buffer;
  };
  wipeEnvironment({ ...sys, view });
  const [wiped, ...others] = seen;
  assert.ok(wiped !== undefined && others.length === 0);
  assert.ok(wiped.octets.every((octet) => octet === 0));
  const first = Buffer.from(sys.view(wiped.address, 256)).toString("latin1");
  assert.match(first, /^\w+=/);
  assert.equal(new Uint8Array(sys.view(wiped.address + wiped.octets.length - 1, 1))[0], 0);
});

test("a map's line that is cut short maps nobody", () => {
  for (const map of ["0 1000\n", "0\n", "\n", "  \n"]) assert.ok(!isMapped(map, 0), map);
});
