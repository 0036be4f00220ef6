/**
 * Calls whose answers may hold thousands of flows. On the wire they are those of `AdminService`;
 * the answers are read as `octets.proto` has them, and flows by `flow-octets.ts`.
 */

import type { MessageInitShape } from "@bufbuild/protobuf";
import { type CallOptions, type Client, createClient, type Transport } from "@connectrpc/connect";
import { FlowReader, type FlowValues } from "./flow-octets.ts";
import {
  AdminService,
  type FlowKey,
  type ListFlowsRequestSchema,
  type WatchFlowsRequestSchema,
} from "./gen/slirp_binding/admin/v1/admin_pb.js";
import {
  ListFlowsOctetsSchema,
  WatchFlowsOctetsSchema,
} from "./gen/slirp_binding/admin/v1/octets_pb.js";

export interface FlowPage {
  readonly flows: readonly FlowValues[];
  /** Empty = this was the last page. */
  readonly nextPageToken: string;
}

/** What has changed in one interval. */
export interface FlowNews {
  /** Those that ended: before the others, as a number may be another flow's already. */
  readonly ended: readonly FlowKey[];
  readonly flows: readonly FlowValues[];
  /** Microseconds since 1970. */
  readonly time: number;
}

export interface FlowCalls {
  list(
    request: MessageInitShape<typeof ListFlowsRequestSchema>,
    options?: CallOptions,
  ): Promise<FlowPage>;
  /** Whole intervals, each as soon as all of it is told. */
  watch(
    request: MessageInitShape<typeof WatchFlowsRequestSchema>,
    options?: CallOptions,
  ): AsyncIterable<FlowNews>;
}

const { listFlows, watchFlows } = AdminService.method;
const METHODS = {
  listFlows: { ...listFlows, output: ListFlowsOctetsSchema },
  watchFlows: { ...watchFlows, output: WatchFlowsOctetsSchema },
} as const;

export function flowCalls(transport: Transport): FlowCalls {
  const service = { ...AdminService, methods: Object.values(METHODS), method: METHODS };
  const calls: Client<typeof service> = createClient(service, transport);
  return {
    list: async (request, options) => {
      const { flows, nextPageToken } = await calls.listFlows(request, options);
      const reader = new FlowReader();
      return { flows: flows.map((octets) => reader.read(octets)), nextPageToken };
    },
    watch: (request, options) => intervals(calls.watchFlows(request, options)),
  };
}

/** Puts the messages of an interval together. */
async function* intervals(
  messages: AsyncIterable<{
    readonly flows: readonly Uint8Array[];
    readonly ended: readonly FlowKey[];
    readonly isComplete: boolean;
    readonly timeUs: bigint;
  }>,
): AsyncGenerator<FlowNews> {
  let [flows, ended]: [FlowValues[], FlowKey[]] = [[], []];
  const reader = new FlowReader();
  for await (const message of messages) {
    for (const octets of message.flows) flows.push(reader.read(octets));
    ended.push(...message.ended);
    if (!message.isComplete) continue;
    yield { flows, ended, time: Number(message.timeUs) };
    [flows, ended] = [[], []];
  }
}
