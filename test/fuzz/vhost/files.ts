/** Descriptors of every kind that a front end may send, which live as long as the run. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Block } from "../../../src/sys/block.ts";
import { Epoll } from "../../../src/sys/epoll.ts";
import { check } from "../../../src/sys/errno.ts";
import { EventFd, openFile } from "../../../src/sys/fd.ts";
import type { Libc } from "../../../src/sys/libc.ts";
import { GuestRam } from "../../link/vhost-user/guest-ram.ts";
import type { Random } from "../random.ts";

/** Octets of the memory files. */
export const FILE_SIZE = 0x10000;
const SMALL_SIZE = 4096;
const O_RDWR_CREAT = 0o102;

export class FilePool {
  /** Memory that is sealed, that is not, and that is smaller than said. */
  readonly memories: readonly [sealed: number, loose: number, small: number];
  readonly events: readonly [number, number];
  /** A pipe, a file on disk, epoll. */
  readonly others: readonly [number, number, number, number];
  readonly #sys: Libc;
  readonly #loose: GuestRam;
  readonly #closers: (() => void)[] = [];

  constructor(sys: Libc) {
    this.#sys = sys;
    const own = <Closable extends { close(): void }>(it: Closable): Closable => {
      this.#closers.push(() => it.close());
      return it;
    };
    this.#loose = own(new GuestRam(sys, false, FILE_SIZE));
    const sealed = own(new GuestRam(sys, true, FILE_SIZE));
    const small = own(new GuestRam(sys, true, SMALL_SIZE));
    this.memories = [sealed.fd, this.#loose.fd, small.fd];
    this.events = [own(new EventFd(sys)).number, own(new EventFd(sys)).number];
    const pipe = new Block(sys, 8);
    check(sys.pipe2(pipe.address, 0), "Create a pipe");
    const [reader, writer] = [pipe.getI32(0), pipe.getI32(4)];
    this.#closers.push(
      () => sys.close(reader),
      () => sys.close(writer),
    );
    const folder = mkdtempSync(join(tmpdir(), "vhost-fuzz-"));
    const file = own(openFile(sys, join(folder, "file"), O_RDWR_CREAT));
    check(sys.ftruncate(file.number, FILE_SIZE), "Size it");
    rmSync(folder, { recursive: true });
    const epoll = new Epoll(sys);
    this.#closers.push(() => epoll.close());
    this.others = [reader, writer, file.number, epoll.fd];
  }

  any(random: Random): number {
    const kind = random.below(8);
    if (kind < 4) return random.pick(this.memories);
    return kind < 6 ? random.pick(this.events) : random.pick(this.others);
  }

  /** Takes the loose memory away while it may be in use, or brings it back. */
  resize(random: Random): void {
    const size = random.pick([0, SMALL_SIZE, FILE_SIZE]);
    check(this.#sys.ftruncate(this.#loose.fd, size), "Size it");
  }

  close(): void {
    for (const close of this.#closers) close();
  }
}
