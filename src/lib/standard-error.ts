/**
 * Standard error for lines that must not make anybody wait: a pipe that nobody reads, a terminal
 * that was stopped, a journal that hangs or a disk that stalls cost lines, and nothing else.
 *
 * Theory of operation
 *   Lines go into a queue of QUEUE_SIZE octets, and from there to the descriptor as it takes them.
 *   What finds the queue full is lost and counted; when there is room again `onLost` hears of the
 *   number, once. As long as the descriptor takes all, a line is out before `write` returns.
 *
 *   The descriptor is inherited: to set O_NONBLOCK on it would set it for everybody who has the
 *   same open file, a shell or the container's runtime, so it is left as it is. Asking first (poll)
 *   is no way either, as others who write to the same pipe may fill it in between. Instead a pipe,
 *   a FIFO or a terminal is opened once more through /proc, which gives an open file of our own
 *   that does not block. This has no use for a regular file (it never reports EAGAIN, and a second
 *   open file has a position of its own and would write over what others write), and a socket
 *   cannot be opened so, nor can what belongs to another user: those are written by another thread
 *   of the runtime, which may wait as long as it likes.
 *
 *   pino's own way out, sonic-boom, has such a queue, too, but waits in the calling thread on
 *   EAGAIN when it writes at once, and knows no other thread in Deno; so pino gets a function.
 */

import { constants, fstatSync, openSync } from "node:fs";
import { LineOutput } from "./line-output.ts";
import { nonBlockingOutlet, writeElsewhere } from "./output-file.ts";
import type { Outlet } from "./pump.ts";

const FD = 2;
/** The part of Deno used here, declared so that tsc needs no Deno types. */
interface DenoStderr {
  readonly stderr: { write(octets: Uint8Array): Promise<number> };
}

function openOutlet(): Outlet {
  try {
    const status = fstatSync(FD);
    if (status.isFIFO() || status.isCharacterDevice()) {
      const { O_WRONLY, O_NONBLOCK, O_NOCTTY } = constants;
      return nonBlockingOutlet(openSync(`/proc/self/fd/${FD}`, O_WRONLY | O_NONBLOCK | O_NOCTTY));
    }
  } catch {
    // Closed, or somebody else's: the other way tells, or does not.
  }
  const { Deno: deno } = globalThis as unknown as { Deno?: DenoStderr };
  return {
    write(octets, done) {
      if (deno === undefined) writeElsewhere(FD, octets, done);
      else deno.stderr.write(octets).then(done, done);
    },
    cut: () => {},
    close: () => {},
  };
}

let opened: LineOutput | undefined;

/** This process' standard error; for the main thread alone, the others give it their lines. */
export function standardError(): LineOutput {
  opened ??= new LineOutput(openOutlet());
  return opened;
}
