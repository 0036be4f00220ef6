/**
 * An HTTP/1.1 server for guests that is a function: `(Request) => Response`.
 *
 * Theory of operation
 *   A connection is served request by request, in order; what is pipelined waits in the stream, and
 *   its room is bounded. The body of a request is a stream that takes from the connection when it
 *   is read, after the answer too: what follows waits for a handler that has it locked, as long as
 *   that goes on. What nobody reads is skipped up to DRAIN_MAX, beyond which the connection ends
 *   with the answer. An answer with a length has that one, others are sent in chunks (to HTTP/1.0:
 *   until the connection ends). A guest that resets has `request.signal` abort.
 *
 *   What cannot be understood for sure is answered with its status, and the connection ends:
 *   nothing that follows could be told from the rest of it (`http-head.ts`).
 */
import { type Host, systemHost } from "../host.ts";
import type { Service } from "../services.ts";
import type { Connection } from "../stream-pair.ts";
import type { TcpTarget } from "../upstream.ts";
import { HttpBody } from "./http-body.ts";
import { bodyLength, HttpError, readHead } from "./http-head.ts";
import { type RequestHead, readRequestHead } from "./http-request.ts";
import { type Answering, checked, refusalOf, writeResponse } from "./http-response.ts";
import { EndError, OctetReader } from "./octet-reader.ts";

const CONNECTIONS_MAX = 256;
const DRAIN_MAX = 256 * 1024;
/**
 * How long a guest may take to end a connection after the last answer, and a handler from one piece
 * of a body to the next one after it has answered.
 */
const LINGER_US = 10_000_000;
/** Bodies that a runtime without streams in requests is given as a whole. */
const WHOLE_MAX = 16 << 20;

/** What a handler is told beside the request. */
export interface FetchContext {
  /** All fields; browsers leave some out of a `Request`, as Cookie and Origin. */
  readonly headers: Headers;
  readonly target: TcpTarget;
}

export type FetchHandler = (
  request: Request,
  context: FetchContext,
) => Response | Promise<Response>;

export interface FetchServiceOptions {
  /** Where the guest finds it. */
  readonly address: string;
  /** Default 80. */
  readonly port?: number;
  /** What it throws is answered with status 500. */
  readonly fetch: FetchHandler;
  /** Octets of a request's body at most; default: no bound, bodies are streams. */
  readonly bodyMax?: number;
  /** Clock and timers; absent: those of this runtime. */
  readonly host?: Host;
}

/** A service for `webUpstream` or `withServices`. */
export function fetchService(options: FetchServiceOptions): Service {
  const { address, port = 80 } = options;
  let count = 0;
  return {
    address,
    port,
    serve: async (connection, target) => {
      if (count === CONNECTIONS_MAX) throw new Error("too many connections");
      count += 1;
      try {
        await new FetchConnection(connection, target, options).serve();
      } finally {
        count -= 1;
      }
    },
  };
}

class FetchConnection {
  readonly #connection: Connection;
  readonly #reader: OctetReader;
  readonly #writer: WritableStreamDefaultWriter<Uint8Array>;
  readonly #target: TcpTarget;
  readonly #handler: FetchHandler;
  readonly #bodyMax: number | undefined;
  readonly #host: Host;
  /** Of the request that is served. One for all would have a listener for each of them. */
  #aborter = new AbortController();
  #failure: unknown;

