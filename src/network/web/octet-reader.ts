/** Reads a stream of octets by lines and by pieces, and keeps what was not asked for. */

/** The stream has ended within something. */
export class EndError extends Error {
  override readonly name = "EndError";
}

/** A line is longer than it may be. */
export class LengthError extends Error {
  override readonly name = "LengthError";
}

const LF = 10;

/** What of a stream's reader is used. */
interface Reading {
  read(): Promise<{ readonly done: boolean; readonly value?: Uint8Array | undefined }>;
}

export class OctetReader {
  readonly #reader: Reading;
  #rest: Uint8Array = new Uint8Array(0);
  #isAtEnd = false;

  constructor(stream: ReadableStream<Uint8Array>) {
    this.#reader = stream.getReader();
  }

  /** Whether there is an octet more; waits for it. */
  async hasMore(): Promise<boolean> {
    while (this.#rest.length === 0 && !this.#isAtEnd) {
      const { done, value } = await this.#reader.read();
      if (done) this.#isAtEnd = true;
      else this.#rest = value ?? this.#rest;
    }
    return this.#rest.length > 0;
  }

  /** At most so many octets, one at least; undefined = the end. */
  async piece(max: number): Promise<Uint8Array<ArrayBuffer> | undefined> {
    if (!(await this.hasMore())) return undefined;
    const piece = this.#rest.slice(0, max);
    this.#rest = this.#rest.subarray(piece.length);
    return piece;
  }

  /**
   * A line as characters of one octet each, without the LF that ends it.
   * Throws `LengthError` beyond `max` octets, `EndError`.
   */
  async line(max: number): Promise<string> {
    let line = "";
    for (;;) {
      if (!(await this.hasMore())) throw new EndError("the stream has ended within a line");
      const at = this.#rest.indexOf(LF);
      const end = at === -1 ? this.#rest.length : at;
      if (line.length + end > max) throw new LengthError("a line is too long");
      line += textOf(this.#rest.subarray(0, end));
      this.#rest = this.#rest.subarray(at === -1 ? end : end + 1);
      if (at !== -1) return line;
    }
  }
}

function textOf(octets: Uint8Array): string {
  let text = "";
  const step = 4096; // arguments of a call are bounded
  for (let at = 0; at < octets.length; at += step) {
    text += String.fromCharCode(...octets.subarray(at, at + step));
  }
  return text;
}
