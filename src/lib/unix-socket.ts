/** Unix sockets as files: whether somebody listens, and what is left of somebody who does not. */
import { lstatSync, rmSync } from "node:fs";
import { connect } from "node:net";

/** Time between two probes of a socket that seems stale: its server may be about to listen. */
const PROBE_PAUSE_ms = 50;

/** Whether somebody listens on the socket at `path`. */
export function isListening(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    const finish = (answered: boolean): void => {
      socket.destroy();
      resolve(answered);
    };
    socket.once("connect", () => finish(true));
    socket.once("error", () => finish(false));
  });
}

/**
 * Makes room for a socket at `path`: one that nobody listens on is removed.
 * @returns "free" (nothing was there), "removed", or "taken": somebody listens
 * @throws Error where something else than a socket is there
 */
export async function makeRoomAt(path: string): Promise<"free" | "removed" | "taken"> {
  const present = lstatSync(path, { throwIfNoEntry: false });
  if (present === undefined) return "free";
  if (!present.isSocket()) throw new Error(`"${path}" exists and is not a socket`);
  if (await isListening(path)) return "taken";
  await new Promise((resolve) => setTimeout(resolve, PROBE_PAUSE_ms));
  if (await isListening(path)) return "taken";
  rmSync(path, { force: true });
  return "removed";
}
