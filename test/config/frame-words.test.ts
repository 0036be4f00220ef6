/** Headers in words: every kind, and any octets. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { describeHeaders } from "../../src/config/frame-words.ts";

const MACS = "525510000202 525400123456";
const ENDS6 = "fd100000000200000000000000000002 20010db8000000000000000000000001";

function words(hex: string): string {
  return describeHeaders(Uint8Array.from(Buffer.from(hex.replaceAll(" ", ""), "hex")));
}

describe("headers in words", () => {
  const ipv4 = (protocol: string, rest = "", fragment = "0000") =>
    `${MACS} 0800 4500001c 0000${fragment} 40${protocol}0000 0a00020f c0000201 ${rest}`;
  const cases: readonly (readonly [string, string])[] = [
    ["0102", "2 octets"],
    [`${MACS} 88cc`, "52:54:00:12:34:56 > 52:55:10:00:02:02 ethertype 0x88cc"],
    [`${MACS} 0806`, "52:54:00:12:34:56 > 52:55:10:00:02:02 arp"],
    [
      `${MACS} 0806 0001 0800 06 04 0001 525400123456 0a00020f 000000000000 0a000202`,
      "10.0.2.15 > 10.0.2.2 arp",
    ],
    [
      ipv4("06", "9c4001bb 00000001 00000000 50120000 00000000"),
      "10.0.2.15:40000 > 192.0.2.1:443 tcp SA",
    ],
    [ipv4("06", "9c4001bb"), "10.0.2.15:40000 > 192.0.2.1:443 tcp"],
    [ipv4("11", "9c400035 00080000"), "10.0.2.15:40000 > 192.0.2.1:53 udp"],
    [ipv4("11", "9c400035 00080000", "0001"), "10.0.2.15 > 192.0.2.1 udp fragment"],
    [ipv4("01", "08000000 00010001"), "10.0.2.15 > 192.0.2.1 icmp type 8"],
    [ipv4("63"), "10.0.2.15 > 192.0.2.1 protocol 99"],
    [
      `${MACS} 86dd 60000000 0008 11 40 ${ENDS6} 00070009 00080000`,
      "[fd10:0:2::2]:7 > [2001:db8::1]:9 udp",
    ],
    [
      `${MACS} 86dd 60000000 0008 3a 40 ${ENDS6} 80000000 00010001`,
      "fd10:0:2::2 > 2001:db8::1 icmp6 type 128",
    ],
  ];
  for (const [hex, text] of cases) test(text, () => assert.equal(words(hex), text));

  test("any octets are one printable line", () => {
    const types = fc.constantFrom("0800", "0806", "86dd", "");
    fc.assert(
      fc.property(types, fc.uint8Array({ maxLength: 80 }), (type, rest) => {
        const head = type === "" ? "" : `${MACS}${type}`;
        assert.match(words(head + Buffer.from(rest).toString("hex")), /^[ -~]+$/);
      }),
      { seed: 20261130 },
    );
  });
});
