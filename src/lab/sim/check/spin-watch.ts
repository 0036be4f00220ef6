/**
 * Watches the loop for turns without effect: woken up, and nothing came of it. One now and then is
 * no harm (an alarm that rings early); a loop that is woken up by something it does not deal with
 * takes a whole core, for as long as that something lasts.
 *
 * A turn has an effect when a frame moved, an operation was carried out, a socket had news, a
 * connection was accepted, a flow or a chunk came or went, or a timer moved on. The one after it
 * may have none: whether more was to be had is only known when it was asked for.
 */

/** Turns without effect that one second of virtual time may have. */
const IDLE_TURNS_MAX = 10;
/** More in a row than this, and the run is ended: it would take for ever. */
const HOPELESS = 2000;
const SECOND = 1_000_000;

/** What changes when a turn has an effect. Counters, and gauges that cannot move and return. */
export interface Effects {
  readonly frames: number;
  readonly operations: number;
  /** News of sockets that the loop was told. */
  readonly news: number;
  readonly accepted: number;
  readonly flows: number;
  readonly chunks: number;
  /** When the engine wants to be called next. */
  readonly deadline: number;
}

const NOTHING: Effects = {
  ...{ frames: 0, operations: 0, news: 0, accepted: 0 },
  ...{ flows: 0, chunks: 0, deadline: 0 },
};

export class SpinWatch {
  readonly #fault: (text: string) => void;
  #before = NOTHING;
  #isIdle = false;
  #second = 0;
  #idle = 0;
  /** Most turns without effect in one second so far. */
  idleMax = 0;

  constructor(fault: (text: string) => void) {
    this.#fault = fault;
  }

  /** A turn is over; true = the loop spins, and the run had better end. */
  turned(now: number, effects: Effects): boolean {
    const before = this.#before;
    this.#before = effects;
    const second = Math.floor(now / SECOND);
    if (second !== this.#second) {
      this.#second = second;
      this.#idle = 0;
    }
    const wasIdle = this.#isIdle;
    this.#isIdle = isSame(before, effects);
    if (!this.#isIdle || !wasIdle) return false;
    this.#idle += 1;
    this.idleMax = Math.max(this.idleMax, this.#idle);
    if (this.#idle === IDLE_TURNS_MAX + 1) {
      this.#fault(`the loop spins: more than ${IDLE_TURNS_MAX} turns without effect in a second`);
    }
    return this.#idle > HOPELESS;
  }
}

function isSame(a: Effects, b: Effects): boolean {
  return (
    a.frames === b.frames &&
    a.operations === b.operations &&
    a.news === b.news &&
    a.accepted === b.accepted &&
    a.flows === b.flows &&
    a.chunks === b.chunks &&
    a.deadline === b.deadline
  );
}
