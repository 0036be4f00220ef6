/**
 * The engine's configuration record. Goal: each value lands at the offset `wasm/abi.ts` gives it,
 * nothing else is touched, and nothing is written when a value does not fit.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import {
  type EngineConfigValues,
  type EngineIpv6Values,
  encodeEngineConfig,
  encodeOptions,
  encodeResolvers,
} from "../../src/engine/config.ts";
import * as abi from "../../wasm/abi.ts";

const BASE = 64;
const POISON = 0xa5;
const POISON_WORD = 0xa5a5a5a5;
const SEED = Array.from({ length: 32 }, (_, index) => index + 1);

const VALUES: EngineConfigValues = {
  guestAddress: 0xf0000001,
  gatewayAddress: 0xf0000002,
  dnsAddress: 0xf0000003,
  prefixLength: 24,
  mtu: 65520,
  hostLoopback: true,
  dhcp: false,
  dns: true,
  strictFilter: false,
  flowsMax: 300,
  chunksMax: 400,
  vnetSize: 10,
  linkFlags: abi.LINK_CSUM | abi.LINK_RX_TSO,
  linkQueue: 500,
  gatewayMac: [1, 2, 3, 4, 5, 6],
  guestMac: Uint8Array.of(7, 8, 9, 10, 11, 12),
  seed: SEED,
  leaseSeconds: 600,
  udpTimeoutSeconds: 700,
  tcpIdleSeconds: 800,
  keepaliveSeconds: 900,
  resolvers: [0x01010101, 0xfefefefe],
  dhcpOptions: Uint8Array.of(12, 2, 0x76, 0x6d),
  dhcpServerAddress: 0x7f000001,
};

const IPV6: EngineIpv6Values = {
  guest: [0xfd10, 1, 2, 3, 4, 5, 6, 0xa],
  gateway: [0xfd10, 1, 2, 3, 4, 5, 6, 0xb],
  dns: [0xfd10, 1, 2, 3, 4, 5, 6, 0xc],
  router: [0xfe80, 0, 0, 0, 4, 5, 6, 0xd],
  prefixLength: 64,
  dhcpOptions: Uint8Array.of(0, 24, 0, 1, 0),
  boot: [5, 6, 7],
};

function poisoned(): DataView {
  return new DataView(new Uint8Array(BASE + abi.CONFIG_SIZE + 64).fill(POISON).buffer);
}

describe("encodeEngineConfig", () => {
  const view = poisoned();
  encodeEngineConfig(view, BASE, VALUES);
  const word = (offset: number): number => view.getUint32(BASE + offset, true);
  const octets = (offset: number, size: number): number[] => [
    ...new Uint8Array(view.buffer, BASE + offset, size),
  ];

  const words: readonly (readonly [string, number, number])[] = [
    ["guest address", abi.CONFIG_GUEST_ADDRESS_OFFSET, 0xf0000001],
    ["gateway address", abi.CONFIG_GATEWAY_ADDRESS_OFFSET, 0xf0000002],
    ["DNS address", abi.CONFIG_DNS_ADDRESS_OFFSET, 0xf0000003],
    ["prefix length", abi.CONFIG_PREFIX_LENGTH_OFFSET, 24],
    ["MTU", abi.CONFIG_MTU_OFFSET, 65520],
    ["flags", abi.CONFIG_FLAGS_OFFSET, abi.CONFIG_FLAG_HOST_LOOPBACK | abi.CONFIG_FLAG_DNS],
    ["flows", abi.CONFIG_FLOWS_MAX_OFFSET, 300],
    ["chunks", abi.CONFIG_CHUNKS_MAX_OFFSET, 400],
    ["vnet size", abi.CONFIG_VNET_SIZE_OFFSET, 10],
    ["link flags", abi.CONFIG_LINK_FLAGS_OFFSET, 9],
    ["link queue", abi.CONFIG_LINK_QUEUE_OFFSET, 500],
    ["lease", abi.CONFIG_LEASE_SECONDS_OFFSET, 600],
    ["UDP timeout", abi.CONFIG_UDP_TIMEOUT_SECONDS_OFFSET, 700],
    ["TCP idle time", abi.CONFIG_TCP_IDLE_SECONDS_OFFSET, 800],
    ["keepalive", abi.CONFIG_KEEPALIVE_SECONDS_OFFSET, 900],
    ["resolver count", abi.CONFIG_RESOLVERS_COUNT_OFFSET, 2],
    ["first resolver", abi.CONFIG_RESOLVERS_OFFSET, 0x01010101],
    ["second resolver", abi.CONFIG_RESOLVERS_OFFSET + 4, 0xfefefefe],
    ["no third resolver", abi.CONFIG_RESOLVERS_OFFSET + 8, 0],
    ["DHCP options' length", abi.CONFIG_DHCP_OPTIONS_LENGTH_OFFSET, 4],
    ["siaddr", abi.CONFIG_DHCP_SIADDR_OFFSET, 0x7f000001],
    ["no boot files", abi.CONFIG_BOOT_LENGTH_OFFSET, 0],
    ["host base, low half, left alone", abi.CONFIG_HOST_BASE_LO_OFFSET, POISON_WORD],
    ["host base, high half, left alone", abi.CONFIG_HOST_BASE_HI_OFFSET, POISON_WORD],
  ];
  for (const [what, offset, value] of words) {
    test(what, () => {
      assert.equal(word(offset), value >>> 0);
    });
  }

  test("octet strings, as on the wire", () => {
    assert.deepEqual(octets(abi.CONFIG_GATEWAY_MAC_OFFSET, 6), [1, 2, 3, 4, 5, 6]);
    assert.deepEqual(octets(abi.CONFIG_GUEST_MAC_OFFSET, 6), [7, 8, 9, 10, 11, 12]);
    assert.deepEqual(octets(abi.CONFIG_SEED_OFFSET, 32), SEED);
    assert.deepEqual(octets(abi.CONFIG_DHCP_OPTIONS_OFFSET, 4), [12, 2, 0x76, 0x6d]);
  });

  test("nothing outside the record", () => {
    const all = new Uint8Array(view.buffer);
    assert.ok(all.subarray(0, BASE).every((octet) => octet === POISON));
    assert.ok(all.subarray(BASE + abi.CONFIG_SIZE).every((octet) => octet === POISON));
  });

  test("counts from the view's own start", () => {
    const buffer = new Uint8Array(32 + abi.CONFIG_SIZE).buffer;
    encodeEngineConfig(new DataView(buffer, 32), 0, VALUES);
    assert.equal(new Uint8Array(buffer)[32 + abi.CONFIG_SEED_OFFSET], 1);
  });
});

describe("encodeEngineConfig: what is not always there", () => {
  const encoded = (values: Partial<EngineConfigValues>) => {
    const view = poisoned();
    encodeEngineConfig(view, BASE, { ...VALUES, ...values });
    return {
      word: (offset: number) => view.getUint32(BASE + offset, true),
      octets: (offset: number, size: number) => [
        ...new Uint8Array(view.buffer, BASE + offset, size),
      ],
    };
  };

  test("addresses, prefix, DHCPv6 options and boot URLs of IPv6", () => {
    const { word, octets } = encoded({ ipv6: IPV6 });
    const start = [0xfd, 0x10, 0, 1, 0, 2, 0, 3, 0, 4, 0, 5, 0, 6, 0];
    assert.deepEqual(octets(abi.CONFIG_GUEST6_OFFSET, 16), [...start, 0xa]);
    assert.deepEqual(octets(abi.CONFIG_GATEWAY6_OFFSET, 16), [...start, 0xb]);
    assert.deepEqual(octets(abi.CONFIG_DNS6_OFFSET, 16), [...start, 0xc]);
    const router = [0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 4, 0, 5, 0, 6, 0, 0xd];
    assert.deepEqual(octets(abi.CONFIG_ROUTER6_OFFSET, 16), router);
    assert.equal(word(abi.CONFIG_PREFIX6_LENGTH_OFFSET), 64);
    assert.equal(word(abi.CONFIG_DHCP6_OPTIONS_LENGTH_OFFSET), 5);
    const after = [POISON, POISON];
    assert.deepEqual(octets(abi.CONFIG_DHCP6_OPTIONS_OFFSET, 7), [0, 24, 0, 1, 0, ...after]);
    assert.equal(word(abi.CONFIG_BOOT6_LENGTH_OFFSET), 3);
    assert.deepEqual(octets(abi.CONFIG_BOOT6_OFFSET, 5), [5, 6, 7, ...after]);
  });

  test("IPv6 without boot URLs, and no IPv6, whose fields are left alone", () => {
    const { boot: _, ...rest } = IPV6;
    const { word, octets } = encoded({ ipv6: rest });
    assert.equal(word(abi.CONFIG_BOOT6_LENGTH_OFFSET), 0);
    assert.deepEqual(octets(abi.CONFIG_BOOT6_OFFSET, 1), [POISON]);
    const none = encoded({});
    assert.equal(none.word(abi.CONFIG_BOOT6_LENGTH_OFFSET), POISON_WORD);
    assert.equal(none.word(abi.CONFIG_GUEST6_OFFSET), POISON_WORD);
  });

  test("boot files, and the resolvers' port, which is 0 for the usual one", () => {
    const { word, octets } = encoded({ boot: [1, 2, 3, 4], dnsPort: 65_535 });
    assert.equal(word(abi.CONFIG_BOOT_LENGTH_OFFSET), 4);
    assert.deepEqual(octets(abi.CONFIG_BOOT_OFFSET, 5), [1, 2, 3, 4, POISON]);
    assert.equal(word(abi.CONFIG_DNS_PORT_OFFSET), 65_535);
    assert.equal(encoded({}).word(abi.CONFIG_DNS_PORT_OFFSET), 0);
  });

  test("options are of serial number 0", () => {
    assert.equal(encoded({}).word(abi.CONFIG_OPTIONS_SERIAL_OFFSET), 0);
  });

  const none = { hostLoopback: false, dhcp: false, dns: false, strictFilter: false } as const;
  const flags: readonly (readonly [string, Partial<EngineConfigValues>, number])[] = [
    ["none", {}, 0],
    ["host loopback", { hostLoopback: true }, abi.CONFIG_FLAG_HOST_LOOPBACK],
    ["DHCP", { dhcp: true }, abi.CONFIG_FLAG_DHCP],
    ["strict filter", { strictFilter: true }, abi.CONFIG_FLAG_STRICT_FILTER],
    ["no host addresses", { refusesHost: true }, abi.CONFIG_FLAG_REFUSE_HOST],
    ["no metadata", { refusesMetadata: true }, abi.CONFIG_FLAG_REFUSE_METADATA],
    ["UDP ports", { preservesUdpPorts: true }, abi.CONFIG_FLAG_UDP_PRESERVE],
    ["strict DF", { strictDf: true }, abi.CONFIG_FLAG_STRICT_DF],
    ["DNS", { dns: true }, abi.CONFIG_FLAG_DNS],
    ["IPv6 DNS never", { dns6: "never" }, abi.CONFIG_FLAG_NO_DNS6],
    ["IPv6 DNS by itself", { dns6: "auto" }, abi.CONFIG_FLAG_DNS6_AUTO],
    ["IPv6 DNS always", { dns6: "always" }, 0],
    ["TFTP", { tftp: true }, abi.CONFIG_FLAG_TFTP],
    ["no TFTP", { tftp: false }, 0],
    ["IPv6", { ipv6: IPV6 }, abi.CONFIG_FLAG_IPV6],
    ["no IPv4", { ipv4: false }, abi.CONFIG_FLAG_NO_IPV4],
    ["IPv4", { ipv4: true }, 0],
  ];
  for (const [what, values, bits] of flags) {
    test(`flags: ${what}`, () => {
      assert.equal(encoded({ ...none, ...values }).word(abi.CONFIG_FLAGS_OFFSET), bits);
    });
  }
});

const MOST = new Uint8Array(2000);

/** What of it there is too little or too much of, and what there may be. */
const BOUNDS: readonly (readonly [
  name: string,
  of: (size: number) => Partial<EngineConfigValues>,
  min: number,
  max: number,
])[] = [
  ["flowsMax", (flowsMax) => ({ flowsMax }), 1, abi.FLOW_CAPACITY_COUNT],
  ["chunksMax", (chunksMax) => ({ chunksMax }), 1, abi.CHUNK_CAPACITY_COUNT],
  ["prefixLength", (prefixLength) => ({ prefixLength }), 0, 32],
  ["dnsPort", (dnsPort) => ({ dnsPort }), 0, 65_535],
  ["keepaliveSeconds", (keepaliveSeconds) => ({ keepaliveSeconds }), 0, 0xffffffff],
  ["guestAddress", (guestAddress) => ({ guestAddress }), 0, 0xffffffff],
  ["gatewayMac octets", (size) => ({ gatewayMac: Array(size).fill(1) }), 6, 6],
  ["guestMac octets", (size) => ({ guestMac: Array(size).fill(1) }), 6, 6],
  ["seed octets", (size) => ({ seed: Array(size).fill(1) }), 32, 32],
  ["resolvers", (size) => ({ resolvers: Array(size).fill(1) }), 0, abi.RESOLVER_COUNT],
  [
    "dhcpOptions octets",
    (size) => ({ dhcpOptions: MOST.subarray(0, size) }),
    0,
    abi.DHCP_OPTIONS_SIZE,
  ],
  ["boot octets", (size) => ({ boot: MOST.subarray(0, size) }), 0, abi.BOOT_SIZE],
  [
    "ipv6.boot octets",
    (size) => ({ ipv6: { ...IPV6, boot: MOST.subarray(0, size) } }),
    0,
    abi.BOOT_SIZE,
  ],
  ["ipv6.prefixLength", (prefixLength) => ({ ipv6: { ...IPV6, prefixLength } }), 0, 126],
  [
    "ipv6.dhcpOptions octets",
    (size) => ({ ipv6: { ...IPV6, dhcpOptions: MOST.subarray(0, size) } }),
    0,
    abi.DHCP_OPTIONS_SIZE,
  ],
];

