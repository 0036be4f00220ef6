/**
 * Runs the program under strace, or under a seccomp profile, when the environment asks for it: that
 * is how `scripts/seccomp.mjs` learns what the profile has to allow, and checks that it is enough.
 *
 *     E2E_TRACE=FOLDER     the system calls of each start go to a file in that folder
 *     E2E_SECCOMP=FILE     this profile is in force, and there is no capability
 */
import { join, resolve } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";

const ROOT = resolve(fileURLToPath(new URL("../../..", import.meta.url)));
const STRACE = "/usr/bin/strace";

let count = 0;

/**
 * What to put before a command line to have its system calls written down; nothing as a rule.
 * strace becomes the parent of what it runs.
 */
export function traced(): string[] {
  const folder = process.env["E2E_TRACE"];
  if (folder === undefined) return [];
  count += 1;
  const file = join(folder, `${process.pid}-${count}.trace`);
  return [STRACE, "-f", "-qq", "-s", "0", "-o", file];
}

/**
 * What to put before the binary; nothing as a rule. The binary gets the process id of what is
 * started.
 */
export function confinement(): string[] {
  const [strace, ...args] = traced();
  if (strace !== undefined) return [strace, "-D", ...args];
  const profile = process.env["E2E_SECCOMP"];
  if (profile === undefined) return [];
  const contain = join(ROOT, "test/support/contain.ts");
  // Without capabilities, as in the container it is for: the profile lets nobody give them up.
  const rights = ["--bare", "--seccomp", profile];
  return [join(ROOT, "node_modules/.bin/bun"), contain, ...rights, "--"];
}
