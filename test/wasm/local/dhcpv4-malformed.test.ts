/** What the DHCP server does not take for a message: hardware, lengths, checksums. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import * as abi from "../../../wasm/abi.ts";
import { DhcpClient, request } from "../../support/dhcp.ts";
import { patched } from "../../support/hex.ts";
import { GUEST_MAC, type Local, locals } from "../../support/local.ts";
import { dhcp, MAC_BROADCAST } from "../../support/packet.ts";

function assertIgnored(local: Local, reason: number = abi.DROP_DHCP_IGNORED): void {
  assert.deepEqual(local.drops(), [[reason, 1]]);
  assert.deepEqual(local.frames(), []);
  assert.equal(local.stat(abi.STAT_CONSUMED_LOCAL), 0);
}

for (const [variant, local] of locals()) {
  const client = new DhcpClient(local);

  describe(`local/dhcpv4, malformed (${variant})`, () => {
    test("smoltcp's hlen class: any hardware but Ethernet with 6 octets is malformed", () => {
      const message = dhcp({ type: 1, mac: GUEST_MAC });
      for (const [at, value] of [
        [1, 6],
        [2, 0],
        [2, 5],
        [2, 16],
        [2, 255],
      ] as const) {
        local.reset();
        client.sendOctets(patched(message, at, Uint8Array.of(value)));
        assertIgnored(local, abi.DROP_DHCP_MALFORMED);
      }
      local.reset();
      client.send({ type: 1, mac: MAC_BROADCAST });
      assertIgnored(local, abi.DROP_DHCP_MALFORMED);
    });

    test("options of the wrong length are malformed", () => {
      const wrong = [
        [50, new Uint8Array(3)],
        [54, new Uint8Array(5)],
        [53, new Uint8Array(1)],
      ];
      for (const [code, content] of wrong as [number, Uint8Array][]) {
        local.reset();
        client.send(request([code, content]));
        assertIgnored(local, abi.DROP_DHCP_MALFORMED);
      }
    });

    test("CVE-2021-3592 class: a UDP length that lies, or a message cut short", () => {
      const message = dhcp({ type: 1, mac: GUEST_MAC });
      for (let length = 0; length < 240; length += 16) {
        local.reset();
        client.sendOctets(message.subarray(0, length));
        assertIgnored(local, abi.DROP_DHCP_MALFORMED);
      }
      for (const length of [0, 7, message.length + 9, 0xffff]) {
        local.reset();
        client.sendOctets(message, { length });
        assertIgnored(local, abi.DROP_UDP_LENGTH);
      }
      local.reset();
      client.sendOctets(message, { available: 7 });
      assertIgnored(local, abi.DROP_UDP_TRUNCATED);
    });

    test("P19: a wrong UDP checksum is dropped, none is accepted, the link's word is taken", () => {
      const message = dhcp({ type: 1, mac: GUEST_MAC });
      local.reset();
      client.sendOctets(message, { checksum: 0x1234 });
      assertIgnored(local, abi.DROP_UDP_CHECKSUM);
      local.reset();
      client.sendOctets(message, { checksum: 0 });
      assert.equal(local.frames().length, 1);
      local.reset({ vnetSize: 12 });
      const header = new Uint8Array(12);
      client.sendOctets(message, { checksum: 0x1234, vnet: header });
      assertIgnored(local, abi.DROP_UDP_CHECKSUM);
      local.reset({ vnetSize: 12 });
      client.sendOctets(message, { checksum: 0x1234, vnet: patched(header, 0, Uint8Array.of(1)) });
      assert.equal(local.frames().length, 1);
    });
  });
}