describe("encodeEngineConfig: bounds", () => {
  function assertRefused(wrong: Partial<EngineConfigValues>, message: string | RegExp): void {
    const untouched = poisoned();
    const encode = () => encodeEngineConfig(untouched, BASE, { ...VALUES, ...wrong });
    assert.throws(encode, { name: "RangeError", message });
    assert.ok(new Uint8Array(untouched.buffer).every((octet) => octet === POISON));
  }

  for (const [name, of, min, max] of BOUNDS) {
    test(`${name}: ${min} to ${max}, and nothing is written otherwise`, () => {
      for (const fits of [min, max]) {
        encodeEngineConfig(poisoned(), BASE, { ...VALUES, ...of(fits) });
      }
      // There are no lists of -1.
      const beyond = /octets|resolvers/.test(name) && min === 0 ? [max + 1] : [min - 1, max + 1];
      for (const value of beyond) {
        // What fits no word is found before a field's own bounds.
        const most = value < 0 ? /set \S+ to an integer from 0 to \d+, not "-1"/ : undefined;
        const own = `set ${name} to an integer from ${min} to ${max}, not "${value}"`;
        assertRefused(of(value), most ?? own);
      }
    });
  }

  test("part of a chunk is none", () => {
    assertRefused(
      { chunksMax: 1.5 },
      'set chunksMax to an integer from 0 to 4294967295, not "1.5"',
    );
  });

  test("each IPv6 address has eight groups", () => {
    for (const name of ["guest", "gateway", "dns", "router"] as const) {
      for (const size of [7, 9]) {
        assertRefused(
          { ipv6: { ...IPV6, [name]: Array(size).fill(1) } },
          `set groups of an IPv6 address to an integer from 8 to 8, not "${size}"`,
        );
      }
    }
  });
});

