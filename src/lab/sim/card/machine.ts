/**
 * The machine that the product's own vhost-user code runs on in the simulator: memory as buffers
 * with made-up addresses, files that a front end has sent, event descriptors.
 *
 *     0                 the engine's memory, whose addresses are its offsets
 *     SPAN, 2 * SPAN …  one for each buffer of this process and each mapping of a file
 *
 * Whatever is copied by address is looked up, so an address that is off, or of memory that was
 * given back, ends the run. Each copy asks the file whether the device may touch that, and lets
 * the guest have a moment before and after: its processor runs beside ours. Windows
 * (`view`) are not watched; they are to begin where a mapping does, as buffers in JavaScript have
 * no parts.
 *
 * Source: statx(2), fcntl(2), process_vm_readv(2), eventfd(2).
 */
import type { Machine } from "../../../link/vhost-user/machine.ts";

/** What a file's owner says of an access: `at` and `length` are octets of the file. */
export type AccessCheck = (at: number, length: number, isWrite: boolean) => void;

export interface MachineFile {
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** It can never shrink, so it may be touched directly. */
  readonly isSealed: boolean;
  readonly check: AccessCheck;
}

interface Space {
  readonly bytes: Uint8Array;
  readonly file: MachineFile | undefined;
}

/** More than any buffer has. */
const SPAN = 2 ** 33;
const FD_FIRST = 3;
const PID = 1;
const SIZE_32 = 2 ** 32;
const IOVEC_SIZE = 16;
const EVENT_SIZE = 8;

const ENOSYS = 38;
const EBADF = 9;
const F_GET_SEALS = 1034;
const F_SEAL_SHRINK = 2;
const S_IFREG = 0x8000;
/** Of struct statx: block size, kind and size. */
const [BLOCK_SIZE_AT, MODE_AT, SIZE_AT] = [4, 28, 40];
const PAGE_SIZE = 4096;

export class SimMachine implements Machine {
  readonly #spaces: (Space | undefined)[] = [{ bytes: new Uint8Array(0), file: undefined }];
  readonly #addresses = new Map<ArrayBufferLike, number>();
  readonly #files = new Map<number, MachineFile>();
  readonly #signals = new Map<number, () => void>();
  #nextFd = FD_FIRST;
  /** Called before and after each copy from or to a file. */
  onCopy: () => void = () => {};

