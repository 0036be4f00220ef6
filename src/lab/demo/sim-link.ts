/**
 * The guest stack on a real socket: frames out of and onto it, time from the clock.
 *
 * The stack is sans-IO. It is polled after everything that happens, and again at its next deadline;
 * while the socket holds too much, it is told that the link is full, as a card would.
 */

import { connect, type NetConnectOpts, type Socket } from "node:net";
import { messageOf } from "../../lib/message.ts";
import { Guest } from "../sim/guest/guest.ts";
import { FrameReader, framed } from "./frames.ts";

/** Octets that wait in the socket before the link counts as full. */
const QUEUE_OCTETS = 1 << 20;
const MICROSECONDS = 1000;

export interface SimLinkOptions {
  readonly to: NetConnectOpts;
  readonly mac: string;
  readonly mtu: number;
  readonly seed: number;
  /** Told once, when the link is gone or the peer breaks a protocol. */
  readonly onFailure: (problem: string) => void;
}

export class SimLink {
  readonly guest: Guest;
  readonly #socket: Socket;
  readonly #reader = new FrameReader();
  readonly #onFailure: (problem: string) => void;
  #batch: Uint8Array[] = [];
  #batchOctets = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #isClosed = false;

  private constructor(socket: Socket, { mac, mtu, seed, onFailure }: SimLinkOptions) {
    this.#socket = socket;
    this.#onFailure = onFailure;
    this.guest = new Guest({
      mac,
      mtu,
      seed,
      transmit: (frame) => this.#transmit(frame),
      onFault: (problem) => this.#fail(`the sidecar sent what it must not: ${problem}`),
    });
    socket.on("data", (octets: Buffer) => this.#input(octets));
    socket.on("drain", () => this.poll());
    socket.on("error", (error) => this.#fail(`the link broke: ${error.message}`));
    socket.on("close", () => this.#fail("the sidecar closed the link"));
  }

  /** Resolves when the sidecar has taken the connection. */
  static open(options: SimLinkOptions): Promise<SimLink> {
    return new Promise((resolve, reject) => {
      const socket = connect(options.to);
      socket.once("error", reject);
      socket.once("connect", () => {
        socket.off("error", reject);
        socket.setNoDelay(true);
        resolve(new SimLink(socket, options));
      });
    });
  }

  /** Microseconds. */
  get now(): number {
    return Math.floor(performance.now() * MICROSECONDS);
  }

  #fail(problem: string): void {
    if (this.#isClosed) return;
    this.close();
    this.#onFailure(problem);
  }

  #input(octets: Uint8Array): void {
    if (this.#isClosed) return;
    const { now, guest } = this;
    try {
      this.#reader.push(octets, (frame) => guest.input(frame, now));
    } catch (error) {
      return void this.#fail(messageOf(error));
    }
    this.poll();
  }

  #transmit(frame: Uint8Array): boolean {
    if (this.#batchOctets + this.#socket.writableLength > QUEUE_OCTETS) return false;
    this.#batch.push(framed(frame));
    this.#batchOctets += frame.length;
    return true;
  }

  /** Has the stack do what is due. To be called after each call into it. */
  poll(): void {
    if (this.#isClosed) return;
    const { guest } = this;
    guest.poll(this.now);
    if (this.#batch.length > 0) {
      this.#socket.write(Buffer.concat(this.#batch));
      this.#batch = [];
      this.#batchOctets = 0;
    }
    clearTimeout(this.#timer);
    const due = guest.nextDeadline();
    if (due === Number.POSITIVE_INFINITY) return;
    const wait_ms = Math.max((due - this.now) / MICROSECONDS, 0);
    this.#timer = setTimeout(() => this.poll(), Math.ceil(wait_ms));
  }

  /** May be called again. */
  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#timer);
    this.#socket.destroy();
  }
}
