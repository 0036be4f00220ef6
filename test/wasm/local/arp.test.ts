/** ARP: who is answered, who is not, who is learnt, and what is refused. */
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
  NOW,
  PEER,
} from "../../support/local.ts";
import {
  type ArpFields,
  arp,
  ETHERTYPE_ARP,
  ethernet,
  ip,
  MAC_BROADCAST,
  MAC_ZERO,
} from "../../support/packet.ts";

const REQUEST: ArpFields = {
  senderMac: GUEST_MAC,
  senderAddress: GUEST,
  targetAddress: GATEWAY,
};

function frameOf(packet: Uint8Array, source = GUEST_MAC): Uint8Array {
  return ethernet({ source, destination: MAC_BROADCAST, type: ETHERTYPE_ARP }, packet);
}

/** Hands over a frame that ends where memory ends, so that reading on would trap. */
function input(local: Local, frame: Uint8Array): void {
  local.wasm.run("arpInput", local.wasm.writeAtEnd(frame), frame.length, NOW);
}

function learnt(local: Local, address: string): bigint {
  return local.wasm.u64("neighborFind", ip(address));
}

for (const [variant, local] of locals()) {
  const ask = (fields: Partial<ArpFields>, source = fields.senderMac): void => {
    input(local, frameOf(arp({ ...REQUEST, ...fields }), source));
  };
  const assertIgnored = (): void => {
    assert.deepEqual(local.drops(), [[abi.DROP_ARP_IGNORED, 1]]);
    assert.equal(local.stat(abi.STAT_CONSUMED_LOCAL), 0);
    assert.deepEqual(local.frames(), []);
  };

  describe(`local/arp (${variant})`, () => {
    test("P11: a request for the gateway or the DNS server is answered", () => {
      for (const address of [GATEWAY, DNS]) {
        local.reset();
        ask({ targetAddress: address });
        const reply = local.frame();
        assert.equal(reply.octets.length, 60, "padded to the least size of a frame");
        assert.ok(reply.kind === "arp");
        assert.equal(reply.operation, 2);
        assert.deepEqual([reply.sourceMac, reply.destinationMac], [GATEWAY_MAC, GUEST_MAC]);
        assert.deepEqual([reply.senderMac, reply.senderAddress], [GATEWAY_MAC, address]);
        assert.deepEqual([reply.targetMac, reply.targetAddress], [GUEST_MAC, GUEST]);
        assert.equal(local.stat(abi.STAT_ARP_REPLIES), 1);
        assert.equal(local.stat(abi.STAT_CONSUMED_LOCAL), 1);
        assert.deepEqual(local.drops(), []);
      }
    });

    test("P11: nothing is answered for the guest's own address, announced or probed", () => {
      local.reset();
      ask({ targetAddress: GUEST });
      assert.deepEqual(local.frames(), []);
      assert.equal(local.stat(abi.STAT_CONSUMED_LOCAL), 1, "an announcement is taken note of");
      local.reset();
      ask({ senderAddress: "0.0.0.0", targetAddress: GUEST });
      assertIgnored();
    });

    test("P11: nothing is answered for other addresses of the network or beyond", () => {
      for (const targetAddress of ["10.0.2.1", "10.0.2.99", "10.0.2.255", "0.0.0.0", PEER]) {
        local.reset();
        ask({ targetAddress });
        assertIgnored();
      }
    });

    test("P11: a probe for one of our addresses hears that it is taken", () => {
      local.reset();
      ask({ senderAddress: "0.0.0.0" });
      const reply = local.frame();
      assert.ok(reply.kind === "arp");
      assert.deepEqual([reply.senderAddress, reply.targetAddress], [GATEWAY, "0.0.0.0"]);
      assert.equal(learnt(local, "0.0.0.0"), 0n);
    });

    test("P11: a guest that announces our address is contradicted and not believed", () => {
      local.reset();
      ask({ senderAddress: GATEWAY });
      const reply = local.frame();
      assert.ok(reply.kind === "arp" && reply.operation === 2);
      assert.equal(learnt(local, GATEWAY), 0n);
    });

    test("P11: the operation is looked at last; others than 1 and 2 are ignored", () => {
      for (const operation of [0, 3, 4, 8, 0xffff]) {
        local.reset();
        ask({ operation });
        assertIgnored();
        assert.equal(learnt(local, GUEST), 0n);
      }
    });

    test("requests, replies and announcements teach where a guest is", () => {
      for (const fields of [{}, { operation: 2 }, { targetAddress: GUEST }]) {
        local.reset();
        ask(fields);
        assert.equal(learnt(local, GUEST), mac(GUEST_MAC));
        assert.equal(local.stat(abi.STAT_CONSUMED_LOCAL), 1);
        assert.deepEqual(local.drops(), []);
      }
    });

    test("a sender outside the network, wide or ours is not learnt", () => {
      for (const senderAddress of [PEER, "10.0.2.255", "10.0.2.0", DNS]) {
        local.reset();
        ask({ operation: 2, senderAddress });
        assertIgnored();
        assert.equal(learnt(local, senderAddress), 0n);
      }
    });

    test("a sender that no host can have is not answered", () => {
      for (const senderAddress of ["224.0.0.1", "255.255.255.255", "127.0.0.1", "0.0.0.1"]) {
        local.reset();
        ask({ senderAddress });
        assertIgnored();
      }
    });

    test("a sender MAC other than the frame's, or ours, is ignored", () => {
      local.reset();
      ask({}, "52:54:00:00:00:01");
      assertIgnored();
      local.reset();
      ask({ senderMac: GATEWAY_MAC });
      assertIgnored();
    });

    test("a sender MAC that is a group or zero is malformed", () => {
      for (const senderMac of [MAC_BROADCAST, "01:00:5e:00:00:01", MAC_ZERO]) {
        local.reset();
        ask({ senderMac });
        assert.deepEqual(local.drops(), [[abi.DROP_ARP_MALFORMED, 1]]);
        assert.deepEqual(local.frames(), []);
      }
    });

    test("P11: another hardware, protocol or length is malformed", () => {
      const wrong = [{ hardware: 6 }, { protocol: 0x86dd }, { hardwareSize: 8 }];
      for (const fields of [...wrong, { hardwareSize: 0 }, { protocolSize: 16 }]) {
        local.reset();
        ask(fields);
        assert.deepEqual(local.drops(), [[abi.DROP_ARP_MALFORMED, 1]]);
        assert.deepEqual(local.frames(), []);
      }
    });

    test("CVE-2020-29130 class: an ARP packet of 0 to 27 octets is not read beyond its end", () => {
      const whole = frameOf(arp(REQUEST));
      for (let length = 0; length < whole.length; length += 1) {
        local.reset();
        input(local, whole.subarray(0, length));
        assert.deepEqual(local.drops(), [[abi.DROP_ARP_MALFORMED, 1]], `${length} octets`);
        assert.deepEqual(local.frames(), []);
      }
    });

    test("CVE-2019-9824 class: no octet of a reply is left from what the slot held before", () => {
      local.reset();
      ask({});
      const [first] = local.rawFrames();
      local.wasm.octets.fill(0x77, local.wasm.u32("txBuffers"), local.wasm.u32("txBuffers") + 2048);
      ask({});
      assert.deepEqual(local.rawFrames(), [first]);
    });

    test("a network of two addresses has neither a network nor a broadcast address", () => {
      local.reset({ prefixLength: 31, gateway: "10.0.2.14", dns: "0.0.0.0" });
      ask({ targetAddress: "10.0.2.14" });
      assert.equal(learnt(local, GUEST), mac(GUEST_MAC));
      assert.equal(local.frames().length, 1);
    });

    test("every frame is counted exactly once, whatever it holds", () => {
      const byte = fc.integer({ min: 0, max: 41 });
      checkProperty(
        fc.property(fc.array(fc.tuple(byte, fc.nat(255)), { maxLength: 6 }), (changes) => {
          local.reset();
          const frame = frameOf(arp(REQUEST));
          for (const [at, value] of changes) frame[at] = value;
          input(local, frame);
          const dropped = local.drops().reduce((sum, [, times]) => sum + times, 0);
          assert.equal(dropped + local.stat(abi.STAT_CONSUMED_LOCAL), 1);
          local.frames();
        }),
      );
    });
  });
}
