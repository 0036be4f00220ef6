/**
 * The body of a request, gathered into one buffer of the size that its message says: a message in
 * pieces of one octet takes no more room than another, and one that is too long is refused as soon
 * as it says so.
 * Source: gRPC over HTTP/2, Length-Prefixed-Message.
 */
import type { Http2ServerRequest } from "node:http2";
import { Code, ConnectError } from "@connectrpc/connect";
import type { Call } from "./calls.ts";

/** A flag and the length of the message. */
const PREFIX_BYTES = 5;
/** Room taken at first for a message that says it is large. */
const FIRST_BYTES = 64 * 1024;

/** The whole body; rejects with what to answer the call with. */
export function readBody(request: Http2ServerRequest, call: Call): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    const body = new Body(call);
    const leave = (): void => {
      request.off("data", take).off("end", finish).off("close", breakOff).off("error", breakOff);
    };
    const fail = (error: unknown): void => {
      leave();
      // A peer that goes on sending is not kept waiting; what it sends is dropped.
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
      leave();
      call.complete();
      resolve(body.octets);
    };
    const breakOff = (): void => fail(new ConnectError("request broken off", Code.Canceled));
    call.whenEnded(fail);
    if (call.state !== "reading") return;
    request.on("data", take).once("end", finish).once("close", breakOff).once("error", breakOff);
  });
}

class Body {
  readonly #call: Call;
  #buffer = Buffer.alloc(PREFIX_BYTES);
  #size = 0;
  /** Octets of message and prefix, once they are known. */
  #whole: number | undefined;

  constructor(call: Call) {
    this.#call = call;
  }

  get octets(): Uint8Array {
    return this.#buffer.subarray(0, this.#size);
  }

  take(chunk: Uint8Array): void {
    this.#call.take(chunk.length);
    let rest = chunk;
    if (this.#whole === undefined) {
      const head = rest.subarray(0, PREFIX_BYTES - this.#size);
      this.#append(head);
      rest = rest.subarray(head.length);
      if (this.#size < PREFIX_BYTES) return;
      const length = this.#buffer.readUInt32BE(1);
      this.#call.checkSize(length);
      this.#whole = PREFIX_BYTES + length;
    }
    if (this.#size + rest.length > this.#whole) {
      throw new ConnectError("more than one message", Code.InvalidArgument);
    }
    this.#makeRoom(this.#size + rest.length, this.#whole);
    this.#append(rest);
  }

  #makeRoom(size: number, whole: number): void {
    if (size <= this.#buffer.length) return;
    const doubled = Math.max(2 * this.#buffer.length, FIRST_BYTES, size);
    const larger = Buffer.allocUnsafeSlow(Math.min(doubled, whole));
    this.#buffer.copy(larger, 0, 0, this.#size);
    this.#buffer = larger;
  }

  #append(chunk: Uint8Array): void {
    this.#buffer.set(chunk, this.#size);
    this.#size += chunk.length;
  }
}
