/**
 * A TCP port that leads to another one, with a delay each way: what a relay far away is like, on
 * one machine. Its rate is not bounded; a side that does not read is not read for.
 */
import { connect, createServer, type Server, type Socket } from "node:net";
import { listen } from "./listen.ts";

/** Octets that one direction may hold for a reader that is behind. */
const BEHIND_MAX = 8 << 20;

/**
 * @param target_port on loopback
 * @param delay_ms of each direction
 */
export async function openDelayed(target_port: number, delay_ms: number): Promise<Server> {
  const server = createServer({ allowHalfOpen: true, noDelay: true }, (near) => {
    const far = connect({ port: target_port, host: "127.0.0.1", noDelay: true });
    carry(near, far, delay_ms);
    carry(far, near, delay_ms);
  });
  await listen(server);
  return server;
}

/** Timers of the same length fire in the order they were set, so octets stay in order. */
function carry(from: Socket, to: Socket, delay_ms: number): void {
  from.on("data", (chunk: Buffer) => {
    setTimeout(() => {
      if (!to.destroyed && !to.write(chunk) && to.writableLength > BEHIND_MAX) from.pause();
    }, delay_ms);
  });
  to.on("drain", () => from.resume());
  from.on("end", () => {
    setTimeout(() => to.end(), delay_ms);
  });
  from.on("error", () => to.destroy());
  from.on("close", () => {
    setTimeout(() => to.destroy(), delay_ms);
  });
}
