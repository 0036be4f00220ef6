/** That calls reach every thread is shown by privileges.test.ts; here is what goes wrong. */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { arch } from "node:os";
import { callInAllThreads, threadIds } from "../../src/sys/all-threads.ts";
import { Block } from "../../src/sys/block.ts";
import type { Libc } from "../../src/sys/libc.ts";
import { play, systemTest } from "./support.ts";

const GETPID = arch() === "x64" ? 39 : 172;

systemTest("threads are listed, the first one among them", [], (sys) => {
  assert.ok(threadIds().includes(sys.getpid()));
});

systemTest("nobody is signalled where all are done", [], (sys) => {
  callInAllThreads(sys, [[-1]], () => true);
});

systemTest("a state that never comes is an error, and threads go on", [], async (sys) => {
  let asked = 0;
  const never = (): boolean => {
    asked += 1;
    return false;
  };
  assert.throws(() => callInAllThreads(sys, [[GETPID]], never), /some are left after 100 rounds/);
  assert.ok(asked >= 100);
  await new Promise((resolve) => setTimeout(resolve, 1));
});

systemTest("calls that do not fit are an error before anything is done", [], (sys) => {
  assert.throws(() => callInAllThreads(sys, [[1, 2, 3, 4, 5, 6, 7]], () => false), RangeError);
  const many = Array.from({ length: 2000 }, () => [GETPID] as const);
  assert.throws(() => callInAllThreads(sys, many, () => false), RangeError);
});

systemTest("as many calls as fit on a page are made, one more is an error", [], (sys) => {
  const most = 1170; // 56 octets each, and two words behind them
  const calls = (count: number) => Array.from({ length: count }, () => [GETPID] as const);
  let asked = 0;
  const afterOneRound = (): boolean => {
    asked += 1;
    return asked > threadIds().length;
  };
  callInAllThreads(sys, calls(most), afterOneRound);
  assert.throws(() => callInAllThreads(sys, calls(most + 1), () => false), {
    message: "too many calls",
  });
});

systemTest("what the kernel refuses is told in words, and nothing is left behind", [], (sys) => {
  const unmapped: number[] = [];
  const watched: Libc = {
    ...sys,
    munmap: (address, length) => {
      unmapped.push(length);
      return sys.munmap(address, length);
    },
  };
  const attempt = (more: Partial<Libc>) => () =>
    callInAllThreads({ ...watched, ...more }, [[GETPID]], () => false);
  const denied = "not permitted (EPERM)";
  assert.throws(attempt({ mmap: () => -1 }), {
    message: `Map the memory that changes all threads: ${denied}`,
  });
  assert.deepEqual(unmapped, []);
  assert.throws(attempt({ mprotect: () => -1 }), {
    message: `Make the memory that changes all threads executable: ${denied}`,
  });
  assert.throws(attempt({ sigaction: () => -1 }), {
    message: `Handle the signal that changes all threads: ${denied}`,
  });
  assert.deepEqual(unmapped.splice(0), [131072, 131072]);
  const [first] = threadIds();
  assert.throws(attempt({ syscall: () => -1 }), { message: `Signal thread ${first}: ${denied}` });
  assert.deepEqual(unmapped, [131072]);
});

systemTest("a thread that does not come to it is named, one that has ended is not", [], (sys) => {
  let waits = 0;
  const deaf: Libc = {
    ...sys,
    syscall: () => 0, // the signal is lost
    poll: (_address, count, timeout) => {
      assert.deepEqual([count, timeout], [0, 1]);
      waits += 1;
      return 0;
    },
    munmap: () => assert.fail("a thread may still come to it"),
  };
  const [first] = threadIds();
  assert.throws(() => callInAllThreads(deaf, [[GETPID]], () => false), {
    message: `Change all threads: ${first} takes no signal`,
  });
  assert.equal(waits, 2000);
  let rounds = 0;
  const gone: Libc = { ...sys, syscall: () => -3 };
  callInAllThreads(gone, [[GETPID]], () => {
    rounds += 1;
    return rounds > threadIds().length;
  });
});

systemTest("whoever handled the signal before does again, whatever was called", [], (sys) => {
  const SIZE = 152;
  const before = new Block(sys, SIZE);
  const after = new Block(sys, SIZE);
  sys.sigaction(31, 0, before.address);
  let asked = 0;
  callInAllThreads(sys, [[GETPID]], () => {
    asked += 1;
    return asked > threadIds().length;
  });
  sys.sigaction(31, 0, after.address);
  // Handler, signals masked and flags; what glibc leaves between them is whatever was there.
  for (const [from, to] of [
    [0, 16],
    [136, 140],
  ] as const) {
    assert.deepEqual(after.bytes.subarray(from, to), before.bytes.subarray(from, to));
  }
});

