/**
 * A stream socket's system calls, made by hand: what a receive brings and what a send takes comes
 * from lists, so that every cut and every error can be had at every place. Runs in Node too.
 *
 * Addresses are invented, and lie where 32 bits overflow.
 */

import assert from "node:assert/strict";
import { Block } from "../../src/sys/block.ts";
import { EAGAIN } from "../../src/sys/errno.ts";
import type { Libc } from "../../src/sys/libc.ts";
import {
  EPOLLERR,
  EPOLLHUP,
  MSGHDR_IOV_COUNT_OFFSET,
  MSGHDR_IOV_OFFSET,
  SO_LINGER,
  SOL_SOCKET,
} from "../../src/sys/linux.ts";
import { IOV_LENGTH_OFFSET, IOV_SIZE } from "../../wasm/abi.ts";
import { TestMemory } from "./test-memory.ts";

const FIRST_ADDRESS = 0x7e01_ffff_f000;
const GAP = 0x1000;

interface Region {
  readonly base: number;
  readonly octets: Uint8Array;
}

/** A number: so many octets at most, or the negative errno. */
export type Step = number;

export class FakeSocket {
  /** What the peer has sent and nobody has read. */
  inbound = new Uint8Array(0);
  /** The peer will send no more. */
  ended = false;
  /** How the next receives and sends go; beyond the list, all that is there, and all of it. */
  readonly receives: Step[] = [];
  readonly sends: Step[] = [];
  /** What the peer has got. */
  readonly outbound: Uint8Array[] = [];
  /** What accept4 gives; then none. */
  readonly accepts: number[] = [];
  /** Results of socket() and connect(); then 0. */
  readonly connects: Step[] = [];
  socketErrno = 0;
  /** What poll says of a connection if it is asked for that, or of any where none is named. */
  readonly polls = new Map<number, number>();
  pollBits = 0;
  readonly calls: string[] = [];
  readonly sys: Libc;
  readonly memory: TestMemory;
  readonly #regions: Region[] = [];
  #nextFd = 100;
  /** What opening a socket fails with; 0 = it does not. */
  openErrno = 0;
  /** Options that were set: descriptor, level, name, number. */
  readonly options: string[] = [];

  constructor() {
    const calls = {
      address: (buffer: ArrayBufferLike) => this.#place(buffer),
      recv: (_fd: number, address: number, length: number) => this.#recv(address, length),
      sendmsg: (_fd: number, message: number) => this.#sendmsg(message),
      memcpy: (to: number, from: number, length: number) => {
        const octets = this.#find(from, length).slice(this.#at(from), this.#at(from) + length);
        this.#find(to, length).set(octets, this.#at(to));
      },
      accept4: () => this.accepts.shift() ?? -EAGAIN,
      poll: (address: number) => this.#poll(address),
      socket: () => this.#socket(),
      connect: () => this.connects.shift() ?? 0,
      getsockopt: (_fd: number, _level: number, _name: number, value: number) => {
        new DataView(this.#find(value, 4).buffer).setInt32(
          this.#at(value),
          -this.socketErrno,
          true,
        );
        return 0;
      },
      setsockopt: (fd: number, level: number, name: number, value: number) => {
        const view = new DataView(this.#find(value, 8).buffer);
        const number = view.getInt32(this.#at(value), true);
        if (level === SOL_SOCKET && name === SO_LINGER) {
          const seconds = view.getInt32(this.#at(value) + 4, true);
          assert.deepEqual([number, seconds], [1, 0], "closed with a reset");
          this.calls.push(`linger ${fd}`);
          return 0;
        }
        this.options.push(`${fd} ${level} ${name} ${number}`);
        return 0;
      },
      timerfd_create: () => 50,
      timerfd_settime: (_fd: number, _flags: number, spec: number) => {
        const view = new DataView(this.#find(spec, 32).buffer);
        const at = this.#at(spec);
        const us = Number(view.getBigUint64(at + 16, true)) * 1e6;
        this.calls.push(`timer ${us + Number(view.getBigUint64(at + 24, true)) / 1000}`);
        return 0;
      },
      close: (fd: number) => {
        this.calls.push(`close ${fd}`);
        return 0;
      },
    };
    const scratch = new Block(calls, 512);
    this.sys = { ...calls, scratch } as unknown as Libc;
    this.memory = new TestMemory((buffer) => this.#place(buffer));
  }

  /** The peer sends octets. */
  feed(...parts: readonly Uint8Array[]): void {
    this.inbound = Uint8Array.from(Buffer.concat([this.inbound, ...parts]));
  }

  /** All that the peer has got so far. */
  get sent(): Uint8Array {
    return Uint8Array.from(Buffer.concat(this.outbound));
  }

  #place(buffer: ArrayBufferLike): number {
    const known = this.#regions.find(({ octets }) => octets.buffer === buffer);
    if (known !== undefined) return known.base;
    const last = this.#regions.at(-1);
    const base = last === undefined ? FIRST_ADDRESS : last.base + last.octets.length + GAP;
    this.#regions.push({ base, octets: new Uint8Array(buffer) });
    return base;
  }

  #region(address: number, length: number): Region {
    const found = this.#regions.find(
      ({ base, octets }) => address >= base && address + length <= base + octets.length,
    );
    assert.ok(found !== undefined, `no memory at ${address.toString(16)} + ${length}`);
    return found;
  }

  #find(address: number, length: number): Uint8Array {
    return this.#region(address, length).octets;
  }

  #at(address: number): number {
    return address - this.#region(address, 1).base;
  }

