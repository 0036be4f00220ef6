/** What a DHCP reply contains: options, their order, size limits, header fields. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { address, DhcpClient, type Option, octet, request, SERVER } from "../../support/dhcp.ts";
import { DNS, GATEWAY, GUEST, type LocalConfig, locals } from "../../support/local.ts";
import { concat, pattern, u16, u32 } from "../../support/packet.ts";

const DISCOVER = { type: 1 };
const OFFER = 2;

function tlv(code: number, value: Uint8Array | string): Uint8Array {
  const content = concat(value);
  return concat(Uint8Array.of(code, content.length), content);
}

function listing(...codes: number[]): Option {
  return [55, Uint8Array.from(codes)];
}

/** What follows type, server and lease times. */
function behind(order: readonly number[]): number[] {
  assert.deepEqual(order.slice(0, 5), [53, 54, 51, 58, 59]);
  return order.slice(5);
}

const CONFIGURED = concat(
  tlv(12, "vm"),
  tlv(15, "example.org"),
  tlv(42, Uint8Array.of(10, 0, 0, 1)),
  tlv(119, Uint8Array.of(3, 0x6f, 0x72, 0x67, 0)),
  tlv(224, "private"),
);

for (const [variant, local] of locals()) {
  const client = new DhcpClient(local);
  const offer = (options: readonly Option[] = [], config: Partial<LocalConfig> = {}) => {
    local.reset({ dhcpOptions: CONFIGURED, ...config });
    return client.ask({ ...DISCOVER, options });
  };

  describe(`local/dhcpv4-options (${variant})`, () => {
    test("every option has the value configured", () => {
      const { reply } = offer([], { mtu: 65520 });
      const wanted: [number, Uint8Array][] = [
        [1, address("255.255.255.0")],
        [3, address(GATEWAY)],
        [6, address(DNS)],
        [12, concat("vm")],
        [15, concat("example.org")],
        [26, u16(65520)],
        [28, address("10.0.2.255")],
        [42, address("10.0.0.1")],
        [51, u32(86_400)],
        [54, address(GATEWAY)],
        [58, u32(43_200)],
        [59, u32(75_600)],
        [119, Uint8Array.of(3, 0x6f, 0x72, 0x67, 0)],
        [224, concat("private")],
      ];
      for (const [code, value] of wanted) assert.deepEqual(reply.options.get(code), value);
      assert.equal(reply.options.size, wanted.length + 1, "these, the type, and no others");
    });

    test("D10: the mask stands before the router, also when asked the other way round", () => {
      assert.deepEqual(behind(offer([listing(3, 1)]).reply.order).slice(0, 2), [1, 3]);
      assert.deepEqual(
        behind(offer([listing(15, 3, 6, 1)]).reply.order).slice(0, 4),
        [15, 1, 3, 6],
      );
      assert.deepEqual(behind(offer().reply.order).slice(0, 2), [1, 3]);
    });

    test("D11: what the parameter list names comes first, in its order; the rest follows", () => {
      const { reply } = offer([listing(119, 26, 6, 224, 12, 99, 26)]);
      const wanted = [119, 26, 6, 224, 12, 1, 3, 28, 15, 42];
      assert.deepEqual(behind(reply.order), wanted);
    });

    test("the list cannot ask for the protocol's own options, pad or end", () => {
      const { reply } = offer([listing(50, 52, 53, 54, 55, 56, 57, 61, 80, 81, 82, 0, 255, 108)]);
      const wanted = [1, 3, 6, 26, 28, 12, 15, 42, 119, 224];
      assert.deepEqual(behind(reply.order), wanted);
      assert.equal(octet(reply, 53), OFFER);
    });

    test("D12: the MTU option has two octets and holds the MTU of the link", () => {
      assert.deepEqual(offer([], { mtu: 1500 }).reply.options.get(26), u16(1500));
      assert.deepEqual(offer([], { mtu: 576 }).reply.options.get(26), u16(576));
    });

    test("D17: option 108 is not sent, asked for or not", () => {
      assert.ok(!offer([listing(108)]).reply.options.has(108));
      assert.ok(!offer().reply.options.has(108));
    });

    test("D13: classless routes are not sent, so the router option counts", () => {
      const { options } = offer([listing(121, 33, 3)]).reply;
      assert.ok(!options.has(121) && !options.has(33));
      assert.deepEqual(options.get(3), address(GATEWAY));
    });

    test("D08, D16: the client identifier comes back as it is, in ACK and NAK too", () => {
      const duid = concat(Uint8Array.of(255), pattern(30));
      const id: Option = [61, duid];
      local.reset();
      for (const message of [
        { ...DISCOVER, options: [id] },
        request([50, address(GUEST)], SERVER, id),
        request([50, address("10.9.9.9")], id),
      ]) {
        assert.deepEqual(client.ask(message).reply.options.get(61), duid);
      }
      assert.ok(!client.ask(DISCOVER).reply.options.has(61), "none sent, none returned");
    });

    test("D15: a client's FQDN comes back with N set and S overruled", () => {
      const cases: [number, number][] = [
        [0x00, 0x08],
        [0x01, 0x0a],
        [0x04, 0x0c],
        [0x05, 0x0e],
        [0x08, 0x08],
        [0xf5, 0x0e],
      ];
      for (const [asked, answered] of cases) {
        const name = concat(Uint8Array.of(2), "vm", Uint8Array.of(0));
        const { reply } = offer([[81, concat(Uint8Array.of(asked, 0, 0), name)]]);
        const wanted = concat(Uint8Array.of(answered, 255, 255), name);
        assert.deepEqual(reply.options.get(81), wanted);
      }
      assert.ok(!offer([[81, new Uint8Array(2)]]).reply.options.has(81), "too short to answer");
      assert.ok(!offer([listing(81)]).reply.options.has(81), "not sent, not answered");
    });

    test("option 82 of a relay comes back, last", () => {
      const { reply } = offer([[82, pattern(40)]]);
      assert.deepEqual(reply.options.get(82), pattern(40));
      assert.equal(reply.order.at(-1), 82);
    });

    test("a full reply has room for option 82 all the same, whatever its length", () => {
      const many = Array.from({ length: 12 }, (_, i) => tlv(224 + i, pattern(40)));
      for (let length = 1; length <= 60; length += 1) {
        const sent = [listing(...many.map((_, i) => 224 + i)), [82, pattern(length)]] as const;
        const { reply } = offer(sent, { dhcpOptions: concat(...many) });
        assert.deepEqual(reply.options.get(82), pattern(length), `${length} octets`);
        assert.equal(reply.order.at(-1), 82);
        assert.ok(!many.every((_, i) => reply.options.has(224 + i)), "it is full");
      }
    });

    test("D09: a reply has 300 to 576 octets, more only if option 57 allows it", () => {
      const big = concat(...[224, 225, 226, 227, 228].map((code) => tlv(code, pattern(200))));
      const sizes: [Option[], number][] = [
        [[], 576],
        [[[57, u16(100)]], 576],
        [[[57, u16(900)]], 900],
        [[[57, u16(0xffff)]], 1500],
        [[[57, new Uint8Array(3)]], 576],
      ];
      for (const [options, most] of sizes) {
        const { frame } = offer(options, { dhcpOptions: big });
        const size = frame.octets.length - 14;
        assert.ok(size <= most && size > most - 202, `${size} of ${most}`);
      }
      assert.equal(offer([], { dhcpOptions: new Uint8Array(0) }).frame.payload.length, 300);
      local.reset();
      assert.equal(client.ask(request([50, address("10.9.9.9")])).frame.payload.length, 300);
    });

    test("D09: the link's MTU bounds a reply as well", () => {
      const big = concat(...[224, 225, 226].map((code) => tlv(code, pattern(200))));
      const { frame } = offer([[57, u16(1500)]], { dhcpOptions: big, mtu: 600 });
      assert.ok(frame.octets.length <= 614);
    });

    test("D09: what does not fit is left out as a whole, smaller ones behind it are sent", () => {
      const big = concat(tlv(224, pattern(250)), tlv(225, "small"));
      const { reply } = offer([[61, pattern(100)]], { dhcpOptions: big });
      assert.ok(!reply.options.has(224));
      assert.deepEqual(reply.options.get(225), concat("small"));
    });

    test("D09: an option longer than 255 octets is sent in pieces, all or none (RFC 3396)", () => {
      const long = concat(tlv(119, pattern(255)), tlv(119, pattern(45, 255)));
      local.reset({ dhcpOptions: long });
      client.send({ ...DISCOVER, options: [[57, u16(1500)], listing(119)] });
      const frame = local.frame();
      assert.ok(frame.kind === "udp");
      const text = Buffer.from(frame.payload).toString("hex");
      assert.ok(
        text.includes(Buffer.from(long).toString("hex")),
        "both pieces, one after the other",
      );
      assert.ok(!offer([listing(119)], { dhcpOptions: long }).reply.options.has(119));
    });

    test("D14: the search list is sent as configured, octet for octet", () => {
      const list = Uint8Array.of(3, 0x66, 0x6f, 0x6f, 3, 0x6f, 0x72, 0x67, 0, 0xc0, 4);
      assert.deepEqual(offer([], { dhcpOptions: tlv(119, list) }).reply.options.get(119), list);
    });

    test("D18: server address and boot names also stand in the header for PXE", () => {
      const dhcpOptions = concat(tlv(66, "tftp.example"), tlv(67, "boot/pxelinux.0"));
      const { reply, frame } = offer([], { dhcpOptions, siaddr: "10.0.2.4" });
      assert.equal(reply.serverAddress, "10.0.2.4");
      const { payload } = frame;
      assert.deepEqual(payload.subarray(44, 57), concat("tftp.example", Uint8Array.of(0)));
      assert.deepEqual(payload.subarray(108, 124), concat("boot/pxelinux.0", Uint8Array.of(0)));
      assert.deepEqual(reply.options.get(67), concat("boot/pxelinux.0"));
      local.reset({ dhcpOptions, siaddr: "10.0.2.4" });
      const nak = client.ask(request([50, address("10.9.9.9")]));
      assert.equal(nak.reply.serverAddress, "0.0.0.0");
      assert.ok(nak.frame.payload.subarray(44, 236).every((each) => each === 0));
    });

    test("D18: a boot name too long for its field is sent as an option only", () => {
      const dhcpOptions = tlv(67, pattern(128));
      const { reply, frame } = offer([], { dhcpOptions });
      assert.ok(frame.payload.subarray(108, 236).every((each) => each === 0));
      assert.deepEqual(reply.options.get(67), pattern(128));
    });

    test("an endless lease has no times to renew", () => {
      for (const leaseSeconds of [0, 0xffffffff]) {
        const { options } = offer([], { leaseSeconds }).reply;
        assert.deepEqual(options.get(51), u32(0xffffffff));
        assert.ok(!options.has(58) && !options.has(59));
      }
    });

    test("without a DNS server, or a broadcast address, there is no such option", () => {
      assert.ok(!offer([listing(6)], { dns: "0.0.0.0" }).reply.options.has(6));
      const small = offer([listing(28)], { prefixLength: 31, gateway: "10.0.2.14" });
      assert.ok(!small.reply.options.has(28));
      assert.deepEqual(small.reply.options.get(1), address("255.255.255.254"));
    });

    test("a configured list that is cut short is read as far as it is whole", () => {
      const { reply } = offer([], { dhcpOptions: Uint8Array.of(12, 2, 118, 109, 15, 200, 1) });
      assert.deepEqual(reply.options.get(12), concat("vm"));
      assert.ok(!reply.options.has(15));
    });

    test("CVE-2019-9824 class: no octet of a reply is left from what the slot held before", () => {
      const frames = [0x00, 0xff].map((filling) => {
        local.reset({ dhcpOptions: CONFIGURED });
        const start = local.wasm.u32("txBuffers");
        local.wasm.octets.fill(filling, start, start + 2048);
        client.send(DISCOVER);
        return local.rawFrames();
      });
      assert.deepEqual(frames[0], frames[1]);
    });
  });
}
