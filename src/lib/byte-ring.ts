/**
 * Batches of octets from one thread to another: a ring of fixed size in shared memory, with one
 * producer and one consumer, neither of which ever waits for the other unless it asks to.
 *
 * Theory of operation
 *   Head and tail are counts of octets modulo 2^32; what lies between them is filled. A batch is a
 *   word with its length and then its octets, and the consumer knows where each begins: so whoever
 *   writes batches of whole records to a file can take half of one back, and whoever comes late to
 *   a stream can begin with a whole one. The producer publishes the head after the octets, the
 *   consumer the tail after it has done with them (`Atomics.store`, sequentially consistent), so
 *   what is read was written. Nothing is allocated for a batch but the window on it.
 *
 *     words    0 head | 1 tail | 2 closed by the consumer | 3 nobody reads | 4 lost batches or
 *              frames | 5 the consumer has been told
 *     bounds   a batch that does not fit is refused; `open` and `add` let one longer than the ring
 *              through in pieces
 */

const HEAD = 0;
const TAIL = 1;
const CLOSED = 2;
const PAUSED = 3;
const LOST = 4;
const TOLD = 5;
/** Octets in front of the data; a cache line. */
const HEADER_SIZE = 64;
const LENGTH_SIZE = 4;

export class ByteRing {
  /** To be given to the other thread, which makes its own ring of it. */
  readonly buffer: SharedArrayBuffer;
  /** Octets it holds, lengths included. */
  readonly size: number;
  readonly #words: Int32Array;
  readonly #octets: Uint8Array;
  /** Consumer: octets of the batch that has begun which are not taken yet. */
  #left = 0;

  constructor(buffer: SharedArrayBuffer) {
    this.buffer = buffer;
    this.size = buffer.byteLength - HEADER_SIZE;
    this.#words = new Int32Array(buffer, 0, HEADER_SIZE / 4);
    this.#octets = new Uint8Array(buffer, HEADER_SIZE);
  }

  /** @param size octets, a power of two from 64 on */
  static create(size: number): ByteRing {
    const isPower = Number.isInteger(Math.log2(size)) && size >= 64 && size <= 2 ** 30;
    if (!isPower) throw new RangeError(`a ring cannot have ${size} octets`);
    return new ByteRing(new SharedArrayBuffer(HEADER_SIZE + size));
  }

