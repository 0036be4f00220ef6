/** Builds the client beside this file with Debian's Go and Debian's grpc-go, and runs it. */
import assert from "node:assert/strict";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { onEnd, run, which } from "../e2e/shell.ts";

const SOURCE = dirname(fileURLToPath(import.meta.url));
/** Where Debian keeps the sources of Go libraries. */
const GOPATH = "/usr/share/gocode";
const BUILD_LIMIT_ms = 300_000;
const RUN_LIMIT_ms = 240_000;

/** One run: `count` calls, each over a connection of its own. */
export interface GoCalls {
  readonly socket: string;
  /** Full method; empty = connect only. */
  readonly method: string;
  readonly body?: Uint8Array;
  readonly count?: number;
  /** Calls at once. */
  readonly parallel?: number;
  /** Time for each call in Go's notation. */
  readonly deadline?: string;
}

export interface GoReport {
  readonly succeeded: number;
  /** Answers that were not as the first one. */
  readonly different: number;
  /** The first answer. */
  readonly answer: Buffer;
  /** Status and text of the first failure; empty without one. */
  readonly code: string;
  readonly message: string;
  /** From before the dial to after the answer. */
  readonly p50_us: number;
  readonly p99_us: number;
}

export interface GoClient {
  run(calls: GoCalls): Promise<GoReport>;
  /** Removes what was built. */
  remove(): void;
}

/** Why it cannot be built here; false when it can. */
export function cannotBuildGoClient(): string | false {
  if (which("go") === undefined) return "golang-go is not installed";
  if (existsSync(join(GOPATH, "src/google.golang.org/grpc"))) return false;
  return "golang-google-grpc-dev is not installed";
}

export async function buildGoClient(): Promise<GoClient> {
  const folder = mkdtempSync(join(tmpdir(), "grpc-go-"));
  const remove = (): void => rmSync(folder, { recursive: true, force: true });
  const forget = onEnd(remove);
  const program = join(folder, "client");
  const env = {
    GO111MODULE: "off",
    GOPATH,
    GOFLAGS: "-buildvcs=false",
    GOCACHE: join(folder, "cache"),
    GOTOOLCHAIN: "local",
  };
  const build = ["go", "build", "-o", program, "."];
  const { code, stderr } = await run(build, BUILD_LIMIT_ms, { env, cwd: SOURCE });
  assert.equal(code, 0, stderr);
  return {
    run: (calls) => runClient(folder, program, calls),
    remove: () => {
      forget();
      remove();
    },
  };
}

async function runClient(folder: string, program: string, calls: GoCalls): Promise<GoReport> {
  const { socket, method, body = new Uint8Array(0) } = calls;
  const { count = 1, parallel = 1, deadline = "60s" } = calls;
  const request = join(folder, "request");
  const answer = join(folder, "answer");
  writeFileSync(request, body);
  const argv = [program, "-socket", socket, "-method", method];
  argv.push("-request", request, "-answer", answer);
  argv.push("-count", String(count), "-parallel", String(parallel), "-deadline", deadline);
  const { code, stdout, stderr } = await run(argv, RUN_LIMIT_ms);
  assert.equal(code, 0, stderr);
  return { ...JSON.parse(stdout), answer: readFileSync(answer) };
}
