/** The DHCP server: who gets which answer, where it goes. Option contents: `dhcpv4-options`. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import * as abi from "../../../wasm/abi.ts";
import {
  address,
  DhcpClient,
  type Message,
  octet,
  REQUEST,
  request,
  SERVER,
} from "../../support/dhcp.ts";
import { patched } from "../../support/hex.ts";
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
  SECOND,
} from "../../support/local.ts";
import { dhcp, ethernet, ip, ipv4, MAC_BROADCAST, u16, u32, udp } from "../../support/packet.ts";

const DISCOVER = { type: 1 };

const INFORM = { type: 8 };

const OFFER = 2;

const ACK = 5;

const NAK = 6;

const BROADCAST = "255.255.255.255";

const OTHER_MAC = "52:54:00:00:00:99";

const SELECTING = request([50, address(GUEST)], SERVER);

const INIT_REBOOT = request([50, address(GUEST)]);

const RENEWING: Message = { ...REQUEST, clientAddress: GUEST, source: GUEST };

function assertIgnored(local: Local, reason: number = abi.DROP_DHCP_IGNORED): void {
  assert.deepEqual(local.drops(), [[reason, 1]]);
  assert.deepEqual(local.frames(), []);
  assert.equal(local.stat(abi.STAT_CONSUMED_LOCAL), 0);
}

for (const [variant, local] of locals()) {
  const client = new DhcpClient(local);

  describe(`local/dhcpv4 (${variant})`, () => {
    test("D01: OFFER has address, server, lease and type; it echoes what is the client's", () => {
      local.reset();
      const { reply, frame } = client.ask({ ...DISCOVER, xid: 0xdeadbeef, secs: 7 });
      assert.equal(octet(reply, 53), OFFER);
      assert.equal(reply.yourAddress, GUEST);
      assert.deepEqual(reply.options.get(54), address(GATEWAY));
      assert.deepEqual(reply.options.get(51), u32(86_400));
      assert.deepEqual([reply.operation, reply.xid, reply.flags], [2, 0xdeadbeef, 0]);
      assert.deepEqual([reply.mac, reply.relayAddress], [GUEST_MAC, "0.0.0.0"]);
      assert.deepEqual([reply.clientAddress, reply.serverAddress], ["0.0.0.0", "0.0.0.0"]);
      assert.deepEqual(frame.payload.subarray(8, 10), u16(0), "secs");
      assert.equal(local.stat(abi.STAT_DHCP_OFFERS), 1);
      assert.equal(local.stat(abi.STAT_CONSUMED_LOCAL), 1);
    });

    test("D02: SELECTING us and the right address gets ACK", () => {
      local.reset();
      const { reply } = client.ask(SELECTING);
      assert.equal(octet(reply, 53), ACK);
      assert.equal(reply.yourAddress, GUEST);
      assert.equal(local.stat(abi.STAT_DHCP_ACKS), 1);
      const known = local.wasm.u64("neighborFind", ip(GUEST));
      assert.equal(known, mac(GUEST_MAC), "frames can go there at once");
    });

    test("D02: SELECTING another server is ignored", () => {
      local.reset();
      client.send(request([50, address(GUEST)], [54, address("10.0.2.4")]));
      assertIgnored(local);
    });

    test("D02: SELECTING us with another address, or none, gets NAK", () => {
      for (const message of [request([50, address("10.0.2.16")], SERVER), request(SERVER)]) {
        local.reset();
        assert.equal(octet(client.ask(message).reply, 53), NAK);
        assert.equal(local.wasm.u64("neighborFind", ip(GUEST)), 0n);
      }
    });

    test("D03: INIT-REBOOT with the configured address gets ACK, with any other NAK", () => {
      local.reset();
      assert.equal(octet(client.ask(INIT_REBOOT).reply, 53), ACK);
      for (const wrong of ["10.0.2.16", "192.168.1.5", GATEWAY]) {
        local.reset();
        assert.equal(octet(client.ask(request([50, address(wrong)])).reply, 53), NAK);
        assert.equal(local.stat(abi.STAT_DHCP_NAKS), 1);
      }
    });

    test("D04: RENEWING and REBINDING go by ciaddr; ACK goes there by unicast", () => {
      for (const destination of [GATEWAY, BROADCAST]) {
        local.reset();
        const { reply, frame } = client.ask({ ...RENEWING, destination, broadcast: true });
        assert.equal(octet(reply, 53), ACK);
        assert.deepEqual([reply.clientAddress, reply.yourAddress], [GUEST, GUEST]);
        assert.deepEqual([frame.destination, frame.destinationMac], [GUEST, GUEST_MAC]);
        assert.deepEqual(reply.options.get(51), u32(86_400));
      }
      local.reset();
      const { reply } = client.ask({ ...REQUEST, clientAddress: "10.0.2.44" });
      assert.equal(octet(reply, 53), NAK);
    });

    test("a REQUEST that names no address is ignored", () => {
      local.reset();
      client.send(REQUEST);
      assertIgnored(local);
    });

    test("D05: without ciaddr the broadcast flag decides between everybody and the client", () => {
      for (const message of [DISCOVER, SELECTING]) {
        local.reset();
        const plain = client.ask(message).frame;
        assert.deepEqual([plain.destination, plain.destinationMac], [GUEST, GUEST_MAC]);
        const wide = client.ask({ ...message, broadcast: true });
        assert.deepEqual(
          [wide.frame.destination, wide.frame.destinationMac],
          [BROADCAST, MAC_BROADCAST],
        );
        assert.equal(wide.reply.flags, 0x8000);
      }
    });

    test("D05: NAK goes to everybody and carries nothing but the refusal", () => {
      local.reset();
      const wrong = { ...REQUEST, clientAddress: "10.0.2.44", source: "10.0.2.44" };
      const { reply, frame } = client.ask(wrong);
      assert.deepEqual([frame.destination, frame.destinationMac], [BROADCAST, MAC_BROADCAST]);
      assert.deepEqual(reply.order, [53, 54, 56]);
      assert.deepEqual([reply.yourAddress, reply.clientAddress], ["0.0.0.0", "0.0.0.0"]);
    });

    test("D05: through a relay in the guest network the reply goes to its server port", () => {
      local.reset();
      const relay = { giaddr: "10.0.2.30", source: "10.0.2.30", frameMac: OTHER_MAC };
      const { reply, frame } = client.ask({ ...DISCOVER, ...relay });
      assert.deepEqual([frame.destination, frame.destinationPort], ["10.0.2.30", 67]);
      assert.equal(frame.destinationMac, OTHER_MAC);
      assert.deepEqual([reply.relayAddress, reply.mac], ["10.0.2.30", GUEST_MAC]);
      const nak = client.ask({ ...request([50, address("10.9.9.9")]), ...relay });
      assert.deepEqual([nak.frame.destination, nak.reply.flags], ["10.0.2.30", 0x8000]);
      for (const giaddr of ["10.0.3.1", "192.168.1.1", GATEWAY]) {
        local.reset();
        client.send({ ...DISCOVER, giaddr });
        assertIgnored(local);
      }
    });

    test("D06: INFORM gets ACK to ciaddr, without address and lease", () => {
      local.reset();
      const inform = { ...INFORM, clientAddress: "10.0.2.20", source: "10.0.2.20" };
      const { reply, frame } = client.ask({ ...inform, options: [[55, Uint8Array.of(51, 58, 3)]] });
      assert.equal(octet(reply, 53), ACK);
      assert.deepEqual([frame.destination, frame.destinationMac], ["10.0.2.20", GUEST_MAC]);
      assert.deepEqual([reply.yourAddress, reply.clientAddress], ["0.0.0.0", "10.0.2.20"]);
      for (const code of [51, 58, 59]) assert.ok(!reply.options.has(code), `option ${code}`);
      assert.deepEqual(reply.options.get(3), address(GATEWAY));
      assert.equal(local.wasm.u64("neighborFind", ip(GUEST)), 0n, "no lease, nothing learnt");
    });

    test("D06: INFORM without ciaddr is answered at its source, from elsewhere not at all", () => {
      local.reset();
      assert.equal(client.ask({ ...INFORM, source: "10.0.2.20" }).frame.destination, "10.0.2.20");
      assert.equal(client.ask(INFORM).frame.destination, BROADCAST);
      for (const clientAddress of ["192.168.1.5", GATEWAY, DNS, "10.0.2.255"]) {
        local.reset();
        client.send({ ...INFORM, clientAddress });
        assertIgnored(local);
      }
    });

    test("D07: DECLINE is not answered; the address is bad for ten seconds", () => {
      local.reset();
      client.send({ type: 4, options: [[50, address(GUEST)], SERVER] });
      assert.deepEqual(local.frames(), []);
      assert.equal(local.stat(abi.STAT_CONSUMED_LOCAL), 1);
      client.send(DISCOVER, NOW + SECOND);
      assert.deepEqual(local.frames(), []);
      assert.deepEqual(local.drops(), [[abi.DROP_DHCP_IGNORED, 1]]);
      assert.equal(octet(client.ask(SELECTING, NOW + 9n * SECOND).reply, 53), NAK);
      assert.equal(octet(client.ask(DISCOVER, NOW + 10n * SECOND).reply, 53), OFFER);
      assert.equal(octet(client.ask(SELECTING, NOW + 10n * SECOND).reply, 53), ACK);
    });

    test("D07: DECLINE of another address, or for another server, changes nothing", () => {
      const others: Message[] = [
        { type: 4, options: [[50, address("10.0.2.16")], SERVER] },
        { type: 4, options: [[50, address(GUEST)]] },
        {
          type: 4,
          options: [
            [50, address(GUEST)],
            [54, address("10.0.2.4")],
          ],
        },
      ];
      for (const message of others) {
        local.reset();
        client.send(message);
        assertIgnored(local);
        assert.equal(octet(client.ask(DISCOVER).reply, 53), OFFER);
      }
    });

    test("D07: RELEASE is not answered and the address is to be had at once", () => {
      local.reset();
      client.send({ type: 7, clientAddress: GUEST, options: [SERVER] });
      assert.deepEqual(local.frames(), []);
      assert.equal(local.stat(abi.STAT_CONSUMED_LOCAL), 1);
      assert.equal(octet(client.ask(DISCOVER).reply, 53), OFFER);
      local.reset();
      client.send({ type: 7, clientAddress: GUEST, options: [[54, address("10.0.2.4")]] });
      assertIgnored(local);
    });

    test("D08: whoever asks gets the address; the last to be acknowledged gets the frames", () => {
      local.reset();
      client.ask(SELECTING);
      const second = { ...SELECTING, mac: OTHER_MAC, frameMac: OTHER_MAC };
      const { reply, frame } = client.ask(second);
      assert.equal(octet(reply, 53), ACK);
      assert.deepEqual([frame.destinationMac, reply.mac], [OTHER_MAC, OTHER_MAC]);
      assert.equal(local.wasm.u64("neighborFind", ip(GUEST)), mac(OTHER_MAC));
    });

    test("D15: rapid commit turns DISCOVER into ACK, only if asked", () => {
      local.reset();
      const { reply } = client.ask({ ...DISCOVER, options: [[80, new Uint8Array(0)]] });
      assert.equal(octet(reply, 53), ACK);
      assert.deepEqual(reply.options.get(80), new Uint8Array(0));
      assert.equal(local.stat(abi.STAT_DHCP_ACKS), 1);
      const listed = client.ask({ ...DISCOVER, options: [[55, Uint8Array.of(80)]] }).reply;
      assert.equal(octet(listed, 53), OFFER);
      assert.ok(!listed.options.has(80));
    });

    test("a server that is switched off ignores everything", () => {
      local.reset({ dhcp: false });
      client.send(DISCOVER);
      assertIgnored(local);
    });

    test("replies, unknown types and our own MAC are ignored", () => {
      const messages = [{ type: 1, operation: 2 }, { type: 2 }, { type: 5 }, { type: 0 }];
      for (const message of [...messages, { type: 200 }, { type: 1, mac: GATEWAY_MAC }]) {
        local.reset();
        client.send(message);
        assertIgnored(local);
      }
    });

    test("plain BOOTP is given the address for ever: no type, no server, no lease", () => {
      const untyped = patched(dhcp({ type: 1, mac: GUEST_MAC }), 240, Uint8Array.of(0, 0, 0));
      const bare = patched(untyped.slice(0, 300), 236, new Uint8Array(4));
      for (const octets of [untyped, bare.slice(0, 236), bare]) {
        local.reset();
        client.sendOctets(octets);
        const frame = local.frame();
        assert.ok(frame.kind === "udp");
        assert.equal(frame.payload.length, 300, "what such a client takes");
        assert.equal(frame.destination, GUEST);
        const reply = client.decode(frame);
        assert.equal(reply.yourAddress, GUEST);
        assert.deepEqual(reply.order, [1, 3, 6, 26, 28]);
        assert.equal(local.wasm.u64("neighborFind", ip(GUEST)), mac(GUEST_MAC));
      }
    });

    test("BOOTP: a client with the address is answered there, others as they ask", () => {
      const bootp = (more: object): Uint8Array =>
        patched(dhcp({ type: 1, mac: GUEST_MAC, ...more }), 240, Uint8Array.of(0, 0, 0));
      for (const [more, destination] of [
        [{ clientAddress: GUEST }, GUEST],
        [{ broadcast: true }, BROADCAST],
      ] as const) {
        local.reset();
        client.sendOctets(bootp(more));
        const frame = local.frame();
        assert.ok(frame.kind === "udp");
        assert.equal(frame.destination, destination);
      }
    });

    test("without room the message is dropped, once", () => {
      local.reset();
      for (let i = 0; i < abi.TX_CAPACITY_COUNT + 1; i += 1) client.send(DISCOVER);
      assert.deepEqual(local.drops(), [[abi.DROP_TX_FULL, 1]]);
      assert.equal(local.stat(abi.STAT_DHCP_OFFERS), abi.TX_CAPACITY_COUNT);
    });

    test("whatever is sent is counted exactly once and any answer is well-formed", () => {
      const type = fc.nat(9);
      const code = fc.constantFrom(50, 52, 53, 54, 55, 57, 61, 80, 81, 82, 12, 255, 0);
      const content = fc.oneof(fc.constant(address(GUEST)), fc.uint8Array({ maxLength: 255 }));
      const options = fc.array(fc.tuple(code, content), { maxLength: 8 });
      const changes = fc.array(fc.tuple(fc.nat(500), fc.nat(255)), { maxLength: 3 });
      checkProperty(
        fc.property(type, options, changes, (kind, list, patches) => {
          local.reset({ dhcpOptions: Uint8Array.of(12, 1, 65) });
          const octets = dhcp({ type: kind, mac: GUEST_MAC, options: [SERVER, ...list] });
          for (const [at, value] of patches) if (at < octets.length) octets[at] = value;
          client.sendOctets(octets);
          const dropped = local.drops().reduce((sum, [, times]) => sum + times, 0);
          assert.equal(dropped + local.stat(abi.STAT_CONSUMED_LOCAL), 1);
          for (const frame of local.frames()) {
            assert.ok(frame.kind === "udp" && frame.payload.length >= 300);
            client.decode(frame);
          }
        }),
        500,
      );
    });

    test("a frame as a guest sends it is answered", () => {
      local.reset();
      const ends = { source: "0.0.0.0", destination: BROADCAST };
      const datagram = udp(
        { ...ends, sourcePort: 68, destinationPort: 67 },
        dhcp({ type: 1, mac: GUEST_MAC }),
      );
      const packet = ipv4({ ...ends, protocol: 17 }, datagram);
      const frame = ethernet({ source: GUEST_MAC, destination: MAC_BROADCAST }, packet);
      const p = local.place(frame);
      local.wasm.run("dhcpInput", p, p + 14, p + 34, datagram.length, NOW);
      const reply = local.frame();
      assert.ok(reply.kind === "udp");
      assert.deepEqual([reply.source, reply.sourcePort, reply.destinationPort], [GATEWAY, 67, 68]);
      assert.deepEqual([reply.sourceMac, reply.ttl], [GATEWAY_MAC, 64]);
    });
  });
}
