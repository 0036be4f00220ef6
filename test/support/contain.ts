/**
 * The last steps of a container runtime, as a program for Bun: joins a control group, goes into a
 * root file system, gives up user and capabilities, sets no_new_privs, loads a seccomp profile,
 * becomes the program.
 *
 *     bun test/support/contain.ts [--cgroup-fd N] [--root FOLDER] [--user ID | --bare]
 *                                 [--seccomp FILE] -- PROGRAM ARG…
 *
 * Descriptor N is the group's "cgroup.procs", opened where that could still be seen. With --bare
 * root stays root, without capabilities. Process id and descriptors stay. What other threads of Bun
 * there are end with execve.
 * Source: OCI runtime specification, lifecycle; Linux capabilities(7), prctl(2), execve(2).
 */
import { closeSync, readFileSync, writeSync } from "node:fs";
import process from "node:process";
import { parseArgs } from "node:util";
import { type SeccompProfile, seccompFilter } from "./seccomp.ts";

const PR_CAPBSET_DROP = 24;
const PR_SET_NO_NEW_PRIVS = 38;
const PR_SET_SECCOMP = 22;
const PR_CAP_AMBIENT = 47;
const PR_CAP_AMBIENT_CLEAR_ALL = 4;
const SECCOMP_MODE_FILTER = 2;
const POINTER_SIZE = 8;
const FILTER_INSTRUCTION_SIZE = 8;

type Call = (...args: readonly number[]) => number;

interface Ffi {
  dlopen(
    path: string,
    symbols: Record<string, { args: string[]; returns: string }>,
  ): { readonly symbols: Record<string, Call> };
  ptr(bytes: Uint8Array): number;
}

/** What has been handed to the kernel by address stays reachable from here. */
const kept: Uint8Array[] = [];

const name = "bun:ffi"; // a variable, because tsc resolves literal specifiers
const ffi = (await import(name)) as Ffi;
const { symbols } = ffi.dlopen("libc.so.6", {
  chroot: { args: ["ptr"], returns: "i32" },
  chdir: { args: ["ptr"], returns: "i32" },
  setgroups: { args: ["ptr", "ptr"], returns: "i32" },
  setresgid: { args: ["i32", "i32", "i32"], returns: "i32" },
  setresuid: { args: ["i32", "i32", "i32"], returns: "i32" },
  prctl: { args: ["i32", "ptr", "ptr", "ptr", "ptr"], returns: "i32" },
  execve: { args: ["ptr", "ptr", "ptr"], returns: "i32" },
});

function must(call: string, ...args: readonly number[]): void {
  if (symbols[call]?.(...args) !== 0) throw new Error(`"${call}" failed`);
}

function address(bytes: Uint8Array): number {
  kept.push(bytes);
  return ffi.ptr(bytes);
}

function text(value: string): number {
  return address(Buffer.from(`${value}\0`));
}

/** A list of texts that ends with a null pointer. */
function texts(values: readonly string[]): number {
  const list = new BigUint64Array(values.length + 1);
  values.forEach((value, index) => {
    list[index] = BigInt(text(value));
  });
  return address(new Uint8Array(list.buffer));
}

function join(group: number): void {
  writeSync(group, "0"); // whoever writes it
  closeSync(group);
}

function enter(root: string): void {
  must("chroot", text(root));
  must("chdir", text("/"));
}

/** Becomes `id`, user and group, without any capability, now and later. */
function become(id: number): void {
  const last = Number(capabilities);
  for (let capability = 0; capability <= last; capability += 1) {
    must("prctl", PR_CAPBSET_DROP, capability, 0, 0, 0);
  }
  must("prctl", PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
  must("setgroups", 1, address(new Uint8Array(new Uint32Array([id]).buffer)));
  must("setresgid", id, id, id);
  must("setresuid", id, id, id);
}

function load(filter: Uint8Array): void {
  // struct sock_fprog: a count of 16 bits, padding, the address
  const program = new DataView(new ArrayBuffer(2 * POINTER_SIZE));
  program.setUint16(0, filter.length / FILTER_INSTRUCTION_SIZE, true);
  program.setBigUint64(POINTER_SIZE, BigInt(address(filter)), true);
  const at = address(new Uint8Array(program.buffer));
  must("prctl", PR_SET_SECCOMP, SECCOMP_MODE_FILTER, at, 0, 0);
}

const { values, positionals } = parseArgs({
  options: {
    "cgroup-fd": { type: "string" },
    root: { type: "string" },
    user: { type: "string" },
    seccomp: { type: "string" },
    bare: { type: "boolean" },
  },
  allowPositionals: true,
});
// Files of this side are read before it is left.
const capabilities = readFileSync("/proc/sys/kernel/cap_last_cap", "utf8");
const filter =
  values.seccomp === undefined
    ? undefined
    : seccompFilter(JSON.parse(readFileSync(values.seccomp, "utf8")) as SeccompProfile);
const [program = ""] = positionals;
const path = text(program);
const argv = texts(positionals);
const environment = texts(Object.entries(process.env).map(([key, value]) => `${key}=${value}`));

if (values["cgroup-fd"] !== undefined) join(Number(values["cgroup-fd"]));
if (values.root !== undefined) enter(values.root);
if (values.user !== undefined) become(Number(values.user));
else if (values.bare === true && process.getuid?.() === 0) become(0);
must("prctl", PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
if (filter !== undefined) load(filter);
must("execve", path, argv, environment);
