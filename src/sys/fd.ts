/**
 * Owned descriptors: closed exactly once, by `close` or by `using`.
 */

import { readlinkSync } from "node:fs";
import { Block } from "./block.ts";
import type { Libc } from "./calls.ts";
import { check, type Remedies } from "./errno.ts";
import {
  CLOCK_MONOTONIC,
  EFD_CLOEXEC,
  EFD_NONBLOCK,
  F_GETFL,
  F_SETFL,
  ITIMERSPEC_SIZE,
  O_CLOEXEC,
  O_NONBLOCK,
  TFD_CLOEXEC,
  TFD_NONBLOCK,
} from "./linux.ts";

/** A descriptor with one owner. A second close could hit a stranger that got the same number. */
export class Fd {
  readonly number: number;
  private readonly sys: Libc;
  private open = true;

  constructor(sys: Libc, number: number) {
    this.sys = sys;
    this.number = number;
  }

  get isOpen(): boolean {
    return this.open;
  }

  /** Idempotent. Errors are not reported: Linux has released the number even after EINTR. */
  close(): void {
    if (!this.open) return;
    this.open = false;
    this.sys.close(this.number);
  }

  /** Gives the descriptor away: the new owner closes it. */
  release(): number {
    this.open = false;
    return this.number;
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

/**
 * Opens a file.
 * @throws SystemError
 */
export function openFile(sys: Libc, path: string, flags: number, remedies?: Remedies): Fd {
  const name = Block.text(sys, path);
  const fd = sys.open(name.address, flags | O_CLOEXEC, 0);
  return new Fd(sys, check(fd, `Open "${path}"`, remedies));
}

/** Wakes an epoll loop from another thread: a counter that is readable while it is not zero. */
export class EventFd extends Fd {
  private readonly libc: Libc;
  private readonly word: Block;

  /** @throws SystemError where no descriptor is left */
  constructor(sys: Libc) {
    super(sys, check(sys.eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC), "Create an event descriptor"));
    this.libc = sys;
    this.word = new Block(sys, 8);
  }

  /** Makes it readable. Zero or the negative errno. */
  signal(): number {
    return signalEventFd(this.libc, this.number, this.word);
  }

  /** Takes the counter down to zero and returns what it was (0 = nobody had signalled). */
  drain(): number {
    const n = this.libc.read(this.number, this.word.address, 8);
    return n === 8 ? this.word.getU64(0) : 0;
  }
}

/** A timer that goes off once and is readable then. Source: timerfd_create(2). */
export class TimerFd extends Fd {
  private readonly libc: Libc;
  private readonly spec: Block;

  /** @throws SystemError where no descriptor is left */
  constructor(sys: Libc) {
    const fd = sys.timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    super(sys, check(fd, "Create a timer descriptor"));
    this.libc = sys;
    this.spec = new Block(sys, ITIMERSPEC_SIZE);
  }

  /** @param microseconds from now, above 0; takes the place of what was set. Or negative errno. */
  set(microseconds: number): number {
    const whole = Math.max(1, Math.ceil(microseconds));
    const seconds = Math.floor(whole / 1e6);
    this.spec.setU64(16, seconds);
    this.spec.setU64(24, (whole - seconds * 1e6) * 1000);
    return this.libc.timerfd_settime(this.number, 0, this.spec.address, 0);
  }
}

/** For a thread that knows only the number: adds one to the counter of event descriptor `fd`. */
export function signalEventFd(sys: Pick<Libc, "write">, fd: number, word: Block): number {
  word.setU64(0, 1);
  return Math.min(sys.write(fd, word.address, 8), 0);
}

/** Whether a descriptor that somebody has sent is an event descriptor, and no other kind. */
export function isEventFd(fd: number): boolean {
  try {
    return readlinkSync(`/proc/self/fd/${fd}`) === "anon_inode:[eventfd]";
  } catch {
    return false; // closed, or of another kind altogether
  }
}

/** Has reads and writes of a descriptor never wait. Zero, or the negative errno. */
export function setNonBlocking(sys: Libc, fd: number): number {
  const flags = sys.fcntl(fd, F_GETFL, 0);
  return flags < 0 ? flags : sys.fcntl(fd, F_SETFL, flags | O_NONBLOCK);
}
