/**
 * Reads a scenario file: YAML text in, plan and expectations out, or one line that says what is
 * wrong and where.
 *
 *     text -> YAML -> ScenarioSchema (fields, defaults, bounds) -> sums and sense -> Scenario
 *
 * Limits: 256 KiB of text, no more than 100 uses of anchors; what all flows come to together is
 * bounded by FLOWS_MAX, STREAM_OCTETS_MAX and DATAGRAMS_MAX. Source: YAML 1.2.
 */

import * as v from "valibot";
import { parseDocument } from "yaml";
import { DROP_NAMES } from "../../engine/stats.ts";
import { escapeControls } from "../../lib/controls.ts";
import { messageOf } from "../../lib/message.ts";
import {
  DATAGRAMS_MAX,
  FLOWS_MAX,
  type FlowFields,
  type ScenarioDocument,
  ScenarioSchema,
  STREAM_OCTETS_MAX,
} from "./scenario-schema.ts";

const TEXT_MAX = 256 * 1024;
const SHOWN_MAX = 60;

/** The file cannot be used. The message is one line without a trailing period. */
export class ScenarioError extends Error {
  override readonly name: string = "ScenarioError";
}

/** Reads the text of a scenario file. @throws {ScenarioError} */
export function readScenario(text: string): ScenarioDocument {
  if (text.length > TEXT_MAX) {
    throw new ScenarioError(`shorten the scenario: more than ${TEXT_MAX} characters`);
  }
  const input = readYaml(text);
  if (typeof input !== "object" || input === null || Array.isArray(input)) {
    throw new ScenarioError('write a map with "title" and "flows"');
  }
  const result = v.safeParse(ScenarioSchema, input, { abortEarly: true });
  if (!result.success) throw new ScenarioError(describeIssue(result.issues[0]));
  checkSense(result.output);
  return result.output;
}

function readYaml(text: string): unknown {
  const document = parseDocument(text, { logLevel: "error" });
  const [error] = document.errors;
  if (error !== undefined) {
    const [first = ""] = error.message.split("\n");
    throw new ScenarioError(`parse YAML: ${escapeControls(first.replace(/:$/, ""))}`);
  }
  try {
    return document.toJS({ maxAliasCount: 100 });
  } catch (error) {
    const why = messageOf(error);
    throw new ScenarioError(`parse YAML: ${escapeControls(why)}`);
  }
}

/** The deepest issue: that of the variant or of the value, not of what it is in. */
function describeIssue(issue: v.BaseIssue<unknown>): string {
  const path = (issue.path ?? []).map(({ key }) => key);
  const field = `field ${quote(formatPath(path))}`;
  if (issue.kind === "schema" && issue.type === "strict_object") {
    const isUnknown = issue.expected === "never";
    if (isUnknown) return `remove ${field}: no such field`;
    if (issue.input === undefined) return `add ${field}`;
    return `${field}: wanted fields with values`;
  }
  if (issue.input === undefined) return `add ${field}: ${issue.message}`;
  return `${field} ${quote(shown(issue.input))}: ${issue.message}`;
}

/** `flows[2].tcp.mss`, as people write it. */
function formatPath(path: readonly unknown[]): string {
  return path
    .map((key) => (typeof key === "number" ? `[${key}]` : `.${String(key)}`))
    .join("")
    .replace(/^\./, "");
}

function shown(input: unknown): string {
  const text = typeof input === "object" ? (JSON.stringify(input) ?? "") : String(input);
  return text.length > SHOWN_MAX ? `${text.slice(0, SHOWN_MAX)}...` : text;
}

function quote(text: string): string {
  return escapeControls(JSON.stringify(text));
}

// ---------------------------------------------------------------- what no single field shows

function checkSense(document: ScenarioDocument): void {
  const { flows, expect } = document;
  const sum = (of: (fields: FlowFields) => number): number =>
    flows.reduce((total, each) => total + each.count * of(each), 0);
  limit(
    "flows",
    sum(() => 1),
    FLOWS_MAX,
  );
  limit(
    "octets of streams",
    sum((each) => (each.kind === "tcp" ? each.up + each.down : 0)),
    STREAM_OCTETS_MAX,
  );
  limit("datagrams", sum(datagramsOf), DATAGRAMS_MAX);
  const names = new Set<string>();
  for (const [index, each] of flows.entries()) {
    if (names.has(each.name)) fail(index, "name", "another kind of flow has this name");
    names.add(each.name);
    if (each.kind === "tcp") checkTcp(each, index);
  }
  for (const list of ["drops-max", "drops-min"] as const) {
    for (const name of Object.keys(expect[list])) {
      const isKnown = DROP_NAMES.some((each) => each === dropName(name));
      if (isKnown) continue;
      throw new ScenarioError(`field ${quote(`expect.${list}.${name}`)}: no such reason to drop`);
    }
  }
}

/** Name of the counter of a reason: `tcpTableFull` is counted as `dropTcpTableFull`. */
export function dropName(reason: string): string {
  return `drop${reason.slice(0, 1).toUpperCase()}${reason.slice(1)}`;
}

function datagramsOf(fields: FlowFields): number {
  if (fields.kind === "udp") return fields.datagrams;
  return fields.kind === "ping" ? fields.requests : 1;
}

function limit(what: string, found: number, most: number): void {
  if (found > most) throw new ScenarioError(`lessen the flows: ${found} ${what}, at most ${most}`);
}

function fail(index: number, field: string, problem: string): never {
  throw new ScenarioError(`field ${quote(`flows[${index}].${field}`)}: ${problem}`);
}

function checkTcp(fields: Extract<FlowFields, { kind: "tcp" }>, index: number): void {
  const waits = fields["peer-closes"] !== "when-sent" && fields["guest-closes"] !== "when-sent";
  if (waits && fields["leaves-at"] === undefined) {
    fail(index, "guest-closes", "both sides would wait for the other to close");
  }
  if (fields["send-after"] > fields.up) {
    fail(index, "send-after", `the guest sends only ${fields.up} octets`);
  }
  if (fields.from === "outside" && fields.connect !== "ok") {
    fail(index, "connect", 'wanted "ok" of a connection from outside');
  }
  checkPace(fields, index, "read", fields.down);
  checkPace(fields, index, "write", fields.up);
}

/** An application that dawdles must come to an end. */
function checkPace(
  fields: Extract<FlowFields, { kind: "tcp" }>,
  index: number,
  verb: "read" | "write",
  octets: number,
): void {
  const pause = fields[`${verb}-pause`];
  const steps = octets / Math.max(fields[`${verb}-size`] || 65_536, 1);
  const HOUR = 3_600_000_000;
  if (pause * steps > HOUR) fail(index, `${verb}-pause`, "this would take more than an hour");
}
