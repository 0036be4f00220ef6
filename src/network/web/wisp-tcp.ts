/**
 * A TCP connection through a relay.
 *
 * Theory of operation
 *   Opening. Wisp does not tell that the far side has accepted, but for relays with the extension
 *   for it. With others a connection counts as accepted by the first octet or credit that comes, or
 *   once the relay has had the time of a round trip to say that it was refused; a far side that
 *   takes longer to refuse shows as one that resets.
 *
 *   Sending. A relay gives credits by the packet, whatever is in it, and a message costs a browser
 *   as much as some KiB in it. While there are plenty of credits, what the engine gives leaves at
 *   once, but small pieces that follow within the same turn of the runtime leave as one at its end.
 *   Below a quarter it is gathered for GATHER_US or up to PACKET_MAX, so that the last credits are
 *   enough for a round trip, and with none left up to GATHERED_MAX, from where on the engine waits.
 *
 *   Receiving. What comes is kept until the engine takes it; `Relay.hold` bounds it. Each message
 *   counts for CHUNK_COST octets more than it has, as small ones cost memory, too.
 *
 *   Ending. Wisp has no half-close. The far side's end comes as the end of the stream, both ways.
 *   The guest's end cannot be told on its own: the stream stays, so that an answer can come, and is
 *   closed once nothing has come for LINGER_US.
 */
import { ChunkQueue } from "../chunk-queue.ts";
import type { Host } from "../host.ts";
import {
  END,
  type ErrorCode,
  type TcpEvents,
  type TcpSocket,
  type TcpTarget,
} from "../upstream.ts";
import type { Relay } from "./relay.ts";
import type { RelayStream, StreamListener } from "./relay-stream.ts";
import { KIND_TCP, VOLUNTARY } from "./wisp-packets.ts";

const PACKET_MAX = 256 * 1024;
const GATHERED_MAX = 512 * 1024;
const GATHER_US = 4000;
/** Octets that are worth a message of their own. */
const LARGE = 16 * 1024;
const LINGER_US = 10_000_000;
const CHUNK_COST = 128;

/** What the reasons of a CLOSE are called elsewhere. */
const CODES: Readonly<Record<number, ErrorCode>> = {
  65: "EHOSTUNREACH",
  66: "EHOSTUNREACH",
  67: "ETIMEDOUT",
  68: "ECONNREFUSED",
  71: "ETIMEDOUT",
  72: "EACCES",
  73: "ECONNREFUSED",
};

/** Who is told once the engine has done with it. */
const NOBODY: TcpEvents = {
  connected: () => {},
  readable: () => {},
  writable: () => {},
  failed: () => {},
};

/** Why a stream failed; one that ends by a network error before it was accepted was refused. */
export function codeOfReason(reason: number, wasOpen: boolean): ErrorCode {
  return CODES[reason] ?? (wasOpen ? "ECONNRESET" : "ECONNREFUSED");
}

export class WispTcp implements TcpSocket, StreamListener {
  readonly #relay: Relay;
  readonly #host: Host;
  #events: TcpEvents;
  readonly #stream: RelayStream;
  #isAccepted = false;
  #isOver = false;
  readonly #timers = new Set<() => void>();
  // Towards the far side.
  #credits = 0;
  #plenty = 0;
  #gathered: Uint8Array[] = [];
  #gatheredSize = 0;
  #isGathering = false;
  /** Something has left in this turn of the runtime. */
  #hasLeft = false;
  #senderWaits = false;
  #hasShutDown = false;
  #lingers: (() => void) | undefined;
  // Towards the guest.
  readonly #chunks = new ChunkQueue();
  #hasEnded = false;
  #isEndTold = false;

  constructor(relay: Relay, host: Host, target: TcpTarget, events: TcpEvents) {
    this.#relay = relay;
    this.#host = host;
    this.#events = events;
    this.#stream = relay.open(KIND_TCP, target, this);
  }

  // -------------------------------------------------------------- what the relay tells