  /** Octets filled, lengths included. */
  get used(): number {
    return (Atomics.load(this.#words, HEAD) - Atomics.load(this.#words, TAIL)) >>> 0;
  }

  // ---------------------------------------------------------------- the producer

  /** Octets that `add` would take now. */
  get room(): number {
    return this.size - this.used;
  }

  /** Puts a whole batch in; false: there is no room, and nothing has changed. */
  put(octets: Uint8Array): boolean {
    if (octets.length === 0) return true;
    if (this.room < LENGTH_SIZE + octets.length) return false;
    const head = this.#writeLength(octets.length);
    this.#copy(head, octets);
    Atomics.store(this.#words, HEAD, (head + octets.length) | 0);
    return true;
  }

  /** Begins a batch of one octet or more, which `add` brings; false: no room even for that. */
  open(length: number): boolean {
    if (this.room < LENGTH_SIZE) return false;
    Atomics.store(this.#words, HEAD, this.#writeLength(length));
    return true;
  }

  /** Puts in what there is room for, from octet `at` on; returns how many. */
  add(octets: Uint8Array, at: number): number {
    const length = Math.min(this.room, octets.length - at);
    const head = Atomics.load(this.#words, HEAD);
    this.#copy(head, octets.subarray(at, at + length));
    Atomics.store(this.#words, HEAD, (head + length) | 0);
    return length;
  }

  /**
   * Waits until the consumer takes something, has closed, or there is room for `wanted` octets.
   * @returns false: nothing of that in this time
   */
  waitForRoom(wanted: number, milliseconds: number): boolean {
    const tail = Atomics.load(this.#words, TAIL);
    // Looked at after the tail: what is taken from here on ends the wait.
    if (this.isClosed || this.room >= wanted) return true;
    return Atomics.wait(this.#words, TAIL, tail, milliseconds) !== "timed-out";
  }

  /** Counts what had to be left out. */
  lose(count: number): void {
    Atomics.add(this.#words, LOST, count);
  }

  /** Whether the consumer has to be told that there is something: once until it asks again. */
  mustTell(): boolean {
    return Atomics.compareExchange(this.#words, TOLD, 0, 1) === 0;
  }

  // ---------------------------------------------------------------- the consumer

  /** Next octets of a batch that lie in one piece, as they are in memory; none: nothing there. */
  next(): Uint8Array {
    const tail = Atomics.load(this.#words, TAIL);
    let filled = this.used;
    let start = tail;
    if (this.#left === 0) {
      if (filled < LENGTH_SIZE) return this.#octets.subarray(this.size);
      this.#left = this.#readLength(tail);
      start = (tail + LENGTH_SIZE) | 0;
      filled -= LENGTH_SIZE;
      Atomics.store(this.#words, TAIL, start);
    }
    const from = (start >>> 0) % this.size;
    const length = Math.min(filled, this.#left, this.size - from);
    return this.#octets.subarray(from, from + length);
  }

  /** Gives back the first of what `next` has shown. */
  take(octets: number): void {
    this.#left -= octets;
    Atomics.add(this.#words, TAIL, octets);
    Atomics.notify(this.#words, TAIL);
  }

  /** The next octet is the first of a batch. */
  get isBetween(): boolean {
    return this.#left === 0;
  }

  /** Throws away all there is. Only for rings that whole batches are put in. */
  discard(): void {
    this.#left = 0;
    Atomics.store(this.#words, TAIL, Atomics.load(this.#words, HEAD));
    Atomics.notify(this.#words, TAIL);
  }

  /** Wants to be told of what comes from now on. To be called before looking. */
  ask(): void {
    Atomics.store(this.#words, TOLD, 0);
  }

  /** Begins anew: empty, open, with a reader. Only while nobody puts anything in. */
  reopen(): void {
    this.discard();
    for (const word of [CLOSED, PAUSED, TOLD]) Atomics.store(this.#words, word, 0);
  }

  /** Where octets lie, for whoever gives back their pages while it is empty and not in use. */
  get memory(): Uint8Array {
    return this.#octets;
  }

  /** Takes nothing any more. */
  close(): void {
    Atomics.store(this.#words, CLOSED, 1);
    Atomics.notify(this.#words, TAIL);
  }

  // ---------------------------------------------------------------- both

  get isClosed(): boolean {
    return Atomics.load(this.#words, CLOSED) !== 0;
  }

  /** Nobody reads for now: what is not put in is not missed. */
  get isPaused(): boolean {
    return Atomics.load(this.#words, PAUSED) !== 0;
  }

  set isPaused(isPaused: boolean) {
    Atomics.store(this.#words, PAUSED, isPaused ? 1 : 0);
  }

  /** How many were left out so far, modulo 2^32. */
  get lost(): number {
    return Atomics.load(this.#words, LOST) >>> 0;
  }

  #writeLength(length: number): number {
    const head = Atomics.load(this.#words, HEAD);
    for (let i = 0; i < LENGTH_SIZE; i += 1) {
      this.#octets[((head + i) >>> 0) % this.size] = length >>> (8 * i);
    }
    return (head + LENGTH_SIZE) | 0;
  }

  #readLength(tail: number): number {
    let length = 0;
    for (let i = 0; i < LENGTH_SIZE; i += 1) {
      length |= (this.#octets[((tail + i) >>> 0) % this.size] ?? 0) << (8 * i);
    }
    return length >>> 0;
  }

  #copy(position: number, octets: Uint8Array): void {
    const from = (position >>> 0) % this.size;
    const first = Math.min(octets.length, this.size - from);
    this.#octets.set(first === octets.length ? octets : octets.subarray(0, first), from);
    if (first < octets.length) this.#octets.set(octets.subarray(first), 0);
  }
}
