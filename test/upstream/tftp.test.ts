/** The TFTP service on real sockets and files: transfers, ends on both sides, bounds. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Block } from "../../src/sys/block.ts";
import { Epoll } from "../../src/sys/epoll.ts";
import { check, EAGAIN, EBUSY, ENOMEM } from "../../src/sys/errno.ts";
import type { Libc } from "../../src/sys/libc.ts";
import { MSG_DONTWAIT, MSG_NOSIGNAL } from "../../src/sys/linux.ts";
import { openUdp } from "../../src/sys/socket.ts";
import { TftpService } from "../../src/upstream/tftp.ts";
import { EVENT_OF_SERVICE } from "../../src/upstream/upstream.ts";
import { concat, pattern, u16 } from "../support/packet.ts";
import { systemTest } from "../sys/support.ts";
import { logTo } from "./resolver-support.ts";

/** What the program promises. */
const TRANSFERS_MAX = 64;

const CONTENT = pattern(1000);
const WAIT_US = 5_000_000;

class Desk {
  readonly service: TftpService;
  readonly epoll: Epoll;
  readonly lines: string[] = [];
  now = 1_000_000;
  readonly folder: string;
  readonly #sys: Libc;
  readonly #block: Block;

  constructor(sys: Libc, folder: string) {
    this.#sys = sys;
    this.folder = folder;
    this.#block = new Block(sys, 2048);
    this.epoll = new Epoll(sys);
    this.service = new TftpService(sys, this.epoll, folder, logTo(this.lines), () => this.now);
  }

  say(fd: number, octets: Uint8Array): number {
    this.#block.bytes.set(octets);
    const flags = MSG_DONTWAIT | MSG_NOSIGNAL;
    return this.#sys.send(fd, this.#block.address, octets.length, flags);
  }

  /** Lets the service work, as the loop does. */
  work(): void {
    const count = this.epoll.wait(64, WAIT_US);
    for (let i = 0; i < count; i += 1) this.service.notice(this.epoll.dataHi(i));
    while (this.service.wait(this.now) === 0) this.service.poll(undefined, this.now);
  }

  hear(fd: number): Uint8Array | number {
    const size = this.#sys.recv(fd, this.#block.address, 2048, MSG_DONTWAIT);
    return size < 0 ? size : this.#block.bytes.slice(0, size);
  }
}

/** The descriptor that the next socket gets. */
function nextDescriptor(sys: Libc): number {
  const fd = check(openUdp(sys), "Open");
  sys.close(fd);
  return fd;
}

function deskTest(name: string, run: (desk: Desk, sys: Libc) => void): void {
  systemTest(name, [], (sys) => {
    const folder = mkdtempSync(join(tmpdir(), "slirp-tftp-"));
    writeFileSync(join(folder, "a"), CONTENT);
    const desk = new Desk(sys, folder);
    try {
      run(desk, sys);
    } finally {
      desk.service.close();
      desk.epoll.close();
      rmSync(folder, { recursive: true, force: true });
    }
  });
}

const request = (name: string): Uint8Array => concat(u16(1), `${name}\0octet\0`);
const ack = (block: number): Uint8Array => concat(u16(4), u16(block));

deskTest("a transfer from request to end, which closes the service's end", (desk, sys) => {
  const fd = desk.service.open();
  assert.ok(fd >= 0);
  desk.say(fd, request("a"));
  desk.work();
  assert.deepEqual(desk.hear(fd), concat(u16(3), u16(1), CONTENT.subarray(0, 512)));
  desk.say(fd, ack(1));
  desk.work();
  assert.deepEqual(desk.hear(fd), concat(u16(3), u16(2), CONTENT.subarray(512)));
  desk.say(fd, ack(2));
  desk.work();
  assert.deepEqual(desk.hear(fd), new Uint8Array(0), "the end");
  assert.equal(desk.service.wait(desk.now), undefined, "nothing to do any more");
  assert.deepEqual(desk.lines, ["info TFTP request a"]);
  sys.close(fd);
});

deskTest("a refusal is heard although it closes the service's end", (desk, sys) => {
  const fd = desk.service.open();
  desk.say(fd, request("no\u001b[31m"));
  desk.say(fd, request("more"));
  desk.work();
  assert.deepEqual(desk.hear(fd), concat(u16(5), u16(1), "file not found\0"));
  assert.deepEqual(desk.hear(fd), new Uint8Array(0));
  assert.deepEqual(desk.lines, ["info TFTP request refused no?[31m file not found"]);
  sys.close(fd);
});

deskTest("a flow that ends takes its transfer along", (desk, sys) => {
  const fd = desk.service.open();
  desk.say(fd, request("a"));
  desk.work();
  sys.close(fd);
  desk.work();
  assert.equal(desk.service.wait(desk.now), undefined);
});

deskTest("a guest that vanishes is given up after a while", (desk, sys) => {
  const fd = desk.service.open();
  desk.say(fd, request("a"));
  desk.work();
  for (let i = 0; i < 7; i += 1) {
    const wait = desk.service.wait(desk.now);
    if (wait === undefined) break;
    desk.now += wait;
    desk.service.poll(undefined, desk.now);
  }
  assert.equal(desk.service.wait(desk.now), undefined);
  sys.close(fd);
});

deskTest("when all are in use, one that was silent gives way, else the newcomer", (desk, sys) => {
  const fds = Array.from({ length: TRANSFERS_MAX }, () => desk.service.open());
  assert.ok(fds.every((fd) => fd >= 0));
  assert.equal(desk.service.open(), -EBUSY);
  const [first = -1, ...others] = fds;
  desk.now += 2_000_000;
  for (const fd of others) desk.say(fd, request("a"));
  desk.epoll.wait(64, WAIT_US);
  desk.service.notice(EVENT_OF_SERVICE);
  const late = desk.now - 1_500_000; // before anybody's time is over
  desk.service.poll(undefined, late);
  const next = desk.service.open();
  assert.ok(next >= 0);
  assert.deepEqual(desk.hear(first), new Uint8Array(0));
  assert.equal(desk.hear(next), -EAGAIN);
  for (const fd of [...fds, next]) sys.close(fd);
});