describe("encodeResolvers", () => {
  const marks = (view: DataView): number[] =>
    [0, 1, 2].map((index) => view.getUint32(BASE + abi.CONFIG_RESOLVERS_OFFSET + 4 * index, true));

  test("replaces all resolvers", () => {
    const view = poisoned();
    encodeEngineConfig(view, BASE, VALUES);
    encodeResolvers(view, BASE, [7]);
    assert.equal(view.getUint32(BASE + abi.CONFIG_RESOLVERS_COUNT_OFFSET, true), 1);
    assert.deepEqual(marks(view), [7, 0, 0]);
    assert.throws(() => encodeResolvers(view, BASE, [1, 2, 3, 4]), {
      name: "RangeError",
      message: 'set resolvers to an integer from 0 to 3, not "4"',
    });
  });

  test("IPv6 resolvers have a place of their own, with a scope", () => {
    const view = poisoned();
    const of = (last: number) => ({ groups: [0xfe80, 0, 0, 0, 0, 0, 1, last], scope: 2 + last });
    encodeResolvers(view, BASE, [7, of(8), of(9)]);
    assert.equal(view.getUint32(BASE + abi.CONFIG_RESOLVERS_COUNT_OFFSET, true), 3);
    const six = abi.ADDRESS_SIX >>> 0;
    assert.deepEqual(marks(view), [7, six, six]);
    const at = BASE + abi.CONFIG_RESOLVERS6_OFFSET;
    const places = [0, 1, 2].map((index) => {
      const place = at + index * abi.CONFIG_RESOLVER6_SIZE;
      return [...new Uint8Array(view.buffer, place, abi.CONFIG_RESOLVER6_SIZE)];
    });
    const rest = [POISON, POISON, POISON, POISON];
    const wanted = (last: number) => [
      ...[0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, last],
      ...[2 + last, 0, 0, 0],
      ...rest,
    ];
    assert.deepEqual(places, [Array(24).fill(POISON), wanted(8), wanted(9)]);
    assert.equal(view.getUint8(at + 3 * abi.CONFIG_RESOLVER6_SIZE), POISON);
  });
});

