/** The stream link over real sockets, unix and TCP: the shared suite, and its peers' life. */

import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { describe } from "node:test";
import type { StreamEndpoint } from "../../src/config/endpoint.ts";
import type { PeerLink } from "../../src/link/peer-socket.ts";
import { openStreamLink } from "../../src/link/stream.ts";
import { openStreamListener, type StreamListener } from "../../src/link/stream-listener.ts";
import type { PeerEvent } from "../../src/link/stream-peer.ts";
import { NamedUsers } from "../../src/link/stream-users.ts";
import { Block } from "../../src/sys/block.ts";
import { Epoll } from "../../src/sys/epoll.ts";
import { check, EAGAIN, EINPROGRESS } from "../../src/sys/errno.ts";
import { type Libc, loadLibc } from "../../src/sys/libc.ts";
import { EPOLLIN, EPOLLOUT, MSG_NOSIGNAL } from "../../src/sys/linux.ts";
import { connectIpv4, connectUnix, openTcp } from "../../src/sys/socket.ts";
import { missing, systemTest, waitFor } from "../sys/support.ts";
import { framed } from "./fake-socket.ts";
import { linkSuite, testFrame } from "./suite.ts";
import { TestMemory } from "./test-memory.ts";

const LOOPBACK = 0x7f000001;
const WAIT_US = 5_000_000;
const BUFFER_SIZE = 300_000;

/** The loop's part: hands events to the link until something holds. */
class Pump {
  readonly #epoll: Epoll;
  readonly #link: PeerLink;

  constructor(sys: Libc, link: PeerLink) {
    this.#epoll = new Epoll(sys);
    this.#link = link;
    const watcher = {
      add: (fd: number, events: number, token: number) => this.#epoll.add(fd, events, token, 0),
      modify: (fd: number, events: number, token: number) =>
        this.#epoll.modify(fd, events, token, 0),
      forget: () => {},
      remove: () => {},
    };
    check(link.watch(watcher), "Watch the link");
  }

  /** Number of events; whether frames may be there is not looked at. */
  turn(microseconds: number): number {
    const n = this.#epoll.wait(16, microseconds);
    for (let i = 0; i < n; i += 1) {
      this.#link.event(this.#epoll.dataLo(i), this.#epoll.eventBits(i));
    }
    return n;
  }

  until(holds: () => boolean): void {
    while (!holds()) assert.ok(this.turn(WAIT_US) > 0, "nothing happened for 5 s");
  }

  close(): void {
    this.#epoll.close();
  }
}

/** The guest's end: QEMU's part. */
class Peer {
  readonly #sys: Libc;
  readonly #fd: number;
  readonly #block: Block;
  #filled = 0;