  #socket(): number {
    if (this.openErrno < 0) return this.openErrno;
    this.#nextFd += 1;
    this.calls.push(`socket ${this.#nextFd}`);
    return this.#nextFd;
  }

  #poll(address: number): number {
    const view = new DataView(this.#find(address, 8).buffer);
    const at = this.#at(address);
    const bits = this.polls.get(view.getInt32(at, true)) ?? this.pollBits;
    const told = bits & (view.getInt16(at + 4, true) | EPOLLERR | EPOLLHUP);
    view.setInt16(at + 6, told, true);
    return told === 0 ? 0 : 1;
  }

  #recv(address: number, length: number): number {
    const step = this.receives.shift() ?? length;
    if (step < 0) return step;
    const n = Math.min(step, length, this.inbound.length);
    if (n === 0) return this.ended ? 0 : -EAGAIN;
    this.#find(address, length).set(this.inbound.subarray(0, n), this.#at(address));
    this.inbound = this.inbound.slice(n);
    return n;
  }

  #sendmsg(message: number): number {
    const header = new DataView(this.#find(message, 56).buffer);
    const at = this.#at(message);
    const iovecs = Number(header.getBigUint64(at + MSGHDR_IOV_OFFSET, true));
    const count = Number(header.getBigUint64(at + MSGHDR_IOV_COUNT_OFFSET, true));
    assert.ok(count > 0 && count <= 1024, `${count} iovecs`);
    const parts: Uint8Array[] = [];
    const records = new DataView(this.#find(iovecs, count * IOV_SIZE).buffer);
    for (let i = 0; i < count; i += 1) {
      const iovec = this.#at(iovecs) + i * IOV_SIZE;
      const base = Number(records.getBigUint64(iovec, true));
      const length = Number(records.getBigUint64(iovec + IOV_LENGTH_OFFSET, true));
      assert.ok(length > 0, "an empty iovec");
      const from = this.#at(base);
      parts.push(this.#find(base, length).slice(from, from + length));
    }
    const octets = Uint8Array.from(Buffer.concat(parts));
    const step = this.sends.shift() ?? octets.length;
    if (step < 0) return step;
    const n = Math.min(step, octets.length);
    if (n === 0) return -EAGAIN;
    this.outbound.push(octets.slice(0, n));
    return n;
  }
}

/** A frame as it is on the wire. */
export function framed(frame: Uint8Array): Uint8Array {
  const octets = new Uint8Array(4 + frame.length);
  new DataView(octets.buffer).setUint32(0, frame.length, false);
  octets.set(frame, 4);
  return octets;
}

/** The frames that a stream of octets holds, and how many octets are left over. */
export function unframed(stream: Uint8Array): { frames: Uint8Array[]; rest: number } {
  const view = new DataView(stream.buffer, stream.byteOffset, stream.length);
  const frames: Uint8Array[] = [];
  let at = 0;
  while (stream.length - at >= 4) {
    const length = view.getUint32(at, false);
    if (at + 4 + length > stream.length) break;
    frames.push(stream.slice(at + 4, at + 4 + length));
    at += 4 + length;
  }
  return { frames, rest: stream.length - at };
}
