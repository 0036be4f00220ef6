/**
 * Gives up what it has and prints what the kernel says of it then: `USER` as UID:GID, or `same`.
 * Started by privileges.test.ts.
 */
import { readdirSync, readFileSync } from "node:fs";
import process from "node:process";
import { loadLibc } from "../../src/sys/libc.ts";
import { closeInherited, dropPrivileges, wipeEnvironment } from "../../src/sys/privileges.ts";

const [, , user = "same", keep = ""] = process.argv;
const sys = await loadLibc();
const closed = closeInherited(sys, keep.split(",").filter(Boolean).map(Number));
const before = readFileSync("/proc/self/environ", "latin1").replaceAll("\0", "").length;
wipeEnvironment(sys);
const after = readFileSync("/proc/self/environ", "latin1").replaceAll("\0", "").length;
const [uid = 0, gid = 0] = user.split(":").map(Number);
dropPrivileges(sys, user === "same" ? undefined : { uid, gid });

const NAMES = /^(?:Uid|Gid|Groups|CapInh|CapPrm|CapEff|CapBnd|CapAmb|NoNewPrivs):/;
const threads = readdirSync("/proc/self/task").map((thread) =>
  readFileSync(`/proc/self/task/${thread}/status`, "utf8")
    .split("\n")
    .filter((line) => NAMES.test(line))
    .map((line) => line.replaceAll(/\s+/g, " ").trim())
    .join("\n"),
);
const open = sys.fcntl(Number(keep.split(",")[0] || 0), 1, 0) >= 0;
const found = {
  closed,
  before,
  after,
  threads: threads.length,
  states: [...new Set(threads)],
  open,
};
console.log(JSON.stringify(found));
process.exit(0);
