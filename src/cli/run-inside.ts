/**
 * The part of `run` that becomes the command. `run.ts` tells the whole story.
 *
 * It starts in the new namespaces, with all capabilities over them: makes the tap, which belongs to
 * the user and is there for the network to take, shows the command a resolv.conf, lets its user
 * ping and bind low ports there, says that it is there, waits for the word that the network is,
 * too, and becomes the command.
 *
 * A file that is there is covered where it is, at the end of its symbolic links. Where there is
 * none, or its link leads nowhere, its folder is covered by one that has it and all else, for
 * reading only.
 */
import { accessSync, constants, readFileSync, statSync, writeFileSync } from "node:fs";
import { delimiter, dirname, join } from "node:path";
import { quote } from "../config/errors.ts";
import { RESOLV_CONF_PATH } from "../config/resolv.ts";
import { messageOf } from "../lib/message.ts";
import { standardError } from "../lib/standard-error.ts";
import {
  check,
  EACCES,
  EAGAIN,
  EINTR,
  ENOENT,
  ENOEXEC,
  errnoText,
  SystemError,
} from "../sys/errno.ts";
import { becomeProgram, mountEmpty, mountFile, mountOver } from "../sys/exec.ts";
import { type Libc, loadLibc } from "../sys/libc.ts";
import { EPOLLIN } from "../sys/linux.ts";
import { connectUnix } from "../sys/socket.ts";
import { leaveTapHere } from "../sys/tap-device.ts";
import type { TapRequest } from "../sys/tap-helper.ts";

/** Codes of shells and of env(1), timeout(1) and their like. */
export const EXIT_NO_NETWORK = 125;
const EXIT_CANNOT_START = 126;
const EXIT_NO_COMMAND = 127;

/** What it is told, as JSON. */
export interface InsideRequest {
  /** Folder with the socket to wait at, and `etc/resolv.conf`. */
  readonly folder: string;
  readonly command: readonly string[];
  readonly tap: TapRequest;
}

export const GATE = "gate";
const PATH_DEFAULT = "/usr/local/bin:/usr/bin:/bin";
const SHELL = "/bin/sh";

export type Environment = Readonly<Record<string, string | undefined>>;

/** Resolves to the exit code only where there is no command to become. */
export async function runInside(argv: readonly string[], env: Environment): Promise<number> {
  const request: InsideRequest = JSON.parse(argv[0] ?? "{}");
  const { folder, command, tap } = request;
  const sys = await loadLibc();
  leaveTapHere(sys, tap.tap, tap.setup);
  showResolvConf(sys, join(folder, "etc"));
  allowUser();
  const gate = check(connectUnix(sys, join(folder, GATE)), "Reach the program outside");
  if (!isLetIn(sys, gate)) return EXIT_NO_NETWORK; // it has said why
  const [name = "", ...rest] = command;
  const file = findProgram(name, env["PATH"]);
  if (typeof file === "number") return complain(name, file);
  const errno = -becomeProgram(sys, file, command, env);
  if (errno !== ENOEXEC) return complain(name, errno);
  // As a shell does it with a script that does not name its interpreter.
  return complain(name, -becomeProgram(sys, SHELL, ["sh", file, ...rest], env));
}

/** Waits for the word to go on; false where the connection ends without one. */
function isLetIn(sys: Libc, gate: number): boolean {
  const { address } = sys.scratch;
  for (;;) {
    const result = sys.recv(gate, address, 1, 0);
    if (result !== -EAGAIN && result !== -EINTR) return result === 1;
    sys.scratch.setI32(0, gate);
    sys.scratch.setI32(4, EPOLLIN); // struct pollfd, whose bits are the same
    sys.poll(address, 1, -1);
  }
}

function complain(name: string, errno: number): number {
  standardError().write(`slirp-binding: ${problemOf(name, errno)}\n`);
  return exitCodeOf(errno);
}

/** What to say of a command that cannot be started. */
export function problemOf(name: string, errno: number): string {
  if (errno === ENOENT) return `run ${quote(name)}: there is no such command`;
  return `run ${quote(name)}: ${errnoText(errno)}`;
}

export function exitCodeOf(errno: number): number {
  return errno === ENOENT ? EXIT_NO_COMMAND : EXIT_CANNOT_START;
}

/** The program of a name as a shell finds it, or the errno. */
export function findProgram(name: string, path: string | undefined): string | number {
  if (name.includes("/")) return problemWith(name) ?? name;
  let errno = ENOENT;
  for (const folder of (path ?? PATH_DEFAULT).split(delimiter)) {
    const file = join(folder === "" ? "." : folder, name);
    const problem = problemWith(file);
    if (problem === undefined) return file.includes("/") ? file : `./${file}`;
    if (problem === EACCES) errno = EACCES;
  }
  return errno;
}

function problemWith(file: string): number | undefined {
  try {
    if (!statSync(file).isFile()) return EACCES;
    accessSync(file, constants.X_OK);
    return undefined;
  } catch (error) {
    return error instanceof Error && "code" in error && error.code === "EACCES" ? EACCES : ENOENT;
  }
}

function showResolvConf(sys: Libc, folder: string): void {
  try {
    mountFile(sys, join(folder, "resolv.conf"), RESOLV_CONF_PATH);
  } catch (error) {
    if (error instanceof SystemError && error.errno === ENOENT) coverFolder(sys, folder);
    else warn(error);
  }
}

function coverFolder(sys: Libc, folder: string): void {
  try {
    const file = join(folder, "resolv.conf");
    const text = readFileSync(file);
    mountEmpty(sys, folder); // what is outside goes while the command runs
    writeFileSync(file, text, { mode: 0o644 });
    mountOver(sys, folder, dirname(RESOLV_CONF_PATH));
  } catch (error) {
    warn(error);
  }
}

function warn(error: unknown): void {
  const problem = `${RESOLV_CONF_PATH} stays as it is: ${messageOf(error)}`;
  standardError().write(`slirp-binding: ${problem}\n`);
}

/** What distributions let users do, the kernel's own values for a new namespace do not. */
function allowUser(): void {
  const gid = process.getgid?.() ?? 0;
  for (const [name, value] of [
    ["ping_group_range", `${gid} ${gid}`],
    ["ip_unprivileged_port_start", "0"],
  ]) {
    try {
      writeFileSync(`/proc/sys/net/ipv4/${name}`, `${value}\n`);
    } catch {
      // A /proc that is for reading only, as in containers: then as the kernel has it.
    }
  }
}
