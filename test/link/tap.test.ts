/** The tap link against the kernel: the shared suite, ARP and ping, offload flags. */

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { concat } from "../../src/lib/bytes.ts";
import type { Link } from "../../src/link/link.ts";
import { openTapLink } from "../../src/link/tap.ts";
import { Block } from "../../src/sys/block.ts";
import { check, EAGAIN, EBADF, EBADFD, EINTR, EIO, ENODEV } from "../../src/sys/errno.ts";
import { type Libc, loadLibc } from "../../src/sys/libc.ts";
import * as linux from "../../src/sys/linux.ts";
import { openNamespace, withNamespace } from "../../src/sys/namespace.ts";
import { openTapInNamespace } from "../../src/sys/netns.ts";
import {
  LINK_CSUM,
  LINK_RX_TSO,
  LINK_TSO4,
  LINK_TSO6,
  LINK_USO,
  LINK_USO6,
} from "../../wasm/abi.ts";
import {
  becomesReady,
  inNetns,
  missing,
  netnsPath,
  start,
  systemTest,
  waitFor,
  withNetns,
} from "../sys/support.ts";
import { type LinkHarness, linkSuite, TEST_ETHERTYPE, testFrame } from "./suite.ts";
import { TestMemory } from "./test-memory.ts";

/** What any link with a virtio_net_hdr may be given. */
const WRITABLE = LINK_CSUM | LINK_TSO4 | LINK_TSO6;

const AF_PACKET = 17;
const FRAME_MAX = 70_000;
const GUEST_MAC = Uint8Array.from([0x52, 0x55, 10, 0, 2, 15]);

async function openLink(
  sys: Libc,
  namespace: string,
  vnetHeader: boolean,
): Promise<{ link: Link; fd: number }> {
  const device = await openTapInNamespace(sys, {
    namespace: netnsPath(namespace),
    tap: { name: "tap0", vnetHeader },
    setup: {
      mtu: 65520,
      mac: GUEST_MAC,
      txQueueLength: 1000,
      address: 0x0a00020f,
      prefixLength: 24,
      up: true,
    },
  });
  return { link: openTapLink(sys, device), fd: device.fd };
}

/** A packet socket on the guest's end of the tap, for the test's ethertype only. */
function openPacketSocket(sys: Libc, namespace: string): number {
  using network = openNamespace(sys, netnsPath(namespace));
  return withNamespace(sys, network, () => {
    const type = linux.SOCK_RAW | linux.SOCK_NONBLOCK | linux.SOCK_CLOEXEC;
    const fd = check(sys.socket(AF_PACKET, type, 0), "Open a packet socket");
    const request = new Block(sys, linux.IFREQ_SIZE);
    request.bytes.set(new TextEncoder().encode("tap0"));
    check(sys.ioctl(fd, linux.SIOCGIFINDEX, request.address), "Find tap0");
    const address = new Block(sys, 20); // struct sockaddr_ll
    address.view.setUint16(0, AF_PACKET, true);
    address.view.setUint16(2, TEST_ETHERTYPE, false);
    address.setI32(4, request.getI32(linux.IFREQ_UNION_OFFSET));
    check(sys.bind(fd, address.address, 20), "Bind to tap0");
    return fd;
  });
}

function harness(sys: Libc, link: Link, namespace: string): LinkHarness & { close(): void } {
  const socket = openPacketSocket(sys, namespace);
  const block = new Block(sys, FRAME_MAX);
  return {
    link,
    memory: new TestMemory((buffer) => sys.address(buffer)),
    send(frame) {
      block.bytes.set(frame);
      check(sys.send(socket, block.address, frame.length, 0), "Send a frame");
    },
    receive() {
      waitFor(sys, socket, linux.EPOLLIN);
      return block.bytes.slice(0, check(sys.recv(socket, block.address, FRAME_MAX, 0), "Receive"));
    },
    unplug: () => void inNetns(namespace, ["ip", "link", "del", "tap0"]),
    outlivesGuest: false,
    close: () => void sys.close(socket),
  };
}

for (const vnetHeader of [false, true]) {
  linkSuite({
    name: vnetHeader ? "tap with virtio_net_hdr" : "tap",
    skip: missing(["root", "tun"]),
    with: (run) =>
      withNetns(async (namespace) => {
        const sys = await loadLibc();
        const { link } = await openLink(sys, namespace, vnetHeader);
        const opened = harness(sys, link, namespace);
        try {
          run(opened);
        } finally {
          opened.close();
          link.close();
        }
      }),
  });
}

/** Turns an ARP request or an echo request into its answer; the rest is not answered. */
function answer(frame: Uint8Array): Uint8Array | undefined {
  const [source, reply] = [frame.slice(6, 12), frame.slice()];
  reply.set(source, 0);
  reply.set([2, 0, 0, 0, 0, 1], 6);
  if (frame[12] === 8 && frame[13] === 6) {
    reply.set([0, 2, 2, 0, 0, 0, 0, 1], 20); // operation reply, our MAC
    reply.set(frame.subarray(38, 42), 28);
    reply.set(source, 32);
    reply.set(frame.subarray(28, 32), 38);
    return reply;
  }
  if (frame[12] !== 8 || frame[13] !== 0 || frame[23] !== 1 || frame[34] !== 8) return undefined;
  reply.set(frame.subarray(30, 34), 26);
  reply.set(frame.subarray(26, 30), 30);
  reply[34] = 0;
  // RFC 1624: the type went down by 8 in the upper octet, so the sum goes up by 0x0800.
  const sum = ((frame[36] ?? 0) << 8) + (frame[37] ?? 0) + 0x0800;
  const folded = (sum & 0xffff) + (sum >>> 16);
  reply.set([folded >>> 8, folded & 0xff], 36);
  return reply;
}

