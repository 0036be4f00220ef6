/** `events`, `drops` and `log`: what happened, as tables and as lines. */
import {
  type DroppedFrame,
  type Event,
  EventKind,
  LogLevel,
} from "../../admin/gen/slirp_binding/admin/v1/admin_pb.js";
import type { DropsQuestion, EventsQuestion, LogQuestion } from "../../config/inspect.ts";
import type { LogLevelQuestion } from "../../config/steer.ts";
import { escapeControls } from "../../lib/controls.ts";
import type { LogLevel as LevelName } from "../../lib/log.ts";
import { type Asked, jsonLine } from "./asked.ts";
import { type Column, layOut, tableLines } from "./table.ts";
import { timeText } from "./units.ts";

const EVENT_COLUMNS: readonly Column<Event>[] = [
  { title: "TIME", cell: ({ timeUs }) => timeText(timeUs), width: 24 },
  { title: "EVENT", cell: ({ kind }) => kindText(kind), width: 17, least: 8 },
  { title: "INTERFACE", cell: ({ network }) => network, leave: 1 },
  { title: "MESSAGE", cell: messageText, least: 20 },
];
const DROP_COLUMNS: readonly Column<DroppedFrame>[] = [
  { title: "TIME", cell: ({ timeUs }) => timeText(timeUs), leave: 1 },
  { title: "REASON", cell: ({ reason }) => reason },
  { title: "LENGTH", cell: ({ length }) => String(length), isRight: true, leave: 2 },
  { title: "FRAME", cell: ({ summary }) => summary, least: 20 },
  { title: "INTERFACE", cell: ({ network }) => network, leave: 3 },
];
/** The levels of the log by their numbers in the protocol. */
const LEVELS: Readonly<Record<LevelName, LogLevel>> = {
  error: LogLevel.ERROR,
  warn: LogLevel.WARN,
  info: LogLevel.INFO,
  debug: LogLevel.DEBUG,
};

export async function showEvents(question: EventsQuestion, asked: Asked): Promise<void> {
  const { calls, output, signal } = asked;
  const isWanted = ({ network }: Event): boolean =>
    question.network === "" || network === "" || network === question.network;
  const { events } = await calls.listEvents({ afterId: 0n }, { signal });
  const past = events.filter(isWanted);
  const layout = layOut(EVENT_COLUMNS, past, output.columns());
  const line = (event: Event): string =>
    question.json ? jsonLine(eventRecord(event)) : `${layout.line(event)}\n`;
  const head = question.json || (past.length === 0 && !question.watch) ? "" : `${layout.head}\n`;
  await output.write(head + past.map(line).join(""));
  if (past.length === 0 && !question.watch) asked.note("nothing has happened yet");
  if (!question.watch) return;
  const afterId = events.at(-1)?.id ?? 0n;
  for await (const event of calls.watchEvents({ afterId }, { signal })) {
    if (isWanted(event)) await output.write(line(event));
  }
}

export async function showDrops(question: DropsQuestion, asked: Asked): Promise<void> {
  const { calls, output, signal } = asked;
  const { frames } = await calls.listDrops({ network: question.network }, { signal });
  if (frames.length === 0) {
    asked.note("nothing was dropped");
    return;
  }
  const lines = question.json
    ? frames.map((frame) => jsonLine(dropRecord(frame)))
    : tableLines(DROP_COLUMNS, frames, output.columns()).map((line) => `${line}\n`);
  await output.write(lines.join(""));
}

/** Lines as they are, but for what a terminal would obey. */
export async function showLog({ lines, follow }: LogQuestion, asked: Asked): Promise<void> {
  const { calls, output, signal } = asked;
  const request = { backlog: lines, backlogOnly: !follow };
  for await (const { text, lost } of calls.watchLog(request, { signal })) {
    if (lost > 0) asked.note(`${lost} lines lost`);
    await output.write(`${escapeControls(text)}\n`);
  }
}

export async function logLevel({ level }: LogLevelQuestion, asked: Asked): Promise<void> {
  const { calls, output, signal } = asked;
  if (level === undefined) {
    const answer = await calls.getLogLevel({}, { signal });
    await output.write(`${levelText(answer.level)}\n`);
    return;
  }
  const { previous } = await calls.setLogLevel({ level: LEVELS[level] }, { signal });
  asked.note(`the log was at ${levelText(previous)}, and is at ${level} now`);
}

function levelText(level: LogLevel): string {
  const names = Object.entries(LEVELS).find(([, value]) => value === level);
  return names?.[0] ?? "unknown";
}

function kindText(kind: EventKind): string {
  return (EventKind[kind] ?? String(kind)).toLowerCase();
}

function messageText({ message, details }: Event): string {
  const pairs = Object.entries(details).map(([key, value]) => `${key}=${value}`);
  return [message, ...pairs].join(" ");
}

function eventRecord(event: Event): object {
  return {
    id: Number(event.id),
    time_us: Number(event.timeUs),
    kind: kindText(event.kind),
    network: event.network,
    message: event.message,
    details: event.details,
  };
}

function dropRecord(frame: DroppedFrame): object {
  return {
    network: frame.network,
    time_us: Number(frame.timeUs),
    reason: frame.reason,
    length: frame.length,
    headers: Buffer.from(frame.headers).toString("hex"),
    summary: frame.summary,
  };
}
