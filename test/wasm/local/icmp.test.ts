/** Echo for the gateway and the DNS server. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import * as abi from "../../../wasm/abi.ts";
import {
  checkProperty,
  DNS,
  GATEWAY,
  GATEWAY_MAC,
  GUEST,
  GUEST_MAC,
  type Local,
  locals,
  mac,
  PEER,
} from "../../support/local.ts";
import { icmp, icmpEcho, ipv4, pattern } from "../../support/packet.ts";
import { reassemble } from "../../support/packet-decode.ts";

interface Ping {
  readonly source?: string;
  readonly destination?: string;
  readonly message?: Uint8Array;
  /** Octets the engine is told the message has. */
  readonly length?: number;
}

function ping(local: Local, fields: Ping): void {
  const { source = GUEST, destination = GATEWAY } = fields;
  const { message = icmpEcho(77, 3, pattern(56)) } = fields;
  const packet = ipv4({ source, destination, protocol: 1, tos: 0x48 }, message);
  const p = local.place(packet);
  local.wasm.run("icmpEchoLocal", p, p + 20, fields.length ?? message.length, mac(GUEST_MAC));
}

for (const [variant, local] of locals()) {
  describe(`local/icmp (${variant})`, () => {
    test("P14: the reply returns identifier, sequence and data from the address pinged", () => {
      for (const destination of [GATEWAY, DNS]) {
        local.reset();
        ping(local, { destination });
        const reply = local.frame();
        assert.ok(reply.kind === "icmp");
        assert.deepEqual([reply.sourceMac, reply.destinationMac], [GATEWAY_MAC, GUEST_MAC]);
        assert.deepEqual([reply.source, reply.destination], [destination, GUEST]);
        assert.deepEqual([reply.type, reply.code, reply.rest], [0, 0, 77 * 65536 + 3]);
        assert.deepEqual([reply.ttl, reply.tos], [64, 0x48]);
        assert.deepEqual(reply.payload, pattern(56));
        assert.equal(local.stat(abi.STAT_PING_LOCAL), 1);
        assert.equal(local.stat(abi.STAT_CONSUMED_LOCAL), 1);
        assert.deepEqual(local.drops(), []);
      }
    });

    test("P14: all data comes back, up to 65,507 octets and in fragments if need be", () => {
      for (const mtu of [576, 1500, 9000, 65520]) {
        checkProperty(
          fc.property(fc.nat(65507), (size) => {
            local.reset({ mtu });
            ping(local, { message: icmpEcho(1, 2, pattern(size)) });
            const frames = local.frames();
            const parts = frames.flatMap((frame) => (frame.kind === "fragment" ? [frame] : []));
            const reply = parts.length > 0 ? reassemble(parts) : frames[0];
            assert.ok(reply?.kind === "icmp");
            assert.deepEqual(reply.payload, pattern(size));
          }),
          15,
        );
      }
    });

    test("P14: no other address is answered for", () => {
      for (const destination of [PEER, "10.0.2.99", "10.0.2.255", "255.255.255.255"]) {
        local.reset();
        ping(local, { destination });
        assert.deepEqual(local.drops(), [[abi.DROP_IP_DESTINATION, 1]]);
        assert.deepEqual(local.frames(), []);
      }
    });

    test("P02: a source that is no host, or us, is not answered", () => {
      for (const source of ["0.0.0.0", "224.0.0.1", "255.255.255.255", "127.0.0.1", DNS]) {
        local.reset();
        ping(local, { source });
        assert.deepEqual(local.drops(), [[abi.DROP_IP_SOURCE, 1]]);
        assert.deepEqual(local.frames(), []);
      }
    });

    test("P15: anything but an echo request, or less than a header, is dropped", () => {
      local.reset();
      ping(local, { message: icmp({ type: 0 }, "") });
      assert.deepEqual(local.drops(), [[abi.DROP_ICMP_TYPE, 1]]);
      local.reset();
      ping(local, { length: 7 });
      assert.deepEqual(local.drops(), [[abi.DROP_ICMP_TRUNCATED, 1]]);
      assert.deepEqual(local.frames(), []);
    });

    test("CVE-2020-10756 class: the reply has the data of the request, not an octet more", () => {
      for (const size of [0, 1, 7, 9, 18]) {
        local.reset();
        local.place(new Uint8Array(200).fill(0x77));
        ping(local, { message: icmpEcho(1, 2, new Uint8Array(size).fill(1)) });
        const [frame] = local.rawFrames();
        assert.ok(!frame?.includes(0x77), `${size} octets of data`);
      }
    });

    test("without room the request is dropped, once", () => {
      local.reset();
      for (let i = 0; i < abi.TX_CAPACITY_COUNT + 1; i += 1) ping(local, {});
      assert.deepEqual(local.drops(), [[abi.DROP_TX_FULL, 1]]);
      assert.equal(local.stat(abi.STAT_CONSUMED_LOCAL), abi.TX_CAPACITY_COUNT);
    });
  });
}
