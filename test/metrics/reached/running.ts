/** What scrapes of running networks say. `network.ts` runs them, under Bun for system calls. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { type Rows, rowsOfText } from "./rows.ts";

const LIMIT_ms = 60_000;

export interface Running {
  /** Of a guest behind a stream, whose engine has failed. */
  readonly stream: Rows;
  /** Of a guest with a vhost-user card, whose driver breaks the rules. */
  readonly card: Rows;
}

export async function runNetworks(): Promise<Running> {
  const [bun, script] = ["../../../node_modules/.bin/bun", "./network.ts"].map((path) =>
    fileURLToPath(new URL(path, import.meta.url)),
  );
  assert.ok(bun !== undefined && script !== undefined);
  const options = { timeout: LIMIT_ms, maxBuffer: 1 << 24 };
  const { stdout } = await promisify(execFile)(bun, [script], options);
  const texts = JSON.parse(stdout) as Readonly<Record<keyof Running, string>>;
  return { stream: rowsOfText(texts.stream), card: rowsOfText(texts.card) };
}
