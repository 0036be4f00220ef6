/** A search list that changes: what the guest hears of it, by DHCP, DHCPv6 and advertisements. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { encodeDhcpOptions, searchOptions } from "../../../src/config/dhcp-options.ts";
import { encodeDhcp6Options } from "../../../src/config/dhcp6-options.ts";
import { GATEWAY, GUEST } from "../../support/engine-settings.ts";
import { hex } from "../../support/hex.ts";
import { concat, type Octets, octetsOf, u16, u32 } from "../../support/packet.ts";
import { ALL_NODES } from "../../support/packet6.ts";
import { World6 } from "../../support/world6.ts";

const SECOND = 1_000_000;
const SEARCH_LIST = 31;
const LIFETIME = 1800;
const INFORMATION_REQUEST = 11;
const CLIENT = [1, hex("0003 0001 525400123456")] as const;
const ONE = "\x03one\x04test\0";
const TWO = "\x03two\x04test\0";

function tell(w: World6, ...search: readonly string[]): void {
  w.engine.setDhcpOptions(encodeDhcpOptions(searchOptions(search)), encodeDhcp6Options(search));
}

function world(...search: readonly string[]): World6 {
  const dhcpOptions = encodeDhcpOptions(searchOptions(search));
  return new World6({ dhcpOptions, ipv6: { dhcpOptions: encodeDhcp6Options(search) } });
}

/** Options of that type in the advertisements to all since the last time, one list for each. */
function advertised(w: World6): Uint8Array[][] {
  return w.take().map((frame) => {
    assert.ok(frame.kind === "icmp6" && frame.type === 134);
    assert.equal(frame.destination, ALL_NODES);
    assert.ok((frame.rest & 0xffff) > 0, "the router stays one");
    const found: Uint8Array[] = [];
    for (let at = 8; at < frame.payload.length; at += 8 * (frame.payload[at + 1] ?? 1)) {
      const end = at + 8 * (frame.payload[at + 1] ?? 1);
      if (frame.payload[at] === SEARCH_LIST) found.push(frame.payload.slice(at + 2, end));
    }
    return found;
  });
}

/** Content of the option with these names. */
function list(lifetime: number, ...names: readonly Octets[]): Uint8Array {
  const all = concat(...names.map(octetsOf));
  return concat(u16(0), u32(lifetime), all, new Uint8Array((8 - (all.length % 8)) % 8));
}

describe("a new search list", () => {
  test("is advertised to all at once, three times, and is then what there is", () => {
    const w = world();
    w.advance(40 * SECOND);
    w.take();
    tell(w, "one.test");
    w.advance(0);
    assert.deepEqual(advertised(w), [[list(LIFETIME, ONE)]]);
    w.advance(33 * SECOND);
    assert.deepEqual(advertised(w), [[list(LIFETIME, ONE)], [list(LIFETIME, ONE)]]);
    w.advance(150 * SECOND);
    assert.deepEqual(advertised(w), []);
  });

  test("withdraws the names that are gone, and those alone", () => {
    const w = world("one.test", "two.test");
    w.advance(40 * SECOND);
    w.take();
    tell(w, "two.test", "three.test");
    w.advance(0);
    const both = list(LIFETIME, TWO, "\x05three\x04test\0");
    assert.deepEqual(advertised(w), [[list(0, ONE)], [both]]);
    w.advance(17 * SECOND);
    assert.deepEqual(advertised(w), [[both]]);
    tell(w);
    w.advance(3 * SECOND);
    assert.deepEqual(advertised(w), [[list(0, TWO, "\x05three\x04test\0")], []]);
  });

  test("many changes are told every three seconds at most", () => {
    const w = world();
    w.advance(40 * SECOND);
    w.take();
    for (let i = 0; i < 30; i += 1) {
      tell(w, `a${i}.test`);
      w.advance(SECOND / 10);
    }
    w.advance(SECOND);
    const lists = advertised(w);
    assert.ok(lists.length <= 3, String(lists.length));
    assert.deepEqual(lists.at(-1), [list(LIFETIME, "\x03a29\x04test\0")]);
  });

  test("as long as can be, and back: sound, withdrawn, told again", () => {
    const w = world("one.test");
    w.advance(40 * SECOND);
    w.take();
    const names = Array.from({ length: 16 }, (_, i) => `${"x".repeat(55)}${i + 10}.test`);
    tell(w, ...names.slice(0, 15));
    w.advance(0);
    const sizes = advertised(w).map((lists) => lists.map(({ length }) => length));
    assert.equal(sizes.length, 2);
    tell(w, "one.test");
    w.advance(3 * SECOND);
    assert.deepEqual(advertised(w).at(-1), [list(LIFETIME, ONE)]);
  });

  test("reaches a DHCP client that renews, and DHCPv6", () => {
    const w = world("one.test");
    const renew = (): Uint8Array => {
      const message = { type: 3, clientAddress: GUEST };
      w.guest(w.dhcp({ ...message, options: [[55, Uint8Array.of(119, 15)]] }));
      return w.expect("udp", { source: GATEWAY, sourcePort: 67 }).payload;
    };
    const inform = (): Uint8Array | undefined => {
      w.guest(w.dhcp6({ type: INFORMATION_REQUEST, options: [[...CLIENT], [6, u16(24)]] }));
      return w.expectDhcp6().options.find(([code]) => code === 24)?.[1];
    };
    const holds = (payload: Uint8Array, name: string): boolean => {
      const option = concat(Uint8Array.of(119, name.length), name);
      return Buffer.from(payload).includes(Buffer.from(option));
    };
    assert.ok(holds(renew(), ONE));
    assert.deepEqual(inform(), octetsOf(ONE));
    tell(w, "two.test");
    w.advance(0);
    w.take();
    assert.ok(holds(renew(), TWO));
    assert.deepEqual(inform(), octetsOf(TWO));
    tell(w);
    w.take();
    assert.ok(!Buffer.from(renew()).includes("test"));
    assert.equal(inform(), undefined);
  });

  test("one that is too long to hold changes nothing", () => {
    const w = world("one.test");
    const long = new Uint8Array(1025);
    assert.throws(() => w.engine.setDhcpOptions(long, new Uint8Array(0)), RangeError);
    assert.throws(() => w.engine.setDhcpOptions(new Uint8Array(0), long), RangeError);
    w.advance(30 * SECOND);
    for (const lists of advertised(w)) assert.deepEqual(lists, [list(LIFETIME, ONE)]);
  });
});