describe("encodeOptions", () => {
  const place = (view: DataView, offset: number, size: number): number[] => [
    ...new Uint8Array(view.buffer, view.byteOffset + BASE + offset, size),
  ];

  test("replaces both lists, leaves nothing of longer ones, and counts", () => {
    // The view does not begin where its buffer does.
    const view = new DataView(poisoned().buffer, 8);
    encodeEngineConfig(view, BASE, { ...VALUES, ipv6: IPV6 });
    const word = (offset: number) => view.getUint32(BASE + offset, true);
    const dhcp = Uint8Array.of(15, 1, 97);
    const dhcp6 = Uint8Array.of(0, 24);
    encodeOptions(view, BASE, { dhcp, dhcp6 });
    assert.equal(word(abi.CONFIG_DHCP_OPTIONS_LENGTH_OFFSET), 3);
    assert.equal(word(abi.CONFIG_DHCP6_OPTIONS_LENGTH_OFFSET), 2);
    const padded = (octets: Uint8Array) => {
      const room = new Uint8Array(abi.DHCP_OPTIONS_SIZE);
      room.set(octets);
      return [...room];
    };
    const size = abi.DHCP_OPTIONS_SIZE;
    assert.deepEqual(place(view, abi.CONFIG_DHCP_OPTIONS_OFFSET, size), padded(dhcp));
    assert.deepEqual(place(view, abi.CONFIG_DHCP6_OPTIONS_OFFSET, size), padded(dhcp6));
    assert.deepEqual(place(view, abi.CONFIG_GUEST6_OFFSET, 2), [0xfd, 0x10]);
    assert.equal(word(abi.CONFIG_OPTIONS_SERIAL_OFFSET), 1);
    encodeOptions(view, BASE, { dhcp, dhcp6 });
    assert.equal(word(abi.CONFIG_OPTIONS_SERIAL_OFFSET), 2);
  });

  test("takes lists that fill their room, and no longer ones", () => {
    const view = poisoned();
    const full = new Uint8Array(abi.DHCP_OPTIONS_SIZE);
    encodeOptions(view, BASE, { dhcp: full, dhcp6: full });
    const before = new Uint8Array(view.buffer).slice();
    const long = new Uint8Array(abi.DHCP_OPTIONS_SIZE + 1);
    const none = new Uint8Array(0);
    const wanted = {
      name: "RangeError",
      message: 'set octets of DHCP options to an integer from 0 to 1024, not "1025"',
    };
    assert.throws(() => encodeOptions(view, BASE, { dhcp: long, dhcp6: none }), wanted);
    assert.throws(() => encodeOptions(view, BASE, { dhcp: none, dhcp6: long }), wanted);
    assert.deepEqual(new Uint8Array(view.buffer), before);
  });
});