  opened(credits: number): void {
    this.#credits = credits;
    this.#plenty = credits / 4;
    if (!this.#relay.confirms) this.#after(this.#relay.settle, () => this.#accept());
  }

  #accept(): void {
    if (this.#isAccepted || this.#isOver) return;
    this.#isAccepted = true;
    this.#events.connected();
  }

  data(octets: Uint8Array): void {
    if (this.#isOver || this.#events === NOBODY) return;
    this.#accept();
    this.#chunks.push(octets);
    this.#stream.hold(octets.length + CHUNK_COST);
    if (this.#isOver) return;
    this.#linger();
    this.#events.readable();
  }

  credits(count: number): void {
    if (this.#isOver) return;
    this.#accept();
    this.#credits = count;
    this.#flush(true);
    this.#wake();
  }

  room(): void {
    this.#flush(true);
    this.#wake();
  }

  closed(reason: number, code?: ErrorCode): void {
    if (this.#isOver) return;
    if (code !== undefined) this.#fail(code);
    else if (reason === VOLUNTARY) {
      // It was there, as it has ended by its own will.
      this.#accept();
      this.#hasEnded = true;
      this.#gathered = [];
      this.#gatheredSize = 0;
      if (this.#events === NOBODY) this.#release();
      this.#events.readable();
      this.#wake();
    } else this.#fail(codeOfReason(reason, this.#isAccepted));
  }

  #fail(code: ErrorCode): void {
    this.#release();
    this.#events.failed(code);
  }

  // -------------------------------------------------------------- towards the far side

  send(pieces: readonly Uint8Array[]): number {
    if (this.#isOver) return 0;
    if (this.#hasEnded) return this.#refuse();
    const size = pieces.reduce((sum, { length }) => sum + length, 0);
    if (size === 0) return 0;
    const hasWay = this.#isAccepted && this.#stream.hasRoom();
    if (!hasWay || this.#gatheredSize >= GATHERED_MAX) {
      this.#senderWaits = true;
      return 0;
    }
    const isPlenty = this.#credits > this.#plenty;
    const leaves = isPlenty && (!this.#hasLeft || size >= LARGE);
    // What leaves at once is copied once, into its packet; what does not, before this returns.
    const keep = (piece: Uint8Array): Uint8Array => (leaves ? piece : piece.slice());
    for (const piece of pieces) if (piece.length > 0) this.#gathered.push(keep(piece));
    this.#gatheredSize += size;
    if (leaves) this.#untilTurn();
    this.#flush(leaves);
    if (leaves) this.#gathered = this.#gathered.map((piece) => piece.slice());
    return size;
  }

  /** What follows in this turn leaves at its end. */
  #untilTurn(): void {
    if (this.#hasLeft) return;
    this.#hasLeft = true;
    this.#host.soon(() => {
      this.#hasLeft = false;
      if (!this.#isOver) this.#flush(this.#credits > this.#plenty);
    });
  }

  /** The far side hears nothing any more: told as soon as the guest has heard all of it. */
  #refuse(): number {
    this.#senderWaits = true;
    if (this.#isEndTold) this.#fail("EPIPE");
    return 0;
  }

  /** Sends what was gathered: in full packets, or `all` of it. */
  #flush(all: boolean): void {
    while (this.#credits > 0 && this.#gatheredSize > 0 && this.#stream.hasRoom()) {
      if (!all && this.#gatheredSize < PACKET_MAX) break;
      this.#credits -= 1;
      this.#stream.send(this.#take());
    }
    if (this.#gatheredSize === 0 || this.#credits === 0) return;
    if (this.#isGathering || this.#hasLeft) return; // it will be looked at
    this.#isGathering = true;
    this.#after(GATHER_US, () => {
      this.#isGathering = false;
      this.#flush(true);
    });
  }

  /** Takes pieces of at most PACKET_MAX octets. */
  #take(): Uint8Array[] {
    const taken: Uint8Array[] = [];
    let room = PACKET_MAX;
    let count = 0;
    for (const piece of this.#gathered) {
      const part = piece.subarray(0, room);
      taken.push(part);
      room -= part.length;
      if (part.length < piece.length) {
        this.#gathered[count] = piece.subarray(part.length);
        break;
      }
      count += 1;
      if (room === 0) break;
    }
    this.#gathered.splice(0, count);
    this.#gatheredSize -= PACKET_MAX - room;
    return taken;
  }

  #wake(): void {
    if (!this.#senderWaits || this.#isOver || this.#gatheredSize >= GATHERED_MAX) return;
    this.#senderWaits = false;
    this.#events.writable();
  }

  shutdown(): void {
    this.#hasShutDown = true;
    this.#flush(true);
    this.#linger();
  }

  /** Gives an answer to what has ended its time. */
  #linger(): void {
    if (!this.#hasShutDown || this.#isOver) return;
    this.#lingers?.();
    this.#lingers = this.#after(LINGER_US, () => {
      if (this.#gatheredSize > 0 || this.#chunks.count > 0) this.#linger();
      else if (!this.#hasEnded) {
        this.#stream.close();
        this.#fail("ETIMEDOUT");
      }
    });
  }

  // -------------------------------------------------------------- towards the guest

  receive(pieces: readonly Uint8Array[]): number {
    const before = this.#chunks.count;
    const filled = this.#chunks.read(pieces);
    if (filled === 0) return this.#end();
    this.#stream.hold(-filled - CHUNK_COST * (before - this.#chunks.count));
    if (this.#hasEnded && this.#chunks.count === 0) this.#events.readable(); // for the end
    return filled;
  }

  #end(): number {
    if (!this.#hasEnded) return 0;
    this.#isEndTold = true;
    this.#wake();
    return END;
  }

  // -------------------------------------------------------------- its end

  close(abort: boolean): void {
    if (this.#isOver) return;
    this.#events = NOBODY;
    if (!abort && this.#isAccepted && !this.#hasEnded) {
      // A relay drops what it has not passed on when it is told of an end: that comes later.
      this.#drop();
      this.shutdown();
      return;
    }
    this.#release();
    this.#stream.close();
  }

  /** What waits for the guest has no reader any more. */
  #drop(): void {
    this.#chunks.clear();
    this.#stream.hold(-this.#stream.held);
  }

  #release(): void {
    this.#isOver = true;
    for (const cancel of this.#timers) cancel();
    this.#timers.clear();
    this.#gathered = [];
    this.#gatheredSize = 0;
    this.#drop();
  }

  #after(microseconds: number, run: () => void): () => void {
    const stop = this.#host.after(microseconds, () => {
      this.#timers.delete(cancel);
      run();
    });
    const cancel = (): void => {
      this.#timers.delete(cancel);
      stop();
    };
    this.#timers.add(cancel);
    return cancel;
  }
}
