/**
 * What guest memory, rings and queues need of the machine they run on: the kernel's calls in
 * production (`Libc` has them all), and those of a machine in memory in the simulator
 * (`src/lab/sim/card/machine.ts`), so that the same code is run there.
 */

import type { Libc } from "../../sys/calls.ts";
import type { MappingCalls } from "../../sys/foreign-memory.ts";

export type Machine = MappingCalls &
  Pick<
    Libc,
    "view" | "memcpy" | "process_vm_readv" | "process_vm_writev" | "getpid" | "write" | "close"
  >;
