/**
 * Flows, listed and watched.
 *
 * A worker is asked for a page at a time (`engine/flow-page.ts`), so that no packet waits for more
 * than the copy of PAGE_FLOW_COUNT records. A watcher gets what differs from what it was told last:
 * the main thread keeps for it what of each flow is told, so a flow costs it some 200 octets.
 */

import { create } from "@bufbuild/protobuf";
import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import { HANDLE_SLOT_BITS } from "../../wasm/abi.ts";
import type { RunningNetwork } from "../binding/networks.ts";
import type { FlowAnswer } from "../binding/requests.ts";
import { matchesFlow, parseFilter } from "../config/filter.ts";
import { type ListedFlow, readFlowPage } from "../engine/flow-page.ts";
import type { FlowValues } from "./flow-octets.ts";
import { flowMessage, viewFlow } from "./flow-view.ts";
import { FlowWriter } from "./flow-writer.ts";
import {
  type FlowKey,
  FlowKeySchema,
  type ListFlowsRequest,
  type ListFlowsResponse,
  ListFlowsResponseSchema,
  type WatchFlowsRequest,
  type WatchFlowsResponse,
  WatchFlowsResponseSchema,
} from "./gen/slirp_binding/admin/v1/admin_pb.js";
import { networksOf } from "./networks.ts";
import { every, intervalOf } from "./pace.ts";
import type { AdminProgram } from "./program.ts";
import { invalid } from "./refusals.ts";

const PAGE_SIZE_DEFAULT = 1024;
const PAGE_SIZE_MAX = 4096;
/** Flows of one message to a watcher. */
const PIECE_COUNT = 512;
const SLOTS = 2 ** HANDLE_SLOT_BITS;
const TOKEN = /^(\d{1,4}):(\d{1,5})$/;

/** Where listing goes on: which of the networks, and a slot of it. */
interface Place {
  readonly network: number;
  readonly slot: number;
}

/**
 * A page of flows.
 * @param isText the answer goes out as JSON; else flows become octets here, which is quicker
 */
export async function listFlows(
  program: AdminProgram,
  { network, filter, pageSize, pageToken }: ListFlowsRequest,
  isText: boolean,
): Promise<ListFlowsResponse> {
  const select = selectorOf(filter);
  const networks = networksOf(program.networks(), network);
  const wanted = pageSizeOf(pageSize);
  const flows: FlowValues[] = [];
  let place: Place | undefined = placeOf(pageToken);
  while (place !== undefined && flows.length < wanted) {
    const from = networks[place.network];
    if (from === undefined) {
      place = undefined; // it has ended since
      break;
    }
    const answer = await from.binding.ask("flows", { from: place.slot });
    const all = viewPage(from.name, answer, select);
    const taken = all.slice(0, wanted - flows.length);
    flows.push(...taken);
    const cut = all[taken.length]?.id;
    const next = cut === undefined ? answer.page.next : cut % SLOTS;
    place = nextPlace(place, next, networks);
  }
  const nextPageToken = place === undefined ? "" : `${place.network}:${place.slot}`;
  if (isText) {
    return create(ListFlowsResponseSchema, { flows: flows.map(flowMessage), nextPageToken });
  }
  const answer = create(ListFlowsResponseSchema, { nextPageToken });
  answer.$unknown = flowFields(flows);
  return answer;
}

/** The field `flows` of the answer, which to the library is one that it does not know. */
function flowFields(flows: readonly FlowValues[]): NonNullable<ListFlowsResponse["$unknown"]> {
  const { number: no } = ListFlowsResponseSchema.field.flows;
  const writer = new FlowWriter();
  return flows.map((flow) => {
    const data = new BinaryWriter().bytes(writer.write(flow)).finish();
    return { no, wireType: WireType.LengthDelimited, data };
  });
}

function pageSizeOf(asked: number): number {
  if (asked < 0 || asked > PAGE_SIZE_MAX) throw invalid(`page_size is 0 to ${PAGE_SIZE_MAX}`);
  return asked === 0 ? PAGE_SIZE_DEFAULT : asked;
}

function placeOf(token: string): Place {
  if (token === "") return { network: 0, slot: 0 };
  const [, network, slot] = TOKEN.exec(token) ?? [];
  if (network === undefined || slot === undefined) throw invalid("page_token is none of ours");
  return { network: Number(network), slot: Number(slot) };
}

function nextPlace(
  { network }: Place,
  slot: number | undefined,
  networks: readonly RunningNetwork[],
): Place | undefined {
  if (slot !== undefined) return { network, slot };
  return network + 1 < networks.length ? { network: network + 1, slot: 0 } : undefined;
}

type Selector = (flow: ListedFlow) => boolean;

/** @throws ConfigError where the filter cannot be read */
function selectorOf(text: string): Selector {
  const filter = parseFilter(text, "flows");
  return (flow) => {
    const { texts, ...ends } = flow;
    const { guest: guestAddress, peer: peerAddress, host: hostAddress } = texts;
    return matchesFlow(filter, { ...ends, guestAddress, peerAddress, hostAddress });
  };
}

function viewPage(network: string, { page, locals }: FlowAnswer, select: Selector): FlowValues[] {
  return readFlowPage(page).flatMap((flow, i) =>
    select(flow) ? [viewFlow(network, flow, locals[i])] : [],
  );
}

/** All flows of some networks, a page of one of them at a time. */
async function* pagesOf(
  networks: readonly RunningNetwork[],
  select: Selector,
): AsyncGenerator<FlowValues[]> {
  for (const { name, binding } of networks) {
    for (let from: number | undefined = 0; from !== undefined; ) {
      const answer: FlowAnswer = await binding.ask("flows", { from });
      yield viewPage(name, answer, select);
      from = answer.page.next;
    }
  }
}

export async function* watchFlows(
  program: AdminProgram,
  { network, filter, intervalMs }: WatchFlowsRequest,
  signal: AbortSignal,
): AsyncGenerator<WatchFlowsResponse> {
  const select = selectorOf(filter);
  const known = new Map<string, string>();
  for await (const _ of every(intervalOf(intervalMs), signal)) {
    const left = new Set(known.keys());
    for await (const flows of pagesOf(networksOf(program.networks(), network), select)) {
      const news = flows.filter((flow) => isNews(flow, known, left));
      for (let at = 0; at < news.length; at += PIECE_COUNT) {
        const piece = news.slice(at, at + PIECE_COUNT).map(flowMessage);
        yield create(WatchFlowsResponseSchema, { flows: piece });
      }
    }
    const ended = [...left].map(keyOf);
    for (const key of left) known.delete(key);
    const timeUs = BigInt(program.now());
    yield create(WatchFlowsResponseSchema, { ended, isComplete: true, timeUs });
  }
}

/** Whether a watcher is to be told of a flow; it counts as told then. */
function isNews(flow: FlowValues, known: Map<string, string>, left: Set<string>): boolean {
  const key = `${flow.id} ${flow.network}`;
  left.delete(key);
  const { ageUs, idleUs, ...told } = flow;
  const text = JSON.stringify(told);
  if (known.get(key) === text) return false;
  known.set(key, text);
  return true;
}

function keyOf(key: string): FlowKey {
  const [id = ""] = key.split(" ", 1);
  return create(FlowKeySchema, { id: Number(id), network: key.slice(id.length + 1) });
}
