/**
 * Commands that ask a running program: finds it, has the question answered, and turns what goes
 * wrong into one sentence and an exit code.
 *
 *     0  answered; also where a reader has left, or what went on was interrupted
 *     1  refused, or something went wrong
 *     2  the command line cannot be meant
 *     3  there is no program to ask, or not any more
 */
import { writeSync } from "node:fs";
import type { AdminClient } from "../../admin/client.ts";
import { failureOf } from "../../admin/failures.ts";
import { ConfigError } from "../../config/errors.ts";
import { escapeControls } from "../../lib/controls.ts";
import { messageOf } from "../../lib/message.ts";
import { standardError } from "../../lib/standard-error.ts";
import type { Question } from "../command.ts";
import { ownUid } from "../program.ts";
import type { Asked } from "./asked.ts";
import {
  EXIT_NO_INSTANCE,
  EXIT_PROBLEM,
  EXIT_USAGE,
  NoInstanceError,
  UsageError,
} from "./failures.ts";
import { type Chosen, choose, findPrograms, nobodyText, placesOf, type Who } from "./find.ts";
import { interrupts } from "./interrupts.ts";
import { OutputClosed, standardOutput } from "./output.ts";
import { US_PER_MS } from "./units.ts";

const STANDARD_OUTPUT = 1;
const WHO_LIMIT_ms = 2000;

/** Answers on standard output; returns the exit code. */
export async function ask(question: Question): Promise<number> {
  const output = standardOutput();
  const { signal, forget } = interrupts();
  const note = (text: string): void => say(text);
  let chosen: Chosen | undefined;
  try {
    const { adminClient: connect } = await import("../../admin/client.ts");
    if (question.about === "instances") {
      const places = placesOf(question.hooksDir, process.env, ownUid());
      const { showInstances } = await import("./instances.ts");
      await showInstances(question, {
        ...{ output, signal, note, connect },
        find: () => findPrograms(places),
        now: Date.now() * US_PER_MS,
        nobody: nobodyText(places),
      });
      return 0;
    }
    const { target } = question;
    chosen = await choose(target, {
      places: placesOf(target.hooksDir, process.env, ownUid()),
      askWho: (path) => whoIs(connect(path)),
    });
    const { calls, flows } = connect(chosen.path);
    return (await answer(question, { calls, flows, output, signal, note })) ?? 0;
  } catch (error) {
    if (error instanceof OutputClosed || signal.aborted) return 0;
    return tell(error, chosen);
  } finally {
    forget();
  }
}

/** Undefined where it does not say. */
async function whoIs({ calls, close }: AdminClient): Promise<Who | undefined> {
  try {
    return await calls.getInstance({}, { timeoutMs: WHO_LIMIT_ms });
  } catch {
    return undefined;
  } finally {
    close();
  }
}

function say(text: string): void {
  standardError().write(`slirp-binding: ${escapeControls(text)}\n`);
}

/** Says what went wrong; returns the exit code. */
function tell(error: unknown, chosen: Chosen | undefined): number {
  if (error instanceof NoInstanceError) {
    say(error.message);
    return EXIT_NO_INSTANCE;
  }
  const failure = failureOf(error);
  if (error instanceof UsageError || error instanceof ConfigError || failure?.kind === "usage") {
    say(failure?.message ?? messageOf(error));
    return EXIT_USAGE;
  }
  if (failure?.kind === "gone") {
    say(`${chosen?.name ?? "the program"} does not answer: ${failure.message}`);
    return EXIT_NO_INSTANCE;
  }
  say(failure?.message ?? messageOf(error));
  return EXIT_PROBLEM;
}

async function answer(
  question: Exclude<Question, { about: "instances" }>,
  asked: Asked,
): Promise<number | undefined | void> {
  switch (question.about) {
    case "flows":
      return (await import("./flows.ts")).showFlows(question, asked);
    case "top":
      return top(question, asked);
    case "stats":
      return (await import("./stats.ts")).showStats(question, asked);
    case "events":
      return (await import("./happenings.ts")).showEvents(question, asked);
    case "drops":
      return (await import("./happenings.ts")).showDrops(question, asked);
    case "log":
      return (await import("./happenings.ts")).showLog(question, asked);
    case "log-level":
      return (await import("./happenings.ts")).logLevel(question, asked);
    case "publish":
      return (await import("./publish.ts")).publish(question, asked);
    case "guest-report":
      return (await import("./guest-report.ts")).showGuestReport(question, asked);
    case "capture":
      return (await import("./capture.ts")).capture(question, asked);
  }
}

async function top(question: Extract<Question, { about: "top" }>, asked: Asked): Promise<void> {
  const { showTop } = await import("./top.ts");
  return showTop(question, asked, {
    leave: (text) => writeSync(STANDARD_OUTPUT, text),
    keyboard: process.stdin.isTTY ? process.stdin : undefined,
    onResize: (listener) => {
      const names = ["SIGWINCH", "SIGCONT"] as const;
      for (const name of names) process.on(name, listener);
      return () => {
        for (const name of names) process.off(name, listener);
      };
    },
  });
}
