/** That calls reach every thread is shown by privileges.test.ts; here is what goes wrong. */
import assert from "node:assert/strict";
import { arch } from "node:os";
import { callInAllThreads, threadIds } from "../../src/sys/all-threads.ts";
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
