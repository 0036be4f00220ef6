/** A guest that talks to one service by itself, as text of one octet to a character. */
import {
  END,
  type Service,
  type TcpEvents,
  type TcpSocket,
  withServices,
} from "../../../src/network/index.ts";
import { joined } from "../../../src/upstream/messages.ts";
import { Waits } from "./probe.ts";

const ROOM = 65_536;

export class HttpGuest implements TcpEvents {
  /** What has come. */
  text = "";
  hasEnded = false;
  isReset = false;
  readonly socket: TcpSocket;
  readonly #waits = new Waits();
  #unsent: Uint8Array = new Uint8Array(0);

  constructor(service: Service) {
    const { address, port } = service;
    this.socket = withServices([service]).connect({ address, port, tos: 0 }, this);
  }

  /** Sends this as soon as there is room. */
  send(text: string): this {
    const fresh = Uint8Array.from(text, (letter) => letter.charCodeAt(0));
    this.#unsent = joined([this.#unsent, fresh]);
    this.writable();
    return this;
  }

  /** Waits until this is so; looks whenever something has come or gone. */
  until(condition: () => boolean): Promise<void> {
    return this.#waits.until(condition);
  }

  /** Waits for so many answers, whose bodies are all this text. */
  async answers(count: number, body: string): Promise<void> {
    await this.until(() => this.text.split(body).length > count || this.isReset);
  }

  connected(): void {}

  readable(): void {
    // The socket is not there yet while it is made.
    queueMicrotask(() => {
      const piece = new Uint8Array(ROOM);
      for (;;) {
        const got = this.socket.receive([piece]);
        if (got === END) this.hasEnded = true;
        if (got <= 0) break;
        for (const octet of piece.subarray(0, got)) this.text += String.fromCharCode(octet);
      }
      this.#waits.wake();
    });
  }

  writable(): void {
    while (this.#unsent.length > 0) {
      const taken = this.socket.send([this.#unsent.subarray(0, ROOM)]);
      if (taken === 0) break;
      this.#unsent = this.#unsent.subarray(taken);
    }
    this.#waits.wake();
  }

  failed(): void {
    this.isReset = true;
    this.#waits.wake();
  }
}
