/** What to boot: options, who gets which file, the lists the engine gets, what is refused. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { type BootOptions, bootOfDhcp, readBoot } from "../../src/config/boot.ts";
import { readIpv6 } from "../../src/lib/addr6.ts";
import { BOOT_ANY, BOOT_HTTP, BOOT_IPXE } from "../../wasm/abi.ts";

const GATEWAYS = {
  subnet: { gateway: 0x0a000202 },
  subnet6: { gateway: readIpv6("fd10:0:2::1") ?? [] },
};

function read(given: Readonly<Record<string, readonly string[]>>): BootOptions {
  const entries = Object.entries(given).map(
    ([name, values]) => [name, { values, origin: `--${name}` }] as const,
  );
  return readBoot(new Map(entries), GATEWAYS) ?? assert.fail("nothing was read");
}

/** A list as selectors and texts. */
function entries(octets: readonly number[]): (readonly [number, string])[] {
  const list = Uint8Array.from(octets);
  const view = new DataView(list.buffer);
  const found: (readonly [number, string])[] = [];
  for (let at = 0; at < list.length; ) {
    const size = view.getUint16(at + 2);
    const text = new TextDecoder().decode(list.subarray(at + 4, at + 4 + size));
    found.push([view.getUint16(at), text]);
    at += 4 + size;
  }
  return found;
}

describe("config/boot", () => {
  test("nothing is read where nothing was given", () => {
    assert.equal(readBoot(new Map(), GATEWAYS), undefined);
  });

  test("files are for kinds of clients, by name or number, in one argument or several", () => {
    const boot = read({ "boot-file": ["bios=a.0,efi64=b.efi,ipxe=s.ipxe", "c", "12=d"] });
    assert.deepEqual(entries(boot.list), [
      [0, "a.0"],
      [7, "b.efi"],
      [9, "b.efi"],
      [BOOT_IPXE, "s.ipxe"],
      [BOOT_ANY, "c"],
      [12, "d"],
    ]);
  });

  test("in IPv6 files are URLs at the gateway, or at the next server", () => {
    const boot = read({ "boot-file": ["/a", "ipxe=http://192.0.2.1/s"] });
    assert.deepEqual(entries(boot.list6), [
      [BOOT_ANY, "tftp://[fd10:0:2::1]/a"],
      [BOOT_IPXE, "http://192.0.2.1/s"],
    ]);
    const far = read({ "boot-file": ["a"], "next-server": ["192.0.2.1", "2001:db8::1"] });
    assert.deepEqual(entries(far.list6), [[BOOT_ANY, "tftp://[2001:db8::1]/a"]]);
    assert.equal(far.nextServer, 0xc0000201);
  });

  test("in IPv6 nothing is said of files that are at an IPv4 address alone", () => {
    const boot = read({ "boot-file": ["a"], "next-server": ["192.0.2.1"] });
    assert.deepEqual(entries(boot.list6), []);
  });

  test("a URL goes to the version of IP it has an address of, by name to both", () => {
    const both = read({ "boot-url": ["http://boot.example/a"] });
    for (const list of [both.list, both.list6]) {
      assert.deepEqual(entries(list), [[BOOT_HTTP, "http://boot.example/a"]]);
    }
    const each = read({ "boot-url": ["http://192.0.2.1/a", "http://[2001:db8::1]/b"] });
    assert.deepEqual(entries(each.list), [[BOOT_HTTP, "http://192.0.2.1/a"]]);
    assert.deepEqual(entries(each.list6), [[BOOT_HTTP, "http://[2001:db8::1]/b"]]);
  });

  const wrong: readonly (readonly [Readonly<Record<string, readonly string[]>>, RegExp])[] = [
    [{ "boot-file": ["amiga=a"] }, /wanted a client of bios\|efi32/],
    [{ "boot-file": ["65533=a"] }, /wanted a client of/],
    [{ "boot-file": ["bios="] }, /wanted \[CLIENT=\]NAME/],
    [{ "boot-file": ["a b"] }, /wanted \[CLIENT=\]NAME/],
    [{ "boot-file": ["x".repeat(256)] }, /1 to 255 characters/],
    [{ "boot-file": ["bios=a", "0=b"] }, /once for each kind of client/],
    [{ "boot-file": ["a", "b"] }, /once for each kind of client/],
    [{ "boot-url": ["ftp://192.0.2.1/a"] }, /wanted a URL/],
    [{ "boot-url": ["http://"] }, /wanted a URL/],
    [{ "boot-url": ["http://a/1", "http://b/2"] }, /"--boot-url" once/],
    [{ "boot-url": ["http://192.0.2.1/a", "http://192.0.2.2/b"] }, /"--boot-url" once/],
    [{ "boot-url": ["http://[::2]/a", "http://[::3]/b"] }, /"--boot-url" once/],
    [{ "boot-url": ["http://a/1", "http://192.0.2.1/b", "http://[::2]/c"] }, /"--boot-url" once/],
    [{ "next-server": ["boot.example"] }, /wanted the address of a server/],
    [{ "next-server": ["0.0.0.0"] }, /wanted the address of a server/],
    [{ "next-server": ["ff02::1"] }, /wanted the address of a server/],
    [{ "next-server": ["192.0.2.1", "192.0.2.2"] }, /"--next-server" once/],
    [{ tftp: [""] }, /wanted a folder/],
    [
      { "boot-file": [1, 2, 3, 4, 5].map((type) => `${type}=${"x".repeat(250)}`) },
      /shorten boot files and URLs/,
    ],
  ];
  for (const [given, problem] of wrong) {
    test(`refuses ${JSON.stringify(given).slice(0, 60)}`, () => {
      assert.throws(() => read(given), problem);
    });
  }

  test("of a VM's DHCP options an address is the next server, a URL is for HTTP", () => {
    assert.equal(bootOfDhcp(undefined, undefined, GATEWAYS), undefined);
    assert.equal(bootOfDhcp("tftp.example", "pxelinux.0", GATEWAYS), undefined);
    const tftp = undefined;
    const served = bootOfDhcp("192.0.2.1", "pxelinux.0", GATEWAYS);
    assert.deepEqual(served, { list: [], list6: [], nextServer: 0xc0000201, tftp });
    const url = bootOfDhcp(undefined, "https://a/b", GATEWAYS);
    assert.deepEqual(entries(url?.list ?? []), [[BOOT_HTTP, "https://a/b"]]);
    assert.deepEqual(url?.list6, url?.list);
    assert.equal(url?.nextServer, 0x0a000202, "the gateway");
  });

  test("where IPv6 is not served there is no list for it", () => {
    const settings = new Map([["boot-file", { values: ["a"], origin: "--boot-file" }]]);
    const boot = readBoot(settings, { ...GATEWAYS, subnet6: undefined });
    assert.deepEqual(boot?.list6, []);
    assert.notDeepEqual(boot?.list, []);
  });
});
