/** Octets that wait to be read, in the chunks that they came in. Whoever fills it bounds it. */
const NOTHING = new Uint8Array(0);

export class ChunkQueue {
  #chunks: Uint8Array[] = [];
  /**
   * Chunks that have been read and are still listed: up to half of them, as to take the first one
   * of a long list off is to move all the others.
   */
  #first = 0;
  /** Octets of the first chunk that have been read. */
  #offset = 0;
  #length = 0;

  /** Octets that wait. */
  get length(): number {
    return this.#length;
  }

  /** Chunks that wait. */
  get count(): number {
    return this.#chunks.length - this.#first;
  }

  /** Takes a chunk, which is the queue's from then on. */
  push(chunk: Uint8Array): void {
    if (chunk.length === 0) return;
    this.#chunks.push(chunk);
    this.#length += chunk.length;
  }

  /** Fills these pieces, in order; how many octets that took. */
  read(pieces: readonly Uint8Array[]): number {
    let filled = 0;
    for (const piece of pieces) {
      const part = this.#fill(piece);
      filled += part;
      if (part < piece.length) break;
    }
    this.#length -= filled;
    if (this.#first * 2 >= this.#chunks.length) {
      this.#chunks.splice(0, this.#first);
      this.#first = 0;
    }
    return filled;
  }

  #fill(piece: Uint8Array): number {
    let at = 0;
    while (at < piece.length) {
      const chunk = this.#chunks[this.#first];
      if (chunk === undefined) break;
      const rest = chunk.length - this.#offset;
      const part = Math.min(rest, piece.length - at);
      const isWhole = this.#offset === 0 && part === rest;
      piece.set(isWhole ? chunk : chunk.subarray(this.#offset, this.#offset + part), at);
      at += part;
      this.#offset += part;
      if (part < rest) break;
      this.#chunks[this.#first] = NOTHING; // its memory is not needed any more
      this.#first += 1;
      this.#offset = 0;
    }
    return at;
  }

  clear(): void {
    this.#chunks = [];
    this.#first = 0;
    this.#offset = 0;
    this.#length = 0;
  }
}
