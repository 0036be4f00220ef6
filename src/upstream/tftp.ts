/**
 * The TFTP service of a guest network: the files below one folder, at the gateway's port 69.
 *
 * Theory of operation
 *   For each transfer the engine asks for a socket (FAMILY_LOCAL of OP_UDP_OPEN) and gets one end
 *   of a pair of unix sockets, a message for a datagram; the other end stays here. Nothing of it is
 *   on any network, so only the guest can ask. The engine ends a flow by closing its end, the
 *   service a transfer by closing its own. What is said over it is in `tftp-transfer`.
 *
 *   All is done in the packet thread, in `poll`: sockets wake the loop (EVENT_OF_SERVICE), and what
 *   there is to do is a few datagrams and a few reads, 64 KiB for each acknowledgment at most. They
 *   come from the page cache as a rule; a disk that has to be asked holds packets up for as long as
 *   it takes, once for each window.
 *
 *   Bounds. TRANSFERS_MAX at once, a descriptor pair and a file each. When all are in use, the one
 *   heard of longest ago gives way if it has been silent for IDLE_US, else the newcomer is not
 *   answered: it asks again. The guest competes with nobody but itself. A turn takes RECEIVES_MAX
 *   datagrams of a transfer, the rest with the next turn.
 */

import type { Logger } from "../lib/log.ts";
import { Block } from "../sys/block.ts";
import type { Epoll } from "../sys/epoll.ts";
import { EAGAIN, EBUSY } from "../sys/errno.ts";
import { Folder, type FolderFile } from "../sys/folder.ts";
import type { Libc } from "../sys/libc.ts";
import { EPOLLET, EPOLLIN, MSG_DONTWAIT, MSG_NOSIGNAL } from "../sys/linux.ts";
import { openMessagePair } from "../sys/socket.ts";
import { DATAGRAM_SIZE_MAX, Transfer, type TransferFile } from "./tftp-transfer.ts";
import { EVENT_OF_SERVICE } from "./upstream.ts";

const TRANSFERS_MAX = 64;
const IDLE_US = 2_000_000;
const RECEIVES_MAX = 64;
const RECEIVE_SIZE = 1024;
const NAME_SHOWN_MAX = 200;

interface Session {
  readonly fd: number;
  readonly transfer: Transfer;
  heardAt: number;
}

export class TftpService {
  readonly #sys: Libc;
  #epoll: Pick<Epoll, "add">;
  readonly #folder: Folder;
  readonly #log: Logger;
  readonly #clock: () => number;
  readonly #datagram: Block;
  readonly #received: Block;
  readonly #pair = { a: -1, b: -1 };
  readonly #sessions = new Set<Session>();
  #hasNews = false;

  /** @throws SystemError where the folder cannot be opened */
  constructor(
    sys: Libc,
    epoll: Pick<Epoll, "add">,
    path: string,
    log: Logger,
    clock: () => number,
  ) {
    this.#sys = sys;
    this.#epoll = epoll;
    this.#log = log;
    this.#clock = clock;
    this.#folder = new Folder(sys, path);
    this.#datagram = new Block(sys, DATAGRAM_SIZE_MAX);
    this.#received = new Block(sys, RECEIVE_SIZE);
  }

  /** The engine has failed, and the flows of transfers with it; new ones are watched there. */
  restart(epoll: Pick<Epoll, "add">): void {
    for (const session of this.#sessions) this.#end(session);
    this.#epoll = epoll;
  }

  /** The guest's end of a new transfer, for its flow to own; or the negative errno. */
  open(): number {
    const now = this.#clock();
    if (this.#sessions.size >= TRANSFERS_MAX && !this.#makeRoom(now)) {
      this.#log.warn({ limit: TRANSFERS_MAX }, "too many TFTP transfers, new one refused");
      return -EBUSY;
    }
    const result = openMessagePair(this.#sys, this.#pair);
    if (result < 0) return result;
    const { a, b } = this.#pair;
    const added = this.#epoll.add(b, EPOLLIN | EPOLLET, 0, EVENT_OF_SERVICE);
    if (added < 0) {
      this.#sys.close(a);
      this.#sys.close(b);
      return added;
    }
    this.#sessions.add({ fd: b, transfer: this.#begin(b, now), heardAt: now });
    return a;
  }

  /** Something has come in. */
  notice(kind: number): void {
    if (kind === EVENT_OF_SERVICE) this.#hasNews = true;
  }

  /** Microseconds until there is something to do; undefined = when something comes in. */
  wait(now: number): number | undefined {
    if (this.#hasNews) return 0;
    let soonest: number | undefined;
    for (const { transfer } of this.#sessions) {
      const wait = Math.max(0, transfer.deadline - now);
      if (soonest === undefined || wait < soonest) soonest = wait;
    }
    return soonest;
  }

  poll(_engine: unknown, now: number): void {
    const hasNews = this.#hasNews;
    this.#hasNews = false;
    for (const session of this.#sessions) {
      if (hasNews) this.#receive(session, now);
      session.transfer.timeout(now);
      if (session.transfer.isOver) this.#end(session);
    }
  }

  close(): void {
    for (const session of this.#sessions) this.#end(session);
    this.#folder.close();
  }

  #begin(fd: number, now: number): Transfer {
    const sys = this.#sys;
    const { address, bytes } = this.#datagram;
    return new Transfer(
      {
        datagram: bytes,
        open: (name) => this.#open(name),
        send: (length) => {
          const result = sys.send(fd, address, length, MSG_DONTWAIT | MSG_NOSIGNAL);
          return result >= 0 || result === -EAGAIN; // as good as lost: it is sent again
        },
        told: (name, problem) => this.#tell(name, problem),
      },
      now,
    );
  }

  #open(name: string): TransferFile | number {
    const file = this.#folder.open(name);
    return typeof file === "number" ? file : readable(this.#sys, file);
  }

  /** Names come from the guest: of bounded length, and nothing that could change a terminal. */
  #tell(name: string, problem: string): void {
    const shown = name.slice(0, NAME_SHOWN_MAX).replaceAll(/[^ -~]/g, "?");
    if (problem === "") this.#log.info({ file: shown }, "TFTP request");
    else this.#log.info({ file: shown, problem }, "TFTP request refused");
  }

  #receive(session: Session, now: number): void {
    const { address, bytes } = this.#received;
    for (let i = 0; i < RECEIVES_MAX; i += 1) {
      const size = this.#sys.recv(session.fd, address, RECEIVE_SIZE, MSG_DONTWAIT);
      if (size === -EAGAIN) return;
      if (size <= 0) {
        session.transfer.end(); // the flow has ended
        return;
      }
      session.heardAt = now;
      session.transfer.input(bytes.subarray(0, size), now);
    }
    this.#hasNews = true;
  }

  #makeRoom(now: number): boolean {
    let oldest: Session | undefined;
    for (const each of this.#sessions) {
      if (oldest === undefined || each.heardAt < oldest.heardAt) oldest = each;
    }
    if (oldest === undefined || now - oldest.heardAt < IDLE_US) return false;
    this.#end(oldest);
    return true;
  }

  /** What the guest has still said is taken away first: unread, it is an error to the flow. */
  #end(session: Session): void {
    session.transfer.end();
    this.#receive(session, session.heardAt);
    this.#sessions.delete(session);
    this.#sys.close(session.fd);
  }
}

/** A file as a transfer reads it: into memory that the kernel may be given. */
function readable(sys: Libc, file: FolderFile): TransferFile {
  return {
    size: file.size,
    read: (into, offset) => file.read(sys.address(into), into.length, offset),
    close: () => file.close(),
  };
}
