/**
 * Link over a tap device: one read or write system call per frame, straight between the kernel and
 * engine memory.
 *
 * A tap has no call for several frames, so a batch is a loop. A super-frame of 64 KiB (TSO, USO)
 * counts as one, which is what makes the loop cheap enough.
 */

import {
  LINK_CSUM,
  LINK_RX_TSO,
  LINK_TSO4,
  LINK_TSO6,
  LINK_USO,
  LINK_USO6,
  RX_SLOT_COUNT,
  RX_SLOT_SIZE,
} from "../../wasm/abi.ts";
import { EAGAIN, EBADF, EBADFD, EINTR, ENODEV } from "../sys/errno.ts";
import type { Libc } from "../sys/libc.ts";
import {
  EPOLLERR,
  EPOLLHUP,
  EPOLLIN,
  EPOLLOUT,
  TUN_F_TSO4,
  TUN_F_USO4,
  TUN_F_USO6,
} from "../sys/linux.ts";
import {
  iovecBase,
  iovecLength,
  rxSlot,
  txIovecCount,
  txIovecs,
  writeRxDescriptor,
} from "./frames.ts";
import type { Link, LinkMemory, LinkWatcher } from "./link.ts";

/** What `openTap` and `openTapInNamespace` know of the device. */
export interface TapLinkOptions {
  /** Non-blocking; the link owns it from now on. */
  readonly fd: number;
  readonly vnetSize: 0 | 10 | 12;
  /** TUN_F_… the kernel took. */
  readonly offloads: number;
  readonly queueFrames: number;
  readonly mtu: number;
}

/** A link over an open tap. */
export function openTapLink(sys: Libc, options: TapLinkOptions): Link {
  return new TapLink(sys, options);
}

const READABLE = EPOLLIN | EPOLLERR | EPOLLHUP;
const TOKEN = 0;

class TapLink implements Link {
  readonly vnetSize: 0 | 10 | 12;
  readonly flags: number;
  readonly queueFrames: number;
  readonly mtuMax: number;
  refused = 0;
  private readonly sys: Libc;
  private readonly fd: number;
  private watcher: LinkWatcher | undefined;
  private open = true;

  constructor(sys: Libc, options: TapLinkOptions) {
    this.sys = sys;
    this.fd = options.fd;
    this.vnetSize = options.vnetSize;
    this.flags = linkFlags(options.vnetSize, options.offloads);
    this.queueFrames = options.queueFrames;
    this.mtuMax = options.mtu;
  }

  watch(watcher: LinkWatcher): number {
    this.watcher = watcher;
    return watcher.add(this.fd, EPOLLIN, TOKEN);
  }

  event(_token: number, events: number): boolean {
    return (events & READABLE) !== 0;
  }

  wantRoom(on: boolean): void {
    this.watcher?.modify(this.fd, on ? EPOLLIN | EPOLLOUT : EPOLLIN, TOKEN);
  }

  receive(memory: LinkMemory, max: number): number {
    const count = Math.min(max, RX_SLOT_COUNT);
    let i = 0;
    while (i < count) {
      const slot = rxSlot(memory, i);
      const n = this.sys.read(this.fd, memory.base + slot, RX_SLOT_SIZE);
      if (n < 0) {
        if (n === -EINTR) continue;
        // What has been read is handed over first; the error is still there next time.
        return n === -EAGAIN || i > 0 ? i : n;
      }
      writeRxDescriptor(memory, i, slot, n);
      i += 1;
    }
    return i;
  }

  transmit(memory: LinkMemory, first: number, count: number): number {
    let i = first;
    while (i < count) {
      const n = this.write(memory, i);
      if (n < 0) {
        if (n === -EINTR) continue;
        if (n === -EAGAIN) break;
        if (isGone(n)) return i > first ? i - first : n;
        this.refused += 1;
      }
      i += 1;
    }
    return i - first;
  }

  close(): void {
    if (!this.open) return;
    this.open = false;
    this.sys.close(this.fd);
  }

  private write(memory: LinkMemory, i: number): number {
    const iovecs = txIovecs(memory, i);
    const count = txIovecCount(memory, i);
    if (count === 1) {
      return this.sys.write(this.fd, iovecBase(memory, iovecs), iovecLength(memory, iovecs));
    }
    return this.sys.writev(this.fd, memory.base + iovecs, count);
  }
}

/**
 * TUN_F_… say what we can read. What we may write follows from the header: with it, the kernel
 * takes unfinished checksums and TCP super-frames always, and UDP ones since it offers them too.
 */
function linkFlags(vnetSize: number, offloads: number): number {
  if (vnetSize === 0) return 0;
  const uso =
    ((offloads & TUN_F_USO4) !== 0 ? LINK_USO : 0) |
    ((offloads & TUN_F_USO6) !== 0 ? LINK_USO6 : 0);
  const tso = (offloads & TUN_F_TSO4) !== 0 ? LINK_RX_TSO : 0;
  return LINK_CSUM | LINK_TSO4 | LINK_TSO6 | uso | tso;
}

/** The device was deleted or the descriptor closed; a write to one that is only down gives EIO. */
function isGone(errno: number): boolean {
  return errno === -EBADFD || errno === -EBADF || errno === -ENODEV;
}
