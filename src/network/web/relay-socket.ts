/**
 * A WebSocket as the relay's client needs it: messages of octets, and where that can be had, a way
 * to have the other side wait.
 *
 * A `WebSocket` gives whatever comes, whether its page can keep it or not. A `WebSocketStream`
 * (Chromium) is read when it is asked to, and Node's `ws` can pause: there TCP has the relay wait.
 * Elsewhere `pause` does nothing, and the bounds of what is kept do the rest.
 */
import { PacketPool } from "./packet-pool.ts";

/** What of a `WebSocket` is used; the constructor may be that of a package. */
export interface WebSocketLike {
  binaryType: string;
  readonly bufferedAmount: number;
  onopen: (() => void) | null;
  onmessage: ((event: { data: unknown }) => void) | null;
  onclose: (() => void) | null;
  onerror: (() => void) | null;
  send(octets: Uint8Array<ArrayBuffer>): void;
  close(): void;
  pause?(): void;
  resume?(): void;
}
export type WebSocketConstructor = new (url: string, protocols: string[]) => WebSocketLike;

/** What of a `WebSocketStream` is used. */
interface OpenedStream {
  readonly readable: ReadableStream<unknown>;
  readonly writable: WritableStream<Uint8Array>;
}
interface StreamLike {
  readonly opened: Promise<OpenedStream>;
  readonly closed: Promise<unknown>;
  close(): void;
}
type StreamConstructor = new (url: string, options: { protocols: string[] }) => StreamLike;

export interface RelaySocketEvents {
  opened(): void;
  /** A message; undefined = one of text. */
  message(octets: Uint8Array | undefined): void;
  /** It is closed, or could not be opened. Nothing follows. */
  closed(): void;
}

export interface RelaySocket {
  /** Room for a message of so many octets, to be filled and sent. */
  room(size: number): Uint8Array<ArrayBuffer>;
  /** The octets are the socket's from then on. */
  send(octets: Uint8Array<ArrayBuffer>): void;
  /** Octets that have not left yet. */
  readonly buffered: number;
  /** Whether `pause` has the other side wait. */
  readonly canPause: boolean;
  pause(): void;
  resume(): void;
  /** Nothing is told from then on. */
  close(): void;
}

/** Opens one. Throws what the constructor throws, as for a page that may not open it. */
export function openRelaySocket(
  url: string,
  protocols: string[],
  events: RelaySocketEvents,
  given?: WebSocketConstructor,
): RelaySocket {
  const globals = globalThis as unknown as {
    WebSocketStream?: StreamConstructor;
    WebSocket?: WebSocketConstructor;
  };
  if (given === undefined && globals.WebSocketStream !== undefined) {
    return new StreamedSocket(new globals.WebSocketStream(url, { protocols }), events);
  }
  const Socket = given ?? globals.WebSocket;
  if (Socket === undefined) throw new TypeError("this runtime has no WebSocket");
  return new EventSocket(new Socket(url, protocols), events);
}

class EventSocket implements RelaySocket {
  readonly #socket: WebSocketLike;
  #isPaused = false;

  constructor(socket: WebSocketLike, events: RelaySocketEvents) {
    this.#socket = socket;
    socket.binaryType = "arraybuffer";
    socket.onopen = () => events.opened();
    socket.onmessage = ({ data }) => events.message(octetsOf(data));
    socket.onclose = () => events.closed();
    socket.onerror = () => {}; // `close` follows
  }

  get buffered(): number {
    return this.#socket.bufferedAmount;
  }

  get canPause(): boolean {
    return this.#socket.pause !== undefined && this.#socket.resume !== undefined;
  }

  /** Packages may read a message after `send` has returned, so it is never used again. */
  room(size: number): Uint8Array<ArrayBuffer> {
    return new Uint8Array(size);
  }

  send(octets: Uint8Array<ArrayBuffer>): void {
    this.#socket.send(octets);
  }

  pause(): void {
    if (this.#isPaused) return;
    this.#isPaused = true;
    this.#socket.pause?.();
  }

  resume(): void {
    if (!this.#isPaused) return;
    this.#isPaused = false;
    this.#socket.resume?.();
  }

  close(): void {
    this.resume(); // for the other side's answer
    const { onerror } = this.#socket;
    this.#socket.onopen = null;
    this.#socket.onmessage = null;
    this.#socket.onclose = null;
    this.#socket.onerror = onerror;
    this.#socket.close();
  }
}

class StreamedSocket implements RelaySocket {
  readonly canPause = true;
  buffered = 0;
  readonly #stream: StreamLike;
  readonly #events: RelaySocketEvents;
  readonly #pool = new PacketPool();
  #writer: WritableStreamDefaultWriter<Uint8Array> | undefined;
  #isPaused = false;
  #goOn: (() => void) | undefined;
  #isClosed = false;

  constructor(stream: StreamLike, events: RelaySocketEvents) {
    this.#stream = stream;
    this.#events = events;
    stream.closed.catch(() => {}); // the reader hears of it
    this.#run();
  }

  async #run(): Promise<void> {
    try {
      const { readable, writable } = await this.#stream.opened;
      this.#writer = writable.getWriter();
      this.#writer.closed.catch(() => {}); // the reader hears of it
      const reader = readable.getReader();
      if (!this.#isClosed) this.#events.opened();
      while (!this.#isClosed) {
        if (this.#isPaused) await this.#resumed();
        const { done, value } = await reader.read();
        if (done || this.#isClosed) break;
        this.#events.message(octetsOf(value));
      }
    } catch {
      // It was lost, or never there.
    }
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#events.closed();
  }

  #resumed(): Promise<void> {
    return new Promise((resolve) => {
      this.#goOn = resolve;
    });
  }

  room(size: number): Uint8Array<ArrayBuffer> {
    return this.#pool.take(size);
  }

  send(octets: Uint8Array<ArrayBuffer>): void {
    const { length } = octets;
    this.buffered += length;
    // A write that is done has handed its octets on (Streams, WritableStreamDefaultWriter.write);
    // one that has failed may not be over.
    const gone = (): void => {
      this.buffered -= length;
    };
    const sent = (): void => {
      gone();
      this.#pool.give(octets);
    };
    this.#writer?.write(octets).then(sent, gone);
  }

  pause(): void {
    this.#isPaused = true;
  }

  resume(): void {
    this.#isPaused = false;
    this.#goOn?.();
    this.#goOn = undefined;
  }

  close(): void {
    this.#isClosed = true;
    this.resume();
    try {
      this.#stream.close();
    } catch {
      // One that has not been opened yet may refuse to be closed.
    }
  }
}

function octetsOf(data: unknown): Uint8Array | undefined {
  if (data instanceof ArrayBuffer) return new Uint8Array(data);
  return data instanceof Uint8Array ? data : undefined;
}