/** The handlers' instructions, as an assembler makes them of the comments beside them. */
const INSTRUCTIONS: Readonly<Record<string, string>> = {
  x64:
    "488d1df9ff0000 488b03 4885c0 7820 488b7b08 488b7310 488b5318 4c8b5320 4c8b4328 0f05 " +
    "48894330 4883c338 ebd8 f0ff4308 c3",
  arm64:
    "09000810 280140f9 0801f8b7 208540a9 228d41a9 241540f9 010000d4 201900f9 29e10091 f8ffff17 " +
    "29210091 2bfd5f88 6b050011 2bfd0c88 acffff35 c0035fd6",
};

for (const [architecture, tgkill] of [
  ["x64", 234],
  ["arm64", 131],
] as const) {
  systemTest(`on ${architecture} each thread is signalled and walks the list`, [], (sys) => {
    const PAGE = 65536;
    const memory = new Block(sys, 2 * PAGE);
    const count = PAGE + 2 * 56 + 8;
    const seen = { code: "", list: [] as bigint[], actions: [] as number[][] };
    let isMade = false;
    const { told, calls } = play(sys, {
      mmap: () => memory.address,
      munmap: 0,
      mprotect: () => {
        const length = INSTRUCTIONS[architecture]?.replaceAll(" ", "").length ?? 0;
        seen.code = Buffer.from(memory.bytes.subarray(0, length / 2)).toString("hex");
        seen.list = [...new BigInt64Array(memory.bytes.buffer, PAGE, 15)];
        return 0;
      },
      sigaction: (_signal, action, old) => {
        const view = new DataView(sys.view(action, 152));
        seen.actions.push([...new Uint8Array(view.buffer)]);
        if (old !== 0) {
          assert.equal(Number(view.getBigUint64(0, true)), memory.address);
          new Uint8Array(sys.view(old, 152)).fill(77);
        }
        return 0;
      },
      getpid: 4000,
      syscall: (_number, _pid, thread) => {
        if (thread === first) return -3; // it has ended meanwhile
        isMade = true;
        memory.setI32(count, memory.getI32(count) + 1);
        return 0;
      },
      poll: () => assert.fail("nothing to wait for"),
    });
    const [first] = threadIds();
    callInAllThreads(told, [[7, 1, 2, 3, 4, 5], [8]], () => isMade, architecture);
    assert.equal(seen.code, INSTRUCTIONS[architecture]?.replaceAll(" ", ""));
    const words = [7n, 1n, 2n, 3n, 4n, 5n, 0n, 8n, 0n, 0n, 0n, 0n, 0n, 0n, -1n];
    assert.deepEqual(seen.list, words);
    const masked = Array.from({ length: 128 }, () => 0xff);
    const [action, restored] = seen.actions;
    assert.deepEqual(action?.slice(8), [
      ...[...masked, 0, 0, 0, 0x10],
      ...Array.from({ length: 12 }, () => 0),
    ]);
    assert.ok(restored?.every((octet) => octet === 77));
    const signalled = calls.filter(([name]) => name === "syscall");
    assert.deepEqual(signalled[0], ["syscall", tgkill, 4000, first, 31, 0, 0]);
    assert.deepEqual(
      calls.filter(([name]) => name !== "syscall"),
      [
        ["mmap", 0, 2 * PAGE, 3, 0x22, -1, 0],
        ["mprotect", "@", PAGE, 5],
        ["sigaction", 31, "@", "@"],
        ["getpid"],
        ["sigaction", 31, "@", 0],
        ["munmap", "@", 2 * PAGE],
      ],
    );
  });
}

systemTest("a round signals all that are not done, and there are 100 of them", [], (sys) => {
  const { told, calls } = play(sys, { syscall: -3, getpid: 4000 });
  assert.throws(() => callInAllThreads(told, [[GETPID]], () => false), {
    message: "Change all threads: some are left after 100 rounds",
  });
  assert.equal(calls.filter(([name]) => name === "getpid").length, 100);
});

systemTest("a strange machine is an error", [], (sys) => {
  const message = 'Change all threads: not on "mips"';
  assert.throws(() => callInAllThreads(sys, [[1]], () => false, "mips"), { message });
});
