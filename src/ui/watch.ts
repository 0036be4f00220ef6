/**
 * Everything that the live page is told, as one stream of lines, each an object of JSON with one
 * key that says what it is:
 *
 *     instance, flows, stats, event, log, drops, ports, captures, level   messages of the contract
 *     lost        {code, message}: the instance no longer answers; the last line
 *
 * One stream, since a browser keeps at most six connections to a server. What the contract has no
 * Watch for is asked for once a second and told when it has changed; what an older instance cannot
 * tell is left out. A line is written when the one before has been taken.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { messageOf } from "../lib/message.ts";
import { type AdminCalls, CallError } from "./admin-calls.ts";

const INTERVAL_ms = 1000;
const LOG_BACKLOG = 256;

/** Name of the line, call, request. */
type Source = readonly [name: string, method: string, body: string];

const STREAMS: readonly Source[] = [
  ["stats", "WatchStats", JSON.stringify({ intervalMs: INTERVAL_ms })],
  ["flows", "WatchFlows", JSON.stringify({ intervalMs: INTERVAL_ms })],
  ["event", "WatchEvents", "{}"],
  ["log", "WatchLog", JSON.stringify({ backlog: LOG_BACKLOG })],
];
const POLLS: readonly Source[] = [
  ["instance", "GetInstance", "{}"],
  ["ports", "ListPublished", "{}"],
  ["drops", "ListDrops", "{}"],
  ["captures", "ListCaptures", "{}"],
  ["level", "GetLogLevel", "{}"],
];

/**
 * Writes until `signal` says so or the instance is lost.
 *
 * @param write resolves when the line has been taken
 */
export async function watch(
  calls: AdminCalls,
  signal: AbortSignal,
  write: (line: string) => Promise<void>,
): Promise<void> {
  const ending = new AbortController();
  const stop = AbortSignal.any([signal, ending.signal]);
  const say = (name: string, json: string): Promise<void> => write(`{"${name}":${json}}\n`);
  try {
    // What network it is about comes before what happens there.
    await once(calls, POLLS, stop, say);
    const streams = STREAMS.map((source) => follow(calls, source, stop, say));
    await Promise.race([poll(calls, stop, say), ...streams]);
  } catch (error) {
    if (signal.aborted) return;
    const code = error instanceof CallError ? error.code : "internal";
    await say("lost", JSON.stringify({ code, message: messageOf(error) }));
  } finally {
    ending.abort();
  }
}

type Say = (name: string, json: string) => Promise<void>;

async function follow(
  calls: AdminCalls,
  [name, method, body]: Source,
  signal: AbortSignal,
  say: Say,
): Promise<void> {
  try {
    for await (const message of calls.stream(method, body, signal)) await say(name, message);
  } catch (error) {
    if (signal.aborted) return;
    if (isUnknownCall(error)) return await never(signal);
    throw error;
  }
  if (!signal.aborted) throw new CallError("unavailable", "the instance ended");
}

async function poll(calls: AdminCalls, signal: AbortSignal, say: Say): Promise<void> {
  const told = new Map<string, string>();
  const changed: Say = async (name, json) => {
    if (told.get(name) === json) return;
    told.set(name, json);
    await say(name, json);
  };
  for (;;) {
    await sleep(INTERVAL_ms, undefined, { signal });
    await once(calls, POLLS, signal, changed);
  }
}

async function once(
  calls: AdminCalls,
  sources: readonly Source[],
  signal: AbortSignal,
  say: Say,
): Promise<void> {
  for (const [name, method, body] of sources) {
    try {
      await say(name, await calls.call(method, body, signal));
    } catch (error) {
      if (!isUnknownCall(error)) throw error;
    }
  }
}

function isUnknownCall(error: unknown): boolean {
  return error instanceof CallError && error.code === "unimplemented";
}

function never(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });
}
