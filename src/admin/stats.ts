/** What is counted and measured, once or every so often. */
import { create } from "@bufbuild/protobuf";
import { askAll } from "../metrics/networks.ts";
import { takeSnapshot } from "../metrics/snapshot.ts";
import {
  type GetStatsRequest,
  type GetStatsResponse,
  GetStatsResponseSchema,
  type WatchStatsRequest,
} from "./gen/slirp_binding/admin/v1/admin_pb.js";
import { networksOf } from "./networks.ts";
import { every, intervalOf } from "./pace.ts";
import type { AdminProgram } from "./program.ts";
import { viewFamilies } from "./stats-view.ts";

export async function getStats(
  program: AdminProgram,
  { network }: Pick<GetStatsRequest, "network">,
): Promise<GetStatsResponse> {
  const networks = await askAll(networksOf(program.networks(), network));
  const snapshot = takeSnapshot(networks, program.figures());
  return create(GetStatsResponseSchema, {
    timeUs: BigInt(program.now()),
    families: viewFamilies(snapshot),
  });
}

export async function* watchStats(
  program: AdminProgram,
  request: WatchStatsRequest,
  signal: AbortSignal,
): AsyncGenerator<GetStatsResponse> {
  for await (const _ of every(intervalOf(request.intervalMs), signal)) {
    yield getStats(program, request);
  }
}
