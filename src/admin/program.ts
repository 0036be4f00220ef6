/** What the admin service is served from: the program as it knows itself. */
import type { RunningNetwork } from "../binding/networks.ts";
import type { LevelledLogger } from "../lib/log.ts";
import type { ProcessFigures } from "../metrics/process-figures.ts";
import type { EventLog } from "./events.ts";
import type { LogTail } from "./log-tail.ts";

export interface AdminProgram {
  /** As `--instance` takes it. */
  readonly name: string;
  readonly version: string;
  readonly pid: number;
  /** attach, run or serve. */
  readonly command: string;
  /** Microseconds since 1970. */
  readonly started: number;
  /** Microseconds since 1970. */
  readonly now: () => number;
  readonly figures: () => ProcessFigures;
  /** Those there are now. */
  readonly networks: () => readonly RunningNetwork[];
  readonly events: EventLog;
  /** Its level holds for all threads. */
  readonly log: LevelledLogger;
  readonly logTail: LogTail;
}
