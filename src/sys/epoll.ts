/**
 * Readiness of many descriptors: registration and wait.
 *
 * Contract: `add`, `modify` and `remove` return zero or the negative errno; `wait` fills a buffer
 * that lives as long as the object, and the getters read the i-th event from it without allocating.
 * The 64 bits of data are two signed words, so that a handle comes back just as WASM returns it.
 * Source: epoll(7).
 */

import { Block } from "./block.ts";
import { check, EINTR, ENOSYS } from "./errno.ts";
import type { Libc } from "./libc.ts";
import {
  EPOLL_CLOEXEC,
  EPOLL_CTL_ADD,
  EPOLL_CTL_DEL,
  EPOLL_CTL_MOD,
  EPOLL_EVENT_DATA_OFFSET,
  EPOLL_EVENT_SIZE,
  TIMESPEC_SIZE,
} from "./linux.ts";

const EVENT_WORDS = EPOLL_EVENT_SIZE / 4;
const DATA_WORD = EPOLL_EVENT_DATA_OFFSET / 4;
const MICROSECONDS_PER_SECOND = 1e6;
const MILLISECONDS_MAX = 0x7fffffff;

export class Epoll {
  readonly fd: number;
  /** Events one `wait` can return. */
  readonly capacity: number;
  private readonly sys: Libc;
  private readonly events: Block;
  private readonly words: Int32Array;
  private readonly event: Block;
  private readonly timespec: Block;
  private hasPwait2 = true;
  private closed = false;

  /** @throws SystemError where no descriptor is left */
  constructor(sys: Libc, capacity = 256) {
    this.sys = sys;
    this.capacity = capacity;
    this.events = new Block(sys, capacity * EPOLL_EVENT_SIZE);
    this.words = new Int32Array(this.events.bytes.buffer);
    this.event = new Block(sys, EPOLL_EVENT_SIZE);
    this.timespec = new Block(sys, TIMESPEC_SIZE);
    this.fd = check(sys.epoll_create1(EPOLL_CLOEXEC), "Create an epoll descriptor");
  }

  /** @param events EPOLL… bits; `dataLo` and `dataHi` come back with each event */
  add(fd: number, events: number, dataLo: number, dataHi: number): number {
    return this.control(EPOLL_CTL_ADD, fd, events, dataLo, dataHi);
  }

  modify(fd: number, events: number, dataLo: number, dataHi: number): number {
    return this.control(EPOLL_CTL_MOD, fd, events, dataLo, dataHi);
  }

  /** Must come before `close(fd)` where the descriptor has been duplicated or passed on. */
  remove(fd: number): number {
    return this.sys.epoll_ctl(this.fd, EPOLL_CTL_DEL, fd, 0);
  }

  /**
   * Waits for up to `max` events (bounded by `capacity`).
   * @param timeoutUs microseconds; 0 = only look, negative = no limit
   * @returns how many there are, 0 after the timeout or a signal, or the negative errno
   */
  wait(max: number, timeoutUs: number): number {
    const count = Math.min(max, this.capacity);
    const n = timeoutUs > 0 ? this.waitTimed(count, timeoutUs) : this.waitPlain(count, timeoutUs);
    return n === -EINTR ? 0 : n;
  }

  /** EPOLL… bits of event `i`. */
  eventBits(i: number): number {
    return this.words[i * EVENT_WORDS] ?? 0;
  }

  dataLo(i: number): number {
    return this.words[i * EVENT_WORDS + DATA_WORD] ?? 0;
  }

  dataHi(i: number): number {
    return this.words[i * EVENT_WORDS + DATA_WORD + 1] ?? 0;
  }

  close(): void {
    if (this.closed) return;
    this.closed = true;
    this.sys.close(this.fd);
  }

  [Symbol.dispose](): void {
    this.close();
  }

  private waitPlain(count: number, timeoutUs: number): number {
    return this.sys.epoll_wait(this.fd, this.events.address, count, timeoutUs < 0 ? -1 : 0);
  }

  private waitTimed(count: number, timeoutUs: number): number {
    if (this.hasPwait2) {
      const seconds = Math.floor(timeoutUs / MICROSECONDS_PER_SECOND);
      const rest = Math.ceil((timeoutUs - seconds * MICROSECONDS_PER_SECOND) * 1000);
      // 999999.9999 us rounds up to a full second, which the kernel refuses as nanoseconds.
      this.timespec.setU64(0, rest < 1e9 ? seconds : seconds + 1);
      this.timespec.setU64(8, rest < 1e9 ? rest : 0);
      const n = this.sys.epoll_pwait2(this.fd, this.events.address, count, this.timespec.address);
      if (n !== -ENOSYS) return n;
      this.hasPwait2 = false;
    }
    // Rounded up: waking before the deadline would spin through the last millisecond.
    const milliseconds = Math.min(Math.ceil(timeoutUs / 1000), MILLISECONDS_MAX);
    return this.sys.epoll_wait(this.fd, this.events.address, count, milliseconds);
  }

  private control(op: number, fd: number, events: number, dataLo: number, dataHi: number): number {
    const { view } = this.event;
    view.setInt32(0, events, true);
    view.setInt32(EPOLL_EVENT_DATA_OFFSET, dataLo, true);
    view.setInt32(EPOLL_EVENT_DATA_OFFSET + 4, dataHi, true);
    return this.sys.epoll_ctl(this.fd, op, fd, this.event.address);
  }
}
