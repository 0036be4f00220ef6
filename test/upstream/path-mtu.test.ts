/** The size of the way to an address, from the kernel. */
import assert from "node:assert/strict";
import { describe } from "node:test";
import { SOCKADDR_IN6_SIZE } from "../../src/sys/linux.ts";
import { writeIpv6 } from "../../src/sys/sockaddr.ts";
import { PathProbe } from "../../src/upstream/path-mtu.ts";
import { systemTest } from "../sys/support.ts";
import { LOOPBACK, udpSocket } from "./rig.ts";

const LOOPBACK6 = Uint8Array.of(...new Array<number>(15).fill(0), 1);

describe("path-mtu", () => {
  systemTest(
    "loopback takes the largest there is, in both versions, asked again and again",
    [],
    (sys) => {
      const probe = new PathProbe(sys);
      assert.equal(writeIpv6(sys.scratch, 64, LOOPBACK6, 9), SOCKADDR_IN6_SIZE);
      for (let i = 0; i < 3; i += 1) {
        assert.equal(probe.ask(LOOPBACK), 65_535);
        assert.equal(probe.ask6(sys.scratch.address + 64), 65_536);
      }
      probe.close();
      probe.close();
    },
  );

  systemTest("where there is no way it is the errno; closed, nothing stays open", [], (sys) => {
    const free = udpSocket(sys);
    sys.close(free.fd);
    const probe = new PathProbe(sys);
    assert.ok(probe.ask(0xffffffff) < 0, "broadcast needs a permission");
    probe.close();
    const next = udpSocket(sys);
    assert.equal(next.fd, free.fd);
    sys.close(next.fd);
  });
});
