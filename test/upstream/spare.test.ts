/** The spare descriptor: given up for a connection that is closed at once, and had again. */
import assert from "node:assert/strict";
import { describe } from "node:test";
import { check, ECONNRESET } from "../../src/sys/errno.ts";
import { SpareDescriptor } from "../../src/upstream/spare.ts";
import { connect } from "./listener-rig.ts";
import { listen, rigTest } from "./rig.ts";

describe("spare descriptor", () => {
  rigTest("a connection is reset in its place, and counted", (rig) => {
    const { sys } = rig;
    const { fd, port } = listen(sys);
    let had = 0;
    const eventfd = (value: number, flags: number): number => {
      had += 1;
      return sys.eventfd(value, flags);
    };
    const spare = new SpareDescriptor({ ...sys, eventfd });
    spare.reserve();
    spare.reserve();
    const client = check(connect(rig, port), "Connect");
    assert.equal(had, 1);
    assert.equal(spare.refuse(fd), true);
    assert.equal(sys.recv(client, sys.scratch.address, 1, 0), -ECONNRESET);
    assert.equal(spare.refuse(fd), false, "nobody waits");
    assert.deepEqual([spare.refusedCount, had], [1, 3]);
    spare.close();
    spare.close();
    for (const each of [client, fd]) sys.close(each);
  });
});