describe("tap link", () => {
  systemTest("lets the namespace ping an address answered by hand", ["root", "tun"], (sys) =>
    withNetns(async (namespace) => {
      const { link, fd } = await openLink(sys, namespace, true);
      const memory = new TestMemory((buffer) => sys.address(buffer));
      let done = false;
      const args = ["netns", "exec", namespace, "ping", "-c1", "-W5", "10.0.2.2"];
      const ping = start("ip", args).finally(() => {
        done = true;
      });
      const answered: number[] = [];
      while (!done && answered.length < 2) {
        await becomesReady(sys, fd, linux.EPOLLIN);
        const n = link.receive(memory, 64);
        for (let i = 0; i < n; i += 1) {
          const reply = answer(memory.frame(i).subarray(link.vnetSize));
          if (reply === undefined) continue;
          memory.putFrames([[new Uint8Array(link.vnetSize), reply]]);
          assert.equal(link.transmit(memory, 0, 1), 1);
          answered.push(reply[13] ?? -1);
        }
      }
      assert.deepEqual(answered, [6, 0]); // ARP, then ICMP
      assert.equal(await ping, 0);
      link.close();
    }),
  );

  systemTest("counts frames to an interface that is down, and goes on", ["root", "tun"], (sys) =>
    withNetns(async (namespace) => {
      const { link } = await openLink(sys, namespace, true);
      const memory = new TestMemory((buffer) => sys.address(buffer));
      memory.putFrames([[concat(new Uint8Array(10), testFrame(60, 1))]]);
      inNetns(namespace, ["ip", "link", "set", "tap0", "down"]);
      assert.equal(link.transmit(memory, 0, 1), 1);
      assert.equal(link.refused, 1);
      inNetns(namespace, ["ip", "link", "set", "tap0", "up"]);
      assert.equal(link.transmit(memory, 0, 1), 1);
      assert.equal(link.refused, 1);
      link.close();
    }),
  );

  /** A link whose system calls answer from a list. */
  const scripted = (results: number[]) => {
    const next = () => results.shift() ?? -EAGAIN;
    const calls = { read: next, write: next, writev: next, close: () => 0 };
    const options = { fd: 3, vnetSize: 10, offloads: 0, queueFrames: 500, mtu: 1500 } as const;
    return openTapLink(calls as unknown as Libc, options);
  };

  test("hands over what it read before an error", () => {
    const link = scripted([60, -EINTR, 61, -EBADFD, -EBADFD]);
    const memory = new TestMemory();
    assert.equal(link.receive(memory, 64), 2);
    assert.deepEqual([memory.frame(0).length, memory.frame(1).length], [60, 61]);
    assert.equal(link.receive(memory, 64), -EBADFD);
  });

  test("stops where the kernel takes no more, and where the device is gone", () => {
    const memory = new TestMemory();
    memory.putFrames([1, 2, 3, 4].map((mark) => [testFrame(60, mark)]));
    const full = scripted([60, -EINTR, 60, -EAGAIN]);
    assert.equal(full.transmit(memory, 0, 4), 2);
    assert.equal(full.refused, 0);
    const gone = scripted([60, -EIO, -EBADFD, -EBADFD]);
    assert.equal(gone.transmit(memory, 0, 4), 2);
    assert.equal(gone.refused, 1);
    assert.equal(gone.transmit(memory, 2, 4), -EBADFD);
    for (const errno of [EBADF, ENODEV]) {
      assert.equal(scripted([-errno]).transmit(memory, 0, 4), -errno);
    }
  });

  test("is watched for frames always, and for room where the loop wants it", () => {
    const link = scripted([]);
    const calls: string[] = [];
    const note = (call: string) => (fd: number, events: number, token: number) => {
      calls.push(`${call} ${fd} ${events} ${token}`);
      return 0;
    };
    const [forget, remove] = [() => {}, () => {}];
    assert.equal(link.watch({ add: note("add"), modify: note("modify"), forget, remove }), 0);
    link.wantRoom(true);
    link.wantRoom(false);
    const { EPOLLIN, EPOLLOUT, EPOLLHUP, EPOLLERR } = linux;
    assert.deepEqual(calls, [
      `add 3 ${EPOLLIN} 0`,
      `modify 3 ${EPOLLIN | EPOLLOUT} 0`,
      `modify 3 ${EPOLLIN} 0`,
    ]);
    for (const bits of [EPOLLIN, EPOLLHUP, EPOLLERR]) assert.equal(link.event(0, bits), true);
    assert.equal(link.event(0, EPOLLOUT), false);
  });

  test("tells which frames may be written from what the kernel took", () => {
    const calls = { close: () => 0 } as unknown as Libc;
    const flags = (vnetSize: 0 | 10, offloads: number) =>
      openTapLink(calls, { fd: 3, vnetSize, offloads, queueFrames: 500, mtu: 1500 }).flags;
    assert.equal(flags(0, 0), 0);
    assert.equal(flags(10, 0), WRITABLE);
    assert.equal(flags(10, linux.TUN_F_CSUM | linux.TUN_F_TSO4), WRITABLE | LINK_RX_TSO);
    assert.equal(flags(10, 0x6f), WRITABLE | LINK_RX_TSO | LINK_USO | LINK_USO6);
  });
});
