/** The DHCPv6 server: every message, identifiers, options, and what is malformed. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { encodeDhcp6Options } from "../../../src/config/dhcp6-options.ts";
import { DNS6, GUEST6, LINK6, ROUTER6 } from "../../support/engine-settings.ts";
import { concat, ip6, ip6Text, pattern, u16, u32 } from "../../support/packet.ts";
import {
  ALL_DHCP_SERVERS,
  ia,
  iaAddress,
  type Option6,
  readOptions6,
} from "../../support/packet6.ts";
import { World6 } from "../../support/world6.ts";

const SEED = 20261121;
const CLIENT: Option6 = [1, concat(u16(1), u16(1), u32(77), pattern(6))];
const SERVER: Option6 = [2, concat(u16(3), u16(1), Uint8Array.of(0x52, 0x55, 0x0a, 0, 2, 2))];
const OTHER: Option6 = [2, concat(u16(3), u16(1), Uint8Array.of(2, 0, 0, 0, 0, 9))];
const [SOLICIT, ADVERTISE, REQUEST, CONFIRM, RENEW, REBIND, REPLY, RELEASE, DECLINE] = [
  1, 2, 3, 4, 5, 6, 7, 8, 9,
];
const INFORMATION = 11;
const BOOT_URL = "tftp://[fd10:0:2::1]/boot";
const SERVER6 = Uint8Array.of(0xfd, 0x10, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1);
/** Search list, NTP server fd10:0:2::1 (RFC 5908 §4.1), boot file URL. */
const DHCP_OPTIONS = concat(
  encodeDhcp6Options(["one.test", "two.test"]),
  concat(u16(56), u16(20), u16(1), u16(16), SERVER6),
  concat(u16(59), u16(BOOT_URL.length), new TextEncoder().encode(BOOT_URL)),
);

function world(): World6 {
  return new World6({ ipv6: { dhcpOptions: DHCP_OPTIONS } });
}

function find(options: readonly Option6[], code: number): Uint8Array | undefined {
  return options.find(([one]) => one === code)?.[1];
}

interface Association {
  readonly id: number;
  readonly t1: number;
  readonly t2: number;
  readonly status: number | undefined;
  /** Address, preferred and valid lifetime. */
  readonly addresses: readonly (readonly [string, number, number])[];
}

function associations(options: readonly Option6[], code = 3): Association[] {
  return options
    .filter(([one]) => one === code)
    .map(([, content]) => {
      const view = new DataView(content.buffer, content.byteOffset);
      const inner = readOptions6(content.subarray(12));
      const status = find(inner, 13);
      return {
        id: view.getUint32(0),
        t1: view.getUint32(4),
        t2: view.getUint32(8),
        status: status === undefined ? undefined : ((status[0] ?? 0) << 8) | (status[1] ?? 0),
        addresses: inner
          .filter(([one]) => one === 5)
          .map(([, address]) => {
            const lifetimes = new DataView(address.buffer, address.byteOffset + 16);
            const text = ip6Text(address.subarray(0, 16));
            return [text, lifetimes.getUint32(0), lifetimes.getUint32(4)] as const;
          }),
      };
    });
}

function statusOf(options: readonly Option6[]): number | undefined {
  const status = find(options, 13);
  return status && ((status[0] ?? 0) << 8) | (status[1] ?? 0);
}

const GRANTED: readonly (readonly [string, number, number])[] = [[GUEST6, 86400, 86400]];