  /** The engine's memory, which another one may take the place of. */
  set engineMemory(buffer: ArrayBufferLike) {
    if (this.#spaces[0]?.bytes.buffer === buffer) return;
    this.#spaces[0] = { bytes: new Uint8Array(buffer), file: undefined };
  }

  /** A descriptor of a file, as the front end sends it. */
  openFile(file: MachineFile): number {
    this.#nextFd += 1;
    this.#files.set(this.#nextFd, file);
    return this.#nextFd;
  }

  /** An event descriptor; `heard` is told of each write. */
  openEvent(heard: () => void): number {
    this.#nextFd += 1;
    this.#signals.set(this.#nextFd, heard);
    return this.#nextFd;
  }

  // -------------------------------------------------------------- as the product calls it

  readonly address = (buffer: ArrayBufferLike | Uint8Array): number => {
    const whole = buffer instanceof Uint8Array ? buffer.buffer : buffer;
    const offset = buffer instanceof Uint8Array ? buffer.byteOffset : 0;
    const known = this.#addresses.get(whole);
    if (known !== undefined) return known + offset;
    const address = this.#place({ bytes: new Uint8Array(whole), file: undefined });
    this.#addresses.set(whole, address);
    return address + offset;
  };

  readonly view = (address: number, length: number): ArrayBuffer => {
    const { bytes, at } = this.#find(address, length);
    if (at !== 0 || !(bytes.buffer instanceof ArrayBuffer)) {
      throw new Error(`a window ${at} octets behind where a mapping begins`);
    }
    return bytes.buffer;
  };

  readonly memcpy = (to: number, from: number, length: number): number => {
    this.#copy(to, from, length);
    return 0;
  };

  readonly process_vm_readv = (pid: number, ours: number, _n: number, theirs: number): number =>
    this.#transfer(pid, ours, theirs, false);

  readonly process_vm_writev = (pid: number, ours: number, _n: number, theirs: number): number =>
    this.#transfer(pid, ours, theirs, true);

  readonly getpid = (): number => PID;

  readonly write = (fd: number, address: number, length: number): number => {
    const heard = this.#signals.get(fd);
    if (heard === undefined || length !== EVENT_SIZE) return -EBADF;
    if (this.#u64(address) !== 1) throw new Error("an event of another number than one");
    heard();
    return length;
  };

  readonly close = (fd: number): number => {
    if (!this.#signals.delete(fd) && !this.#files.delete(fd)) {
      throw new Error(`descriptor ${fd} is closed twice`);
    }
    return 0;
  };

  readonly statx = (fd: number, _path: number, _flags: number, _mask: number, to: number) => {
    const file = this.#files.get(fd);
    if (file === undefined) return -EBADF;
    const { bytes, at } = this.#find(to, SIZE_AT + 8);
    const view = new DataView(bytes.buffer, bytes.byteOffset + at);
    view.setUint32(BLOCK_SIZE_AT, PAGE_SIZE, true);
    view.setUint16(MODE_AT, S_IFREG, true);
    view.setBigUint64(SIZE_AT, BigInt(file.bytes.length), true);
    return 0;
  };

  readonly fcntl = (fd: number, command: number): number => {
    const file = this.#files.get(fd);
    if (file === undefined || command !== F_GET_SEALS) return -ENOSYS;
    return file.isSealed ? F_SEAL_SHRINK : 0;
  };

  readonly mmap = (
    _address: number,
    length: number,
    _protection: number,
    _flags: number,
    fd: number,
  ): number => {
    const file = this.#files.get(fd);
    if (file === undefined || length < file.bytes.length) return -EBADF;
    return this.#place({ bytes: file.bytes, file });
  };

  readonly munmap = (address: number): number => {
    const slot = Math.floor(address / SPAN);
    if (this.#spaces[slot]?.file === undefined) throw new Error("what is no mapping is unmapped");
    this.#spaces[slot] = undefined;
    return 0;
  };

  readonly madvise = (): number => 0;

  // -------------------------------------------------------------- addresses

  #place(space: Space): number {
    this.#spaces.push(space);
    return (this.#spaces.length - 1) * SPAN;
  }

  #find(address: number, length: number): Space & { readonly at: number } {
    const slot = Math.floor(address / SPAN);
    const at = address - slot * SPAN;
    const space = this.#spaces[slot];
    if (space === undefined || at + length > space.bytes.length) {
      throw new Error(`${length} octets at 0x${address.toString(16)}, where no memory is`);
    }
    return { ...space, at };
  }

  #u64(address: number): number {
    const { bytes, at } = this.#find(address, 8);
    const view = new DataView(bytes.buffer, bytes.byteOffset + at);
    return view.getUint32(0, true) + view.getUint32(4, true) * SIZE_32;
  }

  #transfer(pid: number, ours: number, theirs: number, isWrite: boolean): number {
    if (pid !== PID) throw new Error(`memory of process ${pid}`);
    const length = this.#u64(ours + IOVEC_SIZE / 2);
    if (this.#u64(theirs + IOVEC_SIZE / 2) !== length) throw new Error("iovecs of two lengths");
    const [mine, other] = [this.#u64(ours), this.#u64(theirs)];
    if (isWrite) this.#copy(other, mine, length);
    else this.#copy(mine, other, length);
    return length;
  }

  #copy(to: number, from: number, length: number): void {
    const target = this.#find(to, length);
    const source = this.#find(from, length);
    const isShared = target.file !== undefined || source.file !== undefined;
    if (isShared) this.onCopy();
    source.file?.check(source.at, length, false);
    target.file?.check(target.at, length, true);
    target.bytes.set(source.bytes.subarray(source.at, source.at + length), target.at);
    if (isShared) this.onCopy();
  }
}
