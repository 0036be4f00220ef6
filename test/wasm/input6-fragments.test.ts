/** Fragments of IPv6 from the guest, put together or refused. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { GATEWAY6, GUEST6, PEER6 } from "../support/engine-settings.ts";
import { concat, ip6Text, PROTOCOL_TCP, PROTOCOL_UDP, pattern, udp } from "../support/packet.ts";
import {
  extension,
  fragmentHeader,
  fragments6,
  type Ipv6Fields,
  ipv6,
} from "../support/packet6.ts";
import { World6 } from "../support/world6.ts";

const [HOP, FRAGMENT, NONE, OPTIONS] = [0, 44, 59, 60];

const ENDS = { source: GUEST6, destination: PEER6 };

function datagram(payload = pattern(20), ends = ENDS): Uint8Array {
  return udp({ ...ends, sourcePort: 5000, destinationPort: 9 }, payload);
}

/** Sends a packet to the peer; its UDP datagram must have got there or not. */
function arrives(w: World6, protocol: number, payload: Uint8Array): boolean {
  const before = w.stats.udpToHost;
  w.guest(w.packet({ destination: PEER6, protocol }, payload));
  return w.stats.udpToHost > before;
}

function problem(w: World6, code: number, pointer: number): void {
  const frame = w.expect("icmp6", { type: 4, code, rest: pointer, source: GATEWAY6 });
  assert.equal(ip6Text(frame.payload.subarray(8, 24)), GUEST6, "the quote");
}

function framed(w: World6, packet: Uint8Array): Uint8Array {
  const frame = w.packet({ destination: PEER6, protocol: NONE }, "");
  return concat(frame.subarray(0, 14), packet);
}

