/** Which frames have payload that nobody need read, and where it begins. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { concat } from "../../../src/lib/bytes.ts";
import { HEADERS_SIZE, payloadStart } from "../../../src/link/vhost-user/payload-start.ts";
import {
  ethernet,
  ipv4,
  PROTOCOL_TCP,
  pattern,
  type TcpOptions,
  tcp,
} from "../../support/packet.ts";
import { ETHERTYPE_IPV6, ipv6 } from "../../support/packet6.ts";

const LINK = { destination: "52:55:0a:00:02:02", source: "52:54:00:12:34:56" };
const FOUR = { source: "10.0.2.15", destination: "198.51.100.80" };
const SIX = { source: "fd10:0:2::2", destination: "2001:db8::80" };
const VALID = 2;
const [IP, TCP4] = [26, 46];

function segment(flags: string, options: TcpOptions, ends: typeof FOUR): Uint8Array {
  const fields = { sourcePort: 40000, destinationPort: 80, flags, seq: 1, ack: 1, options };
  return tcp({ ...ends, ...fields }, pattern(5000));
}

/** With a virtio_net_hdr of these octets. */
function frame(header: readonly number[], flags = "A", options: TcpOptions = {}): Uint8Array {
  const packet = ipv4({ ...FOUR, protocol: PROTOCOL_TCP }, segment(flags, options, FOUR));
  return concat(Uint8Array.from({ ...header, length: 12 }), ethernet(LINK, packet));
}

function frame6(gso = 4, source = SIX.source): Uint8Array {
  const ends = { ...SIX, source };
  const packet = ipv6({ ...ends, protocol: PROTOCOL_TCP }, segment("PA", {}, ends));
  const header = Uint8Array.of(1, gso, ...new Uint8Array(10));
  return concat(header, ethernet({ ...LINK, type: ETHERTYPE_IPV6 }, packet));
}

/** The same with other octets at a place. */
function changed(octets: Uint8Array, at: number, ...values: readonly number[]): Uint8Array {
  const copy = Uint8Array.from(octets);
  copy.set(values, at);
  return copy;
}

const startOf = (octets: Uint8Array): number => payloadStart(octets, 0, octets.length);

describe("vhost-user: where payload begins", () => {
  test("is behind the headers of a segment whose checksum is vouched for", () => {
    assert.equal(startOf(frame([VALID])), 12 + 14 + 20 + 20);
    assert.equal(startOf(frame([1, 1])), 12 + 14 + 20 + 20);
    assert.equal(startOf(frame([1, 0x81])), 12 + 14 + 20 + 20, "with ECN");
    assert.equal(startOf(frame([1], "PA", { timestamps: [1, 2] })), 12 + 14 + 20 + 32);
    assert.equal(startOf(frame6()), 12 + 14 + 40 + 20);
    assert.equal(startOf(frame6(0)), 12 + 14 + 40 + 20);
  });

  test("is looked for at the place that is given, in the headers alone", () => {
    const octets = frame([VALID]);
    const behind = concat(new Uint8Array(7), octets.subarray(0, HEADERS_SIZE));
    assert.equal(payloadStart(behind, 7, octets.length), 66);
  });

  const plain = frame([VALID]);
  const others: readonly (readonly [what: string, octets: Uint8Array])[] = [
    ["no checksum that is vouched for", frame([0, 1])],
    ["a run of another kind", frame([1, 5])],
    ["a run of the other version", frame([1, 4])],
    ["the same for IPv6", frame6(1)],
    ["a SYN", frame([VALID], "S")],
    ["another ethertype", changed(plain, 24, 0x08, 0x06)],
    ["another version", changed(plain, IP, 0x65)],
    ["a header that is too short", changed(plain, IP, 0x44)],
    ["a length that does not fit", changed(plain, IP + 2, 0, 60)],
    ["padding", concat(plain, new Uint8Array(2))],
    ["more fragments", changed(plain, IP + 6, 0x20)],
    ["a fragment's offset", changed(plain, IP + 7, 1)],
    ["a TTL that ends here", changed(plain, IP + 8, 1)],
    ["another protocol", changed(plain, IP + 9, 17)],
    ["a TCP header that is too short", changed(plain, TCP4 + 12, 0x40)],
    ["an IPv6 extension", changed(frame6(), IP + 6, 0)],
    ["a hop limit that ends here", changed(frame6(), IP + 7, 1)],
    ["another length of IPv6", changed(frame6(), IP + 4, 0)],
    ["another version in IPv6", changed(frame6(), IP, 0x45)],
    ["a link-local address", frame6(4, "fe80::5054:ff:fe12:3456")],
  ];
  for (const [what, octets] of others) {
    test(`is nowhere: ${what}`, () => assert.equal(startOf(octets), 0));
  }

  test("is nowhere in a frame without any", () => {
    const packet = ipv4(
      { ...FOUR, protocol: PROTOCOL_TCP },
      tcp({ ...FOUR, sourcePort: 1, destinationPort: 2, flags: "A", seq: 1, ack: 1 }, ""),
    );
    const header = Uint8Array.of(VALID, ...new Uint8Array(11));
    assert.equal(startOf(concat(header, ethernet(LINK, packet))), 0);
  });

  test("the headers with all options are among the octets that are looked at", () => {
    const octets = new Uint8Array(6000);
    octets.set(changed(plain, IP, 0x4f).subarray(0, 46));
    octets.set([(6000 - 26) >> 8, (6000 - 26) & 0xff], IP + 2);
    octets[IP + 60 + 12] = 0xf0;
    assert.equal(payloadStart(octets, 0, 6000), HEADERS_SIZE);
  });
});
