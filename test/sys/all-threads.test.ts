/** That calls reach every thread is shown by privileges.test.ts; here is what goes wrong. */
import assert from "node:assert/strict";
import { arch } from "node:os";
import { callInAllThreads, threadIds } from "../../src/sys/all-threads.ts";
import { Block } from "../../src/sys/block.ts";
import type { Libc } from "../../src/sys/libc.ts";
import { systemTest } from "./support.ts";

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
