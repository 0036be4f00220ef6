/**
 * A seccomp profile as container runtimes read it, made into the program that the kernel runs for
 * each system call. For x86_64 alone; what libseccomp does for every architecture.
 *
 * Contract: names that the architecture does not know are passed over, as runtimes do. Several
 * conditions of one rule all have to hold; one rule of several is enough.
 * Source: OCI runtime specification, config-linux, Seccomp; Linux seccomp(2), bpf(4).
 */
import {
  AND,
  ARCHITECTURE_OFFSET,
  ARGUMENT_SIZE,
  ARGUMENTS_OFFSET,
  encode,
  type Instruction,
  JUMP_ABOVE,
  JUMP_EQUAL,
  LOAD,
  NUMBER_OFFSET,
  RETURN,
} from "../../src/sys/bpf.ts";
import { SYSTEM_CALLS } from "./system-calls.ts";

export interface SeccompCondition {
  readonly index: number;
  readonly value: number;
  readonly valueTwo?: number;
  readonly op: string;
}

export interface SeccompRule {
  readonly names: readonly string[];
  readonly action: string;
  readonly args?: readonly SeccompCondition[];
}

export interface SeccompProfile {
  readonly defaultAction: string;
  readonly defaultErrnoRet: number;
  readonly architectures: readonly string[];
  readonly syscalls: readonly SeccompRule[];
}

const X86_64 = 0xc000_003e;
/** Numbers from here on are the x32 calls of the same architecture. */
const X32 = 0x4000_0000;
const KILL = 0x8000_0000;
const ALLOW = 0x7fff_0000;
const ERRNO = 0x0005_0000;

/** The filter's instructions, an array of struct sock_filter. Throws on what it cannot express. */
export function seccompFilter(profile: SeccompProfile): Uint8Array {
  if (profile.defaultAction !== "SCMP_ACT_ERRNO") throw new Error("defaultAction has to be ERRNO");
  return encode([
    { code: LOAD, k: ARCHITECTURE_OFFSET },
    { code: JUMP_EQUAL, k: X86_64, yes: 1 },
    { code: RETURN, k: KILL },
    { code: LOAD, k: NUMBER_OFFSET },
    { code: JUMP_ABOVE, k: X32, no: 1 },
    { code: RETURN, k: KILL },
    ...profile.syscalls.flatMap(ruleInstructions),
    { code: RETURN, k: ERRNO | profile.defaultErrnoRet },
  ]);
}

function ruleInstructions({ names, action, args = [] }: SeccompRule): Instruction[] {
  if (action !== "SCMP_ACT_ALLOW") throw new Error(`action "${action}" is not handled`);
  return names.flatMap((name) => {
    const number = SYSTEM_CALLS[name];
    return number === undefined ? [] : callInstructions(number, args);
  });
}

function callInstructions(number: number, args: readonly SeccompCondition[]): Instruction[] {
  const allow = { code: RETURN, k: ALLOW };
  if (args.length === 0) return [{ code: JUMP_EQUAL, k: number, no: 1 }, allow];
  const checks = args.flatMap(conditionChecks);
  const length = checks.reduce((sum, check) => sum + check.length, 0);
  let rest = length;
  const body = checks.flatMap((check) => {
    rest -= check.length;
    // A check ends with its comparison; when that fails the number has to be loaded again.
    return check.map((each) => (each.code === JUMP_EQUAL ? { ...each, no: rest + 1 } : each));
  });
  const reload = { code: LOAD, k: NUMBER_OFFSET };
  return [{ code: JUMP_EQUAL, k: number, no: length + 2 }, ...body, allow, reload];
}

/** Both halves of an argument, low and high, as the machine is little-endian. */
function conditionChecks({ index, value, valueTwo = 0, op }: SeccompCondition): Instruction[][] {
  const at = ARGUMENTS_OFFSET + index * ARGUMENT_SIZE;
  switch (op) {
    case "SCMP_CMP_EQ":
      return [halfCheck(at, undefined, value), halfCheck(at + 4, undefined, 0)];
    case "SCMP_CMP_MASKED_EQ":
      // The mask is below 2^32: nothing is asked of the high half.
      return [halfCheck(at, value, valueTwo)];
    default:
      throw new Error(`condition "${op}" is not handled`);
  }
}

function halfCheck(at: number, mask: number | undefined, wanted: number): Instruction[] {
  const masked = mask === undefined ? [] : [{ code: AND, k: mask }];
  return [{ code: LOAD, k: at }, ...masked, { code: JUMP_EQUAL, k: wanted }];
}
