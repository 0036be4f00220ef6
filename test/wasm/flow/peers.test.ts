/** Peers of the guest's UDP ports: found, bounded, forgotten, and apart by where they are. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import * as abi from "../../../wasm/abi.ts";
import { configure, GATEWAY } from "../../support/datagram-module.ts";
import { ip, ipText } from "../../support/packet.ts";
import { loadTestModule, type TestModule, VARIANTS } from "../../support/wasm.ts";

const GUEST = ip("10.0.2.15");
const LOCAL = ip("127.0.0.1");
const STRANGER = ip("198.51.100.1");
const IDLE = 300;

for (const variant of VARIANTS) {
  const wasm: TestModule = loadTestModule("datagram", variant);
  const gateway = ip(GATEWAY);
  const remember = (shown: number, port: number, address: number, now = 1): void => {
    wasm.run("remember", GUEST, shown, port, address, now);
  };
  const recall = (shown: number, port: number, now = 1): string =>
    ipText(wasm.u32("recall", GUEST, shown, port, now));
  const start = (): void => {
    configure(wasm);
    const flows = wasm.u32("configBase") + abi.CONFIG_FLOWS_MAX_OFFSET;
    wasm.view.setUint32(flows, 16_384, true);
    wasm.run("init");
  };

  describe(`wasm/flow/peers (${variant})`, () => {
    test("2,000 programs of this host and as many strangers are remembered at once", () => {
      start();
      const ports = Array.from({ length: 2000 }, (_, i) => 1000 + i);
      for (const port of ports) remember(gateway, port, LOCAL + (port & 7));
      for (const port of ports) remember(STRANGER, port, STRANGER);
      const found = ports.filter((port) => recall(gateway, port) === ipText(LOCAL + (port & 7)));
      assert.equal(found.length, ports.length);
      assert.ok(ports.every((port) => recall(STRANGER, port) === ipText(STRANGER)));
    });

    test("a crowd outside pushes out its own kind only, the longest silent first", () => {
      start();
      for (let port = 1; port <= 1000; port += 1) remember(gateway, port, LOCAL);
      for (let i = 0; i < 60_000; i += 1) remember(STRANGER + (i & 255), 1 + (i >> 8), 1, 2);
      for (let port = 1; port <= 1000; port += 1) {
        assert.equal(recall(gateway, port, 2), "127.0.0.1", String(port));
      }
      assert.equal(recall(STRANGER + (59_999 & 255), 1 + (59_999 >> 8), 2), "0.0.0.1");
    });

    test("a peer is one of a guest's port, and is forgotten when it was silent for long", () => {
      start();
      remember(gateway, 5000, LOCAL);
      assert.equal(wasm.u32("recall", GUEST + 1, gateway, 5000, 1), 0);
      assert.equal(recall(gateway, 5001), "0.0.0.0");
      remember(gateway, 5000, ip("10.0.2.9"));
      assert.equal(recall(gateway, 5000, IDLE), "10.0.2.9", "an answer keeps it, too");
      assert.equal(recall(gateway, 5000, 2 * IDLE - 1), "10.0.2.9");
      assert.equal(recall(gateway, 5000, 3 * IDLE + 1), "0.0.0.0");
      remember(gateway, 5000, LOCAL, 2000);
      start();
      assert.equal(recall(gateway, 5000, 2000), "0.0.0.0", "the engine starts over");
    });
  });
}