describe("wasm/input6: fragments", () => {
  const whole: Ipv6Fields = { ...ENDS, protocol: PROTOCOL_UDP };
  const send = (w: World6, packets: readonly Uint8Array[]): void => {
    for (const packet of packets) w.guest(framed(w, packet));
  };

  for (const size of [1400, 1232, 8]) {
    test(`P05 a datagram in fragments of ${size} octets, in any order, arrives once`, () => {
      const content = pattern(size === 8 ? 200 : 5000);
      const parts = fragments6(whole, datagram(content), size);
      for (const order of [parts, [...parts].reverse(), [...parts, ...parts.slice(0, 1)]]) {
        const w = new World6();
        send(w, order);
        assert.deepEqual(
          w.host.socket().datagrams.map(({ payload }) => payload),
          [content],
        );
      }
    });
  }

  test("P05 the largest datagram there is arrives", () => {
    const w = new World6({ mtu: 65520 });
    const content = pattern(65527);
    send(w, fragments6(whole, datagram(content), 60000));
    assert.deepEqual(w.host.socket().datagrams[0]?.payload, content);
  });

  test("P09 a piece that is no multiple of 8: parameter problem about the length", () => {
    const w = new World6();
    const header = fragmentHeader(PROTOCOL_UDP, 0, true, 7);
    w.guest(
      w.packet({ destination: PEER6, protocol: FRAGMENT }, concat(header, datagram(pattern(13)))),
    );
    problem(w, 0, 4);
  });

  test("P09 more than 65,535 octets: parameter problem about the offset", () => {
    const w = new World6();
    const header = fragmentHeader(PROTOCOL_UDP, 65528, false, 7);
    w.guest(w.packet({ destination: PEER6, protocol: FRAGMENT }, concat(header, pattern(16))));
    problem(w, 0, 42);
  });

  test("P09 after 60 seconds: time exceeded, if the first fragment is there to quote", () => {
    const [first, second] = fragments6(whole, datagram(pattern(2000)), 1400);
    const w = new World6();
    send(w, [first ?? pattern(0)]);
    w.advance(59_999_999);
    w.frames.splice(0);
    w.advance(1);
    const frame = w.expect("icmp6", { type: 3, code: 1, destination: GUEST6 });
    assert.equal(frame.payload[6], FRAGMENT, "the quote is the fragment");
    assert.deepEqual(frame.payload.subarray(0, 40 + 8 + 100), first?.subarray(0, 40 + 8 + 100));
    const silent = new World6();
    send(silent, [second ?? pattern(0)]);
    silent.advance(61_000_000);
    assert.ok(silent.take().every((one) => one.kind === "icmp6" && one.type === 134));
  });

  test("P10 CVE-2019-15890 CVE-2020-1983 class: an overlap condemns it all, in silence", () => {
    const w = new World6();
    const body = datagram(pattern(2000));
    const part = (from: number, to: number, more: boolean): Uint8Array =>
      ipv6(
        { ...whole, protocol: FRAGMENT },
        concat(fragmentHeader(PROTOCOL_UDP, from, more, 9), body.subarray(from, to)),
      );
    send(w, [part(0, 1000, true), part(992, 2008, false), part(1000, 2008, false)]);
    assert.equal(w.host.sockets.length, 0);
    assert.equal(w.stats.dropFragmentOverlap, 3);
    w.expectNothing();
  });

  test("P10 an atomic fragment is handled alone (RFC 6946)", () => {
    const w = new World6();
    const [first] = fragments6(whole, datagram(pattern(2000)), 1400, 5);
    send(w, [first ?? pattern(0)]);
    const header = fragmentHeader(PROTOCOL_UDP, 0, false, 5);
    assert.ok(arrives(w, FRAGMENT, concat(header, datagram())));
    // A second fragment header behind it is none of a sane sender's.
    const twice = concat(fragmentHeader(FRAGMENT, 0, false, 5), header, datagram());
    assert.ok(!arrives(w, FRAGMENT, twice));
  });

  test("P10 a first fragment without the whole header chain is refused (RFC 7112)", () => {
    for (const body of [
      datagram().subarray(0, 0),
      extension(PROTOCOL_UDP, pattern(6, 1).fill(0)),
    ]) {
      const w = new World6();
      const next = body.length === 0 ? OPTIONS : OPTIONS;
      const header = fragmentHeader(next, 0, true, 11);
      w.guest(w.packet({ destination: PEER6, protocol: FRAGMENT }, concat(header, body)));
      problem(w, 3, 0);
    }
    const w = new World6();
    const tcp = concat(fragmentHeader(PROTOCOL_TCP, 0, true, 12), pattern(16));
    w.guest(w.packet({ destination: PEER6, protocol: FRAGMENT }, tcp));
    problem(w, 3, 0);
  });

  test("CVE-2018-5391 class: 8,000 fragments of 8 octets make one datagram or none", () => {
    const w = new World6();
    const content = pattern(8 * 8000 - 8);
    const parts = fragments6(whole, datagram(content), 8);
    assert.equal(parts.length, 8000);
    send(w, [...parts.slice(1).reverse(), ...parts.slice(0, 1)]);
    assert.deepEqual(w.host.socket().datagrams[0]?.payload, content);
  });

  test("CVE-2019-14378 class: at most eight datagrams are held, whatever comes", () => {
    const w = new World6();
    for (let ident = 0; ident < 40; ident += 1) {
      const [first] = fragments6(whole, datagram(pattern(3000)), 1400, ident);
      send(w, [first ?? pattern(0)]);
    }
    assert.equal(w.stats.dropFragmentLimit, 32);
    w.guest(w.ping(GATEWAY6, 1, 1, "x"));
    w.expect("icmp6", { type: 129 });
  });

  test("extension headers before and behind the fragment header are stepped over", () => {
    const w = new World6();
    const pad = Uint8Array.of(1, 4, 0, 0, 0, 0);
    const body = concat(extension(PROTOCOL_UDP, pad), datagram(pattern(1000)));
    const parts = [0, 512].map((from) =>
      ipv6(
        { ...whole, protocol: HOP },
        concat(
          extension(FRAGMENT, pad),
          fragmentHeader(OPTIONS, from, from === 0, 77),
          body.subarray(from, from === 0 ? 512 : body.length),
        ),
      ),
    );
    send(w, parts);
    assert.deepEqual(w.host.socket().datagrams[0]?.payload, pattern(1000));
  });
});
