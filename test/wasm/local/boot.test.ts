/** What guests that boot over the network are told, by who they are and by version of IP. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { readBoot } from "../../../src/config/boot.ts";
import { GATEWAY, GATEWAY6, groups } from "../../support/engine-settings.ts";
import { concat, ip, pattern, u16, u32 } from "../../support/packet.ts";
import { decodeDhcp } from "../../support/packet-decode.ts";
import { ia, type Option6 } from "../../support/packet6.ts";
import { World6 } from "../../support/world6.ts";

const URL4 = "http://192.0.2.1/boot.efi";
const FILES = "bios=a.0,efi64=b.efi,arm64=c.efi";
const HTTP = "HTTPClient:Arch:00016:UNDI:003001";
const PXE = "PXEClient:Arch:00000:UNDI:002001";

interface Client {
  readonly arch?: readonly number[];
  readonly vendor?: string;
  readonly user?: string | Uint8Array;
}

function world(files: string, urls: readonly string[] = []): World6 {
  const settings = new Map([["boot-url", { values: urls, origin: "test" }]]);
  if (files !== "") settings.set("boot-file", { values: [files], origin: "test" });
  const gateways = { subnet: { gateway: ip(GATEWAY) }, subnet6: { gateway: groups(GATEWAY6) } };
  const { list = [], list6 = [] } = readBoot(settings, gateways) ?? {};
  return new World6({ boot: list, dhcpServerAddress: ip(GATEWAY), ipv6: { boot: list6 } });
}

const text = (octets: Uint8Array | undefined): string | undefined =>
  octets === undefined ? undefined : new TextDecoder().decode(octets);

/** Option 67, the field "file", option 60 and siaddr of an offer. */
function ask4(w: World6, client: Client) {
  const { arch, vendor, user } = client;
  const options: [number, Uint8Array][] = [];
  if (vendor !== undefined) options.push([60, concat(vendor)]);
  if (user !== undefined) options.push([77, concat(user)]);
  if (arch !== undefined) options.push([93, concat(...arch.map(u16))]);
  w.guest(w.dhcp({ type: 1, options }));
  const frame = w.expect("udp", { sourcePort: 67 });
  const reply = decodeDhcp(frame.payload);
  const field = frame.payload.subarray(108, 236);
  const file = text(field.subarray(0, field.indexOf(0)));
  const said = [reply.options.get(67), reply.options.get(60)].map(text);
  return { name: said[0], vendor: said[1], file, server: reply.serverAddress };
}

/** Option 59, and option 16 behind the enterprise's number. */
function ask6(w: World6, client: Client): (string | undefined)[] {
  const { arch, vendor, user } = client;
  const options: Option6[] = [[1, concat(u16(1), u16(1), u32(7), pattern(6))], ia(1)];
  options.push([6, concat(u16(59), u16(60))]);
  if (user !== undefined) options.push([15, concat(u16(user.length), user)]);
  if (vendor !== undefined) options.push([16, concat(u32(343), u16(vendor.length), vendor)]);
  if (arch !== undefined) options.push([61, concat(...arch.map(u16))]);
  w.guest(w.dhcp6({ type: 1, options }));
  const said = w.expectDhcp6().options;
  const find = (code: number): Uint8Array | undefined => said.find(([one]) => one === code)?.[1];
  return [text(find(59)), text(find(16)?.subarray(6))];
}

describe("wasm/local/boot", () => {
  test("siaddr is the next server whether there is anything to boot or not", () => {
    const nothing = { name: undefined, vendor: undefined, file: "", server: GATEWAY };
    assert.deepEqual(ask4(world(""), {}), nothing);
    assert.deepEqual(ask4(world(FILES), {}), nothing, "no architecture, and none for all");
  });

  test("each architecture has its file, in option 67 and in the header", () => {
    const w = world(`${FILES},rest`);
    const cases: readonly (readonly [Client, string])[] = [
      [{ arch: [0], vendor: PXE }, "a.0"],
      [{ arch: [7] }, "b.efi"],
      [{ arch: [9] }, "b.efi"],
      [{ arch: [11] }, "c.efi"],
      [{ arch: [99, 11, 0] }, "c.efi"],
      [{ arch: [6] }, "rest"],
      [{}, "rest"],
    ];
    for (const [client, name] of cases) {
      const found = ask4(w, client);
      assert.deepEqual([found.name, found.file, found.vendor], [name, name, undefined]);
      assert.deepEqual(ask6(w, client), [`tftp://[${GATEWAY6}]/${name}`, undefined]);
    }
  });

  test("iPXE gets its script, however it says its class; without one what others get", () => {
    const w = world(`${FILES},ipxe=s.ipxe`);
    for (const user of ["iPXE", concat(Uint8Array.of(4), "iPXE")]) {
      assert.equal(ask4(w, { arch: [0], user }).name, "s.ipxe");
    }
    for (const user of ["iPXF", "PXE", concat(Uint8Array.of(5), "iPXE"), Uint8Array.of(4)]) {
      assert.equal(ask4(w, { arch: [0], user }).name, "a.0");
    }
    assert.deepEqual(ask6(w, { user: "iPXE" }), [`tftp://[${GATEWAY6}]/s.ipxe`, undefined]);
    assert.equal(ask4(world(FILES, [URL4]), { arch: [0], user: "iPXE" }).name, "a.0");
    assert.equal(ask4(world("", [URL4]), { user: "iPXE" }).name, URL4);
    assert.equal(ask4(world("", [URL4]), { arch: [0] }).name, undefined, "PXE knows no URLs");
  });

  test("a client of HTTP gets the URL and its class again, or nothing", () => {
    const url6 = "http://[2001:db8::1]/boot.efi";
    const w = world(`${FILES},rest`, [URL4, url6]);
    const client = { arch: [16], vendor: HTTP };
    const found = ask4(w, client);
    assert.deepEqual([found.name, found.vendor, found.file], [URL4, "HTTPClient", ""]);
    assert.deepEqual(ask6(w, client), [url6, "HTTPClient"]);
    const none = ask4(world(`${FILES},rest`), client);
    assert.deepEqual([none.name, none.vendor], [undefined, undefined]);
    assert.deepEqual(ask6(world(FILES), client), [undefined, undefined]);
  });

  test("a name that does not fit the header is in option 67 alone", () => {
    const name = "x".repeat(128);
    const found = ask4(world(name), {});
    assert.deepEqual([found.name, found.file], [name, ""]);
    assert.equal(ask4(world(name.slice(1)), {}).file, name.slice(1));
  });

  test("malformed classes and architectures are taken for none", () => {
    const w = world("rest,ipxe=s");
    assert.equal(ask4(w, { arch: [], user: "x", vendor: "HTTP" }).name, "rest");
    for (const content of [u32(343), concat(u32(343), u16(10)), concat(u32(343), u16(10), "HTT")]) {
      w.guest(
        w.dhcp6({
          type: 11,
          options: [
            [16, content],
            [61, Uint8Array.of(0)],
            [15, u16(4)],
          ],
        }),
      );
      assert.equal(w.expectDhcp6().type, 7);
    }
  });

  test("a list that is not whole entries is no configuration", () => {
    for (const list of [[0], [0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 2, 97], [0, 0, 0, 1, 97, 0]]) {
      assert.throws(() => new World6({ boot: Uint8Array.from(list) }));
    }
  });
});