describe("wasm/local/dhcpv6", () => {
  test("V02 SOLICIT gets ADVERTISE with identifiers, address and T1 before T2", () => {
    const w = world();
    w.guest(w.dhcp6({ type: SOLICIT, transaction: 0xabcdef, options: [CLIENT, ia(5)] }));
    const { type, transaction, options } = w.expectDhcp6();
    assert.deepEqual([type, transaction], [ADVERTISE, 0xabcdef]);
    assert.deepEqual(find(options, 1), CLIENT[1]);
    assert.deepEqual(find(options, 2), SERVER[1]);
    assert.deepEqual(associations(options), [
      { id: 5, t1: 43200, t2: 69120, status: undefined, addresses: GRANTED },
    ]);
    assert.equal(w.stats.dhcp6Advertised, 1);
  });

  test("V02 a lease without end has no times to renew", () => {
    const w = new World6({ leaseSeconds: 0 });
    w.guest(w.dhcp6({ type: REQUEST, options: [CLIENT, SERVER, ia(5)] }));
    const [found] = associations(w.expectDhcp6().options);
    assert.equal(found?.t1, 0xffffffff);
    assert.deepEqual(found?.addresses, [[GUEST6, 0xffffffff, 0xffffffff]]);
  });

  test("V03 rapid commit gets REPLY, and only if asked for", () => {
    const w = world();
    w.guest(w.dhcp6({ type: SOLICIT, options: [CLIENT, ia(5), [14, new Uint8Array(0)]] }));
    const { type, options } = w.expectDhcp6();
    assert.equal(type, REPLY);
    assert.deepEqual(find(options, 14), new Uint8Array(0));
    assert.deepEqual(associations(options)[0]?.addresses, GRANTED);
    w.guest(w.dhcp6({ type: REQUEST, options: [CLIENT, SERVER, ia(5), [14, new Uint8Array(0)]] }));
    assert.equal(find(w.expectDhcp6().options, 14), undefined);
  });

  test("V08 answers go to the source, port 546, from the link-local address", () => {
    const w = world();
    w.guest(w.dhcp6({ type: REQUEST, options: [CLIENT, SERVER, ia(1)] }));
    w.expect("udp", { source: ROUTER6, destination: LINK6, sourcePort: 547, destinationPort: 546 });
    for (const ends of [
      { destination: ROUTER6 },
      { destination: "ff05::1:3" },
      { source: GUEST6 },
    ]) {
      const before = w.stats;
      w.guest(w.dhcp6({ type: SOLICIT, options: [CLIENT, ia(1)] }, ends));
      w.expectNothing();
      w.expectCounted(before, { dropDhcpIgnored: 1 });
    }
    assert.equal(ALL_DHCP_SERVERS, "ff02::1:2");
  });

  const identifiers: readonly (readonly [string, number, readonly Option6[]])[] = [
    ["SOLICIT with a server's", SOLICIT, [CLIENT, SERVER]],
    ["CONFIRM with a server's", CONFIRM, [CLIENT, SERVER]],
    ["REBIND with a server's", REBIND, [CLIENT, SERVER]],
    ["REQUEST without ours", REQUEST, [CLIENT]],
    ["REQUEST with another's", REQUEST, [CLIENT, OTHER]],
    ["RENEW without ours", RENEW, [CLIENT]],
    ["RENEW with another's", RENEW, [CLIENT, OTHER]],
    ["RELEASE with another's", RELEASE, [CLIENT, OTHER]],
    ["DECLINE with another's", DECLINE, [CLIENT, OTHER]],
    ["INFORMATION-REQUEST with another's", INFORMATION, [CLIENT, OTHER]],
    ["SOLICIT without a client's", SOLICIT, []],
    ["REQUEST without a client's", REQUEST, [SERVER]],
    ["REBIND without a client's", REBIND, []],
    ["a client's of 1 octet", SOLICIT, [[1, pattern(1)]]],
    ["a client's of 131 octets", SOLICIT, [[1, pattern(131)]]],
    ["a server's message", ADVERTISE, [CLIENT, SERVER]],
    ["an unknown message", 200, [CLIENT, SERVER]],
  ];
  for (const [name, type, options] of identifiers) {
    test(`V01 identifiers: ${name} is not answered`, () => {
      const w = world();
      const before = w.stats;
      const inner = type === INFORMATION ? [] : [ia(1, [iaAddress(GUEST6)])];
      w.guest(w.dhcp6({ type, options: [...options, ...inner] }));
      w.expectNothing();
      w.expectCounted(before, { dropDhcpIgnored: 1 });
    });
  }

  test("V01 V05 REBIND is answered although it names no server", () => {
    const w = world();
    w.guest(w.dhcp6({ type: REBIND, options: [CLIENT, ia(9, [iaAddress(GUEST6)])] }));
    const { type, options } = w.expectDhcp6();
    assert.equal(type, REPLY);
    assert.deepEqual(associations(options)[0]?.addresses, GRANTED);
  });

  test("V04 CONFIRM: success on this link, not-on-link elsewhere, else silence", () => {
    const w = world();
    const confirm = (...addresses: string[]): void => {
      const inner = addresses.map((one) => iaAddress(one));
      w.guest(w.dhcp6({ type: CONFIRM, options: [CLIENT, ia(1, inner)] }));
    };
    confirm(GUEST6);
    assert.equal(statusOf(w.expectDhcp6().options), 0);
    confirm("fd10:0:2::99");
    assert.equal(statusOf(w.expectDhcp6().options), 0);
    confirm(GUEST6, "2001:db8::5");
    assert.equal(statusOf(w.expectDhcp6().options), 4);
    confirm();
    w.expectNothing();
  });

  test("V05 RENEW: ours anew, others with lifetimes of zero, a second binding is unknown", () => {
    const w = world();
    const inner = [iaAddress("fd10:0:2::9", 100), iaAddress(GUEST6, 100)];
    const options = [CLIENT, SERVER, ia(1, inner), ia(2, [iaAddress(GUEST6)])];
    w.guest(w.dhcp6({ type: RENEW, options }));
    const found = associations(w.expectDhcp6().options);
    assert.deepEqual(found[0]?.addresses, [...GRANTED, ["fd10:0:2::9", 0, 0]]);
    assert.deepEqual([found[1]?.id, found[1]?.status], [2, 3]);
  });

  test("REQUEST: an address of another network is not on link; one association gets ours", () => {
    const w = world();
    const foreign = ia(1, [iaAddress("2001:db8::5")]);
    w.guest(w.dhcp6({ type: REQUEST, options: [CLIENT, SERVER, foreign] }));
    assert.equal(associations(w.expectDhcp6().options)[0]?.status, 4);
    w.guest(w.dhcp6({ type: REQUEST, options: [CLIENT, SERVER, ia(1), ia(2), ia(3, [], 25)] }));
    const { options } = w.expectDhcp6();
    const statuses = associations(options).map(({ id, status }) => [id, status]);
    assert.deepEqual(statuses, [
      [1, undefined],
      [2, 2],
    ]);
    assert.equal(associations(options, 25)[0]?.status, 6);
  });

  test("V06 RELEASE and DECLINE are answered with success; what is not ours is unknown", () => {
    const w = world();
    for (const type of [RELEASE, DECLINE]) {
      const options = [CLIENT, SERVER, ia(1, [iaAddress(GUEST6)]), ia(2, [iaAddress("fd10::7")])];
      w.guest(w.dhcp6({ type, options }));
      const reply = w.expectDhcp6();
      assert.equal(reply.type, REPLY);
      assert.equal(statusOf(reply.options), 0);
      assert.deepEqual(
        associations(reply.options).map(({ id, status }) => [id, status]),
        [[2, 3]],
      );
    }
    // For a while there is no address to give, and then there is again.
    w.guest(w.dhcp6({ type: SOLICIT, options: [CLIENT, ia(1), [14, new Uint8Array(0)]] }));
    const refused = w.expectDhcp6();
    assert.equal(refused.type, ADVERTISE);
    assert.equal(associations(refused.options)[0]?.status, 2);
    w.advance(10_000_001);
    w.take();
    w.guest(w.dhcp6({ type: SOLICIT, options: [CLIENT, ia(1)] }));
    assert.deepEqual(associations(w.expectDhcp6().options)[0]?.addresses, GRANTED);
  });

  test("V07 INFORMATION-REQUEST: what its list names; with an association it is dropped", () => {
    const w = world();
    const fqdn: Option6 = [39, concat(Uint8Array.of(1), "\x03vm1")];
    const list: Option6 = [6, concat(...[59, 23, 24, 39, 56, 32, 23].map(u16))];
    w.guest(w.dhcp6({ type: INFORMATION, options: [list, fqdn] }));
    const { type, options } = w.expectDhcp6();
    assert.equal(type, REPLY);
    assert.deepEqual(
      options.map(([code]) => code),
      [2, 59, 23, 24, 39, 56, 32],
    );
    assert.deepEqual(find(options, 23), ip6(DNS6));
    assert.deepEqual(find(options, 24), concat("\x03one\x04test\0", "\x03two\x04test\0"));
    assert.deepEqual(find(options, 39), concat(Uint8Array.of(6), "\x03vm1"));
    assert.deepEqual(find(options, 59), concat("tftp://[fd10:0:2::1]/boot"));
    assert.deepEqual(find(options, 56), concat(u16(1), u16(16), ip6("fd10:0:2::1")));
    w.guest(w.dhcp6({ type: INFORMATION, options: [CLIENT] }));
    assert.deepEqual(
      w.expectDhcp6().options.map(([code]) => code),
      [2, 1, 23, 24],
    );
    const before = w.stats;
    for (const one of [ia(1), ia(1, [], 25), [4, u32(1)] as const]) {
      w.guest(w.dhcp6({ type: INFORMATION, options: [CLIENT, one] }));
    }
    w.expectNothing();
    w.expectCounted(before, { dropDhcpIgnored: 3 });
  });

  test("without the DNS forwarder no DNS address is told; switched off nothing is", () => {
    const silent = new World6({ dns: false });
    silent.guest(silent.dhcp6({ type: INFORMATION, options: [CLIENT] }));
    assert.equal(find(silent.expectDhcp6().options, 23), undefined);
    const off = new World6({ dhcp: false });
    off.guest(off.dhcp6({ type: SOLICIT, options: [CLIENT, ia(1)] }));
    off.expectNothing();
  });

  test("an answer fits 1280 octets whatever is asked for", () => {
    const long = new Array<string>(15).fill(`${"x".repeat(60)}.test`);
    const dhcpOptions = encodeDhcp6Options(long);
    const w = new World6({ ipv6: { dhcpOptions } });
    const options = [CLIENT, SERVER, ...Array.from({ length: 20 }, (_, i) => ia(i))];
    w.guest(w.dhcp6({ type: REQUEST, options }));
    const frame = w.expect("udp", { sourcePort: 547 });
    assert.ok(frame.octets.length <= 14 + 1280, String(frame.octets.length));
  });

  test("CVE-2021-3592 class: lengths that lie are malformed, nothing is read behind", () => {
    const w = world();
    const bodies: readonly Uint8Array[] = [
      Uint8Array.of(0, 1),
      Uint8Array.of(0, 1, 0),
      concat(u16(1), u16(200), pattern(10)),
      concat(u16(3), u16(11), pattern(11)),
      concat(u16(3), u16(16), pattern(12), u16(5), u16(24)),
      concat(u16(3), u16(39), pattern(12), u16(5), u16(23), pattern(23)),
    ];
    for (const body of bodies) {
      const before = w.stats;
      // The body takes the place of options: code and length of the first are its own first octets.
      w.guest(malformed(w, body));
      w.expectNothing();
      w.expectCounted(before, { dropDhcpMalformed: 1 });
    }
  });

  test("CVE-2019-9824 class: no octet of an answer is left from what the slot held before", () => {
    const requests: readonly (readonly [number, Option6[]])[] = [
      [SOLICIT, [CLIENT, ia(1), [6, concat(u16(23), u16(24), u16(56), u16(59))]]],
      [REQUEST, [CLIENT, SERVER, ia(1, [iaAddress("fd10:0:9::1")])]],
      [RELEASE, [CLIENT, SERVER, ia(1, [iaAddress(GUEST6)])]],
      [INFORMATION, [CLIENT, [6, concat(u16(23), u16(24))]]],
    ];
    const [empty, full] = [0x00, 0xff].map((filling) => {
      const w = world();
      return w.sentOver(filling, () => {
        for (const [type, options] of requests) w.guest(w.dhcp6({ type, options }));
      });
    });
    assert.equal(empty?.length, requests.length);
    assert.deepEqual(empty, full);
  });

  test("CVE-2017-11434 class: any octets are survived, and answers stay well-formed", () => {
    const w = world();
    const property = fc.property(
      fc.uint8Array({ maxLength: 400 }),
      fc.boolean(),
      (octets, prefix) => {
        const body = prefix ? concat(u16(1), u16(10), pattern(10), octets) : octets;
        w.guest(malformed(w, body, 1 + ((octets[0] ?? 0) % 12)));
        for (const frame of w.take()) {
          assert.ok(frame.kind === "udp");
          readOptions6(frame.payload.subarray(4));
        }
      },
    );
    fc.assert(property, { seed: SEED, numRuns: 300 });
  });
});

/** A message whose options are these octets. */
function malformed(w: World6, body: Uint8Array, type = SOLICIT ?? 1): Uint8Array {
  const code = ((body[0] ?? 0) << 8) | (body[1] ?? 0);
  const frame = w.dhcp6({ type, options: [[code, new Uint8Array(Math.max(body.length - 4, 0))]] });
  const whole = frame.slice(0, 14 + 40 + 8 + 4 + body.length);
  whole.set(body, 14 + 40 + 8 + 4);
  const length = whole.length - 14 - 40;
  whole.set(u16(length), 14 + 4);
  whole.set(u16(length), 14 + 40 + 4);
  return rechecked(whole);
}

/** Makes the UDP checksum right. */
function rechecked(frame: Uint8Array): Uint8Array {
  const packet = frame.subarray(14);
  packet.set([0, 0], 46);
  let sum = 17 + (packet.length - 40);
  for (let i = 8; i < packet.length; i += 2) sum += ((packet[i] ?? 0) << 8) | (packet[i + 1] ?? 0);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  packet.set(u16(~sum & 0xffff || 0xffff), 46);
  return frame;
}
