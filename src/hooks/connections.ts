/**
 * Who may be connected to a hook socket. Connections are made for one call each, so one without a
 * call is about to have one or is of no use: when there are too many, the one that has been without
 * a call longest gives way, then the oldest whose calls are all incomplete. Only when every
 * connection is being served is a new one refused.
 */
import type { ServerHttp2Session, ServerHttp2Stream } from "node:http2";
import type { Socket } from "node:net";
import type { Shares } from "./calls.ts";

export const CONNECTION_COUNT_MAX = 128;
/** Time without a call after which a connection is ended. */
export const IDLE_ms = 60_000;

interface Connection {
  readonly session: ServerHttp2Session;
  readonly socket: Socket;
  streamCount: number;
  /** When it became idle. */
  idle_ms: number;
}

export class Connections {
  readonly #shares: Shares;
  /** In the order of their arrival. */
  readonly #open = new Map<ServerHttp2Session, Connection>();

  constructor(shares: Shares) {
    this.#shares = shares;
  }

  get sessions(): Iterable<ServerHttp2Session> {
    return this.#open.keys();
  }

  /** Takes a connection in; another one may have to go, or this one. */
  add(session: ServerHttp2Session, socket: Socket): void {
    const connection = { session, socket, streamCount: 0, idle_ms: this.#shares.now() };
    if (this.#open.size >= CONNECTION_COUNT_MAX && !this.#makeRoom()) {
      this.#shares.pressure.note("connections_refused");
      this.#cut(connection);
      return;
    }
    this.#open.set(session, connection);
    this.#shares.calls.addConnection(session, () => this.#cut(connection));
    session.once("close", () => this.#open.delete(session));
    session.on("stream", (stream: ServerHttp2Stream) => this.#count(connection, stream));
  }

  /** Ends connections that have been idle for long. */
  sweep(): void {
    const latest_ms = this.#shares.now() - IDLE_ms;
    for (const connection of [...this.#open.values()]) {
      if (connection.streamCount > 0 || connection.idle_ms > latest_ms) continue;
      this.#shares.pressure.note("connections_idle");
      this.#cut(connection);
    }
  }

  #count(connection: Connection, stream: ServerHttp2Stream): void {
    connection.streamCount += 1;
    stream.once("close", () => {
      connection.streamCount -= 1;
      connection.idle_ms = this.#shares.now();
    });
  }

  #makeRoom(): boolean {
    const all = [...this.#open.values()];
    const idle = all.filter(({ streamCount }) => streamCount === 0);
    const [longest] = idle.sort((a, b) => a.idle_ms - b.idle_ms);
    const leaving = longest ?? all.find(({ session }) => !this.#shares.calls.isServing(session));
    if (leaving === undefined) return false;
    this.#shares.pressure.note("connections_given_way");
    this.#cut(leaving);
    return true;
  }

  #cut({ session, socket }: Connection): void {
    this.#open.delete(session);
    session.destroy();
    // A session alone would wait for its peer, in Bun at least.
    socket.destroy();
  }
}
