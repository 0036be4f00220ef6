/**
 * Loader for Deno: C functions through `Deno.dlopen`.
 *
 * Deno's fast calls want a BigInt for 64-bit arguments: a number is accepted but takes a slow path
 * (250 ns a call against 75 with the conversion). So the calls of the data path convert here.
 */

import { type Native, type NativeCall, type NativeType, SYMBOLS } from "./native.ts";

type Wide = number | bigint;
type DenoCall = (...args: Wide[]) => Wide;
type PointerObject = object | null;
type DenoSymbols = Readonly<Record<keyof typeof SYMBOLS, DenoCall>>;

/** The part of Deno used here, declared so that tsc needs no Deno types. */
interface DenoFfi {
  dlopen(
    path: string,
    symbols: Record<string, { parameters: string[]; result: string }>,
  ): { symbols: DenoSymbols & { readonly __errno_location: DenoCall } };
  UnsafePointer: {
    of(buffer: Uint8Array): PointerObject;
    value(pointer: PointerObject): Wide;
    create(address: bigint): PointerObject;
  };
  UnsafePointerView: {
    new (pointer: PointerObject): { getInt32(): number };
    getArrayBuffer(pointer: PointerObject, length: number): ArrayBuffer;
  };
}

const TYPES: Record<NativeType, string> = { i32: "i32", size: "usize", address: "u64", i64: "i64" };

export function loadDeno(): Native {
  const deno = (globalThis as unknown as { Deno: DenoFfi }).Deno;
  const table: Record<string, { parameters: string[]; result: string }> = {
    __errno_location: { parameters: [], result: "pointer" },
  };
  for (const [symbol, [result, ...args]] of Object.entries<readonly [NativeType, ...NativeType[]]>(
    SYMBOLS,
  )) {
    table[symbol] = { parameters: args.map((type) => TYPES[type]), result: TYPES[result] };
  }
  const { symbols } = deno.dlopen("libc.so.6", table);
  const location = symbols.__errno_location() as unknown as PointerObject;
  const errno = new deno.UnsafePointerView(location);
  return {
    runtime: "deno",
    symbols: { ...(symbols as unknown as Native["symbols"]), ...fastCalls(symbols) },
    errno: () => errno.getInt32(),
    address: (buffer) => {
      // Through the ArrayBuffer: small typed arrays may still lie in the movable heap.
      const isView = ArrayBuffer.isView(buffer);
      const whole = isView ? buffer.buffer : buffer;
      const start = deno.UnsafePointer.value(deno.UnsafePointer.of(new Uint8Array(whole)));
      return Number(start) + (isView ? buffer.byteOffset : 0);
    },
    view: (address, length) => {
      const pointer = deno.UnsafePointer.create(BigInt(address));
      return deno.UnsafePointerView.getArrayBuffer(pointer, length);
    },
  };
}

/** One function each, not one wrapper for all: see `dataCalls` in libc.ts. */
function fastCalls(raw: DenoSymbols): Partial<Record<keyof typeof SYMBOLS, NativeCall>> {
  const { read, write, readv, writev, recv, send, sendmsg, recvmsg } = raw;
  const { sendmmsg, recvmmsg, memcpy, epoll_ctl, epoll_wait, syscall, mmap } = raw;
  return {
    read: (fd, a, n) => read(fd, BigInt(a), BigInt(n)) as number,
    write: (fd, a, n) => write(fd, BigInt(a), BigInt(n)) as number,
    readv: (fd, a, n) => readv(fd, BigInt(a), n) as number,
    writev: (fd, a, n) => writev(fd, BigInt(a), n) as number,
    recv: (fd, a, n, flags) => recv(fd, BigInt(a), BigInt(n), flags) as number,
    send: (fd, a, n, flags) => send(fd, BigInt(a), BigInt(n), flags) as number,
    sendmsg: (fd, a, flags) => sendmsg(fd, BigInt(a), flags) as number,
    recvmsg: (fd, a, flags) => recvmsg(fd, BigInt(a), flags) as number,
    sendmmsg: (fd, a, n, flags) => sendmmsg(fd, BigInt(a), n, flags) as number,
    recvmmsg: (fd, a, n, flags) => recvmmsg(fd, BigInt(a), n, flags, 0n) as number,
    memcpy: (to, from, n) => memcpy(BigInt(to), BigInt(from), BigInt(n)) as number,
    epoll_ctl: (epoll, op, fd, a) => epoll_ctl(epoll, op, fd, BigInt(a)) as number,
    epoll_wait: (epoll, a, max, ms) => epoll_wait(epoll, BigInt(a), max, ms) as number,
    syscall: (number, a, b, c, d, e, f) =>
      syscall(
        BigInt(number),
        BigInt(a),
        BigInt(b),
        BigInt(c),
        BigInt(d),
        BigInt(e),
        BigInt(f),
      ) as number,
    // The only result wider than 32 bits; Deno gives it as a BigInt.
    mmap: (...args) => Number(mmap(...args)),
  };
}
