/** Octets that wait to be read, in the chunks that they came in. Whoever fills it bounds it. */
export class ChunkQueue {
  #chunks: Uint8Array[] = [];
  /** Octets of the first chunk that have been read. */
  #offset = 0;
  #length = 0;

  /** Octets that wait. */
  get length(): number {
    return this.#length;
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
    return filled;
  }

  #fill(piece: Uint8Array): number {
    let at = 0;
    while (at < piece.length) {
      const chunk = this.#chunks[0];
      if (chunk === undefined) break;
      const rest = chunk.length - this.#offset;
      const part = Math.min(rest, piece.length - at);
      const isWhole = this.#offset === 0 && part === rest;
      piece.set(isWhole ? chunk : chunk.subarray(this.#offset, this.#offset + part), at);
      at += part;
      this.#offset += part;
      if (part < rest) break;
      this.#chunks.shift();
      this.#offset = 0;
    }
    return at;
  }

  clear(): void {
    this.#chunks = [];
    this.#offset = 0;
    this.#length = 0;
  }
}
