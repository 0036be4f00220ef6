/** `capture`: frames as octets of a pcapng file, here or on the side of the program. */
import type { RunningCapture } from "../../admin/gen/slirp_binding/admin/v1/admin_pb.js";
import type { CaptureQuestion } from "../../config/steer.ts";
import { type OutputSink, openOutputFile } from "../../lib/output-file.ts";
import { type Asked, jsonLine } from "./asked.ts";
import { WholeBlocks } from "./blocks.ts";
import { UsageError } from "./failures.ts";
import { type Column, tableLines } from "./table.ts";
import { octetsText, timeText } from "./units.ts";

const STANDARD_OUTPUT = "-";

const COLUMNS: readonly Column<RunningCapture>[] = [
  { title: "ID", cell: ({ id }) => String(id), isRight: true },
  { title: "FRAMES", cell: ({ frames }) => String(frames), isRight: true },
  { title: "SIZE", cell: ({ octets }) => octetsText(Number(octets)), isRight: true, leave: 2 },
  { title: "LOST", cell: ({ framesLost }) => String(framesLost), isRight: true, leave: 3 },
  { title: "STARTED", cell: ({ startedUs }) => timeText(startedUs), leave: 4 },
  { title: "FILE", cell: ({ file }) => (file === "" ? "(a caller)" : file), least: 10 },
  { title: "FILTER", cell: ({ filter }) => filter, least: 10, leave: 1 },
  { title: "INTERFACE", cell: ({ network }) => network, leave: 5 },
];

export async function capture(question: CaptureQuestion, asked: Asked): Promise<void> {
  const { calls, signal } = asked;
  const { json } = question;
  if (question.list) {
    const { captures } = await calls.listCaptures({}, { signal });
    if (captures.length === 0) asked.note("no captures are under way");
    return show(captures, json, asked);
  }
  if (question.stop !== undefined) {
    const answer = await calls.stopCapture({ id: question.stop }, { signal });
    return show(answer.capture === undefined ? [] : [answer.capture], json, asked);
  }
  if (question.onInstance !== undefined) {
    const request = { capture: requestOf(question), file: question.onInstance };
    const answer = await calls.startCapture(request, { signal });
    return show(answer.capture === undefined ? [] : [answer.capture], json, asked);
  }
  return receive(question, asked);
}

function requestOf({ network, filter, snap, count, seconds }: CaptureQuestion) {
  return {
    network,
    filter,
    snapLength: snap,
    framesMax: BigInt(count),
    secondsMax: seconds,
  };
}

async function receive(question: CaptureQuestion, asked: Asked): Promise<void> {
  const { write = STANDARD_OUTPUT } = question;
  const { calls, output, signal } = asked;
  if (write === STANDARD_OUTPUT && output.isTerminal) {
    throw new UsageError(
      "a capture is no text for a terminal: give -w FILE, or pipe it: | tshark -r -",
    );
  }
  const blocks = new WholeBlocks();
  let lost = 0;
  let file: OutputSink | undefined;
  let isBegun = false;
  try {
    for await (const answer of calls.capture(requestOf(question), { signal })) {
      isBegun = true;
      // A capture that is refused leaves the file alone that is there.
      if (write !== STANDARD_OUTPUT) file ??= openOutputFile(write);
      const octets = blocks.push(answer.octets);
      if (file === undefined) await output.write(octets);
      else file.write(octets);
      lost = Number(answer.framesLost);
    }
  } finally {
    file?.close();
    if (isBegun) asked.note(`frames captured: ${blocks.packets}, lost: ${lost}`);
  }
}

async function show(
  captures: readonly RunningCapture[],
  json: boolean,
  { output }: Asked,
): Promise<void> {
  if (captures.length === 0) return;
  const lines = json
    ? captures.map((each) => jsonLine(captureRecord(each)))
    : tableLines(COLUMNS, captures, output.columns()).map((line) => `${line}\n`);
  await output.write(lines.join(""));
}

function captureRecord(capture: RunningCapture): object {
  return {
    id: capture.id,
    network: capture.network,
    filter: capture.filter,
    file: capture.file,
    started_us: Number(capture.startedUs),
    frames: Number(capture.frames),
    octets: Number(capture.octets),
    frames_lost: Number(capture.framesLost),
  };
}
