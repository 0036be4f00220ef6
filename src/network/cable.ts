/**
 * A cable between two networks, each of which is the guest of the other.
 *
 * Frames go from the memory of one engine into that of the other, with one copy, and the other one
 * turns at once; where it is in the middle of a turn, as the one whose frames are being answered
 * is, they wait in its link for the next one.
 *
 * One end has the addresses the other way round: `gateway: "10.0.2.15", guest: "10.0.2.2"`, and a
 * `gatewayMac` of its own.
 */
import { EngineError } from "../engine/errors.ts";
import type { SentFrames } from "./frame-link.ts";
import type { Network } from "./network.ts";

/** Plugs it in at both ends. What is for a network that has ended is lost. */
export function plug(one: Network, other: Network): void {
  lead(one, other);
  lead(other, one);
}

function lead(from: Network, to: Network): void {
  from.link.onFrames = (frames) =>
    unlessOver(
      () => (to.link.isFree ? inBatches(frames, to) : oneByOne(frames, to)),
      frames.count, // lost
    );
  to.link.onRoom = () => unlessOver(() => from.link.resume(), undefined);
}

/** Either end may end at any time, in the turn of the other one, too. */
function unlessOver<Result>(act: () => Result, otherwise: Result): Result {
  try {
    return act();
  } catch (error) {
    if (error instanceof EngineError && error.code === "DISPOSED") return otherwise;
    throw error;
  }
}

/** As far as the other one takes them so; the rest waits in its link. */
function inBatches(frames: SentFrames, to: Network): number {
  const { link } = to;
  let taken = 0;
  while (taken < frames.count && link.isFree) {
    const batch = link.openBatch();
    for (; taken < frames.count; taken += 1) {
      const room = batch.next(frames.length(taken));
      if (room === undefined) break;
      frames.copy(taken, room);
    }
    batch.end();
  }
  return oneByOne(frames, to, taken);
}

function oneByOne(frames: SentFrames, { link }: Network, first = 0): number {
  for (let i = first; i < frames.count; i += 1) {
    const frame = new Uint8Array(frames.length(i));
    frames.copy(i, frame);
    if (!link.receive(frame)) return i;
  }
  return frames.count;
}
