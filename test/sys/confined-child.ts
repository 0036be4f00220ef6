/**
 * Loads the program's own filter into itself, then does what it is told: `live`, `ask` for what is
 * refused, `start` a program. Started by seccomp.test.ts.
 */
import { readdirSync, readFileSync } from "node:fs";
import { arch } from "node:os";
import process from "node:process";
import { loadLibc } from "../../src/sys/libc.ts";
import { dropPrivileges } from "../../src/sys/privileges.ts";
import { filterArch, loadFilter } from "../../src/sys/seccomp-load.ts";
import { FATAL_CALLS } from "../../src/sys/seccomp-table.ts";

const sys = await loadLibc();
const architecture = filterArch();
if (architecture === undefined) throw new Error(`no filter for ${arch()}`);
const column = architecture === "x64" ? 0 : 1;
dropPrivileges(sys, undefined);
loadFilter(sys, architecture);

/** What all threads say of this, each answer once. */
function said(name: string): string[] {
  const answers = readdirSync("/proc/self/task").flatMap((thread) => {
    const status = statusOf(thread);
    if (status === undefined) return [];
    return [new RegExp(`^${name}:\\s*(.*)$`, "m").exec(status)?.[1] ?? ""];
  });
  return [...new Set(answers)];
}

/** What the kernel tells of a thread; undefined where it has ended since. */
function statusOf(thread: string): string | undefined {
  try {
    return readFileSync(`/proc/self/task/${thread}/status`, "utf8");
  } catch {
    return undefined;
  }
}

async function live(): Promise<unknown> {
  await new Promise((resolve) => setTimeout(resolve, 1));
  const source = new Blob(["postMessage(40 + 2)"], { type: "application/javascript" });
  const worker = new Worker(URL.createObjectURL(source), { type: "module" });
  const answer = await new Promise((resolve) => {
    worker.onmessage = (event: MessageEvent<unknown>) => resolve(event.data);
  });
  return { modes: said("Seccomp"), worker: answer, privs: said("NoNewPrivs") };
}

function ask(): unknown {
  const [memfd, symlink, kill] = architecture === "x64" ? [319, 88, 62] : [279, 36, 129];
  return {
    memfd_create: sys.syscall(memfd ?? 0, 0, 0, 0, 0, 0),
    symlink: sys.syscall(symlink ?? 0, 0, 0, 0, 0, 0),
    packet: sys.socket(17, 3, 0),
    kill: sys.syscall(kill ?? 0, 1, 0, 0, 0, 0),
  };
}

switch (process.argv[2]) {
  case "live":
    console.log(JSON.stringify(await live()));
    break;
  case "ask":
    console.log(JSON.stringify(ask()));
    break;
  default:
    console.log("loaded");
    sys.syscall(FATAL_CALLS["execve"]?.[column] ?? -1, 0, 0, 0, 0, 0);
    console.log("lives on");
}
process.exit(0);
