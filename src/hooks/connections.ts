/**
 * Limits of the connections to a hook socket. Clients use a connection for one call each, so one
 * without a call is new or useless: at the limit the connection that has been idle longest is
 * evicted, else the oldest whose calls are all incomplete. A new connection is refused only when
 * every other one is being served.
 */
import type { ServerHttp2Session, ServerHttp2Stream } from "node:http2";
import type { Socket } from "node:net";
import type { Shares } from "./calls.ts";

const CONNECTION_COUNT_MAX = 128;
/** Time without a call after which a connection is closed. */
const IDLE_ms = 60_000;

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

  /** Admits a connection; at the limit another one is evicted, or this one refused. */
  add(session: ServerHttp2Session, socket: Socket): void {
    const connection = { session, socket, streamCount: 0, idle_ms: this.#shares.now() };
    if (this.#open.size >= CONNECTION_COUNT_MAX && !this.#evict()) {
      this.#shares.pressure.note("connections_refused");
      this.#close(connection);
      return;
    }
    this.#open.set(session, connection);
    this.#shares.calls.addConnection(session, () => this.#close(connection));
    session.once("close", () => this.#open.delete(session));
    session.on("stream", (stream: ServerHttp2Stream) => this.#count(connection, stream));
  }

  /** Closes connections that have been idle for `IDLE_ms`. */
  sweep(): void {
    const latest_ms = this.#shares.now() - IDLE_ms;
    for (const connection of [...this.#open.values()]) {
      if (connection.streamCount > 0 || connection.idle_ms > latest_ms) continue;
      this.#shares.pressure.note("connections_timed_out");
      this.#close(connection);
    }
  }

  #count(connection: Connection, stream: ServerHttp2Stream): void {
    connection.streamCount += 1;
    stream.once("close", () => {
      connection.streamCount -= 1;
      connection.idle_ms = this.#shares.now();
    });
  }

  #evict(): boolean {
    const all = [...this.#open.values()];
    const idle = all.filter(({ streamCount }) => streamCount === 0);
    const [longest] = idle.sort((a, b) => a.idle_ms - b.idle_ms);
    const evicted = longest ?? all.find(({ session }) => !this.#shares.calls.isServing(session));
    if (evicted === undefined) return false;
    this.#shares.pressure.note("connections_evicted");
    this.#close(evicted);
    return true;
  }

  #close({ session, socket }: Connection): void {
    this.#open.delete(session);
    session.destroy();
    // A session alone would wait for its peer, in Bun at least.
    socket.destroy();
  }
}