  constructor(sys: Libc, endpoint: StreamEndpoint) {
    this.#sys = sys;
    this.#block = new Block(sys, BUFFER_SIZE);
    if (endpoint.kind === "unix") this.#fd = check(connectUnix(sys, endpoint.path), "Connect");
    else {
      this.#fd = check(openTcp(sys), "Open a socket");
      const result = connectIpv4(sys, this.#fd, endpoint.address, endpoint.port);
      assert.ok(result === 0 || result === -EINPROGRESS, `connect gave ${result}`);
      waitFor(sys, this.#fd, EPOLLOUT);
    }
  }

  send(octets: Uint8Array): void {
    const block = new Block(this.#sys, octets.length);
    block.bytes.set(octets);
    for (let at = 0; at < octets.length; ) {
      const address = block.address + at;
      at += check(this.#sys.send(this.#fd, address, octets.length - at, MSG_NOSIGNAL), "Send");
    }
  }

  /** The next frame; waits for it, and lets the other end go on before. */
  receive(goOn: () => void = () => {}): Uint8Array {
    for (;;) {
      const length = this.#block.view.getUint32(0, false);
      if (this.#filled >= 4 && this.#filled >= 4 + length) {
        const frame = this.#block.bytes.slice(4, 4 + length);
        this.#block.bytes.copyWithin(0, 4 + length, this.#filled);
        this.#filled -= 4 + length;
        return frame;
      }
      goOn();
      waitFor(this.#sys, this.#fd, EPOLLIN);
      const address = this.#block.address + this.#filled;
      const n = this.#sys.recv(this.#fd, address, BUFFER_SIZE - this.#filled, 0);
      assert.ok(n > 0, `receive gave ${n}`);
      this.#filled += n;
    }
  }

  /** Waits for the end of the stream or an error; nothing else may come. */
  ends(): void {
    waitFor(this.#sys, this.#fd, EPOLLIN);
    const n = this.#sys.recv(this.#fd, this.#block.address, BUFFER_SIZE, 0);
    assert.ok(n <= 0 && n !== -EAGAIN, `receive gave ${n}`);
  }

  close(): void {
    this.#sys.close(this.#fd);
  }
}

/** What a link needs besides: this test's own user may connect. */
function surroundings(sys: Libc, kind: StreamEndpoint["kind"]) {
  const users = new NamedUsers(sys, kind, [process.getuid?.() ?? 0]);
  return { users, clock: () => performance.now() * 1000 };
}

interface Setting {
  readonly sys: Libc;
  readonly listener: StreamListener;
  readonly link: PeerLink;
  readonly pump: Pump;
  readonly memory: TestMemory;
  readonly said: PeerEvent[];
}

function withLink(sys: Libc, kind: "unix" | "tcp", run: (setting: Setting) => void): void {
  const folder = mkdtempSync(join(tmpdir(), "slirp-test-"));
  const endpoint: StreamEndpoint =
    kind === "unix"
      ? { kind, path: join(folder, "vm.sock") }
      : { kind, address: LOOPBACK, port: 0 };
  const listener = openStreamListener(sys, endpoint);
  const said: PeerEvent[] = [];
  const onPeer = (event: PeerEvent): void => void said.push(event);
  const at = { listener: listener.fd };
  const link = openStreamLink(sys, { at, onPeer, ...surroundings(sys, kind) });
  const pump = new Pump(sys, link);
  const memory = new TestMemory((buffer) => sys.address(buffer));
  try {
    run({ sys, listener, link, pump, memory, said });
  } finally {
    link.close();
    pump.close();
    listener.close();
    rmSync(folder, { recursive: true });
  }
}

for (const kind of ["unix", "tcp"] as const) {
  linkSuite({
    name: `stream over ${kind}`,
    skip: missing([]),
    async with(run) {
      const sys = await loadLibc();
      withLink(sys, kind, ({ listener, link, pump, memory }) => {
        const peer = new Peer(sys, listener.endpoint);
        let open = true;
        const unplug = (): void => {
          if (open) peer.close();
          open = false;
        };
        pump.until(() => link.peers.hasPeer);
        run({
          link,
          memory,
          send: (frame) => {
            peer.send(framed(frame));
            pump.turn(WAIT_US);
          },
          receive: () => peer.receive(),
          unplug,
          outlivesGuest: true,
        });
        unplug();
      });
    },
  });

  describe(`stream link over ${kind}`, () => {
    systemTest("one peer after the other, a second one never", [], (sys) =>
      withLink(sys, kind, ({ listener, link, pump, memory }) => {
        for (const mark of [1, 2, 3]) {
          const peer = new Peer(sys, listener.endpoint);
          pump.until(() => link.peers.connections === mark && link.peers.hasPeer);
          peer.send(framed(testFrame(60, 9)));
          pump.turn(WAIT_US);
          assert.equal(link.receive(memory, 8), 1);
          const second = new Peer(sys, listener.endpoint);
          pump.until(() => link.peers.peersRefused === mark);
          second.ends();
          second.close();
          peer.send(framed(testFrame(60, mark)));
          pump.turn(WAIT_US);
          assert.equal(link.receive(memory, 8), 1);
          assert.deepEqual(memory.frame(0), testFrame(60, mark));
          peer.close();
          pump.turn(WAIT_US);
          assert.equal(link.receive(memory, 8), 0);
          assert.equal(link.peers.hasPeer, false);
        }
      }),
    );

    systemTest("one killed and started anew gets in, whatever is left unread", [], (sys) =>
      withLink(sys, kind, ({ listener, link, pump, memory }) => {
        const old = new Peer(sys, listener.endpoint);
        pump.until(() => link.peers.hasPeer);
        old.send(framed(testFrame(1000, 1)));
        old.close();
        const fresh = new Peer(sys, listener.endpoint);
        pump.until(() => link.peers.connections === 2);
        assert.equal(link.peers.peersRefused, 0);
        fresh.send(framed(testFrame(60, 2)));
        pump.turn(WAIT_US);
        assert.equal(link.receive(memory, 8), 1);
        assert.deepEqual(memory.frame(0), testFrame(60, 2));
        fresh.close();
      }),
    );

    systemTest("a bad length closes the peer's connection", [], (sys) =>
      withLink(sys, kind, ({ listener, link, pump, memory, said }) => {
        const peer = new Peer(sys, listener.endpoint);
        pump.until(() => link.peers.hasPeer);
        peer.send(Uint8Array.of(0xff, 0xff, 0xff, 0xff));
        pump.turn(WAIT_US);
        assert.equal(link.receive(memory, 8), 0);
        peer.ends();
        peer.close();
        assert.equal(said.at(-1)?.kind, "disconnected");
      }),
    );

    systemTest("one that does not read fills the link; then all goes out in order", [], (sys) =>
      withLink(sys, kind, ({ listener, link, pump, memory }) => {
        const peer = new Peer(sys, listener.endpoint);
        pump.until(() => link.peers.hasPeer);
        const frames = Array.from({ length: 10 }, (_, i) => testFrame(65_000 + i, i));
        memory.putFrames(frames.map((frame) => [frame.subarray(0, 54), frame.subarray(54)]));
        let sent = 0;
        let next = 0;
        const offer = (): boolean => {
          const n = link.transmit(memory, next, frames.length);
          next = (next + n) % frames.length;
          sent += n;
          return n > 0;
        };
        while (offer());
        assert.ok(sent > 0 && sent < 200, `${sent} frames taken`);
        link.wantRoom(true);
        const total = sent + 20;
        for (let i = 0; i < total; i += 1) {
          assert.deepEqual(peer.receive(offer), frames[i % frames.length], `frame ${i}`);
        }
        pump.turn(WAIT_US);
        assert.equal(link.refused, 0);
        peer.close();
      }),
    );
  });
}

describe("stream link that connects", () => {
  systemTest("finds whoever listens, again and again", [], (sys) => {
    const folder = mkdtempSync(join(tmpdir(), "slirp-test-"));
    const endpoint = { kind: "unix", path: join(folder, "qemu.sock") } as const;
    const said: PeerEvent[] = [];
    const onPeer = (event: PeerEvent): void => void said.push(event);
    const link = openStreamLink(sys, { at: { endpoint }, onPeer, ...surroundings(sys, "unix") });
    const pump = new Pump(sys, link);
    const memory = new TestMemory((buffer) => sys.address(buffer));
    try {
      assert.deepEqual(
        said.map(({ kind }) => kind),
        ["unreachable"],
      );
      for (const count of [1, 2]) {
        // A link that listens plays QEMU with server=on.
        const listener = openStreamListener(sys, endpoint);
        const at = { listener: listener.fd };
        const qemu = openStreamLink(sys, { at, ...surroundings(sys, "unix") });
        const other = new Pump(sys, qemu);
        pump.until(() => link.peers.connections === count);
        other.until(() => qemu.peers.hasPeer);
        memory.putFrames([[testFrame(60, count)]]);
        assert.equal(link.transmit(memory, 0, 1), 1);
        other.turn(WAIT_US);
        assert.equal(qemu.receive(memory, 1), 1);
        assert.deepEqual(memory.frame(0), testFrame(60, count));
        qemu.close();
        other.close();
        listener.close();
        pump.turn(WAIT_US);
        assert.equal(link.receive(memory, 1), 0);
        assert.equal(link.peers.hasPeer, false);
      }
    } finally {
      link.close();
      pump.close();
      rmSync(folder, { recursive: true });
    }
  });
});
