/**
 * What the engine is configured with. Goal: options win, what they leave open comes from the
 * context, and the bounds of both are the engine's.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { type AttachOptions, readAttachOptions } from "../../src/config/attach.ts";
import { encodeDhcpOptions } from "../../src/config/dhcp-options.ts";
import { BUFFER_MIB_DEFAULT, FLOWS_MAX_DEFAULT } from "../../src/config/limits.ts";
import { NAMESERVER_COUNT_MAX } from "../../src/config/resolv.ts";
import type { Setting } from "../../src/config/settings.ts";
import { encodeEngineConfig } from "../../src/engine/config.ts";
import {
  dhcp6OptionOctets,
  dhcpOptionOctets,
  engineConfigValues,
  resolverAddresses,
} from "../../src/engine/config-values.ts";
import * as abi from "../../wasm/abi.ts";

const SEED = Array.from({ length: 32 }, (_, index) => index + 1);

function record(): DataView {
  return new DataView(new ArrayBuffer(abi.CONFIG_SIZE));
}

function options(given: Readonly<Record<string, readonly string[]>> = {}): AttachOptions {
  const settings = new Map<string, Setting>();
  for (const [name, values] of Object.entries({ tap: ["t"], ...given })) {
    settings.set(name, { values, origin: name });
  }
  return readAttachOptions(settings, false);
}

const CONTEXT = {
  seed: SEED,
  resolvConf: { nameservers: ["9.9.9.9"], search: ["host.example", "not a name"] },
  vnetSize: 0,
  linkFlags: 0,
  linkQueue: 256,
  limits: { flowsMax: FLOWS_MAX_DEFAULT, bufferMib: BUFFER_MIB_DEFAULT },
} as const;

describe("engineConfigValues", () => {
  test("takes what the options do not say from the context", () => {
    const values = engineConfigValues(options(), CONTEXT);
    assert.deepEqual(values.resolvers, [0x09090909]);
    assert.deepEqual(values.seed, SEED);
    assert.equal(values.linkQueue, 256);
    assert.match(new TextDecoder().decode(values.dhcpOptions), /host\.example/);
    encodeEngineConfig(record(), 0, values);
  });

  test("lets the options win", () => {
    const given = options({
      dns: ["1.1.1.1"],
      search: ["own.example"],
      hostname: ["vm"],
      seed: ["ff".repeat(32)],
      mac: ["02:00:00:00:00:09"],
      cidr: ["10.9.0.0/29"],
    });
    const values = engineConfigValues(given, CONTEXT);
    assert.deepEqual(values.resolvers, [0x01010101]);
    assert.deepEqual(values.seed, Array<number>(32).fill(255));
    assert.deepEqual(values.gatewayMac, [2, 0, 0, 0, 0, 9]);
    assert.equal(values.guestAddress, 0x0a090004);
    const text = new TextDecoder().decode(values.dhcpOptions);
    assert.match(text, /vm.*own\.example/s);
    assert.doesNotMatch(text, /host\.example/);
  });

  test("each value of the record, where nothing is given", () => {
    assert.deepEqual(engineConfigValues(options(), CONTEXT), {
      guestAddress: 0x0a00020f,
      gatewayAddress: 0x0a000202,
      dnsAddress: 0x0a000203,
      prefixLength: 24,
      mtu: 65_520,
      hostLoopback: false,
      dhcp: true,
      dns: true,
      strictFilter: false,
      refusesHost: false,
      refusesMetadata: false,
      preservesUdpPorts: false,
      strictDf: false,
      flowsMax: FLOWS_MAX_DEFAULT,
      chunksMax: abi.CHUNKS_DEFAULT_COUNT,
      vnetSize: 0,
      linkFlags: 0,
      linkQueue: 256,
      gatewayMac: [0x52, 0x55, 10, 0, 2, 2],
      guestMac: new Uint8Array(6),
      seed: SEED,
      leaseSeconds: 86_400,
      udpTimeoutSeconds: 300,
      tcpIdleSeconds: 7440,
      keepaliveSeconds: 0,
      resolvers: [0x09090909],
      dnsPort: 53,
      dhcpOptions: dhcpOptionOctets(options(), CONTEXT.resolvConf),
      dhcpServerAddress: 0x0a000202,
      dns6: "auto",
      ipv4: true,
      ipv6: {
        guest: [0xfd10, 0, 2, 0, 0, 0, 0, 2],
        gateway: [0xfd10, 0, 2, 0, 0, 0, 0, 1],
        dns: [0xfd10, 0, 2, 0, 0, 0, 0, 3],
        router: [0xfe80, 0, 0, 0, 0x5055, 0x0aff, 0xfe00, 0x0202],
        prefixLength: 64,
        dhcpOptions: dhcp6OptionOctets(options(), CONTEXT.resolvConf),
      },
    });
  });

  test("each value of the record, where it is given", () => {
    const given = options({
      cidr: ["10.9.0.0/29"],
      cidr6: ["fd20::/120"],
      mtu: ["1400"],
      "no-ipv4": ["true"],
      dns6: ["never"],
      "dns-port": ["5353"],
      "host-loopback": ["true"],
      "host-address": ["refuse"],
      "metadata-address": ["refuse"],
      "udp-ports": ["preserve"],
      "strict-df": ["true"],
      "strict-filter": ["true"],
      "udp-timeout": ["177"],
      "tcp-idle-timeout": ["8888"],
      keepalive: ["99"],
    });
    const context = {
      ...CONTEXT,
      vnetSize: 12,
      linkFlags: 5,
      limits: { flowsMax: 33, bufferMib: 3 },
    } as const;
    const { dhcpOptions, ipv6, ...values } = engineConfigValues(given, context);
    assert.deepEqual(values, {
      guestAddress: 0x0a090004,
      gatewayAddress: 0x0a090002,
      dnsAddress: 0x0a090003,
      prefixLength: 29,
      mtu: 1400,
      hostLoopback: true,
      dhcp: true,
      dns: true,
      strictFilter: true,
      refusesHost: true,
      refusesMetadata: true,
      preservesUdpPorts: true,
      strictDf: true,
      flowsMax: 33,
      chunksMax: (3 * 2 ** 20) / abi.CHUNK_SIZE,
      ...{ vnetSize: 12, linkFlags: 5, linkQueue: 256 },
      gatewayMac: [0x52, 0x55, 10, 9, 0, 2],
      guestMac: new Uint8Array(6),
      seed: SEED,
      leaseSeconds: 86_400,
      udpTimeoutSeconds: 177,
      tcpIdleSeconds: 8888,
      keepaliveSeconds: 99,
      resolvers: [0x09090909],
      dnsPort: 5353,
      dhcpServerAddress: 0x0a090002,
      dns6: "never",
      ipv4: false,
    });
    assert.equal(ipv6?.prefixLength, 120);
    assert.ok(dhcpOptions.length > 0);
    assert.equal(engineConfigValues(options({ "no-ipv6": ["true"] }), CONTEXT).ipv6, undefined);
  });

  test("says where and what to boot: siaddr always, names and URLs where there are any", () => {
    const plain = engineConfigValues(options(), CONTEXT);
    assert.equal(plain.dhcpServerAddress, 0x0a000202, "the gateway, as libslirp has it");
    assert.deepEqual([plain.boot, plain.ipv6?.boot, plain.tftp], [undefined, undefined, undefined]);
    const given = options({ "boot-file": ["a"], "next-server": ["192.0.2.1"], tftp: ["/srv"] });
    const values = engineConfigValues(given, CONTEXT);
    assert.deepEqual([values.dhcpServerAddress, values.tftp], [0xc0000201, true]);
    assert.deepEqual(Array.from(values.boot ?? []), [255, 255, 0, 1, 97]);
    const url = new TextDecoder().decode(Uint8Array.from(values.ipv6?.boot ?? []).subarray(4));
    assert.equal(url, "tftp://[fd10:0:2::1]/a");
    assert.match(new TextDecoder().decode(values.dhcpOptions), /\x42\x09192\.0\.2\.1/);
    encodeEngineConfig(record(), 0, values);
  });

  test("sends a search list once: the user's, or as much of the host's as fits", () => {
    const given = options({ hostname: ["vm"], search: ["own.example"] });
    const own = engineConfigValues(given, CONTEXT).dhcpOptions;
    assert.deepEqual([...own], [...encodeDhcpOptions(given.dhcp)]);
    const long = {
      nameservers: [],
      search: Array(40)
        .fill("a.example")
        .map((name, i) => `d${i}${"y".repeat(40)}.${name}`),
    };
    const hosts = dhcpOptionOctets(options({ hostname: ["vm"] }), long);
    assert.ok(hosts.length > 900 && hosts.length <= abi.DHCP_OPTIONS_SIZE);
    assert.deepEqual([...hosts.subarray(0, 4)], [12, 2, 0x76, 0x6d]);
  });

  test("sends a search list by DHCPv6: the user's, or as much of the host's as fits", () => {
    const text = (given: Readonly<Record<string, readonly string[]>>): string =>
      new TextDecoder().decode(dhcp6OptionOctets(options(given), CONTEXT.resolvConf));
    assert.equal(text({}), "\0\x18\0\x0e\x04host\x07example\0");
    assert.equal(text({ search: ["own.example"] }), "\0\x18\0\x0d\x03own\x07example\0");
    const none = { search: [] };
    assert.deepEqual([...dhcp6OptionOctets(options(), none)], []);
  });

  test("counts payload memory in chunks", () => {
    const { chunksMax, flowsMax } = engineConfigValues(options(), CONTEXT);
    assert.equal(chunksMax, abi.CHUNKS_DEFAULT_COUNT);
    assert.equal(flowsMax, abi.FLOWS_DEFAULT_COUNT);
    assert.equal(FLOWS_MAX_DEFAULT, abi.FLOWS_DEFAULT_COUNT);
  });
});

describe("resolverAddresses", () => {
  const conf = { nameservers: ["9.9.9.9"] };

  test("are the options' if there are any, of either version, three at most", () => {
    assert.deepEqual(resolverAddresses([], conf), [0x09090909]);
    const six = { groups: [0x2001, 0xdb8, 0, 0, 0, 0, 0, 1], scope: 0 };
    assert.deepEqual(resolverAddresses(["2001:db8::1"], conf), [six]);
    const many = ["1.1.1.1", "1.1.1.2", "1.1.1.3", "1.1.1.4"];
    assert.deepEqual(resolverAddresses(many, conf), [0x01010101, 0x01010102, 0x01010103]);
  });

  test("have the scope of their zone, and are left out without such an interface", () => {
    const local = { groups: [0xfe80, 0, 0, 0, 0, 0, 0, 1], scope: 1 };
    assert.deepEqual(resolverAddresses(["fe80::1%lo"], conf), [local]);
    assert.deepEqual(resolverAddresses(["fe80::1%nowhere0", "1.1.1.1"], conf), [0x01010101]);
  });
});

test("there is room for as many resolvers as glibc keeps", () => {
  assert.equal(NAMESERVER_COUNT_MAX, abi.RESOLVER_COUNT);
});
