/**
 * Time, chance and turns, as arguments: the engine has none of them, and what is made of it behaves
 * the same twice where these do.
 *
 * This file and `src/loop/clock.ts` are the only ones of a network that look at the machine.
 */

/** What a network asks of the runtime it is in. */
export interface Host {
  /** Microseconds of a clock that never goes back, above 0. */
  now(): number;
  /** Fills it with octets that nobody can guess: keys and sequence numbers come from them. */
  random(octets: Uint8Array<ArrayBuffer>): void;
  /** Calls back soon, after whatever else is waiting for its turn had it. */
  soon(run: () => void): void;
  /** Calls back once so much later, unless the function that it returns is called before. */
  after(microseconds: number, run: () => void): () => void;
}

const US_PER_MS = 1000;
/** What a timer takes at most, milliseconds: a signed word. */
const TIMER_MAX_MS = 2 ** 31 - 1;

/** The runtime: Node, Bun, Deno, a page or a worker of a browser. */
export function systemHost(): Host {
  return {
    now: () => 1 + Math.floor(performance.now() * US_PER_MS),
    random: (octets) => void crypto.getRandomValues(octets),
    soon: soonOf(),
    after: (microseconds, run) => {
      // Never early: what a timer of whole milliseconds cuts off is added.
      const timer = setTimeout(run, Math.min(Math.ceil(microseconds / US_PER_MS), TIMER_MAX_MS));
      return () => clearTimeout(timer);
    },
  };
}

/** A channel of messages, as browsers have it. */
interface Ports {
  readonly port1: { onmessage?: (() => void) | null };
  readonly port2: { postMessage(message: undefined): void };
}

/** The quickest way there is to have a turn of one's own without leaving others none. */
function soonOf(): (run: () => void) => void {
  const { setImmediate: immediate } = globalThis;
  if (typeof immediate === "function") return (run) => void immediate(run);
  // A timer of a browser waits 4 ms once it is nested five times; a message does not.
  const { port1, port2 } = new MessageChannel() as unknown as Ports;
  const waiting: (() => void)[] = [];
  port1.onmessage = () => waiting.shift()?.();
  return (run) => {
    waiting.push(run);
    port2.postMessage(undefined);
  };
}
