/** Peers the guest sees as the gateway. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { configure } from "../../support/datagram-module.ts";
import { ip, ipText } from "../../support/packet.ts";
import { loadTestModule, VARIANTS } from "../../support/wasm.ts";

for (const variant of VARIANTS) {
  const wasm = loadTestModule("datagram", variant);

  describe(`wasm/flow/hidden (${variant})`, () => {
    test("the last 64 peers of a flow are remembered", () => {
      configure(wasm);
      const handle = 0x00010007;
      for (let port = 1; port <= 65; port += 1) {
        wasm.run("hiddenRemember", handle, port, ip("127.0.0.1") + port);
      }
      assert.equal(wasm.u32("hiddenFind", handle, 1), 0);
      for (let port = 2; port <= 65; port += 1) {
        assert.equal(ipText(wasm.u32("hiddenFind", handle, port)), `127.0.0.${1 + port}`);
      }
    });

    test("a peer belongs to one flow and one life of its slot", () => {
      configure(wasm);
      wasm.run("hiddenRemember", 0x00010007, 5000, ip("127.0.0.1"));
      assert.equal(wasm.u32("hiddenFind", 0x00020007, 5000), 0);
      assert.equal(wasm.u32("hiddenFind", 0x00010008, 5000), 0);
      wasm.run("hiddenRemember", 0x00010007, 5000, ip("10.0.2.9"));
      assert.equal(ipText(wasm.u32("hiddenFind", 0x00010007, 5000)), "10.0.2.9");
    });
  });
}
