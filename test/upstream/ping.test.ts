/** Unprivileged echo sockets: the identifier is kept, and the kernel's refusal. */
import assert from "node:assert/strict";
import { describe } from "node:test";
import { check, EACCES } from "../../src/sys/errno.ts";
import type { Libc } from "../../src/sys/libc.ts";
import { EPOLLIN } from "../../src/sys/linux.ts";
import { openNamespace, withNamespace } from "../../src/sys/netns.ts";
import { connectIpv4 } from "../../src/sys/socket.ts";
import { openPingFlow } from "../../src/upstream/ping.ts";
import { inNetns, netnsPath, systemTest, waitFor, withNetns } from "../sys/support.ts";
import { LOOPBACK, nameOf } from "./rig.ts";

const IDENTIFIER = 0x4242;

/** Runs in a namespace of its own in which these groups may ping. */
async function whereGroups(
  sys: Libc,
  range: string,
  run: (open: (identifier: number) => number) => void,
): Promise<void> {
  await withNetns((name) => {
    inNetns(name, ["sysctl", "-qw", `net.ipv4.ping_group_range=${range}`]);
    inNetns(name, ["ip", "link", "set", "lo", "up"]);
    using network = openNamespace(sys, netnsPath(name));
    // A socket belongs to the namespace it is made in, wherever its thread goes afterwards.
    run((identifier) => withNamespace(sys, network, () => openPingFlow(sys, identifier)));
  });
}

describe("ping", () => {
  systemTest("outside the allowed groups it is refused, and nothing stays open", ["root"], (sys) =>
    whereGroups(sys, "1 0", (open) => {
      assert.equal(open(IDENTIFIER), -EACCES);
    }),
  );

  systemTest("an identifier is kept; for 0 the kernel finds one", ["root"], (sys) =>
    whereGroups(sys, "0 4294967294", (open) => {
      const wanted = check(open(IDENTIFIER), "Open");
      assert.equal(nameOf(sys, wanted).port, IDENTIFIER);
      const [first, second] = [check(open(0), "Open"), check(open(0), "Open")];
      const found = new Set([first, second].map((fd) => nameOf(sys, fd).port));
      assert.equal(found.size, 2);
      assert.ok(!found.has(0) && !found.has(IDENTIFIER));
      for (const fd of [wanted, first, second]) sys.close(fd);
    }),
  );

  systemTest("one that is in use already is no reason to refuse", ["root"], (sys) =>
    whereGroups(sys, "0 4294967294", (open) => {
      const pair = [open(IDENTIFIER), open(IDENTIFIER)];
      for (const fd of pair) sys.close(check(fd, "Open"));
    }),
  );

  systemTest(
    "the kernel writes the identifier into requests and brings the reply",
    ["root"],
    (sys) =>
      whereGroups(sys, "0 4294967294", (open) => {
        const fd = check(open(IDENTIFIER), "Open");
        check(connectIpv4(sys, fd, LOOPBACK, 0), "Connect");
        const request = Uint8Array.of(8, 0, 0, 0, 0xee, 0xee, 0x12, 0x34, 1, 2, 3);
        assert.equal(sys.send(fd, sys.address(request), request.length, 0), request.length);
        waitFor(sys, fd, EPOLLIN);
        const reply = new Uint8Array(64);
        assert.equal(sys.recv(fd, sys.address(reply), reply.length, 0), request.length);
        assert.equal(reply[0], 0, "an echo reply");
        assert.deepEqual([...reply.subarray(4, 11)], [0x42, 0x42, 0x12, 0x34, 1, 2, 3]);
        sys.close(fd);
      }),
  );
});
