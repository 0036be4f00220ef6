/**
 * Captures that are asked for: into a file of the program's side, or as octets to the caller.
 *
 * A file is made anew, by an absolute path, with mode 0600: nothing that is there is written into,
 * no link followed. A caller that reads slowly, or not at all, loses frames, which it is told by
 * their number; QUEUE_SIZE octets and the ring of the network are all that is kept for it. It ends
 * its capture by ending the call.
 */
import { unlinkSync } from "node:fs";
import { isAbsolute } from "node:path";
import { create } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import type { CaptureSettings, NetworkCapture } from "../binding/captures.ts";
import type { RunningNetwork } from "../binding/networks.ts";
import { messageOf } from "../lib/message.ts";
import { type NewOutput, openNewOutput } from "../lib/output-file.ts";
import {
  type CaptureRequest,
  type CaptureResponse,
  CaptureResponseSchema,
  type ListCapturesResponse,
  ListCapturesResponseSchema,
  type RunningCapture,
  RunningCaptureSchema,
  type StartCaptureRequest,
  type StartCaptureResponse,
  StartCaptureResponseSchema,
  type StopCaptureRequest,
  type StopCaptureResponse,
  StopCaptureResponseSchema,
} from "./gen/slirp_binding/admin/v1/admin_pb.js";
import { networkToChange } from "./networks.ts";
import { OctetQueue } from "./octet-queue.ts";
import type { AdminProgram } from "./program.ts";
import { invalid } from "./refusals.ts";

const PATH_SIZE_MAX = 4096;
const BY_CALLER = "asked for";

export async function* capture(
  program: AdminProgram,
  request: CaptureRequest,
  signal: AbortSignal,
): AsyncGenerator<CaptureResponse> {
  const network = networkToChange(program.networks(), request.network);
  const queue = new OctetQueue();
  const running = await network.binding.captures.start(settingsOf(request), () => queue, "");
  const stop = (): void => {
    queue.close();
    running.stop("its caller has gone");
  };
  signal.addEventListener("abort", stop);
  if (signal.aborted) stop();
  try {
    for await (const octets of queue.pieces()) {
      yield create(CaptureResponseSchema, { octets, framesLost: BigInt(running.lost) });
    }
    yield create(CaptureResponseSchema, { framesLost: BigInt(running.lost) });
  } finally {
    signal.removeEventListener("abort", stop);
    stop();
  }
}

export async function startCapture(
  program: AdminProgram,
  { capture: asked, file }: StartCaptureRequest,
): Promise<StartCaptureResponse> {
  if (asked === undefined) throw invalid("capture is missing");
  if (!isAbsolute(file) || file.length > PATH_SIZE_MAX || file.includes("\0")) {
    throw invalid("file is an absolute path");
  }
  const network = networkToChange(program.networks(), asked.network);
  let output: NewOutput | undefined;
  try {
    const open = (): NewOutput["outlet"] => {
      output = openFile(file);
      return output.outlet;
    };
    const running = await network.binding.captures.start(settingsOf(asked), open, file);
    output = undefined;
    const capture = await viewCapture(network, running);
    return create(StartCaptureResponseSchema, { capture });
  } catch (error) {
    if (output !== undefined) unlinkSync(file); // it is ours, and has a header and nothing else
    throw error;
  }
}

export async function stopCapture(
  program: AdminProgram,
  { id }: StopCaptureRequest,
): Promise<StopCaptureResponse> {
  for (const network of program.networks()) {
    const running = network.binding.captures.running.find((each) => each.id === id);
    if (running === undefined) continue;
    await running.stop(BY_CALLER);
    const capture = await viewCapture(network, running);
    return create(StopCaptureResponseSchema, { capture });
  }
  throw new ConnectError(`no capture ${id} is under way`, Code.NotFound);
}

export async function listCaptures(program: AdminProgram): Promise<ListCapturesResponse> {
  const all = program.networks().map(async (network) => {
    const { running } = network.binding.captures;
    return Promise.all(running.map((each) => viewCapture(network, each)));
  });
  return create(ListCapturesResponseSchema, { captures: (await Promise.all(all)).flat() });
}

function openFile(file: string): NewOutput {
  try {
    return openNewOutput(file);
  } catch (error) {
    const code = isThere(error) ? Code.AlreadyExists : Code.FailedPrecondition;
    throw new ConnectError(`cannot make ${JSON.stringify(file)}: ${messageOf(error)}`, code);
  }
}

function isThere(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "EEXIST";
}

function settingsOf(request: CaptureRequest): CaptureSettings {
  const { filter, snapLength, framesMax, octetsMax, secondsMax } = request;
  return {
    filter,
    snapLength,
    // Beyond 2^53 there is no end to be seen either.
    framesMax: Number(framesMax),
    octetsMax: Number(octetsMax),
    secondsMax,
  };
}

async function viewCapture(
  { name: network }: RunningNetwork,
  running: NetworkCapture,
): Promise<RunningCapture> {
  const { id, file, started, settings } = running;
  const { frames, octets, lost } = await running.figures();
  return create(RunningCaptureSchema, {
    id,
    network,
    filter: settings.filter,
    file,
    startedUs: BigInt(Math.round(started)),
    frames: BigInt(frames),
    octets: BigInt(octets),
    framesLost: BigInt(lost),
  });
}
