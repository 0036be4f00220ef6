/**
 * A program that gives up its rights as it is told in JSON and says as JSON what is left: started
 * by confine-program.test.ts. Descriptor 3 hears when it is done.
 */
import { openSync, readFileSync, readlinkSync } from "node:fs";
import process from "node:process";
import { announce, confine, shedInheritance } from "../../src/cli/confine.ts";
import type { RightsOptions } from "../../src/config/rights.ts";
import { prettyLogger } from "../../src/lib/log.ts";

interface Told {
  readonly options: RightsOptions;
  readonly folders?: readonly string[];
  readonly root?: string;
}

const { options, folders = [], root }: Told = JSON.parse(process.argv[2] ?? "{}");
await shedInheritance(undefined, 3, 5);
const variables = Object.keys(process.env);
const environment = openSync("/proc/self/environ", "r"); // later we may not
const lines: string[] = [];
const log = prettyLogger("info", (line) => lines.push(line.trimEnd()));
let starts = 0;
/** What a process that is started before the rights go may do, and has of our descriptors. */
let narrowed = "";
let marks = "";
const reader = {
  start: async (narrow: () => void): Promise<void> => {
    starts += 1;
    narrow();
    narrowed = readFileSync("/proc/thread-self/status", "utf8");
    marks = readFileSync("/proc/self/fdinfo/3", "utf8");
  },
};
let problem = "";
try {
  await confine(options, { folders, ...(root === undefined ? {} : { root }), reader }, log);
  await announce(3);
} catch (error) {
  problem = String(error);
}
function targetOf(fd: number): string {
  try {
    return readlinkSync(`/proc/self/fd/${fd}`);
  } catch {
    return "";
  }
}

const left = {
  ...{ variables, lines, problem, starts, narrowed, marks },
  status: readFileSync("/proc/self/status", "utf8"),
  environment: readFileSync(environment, "latin1").replaceAll("\0", ""),
  targets: [5, 9].map(targetOf),
};
process.stdout.write(JSON.stringify(left));
process.exit(0);
