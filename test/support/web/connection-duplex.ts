/** A connection as a stream of Node's, for its own HTTP client and server. */
import { Duplex } from "node:stream";
import type { Connection } from "../../../src/network/index.ts";

export class ConnectionDuplex extends Duplex {
  readonly #connection: Connection;
  readonly #reader: {
    read(): Promise<{ done: boolean; value?: Uint8Array<ArrayBuffer> | undefined }>;
  };
  readonly #writer: ReturnType<Connection["writable"]["getWriter"]>;

  constructor(connection: Connection) {
    super();
    this.#connection = connection;
    this.#reader = connection.readable.getReader();
    this.#writer = connection.writable.getWriter();
    this.#writer.closed.catch(() => {});
  }

  override _read(): void {
    this.#reader.read().then(
      ({ done, value }) => this.push(done ? null : value),
      (error) => this.destroy(error),
    );
  }

  override _write(chunk: Uint8Array, _encoding: string, done: (error?: Error) => void): void {
    this.#writer.write(new Uint8Array(chunk)).then(() => done(), done);
  }

  override _final(done: (error?: Error) => void): void {
    this.#writer.close().then(() => done(), done);
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.#connection.abort();
    done(error);
  }

  /** As Node's HTTP asks a socket. */
  setTimeout(): this {
    return this;
  }
  setKeepAlive(): this {
    return this;
  }
  setNoDelay(): this {
    return this;
  }
  ref(): this {
    return this;
  }
  unref(): this {
    return this;
  }
}
