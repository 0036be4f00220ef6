/**
 * Which flows are no longer listened to while the link is full.
 *
 * While it is, nothing comes of news: a peer that sends octet by octet would only keep the loop
 * awake. So from the second time on that a flow has news in one and the same full link, nothing
 * more of its data is heard until there is room.
 *
 * Full links are numbered, so that nothing has to be gone through when one ends.
 */

/** Numbers are used again after so many. */
const NUMBER_MAX = 0x3fffffff;

export class QuietFlows {
  /** By slot: number of the full link in which the flow had news first; negative: quiet since. */
  readonly #heard: Int32Array;
  /** Of this full link, or the next one. */
  #number = 1;
  #handles: number[] = [];

  /** @param slots flows there may be */
  constructor(slots: number) {
    this.#heard = new Int32Array(slots);
  }

  /** The flow in this slot has news. True: it is to be quiet from now on. */
  hears(slot: number, handle: number): boolean {
    const heard = this.#heard[slot];
    if (heard === -this.#number) return false;
    const isFirst = heard !== this.#number;
    this.#heard[slot] = isFirst ? this.#number : -this.#number;
    if (!isFirst) this.#handles.push(handle);
    return !isFirst;
  }

  /** Another flow has the slot. */
  forget(slot: number): void {
    this.#heard[slot] = 0;
  }

  /** There is room: the handles of all that were made quiet, which are listened to again. */
  end(): readonly number[] {
    const handles = this.#handles;
    this.#handles = [];
    this.#number = (this.#number % NUMBER_MAX) + 1;
    return handles;
  }
}
