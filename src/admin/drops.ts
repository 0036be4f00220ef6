/** The latest frames that were dropped, with what their headers say in words. */
import { create } from "@bufbuild/protobuf";
import { describeHeaders } from "../config/frame-words.ts";
import { DROP_LABELS } from "../engine/counter-names.ts";
import {
  type DroppedFrame,
  DroppedFrameSchema,
  type ListDropsRequest,
  type ListDropsResponse,
  ListDropsResponseSchema,
} from "./gen/slirp_binding/admin/v1/admin_pb.js";
import { networksOf } from "./networks.ts";
import type { AdminProgram } from "./program.ts";

export async function listDrops(
  program: AdminProgram,
  { network }: ListDropsRequest,
): Promise<ListDropsResponse> {
  const frames: DroppedFrame[] = [];
  for (const { name, binding } of networksOf(program.networks(), network)) {
    for (const { time, reason, length, headers } of await binding.ask("drops", {})) {
      const dropped = {
        network: name,
        timeUs: BigInt(Math.floor(time)),
        reason: DROP_LABELS[reason] ?? "",
        length,
        headers: Uint8Array.from(headers),
        summary: describeHeaders(headers),
      };
      frames.push(create(DroppedFrameSchema, dropped));
    }
  }
  frames.sort((a, b) => Number(a.timeUs - b.timeUs));
  return create(ListDropsResponseSchema, { frames });
}
