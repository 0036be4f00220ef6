/** What is read of /proc: memory without the guest's and without pages of files. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { residentIn } from "../../bench/probe.ts";

const mapping = (name: string, resident: number, anonymous: number): string =>
  `7f0000000000-7f0000001000 rw-p 00000000 00:01 42 ${name}
Size:               9999 kB
Rss:               ${resident} kB
Pss:                1 kB
Anonymous:         ${anonymous} kB
VmFlags: rd wr mr mw me sd
`;

test("guest memory does not count, and files count once", () => {
  const smaps = [
    mapping("", 2048, 2048),
    mapping("/usr/bin/program", 4096, 1024),
    mapping("/memfd:memory-backend-memfd (deleted)", 8192, 0),
    mapping("/memfd:nohuge (deleted)", 16384, 0),
    mapping("/memfd:own (deleted)", 1024, 0),
  ];
  assert.deepEqual(residentIn(smaps.join("")), { all: 7, own: 3 });
});
