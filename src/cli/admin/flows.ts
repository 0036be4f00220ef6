/** `flows`: all there are, or what becomes of them. */

import type { FlowValues } from "../../admin/flow-octets.ts";
import type { FlowKey } from "../../admin/gen/slirp_binding/admin/v1/admin_pb.js";
import type { FlowsQuestion } from "../../config/inspect.ts";
import { type Asked, jsonLine } from "./asked.ts";
import { FLOW_COLUMNS, flowRecord, hasState, sortFlows } from "./flow-table.ts";
import { type Column, layOut, tableLines } from "./table.ts";

/** Flows of one answer: as many as there may be, so that few questions are asked. */
const PAGE_SIZE = 4096;
/** Lines that are written at once. */
const LINES_AT_ONCE = 1000;
const MS_PER_SECOND = 1000;

/** What became of a flow. */
type Change = "open" | "new" | "changed" | "ended";
interface Changed {
  readonly change: Change;
  readonly flow: FlowValues;
  /** More than its numbers have changed. */
  readonly isNotable: boolean;
}

const CHANGE_COLUMN: Column<Changed> = { title: "", cell: ({ change }) => change, width: 7 };
/** Widths of flows that are yet to come. */
const WIDTHS: Readonly<Record<string, number>> = {
  STATE: 11,
  GUEST: 16,
  PEER: 21,
  SENT: 4,
  RECEIVED: 4,
  AGE: 5,
  IDLE: 5,
  "WAITS FOR": 12,
};
const WATCH_COLUMNS: readonly Column<Changed>[] = [
  CHANGE_COLUMN,
  ...FLOW_COLUMNS.map(({ cell, ...look }) => ({
    ...look,
    cell: ({ flow }: Changed) => cell(flow),
    width: WIDTHS[look.title] ?? 0,
  })),
];

export async function showFlows(question: FlowsQuestion, asked: Asked): Promise<void> {
  if (question.watch) return watchFlows(question, asked);
  const { output } = asked;
  const all = await listFlows(question, asked);
  const flows = sortFlows(all.filter(hasState(question.state)), question.sort);
  const lines = question.json
    ? flows.map((flow) => JSON.stringify(flowRecord(flow)))
    : tableLines(FLOW_COLUMNS, flows, output.columns());
  for (let at = 0; at < lines.length; at += LINES_AT_ONCE) {
    await output.write(`${lines.slice(at, at + LINES_AT_ONCE).join("\n")}\n`);
  }
  if (flows.length === 0) asked.note("no such flows");
}

async function listFlows(
  { network, filter }: FlowsQuestion,
  { flows: calls, signal }: Asked,
): Promise<FlowValues[]> {
  const flows: FlowValues[] = [];
  for (let pageToken = ""; ; ) {
    const request = { network, filter, pageSize: PAGE_SIZE, pageToken };
    const page = await calls.list(request, { signal });
    for (const flow of page.flows) flows.push(flow);
    if (page.nextPageToken === "") return flows;
    pageToken = page.nextPageToken;
  }
}

async function watchFlows(
  question: FlowsQuestion,
  { flows: calls, output, signal }: Asked,
): Promise<void> {
  const { network, filter, intervalSeconds, json } = question;
  const isWanted = hasState(question.state);
  const known = new Map<string, FlowValues>();
  const layout = layOut(WATCH_COLUMNS, [], output.columns());
  if (!json) await output.write(`${layout.head}\n`);
  const request = { network, filter, intervalMs: intervalSeconds * MS_PER_SECOND };
  // Those of the first look were there before.
  let isFirst = true;
  for await (const { flows, ended, time } of calls.watch(request, { signal })) {
    // Ends first: a number may be another flow's already.
    const changes = [
      ...endsOf(known, ended),
      ...flows.map((flow) => changeOf(known, flow, isFirst)),
    ];
    const shown = changes.filter(({ flow, isNotable }) => isWanted(flow) && (json || isNotable));
    const lines = json
      ? shown.map(({ change, flow }) => jsonLine({ time_us: time, change, ...flowRecord(flow) }))
      : shown.map((each) => `${layout.line(each)}\n`);
    if (lines.length > 0) await output.write(lines.join(""));
    isFirst = false;
  }
}

function keyOf({ network, id }: FlowKey | FlowValues): string {
  return `${id} ${network}`;
}

function changeOf(known: Map<string, FlowValues>, flow: FlowValues, isFirst: boolean): Changed {
  const key = keyOf(flow);
  const last = known.get(key);
  known.set(key, flow);
  const isNotable = last?.state !== flow.state || last.waiting !== flow.waiting;
  if (last !== undefined) return { change: "changed", flow, isNotable };
  return { change: isFirst ? "open" : "new", flow, isNotable: true };
}

/** The last that was heard of flows that ended. */
function endsOf(known: Map<string, FlowValues>, ended: readonly FlowKey[]): Changed[] {
  return ended.flatMap((each) => {
    const key = keyOf(each);
    const flow = known.get(key);
    known.delete(key);
    return flow === undefined ? [] : [{ change: "ended" as const, flow, isNotable: true }];
  });
}
