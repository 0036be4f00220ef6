/** Unprivileged echo sockets: identifiers that nobody shares, and the kernel's refusal. */
import assert from "node:assert/strict";
import { describe } from "node:test";
import { check, EACCES, EADDRINUSE, ENOMEM, EPERM } from "../../src/sys/errno.ts";
import type { Libc } from "../../src/sys/libc.ts";
import { EPOLLIN, IP_RECVERR, IPV6_RECVERR, SOL_IP, SOL_IPV6 } from "../../src/sys/linux.ts";
import { openNamespace, withNamespace } from "../../src/sys/namespace.ts";
import { bindIpv4, connectIpv4, getOption, localPort, openPing } from "../../src/sys/socket.ts";
import { openPingFlow } from "../../src/upstream/ping.ts";
import * as abi from "../../wasm/abi.ts";
import { inNetns, netnsPath, systemTest, waitFor, withNetns } from "../sys/support.ts";
import { LOOPBACK, nameOf, Rig, udpSocket } from "./rig.ts";

const EVERYBODY = "0 4294967294";
/** What both guests call their pings. */
const IDENTIFIER = 0x4242;

/**
 * Runs in a namespace of its own in which these groups may ping; `inside` is for what opens
 * sockets: they belong to the namespace they are made in, wherever their thread goes afterwards.
 */
async function whereGroups(
  sys: Libc,
  range: string,
  run: (inside: <T>(make: () => T) => T) => void,
): Promise<void> {
  await withNetns((name) => {
    inNetns(name, ["sysctl", "-qw", `net.ipv4.ping_group_range=${range}`]);
    inNetns(name, ["ip", "link", "set", "lo", "up"]);
    using network = openNamespace(sys, netnsPath(name));
    run((make) => withNamespace(sys, network, make));
  });
}

/** A ping socket to this machine and its identifier. */
function open(sys: Libc): { fd: number; identifier: number } {
  const name = { address: 0, port: 0 };
  const fd = check(openPingFlow(sys, name), "Open");
  check(connectIpv4(sys, fd, LOOPBACK, 0), "Connect");
  return { fd, identifier: name.port };
}

function request(sys: Libc, fd: number, payload: readonly number[]): void {
  const [high, low] = [IDENTIFIER >> 8, IDENTIFIER & 0xff];
  const octets = Uint8Array.of(8, 0, 0, 0, high, low, 0x12, 0x34, ...payload);
  assert.equal(sys.send(fd, sys.address(octets), octets.length, 0), octets.length);
}

/** Type, identifier and what follows it of the only reply. */
function reply(sys: Libc, fd: number): { type: number; identifier: number; rest: number[] } {
  waitFor(sys, fd, EPOLLIN);
  const octets = new Uint8Array(64);
  const length = check(sys.recv(fd, sys.address(octets), octets.length, 0), "Receive");
  assert.ok(sys.recv(fd, sys.address(new Uint8Array(64)), 64, 0) < 0, "one reply");
  const identifier = ((octets[4] ?? 0) << 8) | (octets[5] ?? 0);
  return { type: octets[0] ?? -1, identifier, rest: [...octets.subarray(6, length)] };
}

describe("ping", () => {
  systemTest("outside the allowed groups it is refused, and nothing stays open", ["root"], (sys) =>
    whereGroups(sys, "1 0", (inside) => {
      const name = { address: 0, port: 0 };
      assert.equal(
        inside(() => openPingFlow(sys, name)),
        -EACCES,
      );
    }),
  );

  systemTest("the identifier is told and nobody else can have it", ["root"], (sys) =>
    whereGroups(sys, EVERYBODY, (inside) => {
      const { fd, identifier } = inside(() => open(sys));
      assert.notEqual(identifier, 0);
      assert.equal(nameOf(sys, fd).port, identifier);
      const thief = check(
        inside(() => openPing(sys)),
        "Open",
      );
      assert.equal(bindIpv4(sys, thief, 0, identifier), -EADDRINUSE);
      for (const each of [fd, thief]) sys.close(each);
    }),
  );

  systemTest(
    "the kernel writes the identifier into requests, replies reach who asked",
    ["root"],
    (sys) =>
      whereGroups(sys, EVERYBODY, (inside) => {
        const sockets = inside(() => [open(sys), open(sys)]);
        for (const [i, { fd }] of sockets.entries()) request(sys, fd, [1, 2, i]);
        for (const [i, { fd, identifier }] of sockets.entries()) {
          assert.deepEqual(reply(sys, fd), { type: 0, identifier, rest: [0x12, 0x34, 1, 2, i] });
          sys.close(fd);
        }
      }),
  );

  systemTest("two flows of one identifier get two, which the operation returns", ["root"], (sys) =>
    whereGroups(sys, EVERYBODY, (inside) => {
      const rig = new Rig(sys);
      try {
        const found = inside(() =>
          [1, 2].map((handle) => rig.perform(abi.OP_PING_OPEN, handle, { a: IDENTIFIER })),
        );
        assert.ok(
          found.every((identifier) => identifier > 0),
          `${found}`,
        );
        assert.notEqual(found[0], found[1]);
        assert.equal(rig.sockets.openCount, 2);
      } finally {
        rig.close();
      }
    }),
  );

  systemTest("errors are queued, in both versions of IP", ["root"], (sys) =>
    whereGroups(sys, EVERYBODY, (inside) => {
      for (const [family, level, name] of [
        [4, SOL_IP, IP_RECVERR],
        [6, SOL_IPV6, IPV6_RECVERR],
      ] as const) {
        const identifier = { port: 0 };
        const fd = check(
          inside(() => openPingFlow(sys, identifier, family)),
          "Open",
        );
        assert.equal(getOption(sys, fd, level, name), 1);
        assert.equal(localPort(sys, fd), identifier.port);
        sys.close(fd);
      }
    }),
  );

  systemTest("what fails is the errno, and nothing stays open", ["root"], (sys) =>
    whereGroups(sys, EVERYBODY, (inside) => {
      for (const call of ["socket", "setsockopt", "bind", "getsockname"]) {
        for (const errno of [EPERM, ENOMEM]) {
          const probe = udpSocket(sys);
          sys.close(probe.fd);
          const failing: Libc = Object.create(sys, { [call]: { value: () => -errno } });
          const name = { port: 7 };
          assert.equal(
            inside(() => openPingFlow(failing, name)),
            -errno,
            call,
          );
          assert.equal(name.port, 7);
          const next = udpSocket(sys);
          assert.ok(next.fd <= probe.fd, call); // the runtime may have closed one of its own
          sys.close(next.fd);
        }
      }
    }),
  );
});