deskTest(
  "a newcomer is left out while nobody was silent for two seconds, which is told",
  (desk, sys) => {
    const fds = Array.from({ length: TRANSFERS_MAX }, () => desk.service.open());
    const before = nextDescriptor(sys);
    desk.now += 1_999_999;
    assert.equal(desk.service.open(), -EBUSY);
    assert.equal(nextDescriptor(sys), before);
    assert.deepEqual(desk.lines, ["warn too many TFTP transfers, new one refused 64"]);
    desk.now += 1;
    const next = desk.service.open();
    assert.ok(next >= 0);
    for (const fd of [...fds, next]) sys.close(fd);
  },
);

deskTest("a turn takes 64 datagrams of a transfer, the rest with the next one", (desk, sys) => {
  for (const [count, isLeft] of [
    [63, false],
    [64, true],
  ] as const) {
    const fd = desk.service.open();
    desk.say(fd, request("a"));
    for (let i = 1; i < count; i += 1) desk.say(fd, ack(9));
    desk.service.notice(EVENT_OF_SERVICE);
    desk.service.poll(undefined, desk.now);
    assert.equal(desk.service.wait(desk.now) === 0, isLeft, `${count}`);
    sys.close(fd);
    desk.service.notice(EVENT_OF_SERVICE);
    desk.service.poll(undefined, desk.now);
  }
});

deskTest("other news than its own is none, and without any nothing is read", (desk, sys) => {
  const fd = desk.service.open();
  desk.say(fd, request("a"));
  desk.service.notice(EVENT_OF_SERVICE + 1);
  assert.ok((desk.service.wait(desk.now) ?? 0) > 0);
  desk.service.poll(undefined, desk.now);
  assert.equal(desk.hear(fd), -EAGAIN);
  sys.close(fd);
});

deskTest("what finds the guest's end full is lost, and sent again", (desk, sys) => {
  writeFileSync(join(desk.folder, "long"), pattern(200_000));
  const fd = desk.service.open();
  const options = "blksize\u00008192\u0000windowsize\u00008\u0000";
  desk.say(fd, concat(u16(1), `long\u0000octet\u0000${options}`));
  desk.work();
  desk.say(fd, ack(0));
  desk.work();
  for (let i = 0; i < 4; i += 1) {
    desk.now += 1_000_000;
    desk.service.poll(undefined, desk.now); // 64 KiB each, more than the socket takes
  }
  assert.ok(desk.service.wait(desk.now) !== undefined, "the transfer goes on");
  for (let heard = desk.hear(fd); typeof heard !== "number"; heard = desk.hear(fd));
  desk.say(fd, ack(8));
  desk.work();
  assert.deepEqual((desk.hear(fd) as Uint8Array).subarray(0, 4), concat(u16(3), u16(9)));
  sys.close(fd);
});

deskTest("closing ends transfers, files and sockets", (desk, sys) => {
  const before = nextDescriptor(sys);
  const fd = desk.service.open();
  desk.say(fd, request("a"));
  desk.work();
  desk.hear(fd);
  desk.service.close();
  assert.deepEqual(desk.hear(fd), new Uint8Array(0), "the end");
  sys.close(fd);
  assert.ok(nextDescriptor(sys) <= before);
});

systemTest("where the socket cannot be watched both its ends are closed", [], (sys) => {
  const folder = mkdtempSync(join(tmpdir(), "slirp-tftp-"));
  const epoll = { add: () => -ENOMEM };
  const service = new TftpService(sys, epoll, folder, logTo([]), () => 1);
  const before = nextDescriptor(sys);
  assert.equal(service.open(), -ENOMEM);
  assert.equal(nextDescriptor(sys), before);
  assert.equal(service.wait(1), undefined);
  service.close();
  rmSync(folder, { recursive: true, force: true });
});

systemTest("closing gives the folder back", [], (sys) => {
  const folder = mkdtempSync(join(tmpdir(), "slirp-tftp-"));
  const before = nextDescriptor(sys);
  const service = new TftpService(sys, { add: () => 0 }, folder, logTo([]), () => 1);
  assert.notEqual(nextDescriptor(sys), before);
  service.close();
  assert.equal(nextDescriptor(sys), before);
  rmSync(folder, { recursive: true, force: true });
});

deskTest("who was heard last is not the one that gives way", (desk, sys) => {
  const fds = Array.from({ length: TRANSFERS_MAX }, () => desk.service.open());
  const [first = -1, second = -1] = fds;
  desk.now += 900_000;
  desk.say(first, request("a"));
  desk.service.notice(EVENT_OF_SERVICE);
  desk.service.poll(undefined, desk.now);
  assert.equal((desk.hear(first) as Uint8Array).length, 516);
  desk.now += 1_100_000;
  const next = desk.service.open();
  assert.ok(next >= 0);
  assert.equal(desk.hear(first), -EAGAIN);
  assert.deepEqual(desk.hear(second), new Uint8Array(0));
  for (const fd of [...fds, next]) sys.close(fd);
});

deskTest("of a long name 200 characters are logged", (desk, sys) => {
  const fd = desk.service.open();
  desk.say(fd, request("n".repeat(220)));
  desk.work();
  assert.deepEqual(desk.lines, [`info TFTP request refused ${"n".repeat(200)} file not found`]);
  sys.close(fd);
});
