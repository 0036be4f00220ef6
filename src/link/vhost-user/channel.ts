/**
 * The control socket of vhost-user: whole messages out of a stream, with their descriptors.
 *
 * A message may come in any number of parts. Until it is whole its descriptors are kept here, at
 * most FDS_PER_MESSAGE of them; what is not handed on is closed.
 * Source: unix(7) of SCM_RIGHTS.
 */
import { EAGAIN, EINTR } from "../../sys/errno.ts";
import { FDS_PER_MESSAGE, recvFds, sendFds } from "../../sys/fd-messages.ts";
import type { Libc } from "../../sys/libc.ts";
import { HEADER_SIZE, type Header, type Message, ProtocolError, readHeader } from "./messages.ts";

export class Channel {
  readonly #sys: Libc;
  readonly #fd: number;
  /** Where what comes next goes to, header or payload. */
  #target = new Uint8Array(HEADER_SIZE);
  #filled = 0;
  #header: Header | undefined;
  #fds: number[] = [];

  constructor(sys: Libc, fd: number) {
    this.#sys = sys;
    this.#fd = fd;
  }

  /** Whether a message has begun whose rest is still to come. */
  get inMessage(): boolean {
    return this.#header !== undefined || this.#filled > 0;
  }

  /**
   * The next message; or 0 at the end of the stream, or the negative errno (-EAGAIN: not yet).
   * @throws ProtocolError
   */
  next(): Message | number {
    for (;;) {
      while (this.#filled < this.#target.length) {
        const rest = this.#target.subarray(this.#filled);
        const n = recvFds(this.#sys, this.#fd, rest, this.#fds);
        if (n === -EINTR) continue;
        if (n <= 0) return n;
        this.#filled += n;
        if (this.#fds.length > FDS_PER_MESSAGE) {
          throw new ProtocolError(`more than ${FDS_PER_MESSAGE} descriptors with one message`);
        }
      }
      if (this.#header !== undefined) return this.#take(this.#header);
      const header = readHeader(this.#target);
      this.#header = header;
      this.#target = new Uint8Array(header.size);
      this.#filled = 0;
    }
  }

  /** Zero, or the negative errno; a peer that does not read its answers gets -EAGAIN, too. */
  send(octets: Uint8Array): number {
    for (;;) {
      const n = sendFds(this.#sys, this.#fd, [], octets);
      if (n === -EINTR) continue;
      if (n < 0) return n;
      return n === octets.length ? 0 : -EAGAIN;
    }
  }

  /** Closes the descriptors of a message that is not whole. The socket stays its owner's. */
  close(): void {
    for (const fd of this.#fds.splice(0)) this.#sys.close(fd);
  }

  #take({ request, flags }: Header): Message {
    const message = { request, flags, payload: this.#target, fds: this.#fds };
    this.#target = new Uint8Array(HEADER_SIZE);
    this.#filled = 0;
    this.#header = undefined;
    this.#fds = [];
    return message;
  }
}
