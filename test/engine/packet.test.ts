/** The tests' own packet tools: what is built is decoded, and what is damaged is refused. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { GATEWAY, GATEWAY_MAC, GUEST, GUEST_MAC, PEER } from "../support/engine-settings.ts";
import type { FragmentFrame } from "../support/frame.ts";
import {
  arp,
  checksum,
  concat,
  ETHERTYPE_ARP,
  ethernet,
  fragments,
  icmpEcho,
  ip,
  ipText,
  ipv4,
  pattern,
  tcp,
  udp,
} from "../support/packet.ts";
import { decodeFrame, reassemble } from "../support/packet-decode.ts";

const OPTIONS = { vnetSize: 0, mtu: 1500 };
const LINK = { destination: GUEST_MAC, source: GATEWAY_MAC };
const ADDRESSES = { source: PEER, destination: GUEST };
const PORTS = { sourcePort: 80, destinationPort: 1234 };

const SEGMENT = tcp(
  {
    ...ADDRESSES,
    ...PORTS,
    seq: 0xfffffff0,
    ack: 77,
    flags: "SA",
    options: { mss: 1460, windowScale: 7, sackPermitted: true, timestamps: [1, 0xffffffff] },
  },
  "payload",
);
const FRAMES = {
  arp: ethernet(
    { ...LINK, type: ETHERTYPE_ARP },
    arp({
      operation: 2,
      senderMac: GATEWAY_MAC,
      senderAddress: GATEWAY,
      targetMac: GUEST_MAC,
      targetAddress: GUEST,
    }),
  ),
  icmp: ethernet(LINK, ipv4({ ...ADDRESSES, protocol: 1 }, icmpEcho(7, 9, pattern(41), 0))),
  udp: ethernet(LINK, ipv4({ ...ADDRESSES, protocol: 17 }, udp({ ...ADDRESSES, ...PORTS }, "odd"))),
  tcp: ethernet(LINK, ipv4({ ...ADDRESSES, protocol: 6 }, SEGMENT)),
} as const;

describe("support/packet", () => {
  test("RFC 1071 §3's example", () => {
    const octets = Uint8Array.of(0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7);
    assert.equal(checksum(octets), ~0xddf2 & 0xffff);
  });

  test("addresses as text and number", () => {
    assert.equal(ip("255.254.3.1"), 0xfffe0301);
    assert.equal(ipText(0xfffe0301), "255.254.3.1");
    assert.throws(() => ip("1.2.3"));
  });

  test("what is built is decoded", () => {
    const frame = decodeFrame(FRAMES.tcp, OPTIONS);
    assert.ok(frame.kind === "tcp");
    assert.deepEqual([frame.seq, frame.ack, frame.flags], [0xfffffff0, 77, "SA"]);
    assert.deepEqual(frame.options, {
      mss: 1460,
      sackPermitted: true,
      timestamps: [1, 0xffffffff],
      windowScale: 7,
    });
    assert.deepEqual(frame.payload, new TextEncoder().encode("payload"));
    for (const [kind, octets] of Object.entries(FRAMES)) {
      assert.equal(decodeFrame(octets, OPTIONS).kind, kind);
    }
  });

  test("padding to 60 octets is allowed, any other excess is not", () => {
    const pad = (octets: Uint8Array, size: number): Uint8Array =>
      concat(octets, new Uint8Array(size - octets.length));
    decodeFrame(pad(FRAMES.udp, 60), OPTIONS);
    decodeFrame(pad(FRAMES.arp, 60), OPTIONS);
    assert.throws(() => decodeFrame(pad(FRAMES.udp, 61), OPTIONS));
    assert.throws(() => decodeFrame(pad(FRAMES.udp, 59), OPTIONS));
    const dirty = pad(FRAMES.udp, 60);
    dirty[59] = 1;
    assert.throws(() => decodeFrame(dirty, OPTIONS));
  });

  test("a frame cut short is refused", () => {
    for (const octets of Object.values(FRAMES)) {
      for (let length = 0; length < octets.length; length += 1) {
        assert.throws(() => decodeFrame(octets.subarray(0, length), OPTIONS), Error, `${length}`);
      }
    }
  });

  for (const kind of ["icmp", "udp", "tcp"] as const) {
    test(`any bit flipped behind the MAC addresses is noticed: ${kind}`, () => {
      const octets = FRAMES[kind];
      for (let bit = 8 * 12; bit < 8 * octets.length; bit += 1) {
        const flipped = Uint8Array.from(octets);
        flipped[bit >> 3] = (octets[bit >> 3] ?? 0) ^ (1 << (bit & 7));
        assert.throws(() => decodeFrame(flipped, OPTIONS), Error, `bit ${bit}`);
      }
    });
  }

  test("fragments come together again, and only all of them", () => {
    const datagram = udp({ ...ADDRESSES, ...PORTS }, pattern(3000));
    const parts = fragments({ ...ADDRESSES, protocol: 17 }, datagram, 1480).map(
      (packet): FragmentFrame => {
        const frame = decodeFrame(ethernet(LINK, packet), OPTIONS);
        assert.ok(frame.kind === "fragment");
        return frame;
      },
    );
    assert.equal(parts.length, 3);
    const whole = reassemble([...parts].reverse());
    assert.ok(whole.kind === "udp");
    assert.deepEqual(whole.payload, pattern(3000));
    assert.throws(() => reassemble(parts.slice(1)));
    assert.throws(() => reassemble(parts.slice(0, 2)));
  });

  test("a virtio_net_hdr has to describe its frame", () => {
    const plain = concat(new Uint8Array(10), FRAMES.udp);
    decodeFrame(plain, { vnetSize: 10, mtu: 1500 });
    for (let at = 0; at < 10; at += 1) {
      const odd = Uint8Array.from(plain);
      odd[at] = 3;
      assert.throws(() => decodeFrame(odd, { vnetSize: 10, mtu: 1500 }), Error, `octet ${at}`);
    }
  });
});
