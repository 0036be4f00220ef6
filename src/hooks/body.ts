/**
 * Reads the body of a request into one buffer that grows up to the announced length of its message:
 * a message in pieces of one octet takes no more memory than another, and one that is too long is
 * refused once its length is known.
 * Source: gRPC over HTTP/2, Length-Prefixed-Message.
 */
import type { Http2ServerRequest } from "node:http2";
import { Code, ConnectError } from "@connectrpc/connect";
import type { Call } from "./calls.ts";

/** A flag and the length of the message. */
const PREFIX_BYTES = 5;
/** Size of the first buffer for a message that announces more. */
const FIRST_BYTES = 64 * 1024;

/** Reads the whole body; rejects with the error to answer the call with. */
export function readBody(request: Http2ServerRequest, call: Call): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    const body = new Body(call);
    const removeListeners = (): void => {
      request.off("data", take).off("end", finish).off("close", abort).off("error", abort);
    };
    const fail = (error: unknown): void => {
      removeListeners();
      // The peer may go on sending: its octets are read and dropped.
      request.on("error", () => {});
      request.resume();
      reject(error);
    };
    const take = (chunk: Uint8Array): void => {
      try {
        body.take(chunk);
      } catch (error) {
        fail(error);
      }
    };
    const finish = (): void => {
      removeListeners();
      call.complete();
      resolve(body.octets);
    };
    const abort = (): void => fail(new ConnectError("request aborted", Code.Canceled));
    call.whenEnded(fail);
    if (call.state !== "reading") return;
    request.on("data", take).once("end", finish).once("close", abort).once("error", abort);
  });
}

class Body {
  readonly #call: Call;
  #buffer = Buffer.alloc(PREFIX_BYTES);
  #size = 0;
  /** Octets of prefix and message, once the prefix is here. */
  #expectedSize: number | undefined;

  constructor(call: Call) {
    this.#call = call;
  }

  get octets(): Uint8Array {
    return this.#buffer.subarray(0, this.#size);
  }

  take(chunk: Uint8Array): void {
    this.#call.take(chunk.length);
    let rest = chunk;
    if (this.#expectedSize === undefined) {
      const head = rest.subarray(0, PREFIX_BYTES - this.#size);
      this.#append(head);
      rest = rest.subarray(head.length);
      if (this.#size < PREFIX_BYTES) return;
      const length = this.#buffer.readUInt32BE(1);
      this.#call.checkSize(length);
      this.#expectedSize = PREFIX_BYTES + length;
    }
    if (this.#size + rest.length > this.#expectedSize) {
      throw new ConnectError("more than one message", Code.InvalidArgument);
    }
    this.#grow(this.#size + rest.length, this.#expectedSize);
    this.#append(rest);
  }

  #grow(size: number, sizeMax: number): void {
    if (size <= this.#buffer.length) return;
    const doubled = Math.max(2 * this.#buffer.length, FIRST_BYTES, size);
    const larger = Buffer.allocUnsafeSlow(Math.min(doubled, sizeMax));
    this.#buffer.copy(larger, 0, 0, this.#size);
    this.#buffer = larger;
  }

  #append(chunk: Uint8Array): void {
    this.#buffer.set(chunk, this.#size);
    this.#size += chunk.length;
  }
}