  constructor(connection: Connection, target: TcpTarget, options: FetchServiceOptions) {
    this.#connection = connection;
    this.#reader = new OctetReader(connection.readable);
    this.#writer = connection.writable.getWriter();
    this.#target = target;
    this.#handler = options.fetch;
    this.#bodyMax = options.bodyMax;
    this.#host = options.host ?? systemHost();
    this.#writer.closed.catch((error) => {
      this.#failure = error;
      this.#aborter.abort(error);
    });
  }

  /** Serves until the connection ends; rejects where it fails. */
  async serve(): Promise<void> {
    let goesOn = true;
    while (goesOn && (await this.#reader.hasMore())) goesOn = await this.#request();
    await this.#writer.close();
    await this.#finish();
  }

  /** Waits for the guest's end: a reset could overtake the last answer. */
  async #finish(): Promise<void> {
    const stop = this.#host.after(LINGER_US, () => this.#connection.abort());
    try {
      let room = DRAIN_MAX;
      for (let piece = await this.#reader.piece(DRAIN_MAX); piece !== undefined; ) {
        room -= piece.length;
        if (room < 0) this.#connection.abort();
        piece = await this.#reader.piece(DRAIN_MAX);
      }
    } finally {
      stop(); // it would keep a program of a network that is gone
    }
  }

  /** Serves one request; whether another may follow. */
  async #request(): Promise<boolean> {
    this.#aborter = new AbortController();
    if (this.#failure !== undefined) this.#aborter.abort(this.#failure);
    let head: RequestHead;
    let body: HttpBody;
    try {
      head = readRequestHead(await readHead(this.#reader, "request"), this.#target);
      body = new HttpBody(this.#reader, bodyLength(head.headers, "request"), this.#bodyMax);
    } catch (error) {
      if (!(error instanceof HttpError)) throw error;
      await this.#answer(refusalOf(error), REFUSED);
      return false;
    }
    const { isHead, isOld } = head;
    body.onRead = head.expectsContinue ? () => this.#writer.write(CONTINUE) : undefined;
    const response = await this.#handle(head, body);
    // One that waits for a word to send its body may send it or not, once it has another answer.
    const isClear = body.onRead === undefined;
    const goesOn = head.keepsAlive && isClear && response.status !== 413;
    const stays = await this.#answer(response, { isHead, isOld, goesOn });
    await this.#readOut(body);
    return stays && (await drained(body));
  }

  /**
   * Waits until the handler has done with a body that it goes on to read after its answer. Rejects
   * where it does not go on, and where the connection fails.
   */
  #readOut(body: HttpBody): Promise<void> {
    const { signal } = this.#aborter;
    return new Promise<void>((resolve, reject) => {
      const fail = (): void => end(() => reject(signal.reason));
      const late = (): void => end(() => reject(new Error("the rest of a body is not read")));
      let stop = (): void => {};
      let before = -1;
      const look = (): void => {
        const isStuck = body.total === before;
        before = body.total;
        if (isStuck) late();
        else stop = this.#host.after(LINGER_US, look);
      };
      const end = (settle: () => void): void => {
        stop();
        signal.removeEventListener("abort", fail);
        body.withdraw();
        settle();
      };
      body.onOver = () => end(resolve);
      signal.addEventListener("abort", fail);
      if (signal.aborted) fail();
      else if (body.isHeld) look();
      else end(resolve);
    });
  }

  async #handle(head: RequestHead, body: HttpBody): Promise<Response> {
    try {
      const request = new Request(head.url, {
        method: head.method,
        headers: head.headers,
        signal: this.#aborter.signal,
        ...(await bodyInit(head, body)),
      });
      const context = { headers: head.headers, target: this.#target };
      return checked(await this.#unlessFailed(this.#handler(request, context)));
    } catch (error) {
      if (this.#aborter.signal.aborted) throw error;
      return refusalOf(error);
    }
  }

  /** What a handler gives, unless the connection fails before: nobody wants that any more. */
  #unlessFailed(given: Response | Promise<Response>): Promise<Response> {
    const { signal } = this.#aborter;
    return new Promise((resolve, reject) => {
      const fail = (): void => reject(signal.reason);
      signal.addEventListener("abort", fail);
      if (signal.aborted) fail();
      Promise.resolve(given)
        .then((response) => {
          resolve(response);
          return signal.aborted ? response.body?.cancel(signal.reason) : undefined;
        })
        .catch(reject)
        .finally(() => signal.removeEventListener("abort", fail));
    });
  }

  #answer(response: Response, how: Omit<Answering, "signal">): Promise<boolean> {
    return writeResponse(this.#writer, response, { ...how, signal: this.#aborter.signal });
  }
}

/** How a request is answered that could not be read. */
const REFUSED = { isHead: false, isOld: false, goesOn: false };

const CONTINUE = new TextEncoder().encode("HTTP/1.1 100 Continue\r\n\r\n");

async function drained(body: HttpBody): Promise<boolean> {
  try {
    return await body.drain(DRAIN_MAX);
  } catch (error) {
    if (error instanceof HttpError || error instanceof EndError) return false;
    throw error;
  }
}

/** The part of a request's description that is about its body. */
async function bodyInit(head: RequestHead, body: HttpBody): Promise<RequestInit> {
  // Those methods have none in a Request; what came is skipped.
  if (body.isComplete || head.method === "GET" || head.method === "HEAD") return {};
  if (!hasStreams()) return { body: await body.whole(WHOLE_MAX) };
  return { body: body.stream(), duplex: "half" } as RequestInit;
}

let streams: boolean | undefined;

/** Whether a Request takes a stream: elsewhere that becomes a text, which has a type. */
function hasStreams(): boolean {
  if (streams === undefined) {
    const init = { method: "POST", body: new ReadableStream(), duplex: "half" } as RequestInit;
    streams = !new Request("http://guest/", init).headers.has("content-type");
  }
  return streams;
}
