/**
 * HTTP of the modelled guest, as little as the demonstration needs: one request for each
 * connection, with bodies that are made and summed as they go. Source: RFC 9112.
 */
import { createHash } from "node:crypto";
import type { Guest } from "../sim/guest/guest.ts";
import type { TcpConnection, TcpEvents } from "../sim/guest/tcp-connection.ts";
import type { CloseReason } from "../sim/guest/tcp-options.ts";
import type { Content } from "./content.ts";

const SCRATCH_SIZE = 262_144;
const HEAD_END = "\r\n\r\n";
const HEAD_SIZE_MAX = 16_384;
/** Answers as short as this are kept as text. */
const TEXT_SIZE_MAX = 4096;

/** What came back. */
export interface HttpAnswer {
  readonly status: number;
  /** Octets of the body and their SHA-256. */
  readonly size: number;
  readonly sha256: string;
  /** The body's beginning. */
  readonly text: string;
  /** SHA-256 of the body that was sent. */
  readonly sent: string;
}

export interface HttpRequest {
  readonly address: string;
  readonly port: number;
  readonly method: "GET" | "PUT";
  readonly body?: Content;
}

/** Makes a request; rejects when the connection ends otherwise than well. */
export function request(guest: Guest, wanted: HttpRequest): Promise<HttpAnswer> {
  return new Promise((resolve, reject) => {
    const exchange = new Exchange(wanted, resolve, reject);
    guest.openTcp(wanted.address, wanted.port, exchange);
  });
}

class Exchange implements TcpEvents {
  readonly #wanted: HttpRequest;
  readonly #resolve: (answer: HttpAnswer) => void;
  readonly #reject: (error: Error) => void;
  readonly #scratch = new Uint8Array(SCRATCH_SIZE);
  readonly #received = createHash("sha256");
  readonly #sent = createHash("sha256");
  #out: Uint8Array;
  #head = "";
  #isInBody = false;
  #size = 0;
  #text = "";

  constructor(
    wanted: HttpRequest,
    resolve: (answer: HttpAnswer) => void,
    reject: (error: Error) => void,
  ) {
    this.#wanted = wanted;
    this.#resolve = resolve;
    this.#reject = reject;
    const { method, address, port, body } = wanted;
    const length = body === undefined ? [] : [`Content-Length: ${body.size}`];
    const lines = [`${method} /content HTTP/1.0`, `Host: ${address}:${port}`, ...length];
    this.#out = new TextEncoder().encode(`${lines.join("\r\n")}${HEAD_END}`);
  }

  opened(connection: TcpConnection): void {
    this.writable(connection);
  }

  writable(connection: TcpConnection): void {
    for (;;) {
      const taken = connection.write(this.#out);
      if (taken < this.#out.length) {
        this.#out = this.#out.subarray(taken);
        return;
      }
      this.#out = this.#wanted.body?.next() ?? new Uint8Array(0);
      if (this.#out.length === 0) return;
      this.#sent.update(this.#out);
    }
  }

  readable(connection: TcpConnection): void {
    while (connection.available > 0) {
      const count = connection.read(this.#scratch);
      this.#take(this.#scratch.subarray(0, count));
    }
  }

  #take(octets: Uint8Array): void {
    if (this.#isInBody) return void this.#takeBody(octets);
    // One character for each octet, so that the body begins where the text says.
    const before = this.#head.length;
    this.#head += Buffer.from(octets).toString("latin1");
    const end = this.#head.indexOf(HEAD_END);
    if (end < 0 && this.#head.length < HEAD_SIZE_MAX) return;
    this.#isInBody = true;
    this.#takeBody(octets.subarray(end + HEAD_END.length - before));
    this.#head = this.#head.slice(0, end);
  }

  #takeBody(octets: Uint8Array): void {
    this.#received.update(octets);
    this.#size += octets.length;
    if (this.#text.length < TEXT_SIZE_MAX && octets.length <= TEXT_SIZE_MAX) {
      this.#text += Buffer.from(octets).toString("latin1");
    }
  }

  ended(connection: TcpConnection): void {
    this.readable(connection);
    connection.close();
    this.#resolve({
      status: Number(/^HTTP\/1\.[01] (\d{3})/.exec(this.#head)?.[1] ?? 0),
      size: this.#size,
      sha256: this.#received.digest("hex"),
      text: this.#text,
      sent: this.#sent.digest("hex"),
    });
  }

  closed(reason: CloseReason): void {
    // After a good end nobody listens any more.
    this.#reject(new Error(`the guest's connection ended: ${reason}`));
  }
}

/** Answers every request to a port with a line of text and the address that asked. */
export function serveHttp(guest: Guest, port: number, text: string): void {
  guest.listenTcp(port, (connection) => {
    let head = "";
    const scratch = new Uint8Array(HEAD_SIZE_MAX);
    const peer = connection.network.format(connection.remote);
    return {
      readable: () => {
        head += Buffer.from(scratch.subarray(0, connection.read(scratch))).toString("latin1");
        if (!head.includes(HEAD_END)) return;
        const body = `${text} ${peer}\n`;
        const lines = ["HTTP/1.0 200 OK", "Connection: close", `Content-Length: ${body.length}`];
        connection.write(new TextEncoder().encode(`${lines.join("\r\n")}${HEAD_END}${body}`));
        connection.close();
      },
    };
  });
}
