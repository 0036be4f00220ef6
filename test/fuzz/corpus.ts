/**
 * Valid frames of every kind the engine knows, as starting points of mutation. Connections that are
 * answered properly are made by `TcpCrowd`; what is here needs no memory of what came before.
 */
import {
  DNS,
  DNS6,
  GATEWAY,
  GATEWAY_MAC,
  GATEWAY6,
  GUEST,
  GUEST_MAC,
  GUEST6,
  LINK6,
  PEER,
  PEER6,
  ROUTER6,
} from "../support/engine-settings.ts";
import {
  arp,
  concat,
  dhcp,
  ETHERTYPE_ARP,
  ethernet,
  fragments,
  type Ipv4Fields,
  icmp,
  icmpEcho,
  ipv4,
  MAC_BROADCAST,
  PROTOCOL_ICMP,
  PROTOCOL_TCP,
  PROTOCOL_UDP,
  pattern,
  type TcpOptions,
  tcp,
  u16,
  u32,
  udp,
} from "../support/packet.ts";

import {
  dhcp6,
  ETHERTYPE_IPV6,
  echo6,
  extension,
  fragments6,
  ia,
  iaAddress,
  icmp6,
  ipv6,
  linkOption,
  neighborAdvertisement,
  neighborSolicitation,
  type Option6,
  PROTOCOL_ICMPV6,
  routerSolicitation,
  solicitedNode,
} from "../support/packet6.ts";

type Fields = Omit<Ipv4Fields, "source">;

function frame(packet: Uint8Array, destination = GATEWAY_MAC, type = 0x0800): Uint8Array {
  return ethernet({ destination, source: GUEST_MAC, type }, packet);
}

function packet(fields: Fields, payload: Uint8Array): Uint8Array {
  return ipv4({ source: GUEST, ...fields }, payload);
}

function arpFrames(): Uint8Array[] {
  const sender = { senderMac: GUEST_MAC, senderAddress: GUEST };
  const bodies = [
    arp({ ...sender, targetAddress: GATEWAY }),
    arp({ ...sender, targetAddress: DNS }),
    arp({ ...sender, targetAddress: GUEST }),
    arp({ ...sender, targetAddress: "10.0.2.77" }),
    arp({ ...sender, senderAddress: "0.0.0.0", targetAddress: GATEWAY }),
    arp({ ...sender, targetMac: GATEWAY_MAC, targetAddress: GATEWAY, operation: 2 }),
    concat(arp({ ...sender, targetAddress: GATEWAY }), new Uint8Array(18)),
  ];
  return bodies.flatMap((body) => [
    frame(body, MAC_BROADCAST, ETHERTYPE_ARP),
    frame(body, GATEWAY_MAC, ETHERTYPE_ARP),
  ]);
}

function dhcpFrames(): Uint8Array[] {
  const address = Uint8Array.of(10, 0, 2, 15);
  const messages = [
    dhcp({ type: 1, mac: GUEST_MAC }),
    dhcp({ type: 1, mac: GUEST_MAC, broadcast: true, options: [[55, Uint8Array.of(1, 3, 6, 26)]] }),
    dhcp({
      type: 3,
      mac: GUEST_MAC,
      options: [
        [50, address],
        [54, Uint8Array.of(10, 0, 2, 2)],
      ],
    }),
    dhcp({ type: 3, mac: GUEST_MAC, options: [[50, Uint8Array.of(10, 9, 9, 9)]] }),
    dhcp({ type: 3, mac: GUEST_MAC, clientAddress: GUEST, options: [[61, pattern(19)]] }),
    dhcp({ type: 4, mac: GUEST_MAC, options: [[50, address]] }),
    dhcp({ type: 7, mac: GUEST_MAC, clientAddress: GUEST }),
    dhcp({ type: 8, mac: GUEST_MAC, clientAddress: GUEST, options: [[57, u16(1500)]] }),
  ];
  const ports = { sourcePort: 68, destinationPort: 67 };
  return messages.map((message) => {
    const addresses = { source: "0.0.0.0", destination: "255.255.255.255" };
    const datagram = udp({ ...addresses, ...ports }, message);
    return frame(ipv4({ ...addresses, protocol: PROTOCOL_UDP }, datagram), MAC_BROADCAST);
  });
}

function icmpFrames(): Uint8Array[] {
  const protocol = PROTOCOL_ICMP;
  const quoted = packet(
    { destination: PEER, protocol: PROTOCOL_TCP },
    tcp({
      source: GUEST,
      destination: PEER,
      sourcePort: 41000,
      destinationPort: 80,
      seq: 1,
      flags: "A",
    }),
  );
  const errors = [
    [3, 1, 0],
    [3, 3, 0],
    [3, 4, 576],
    [4, 0, 0],
    [11, 0, 0],
    [12, 0, 0],
  ] as const;
  return [
    ...[GATEWAY, DNS, PEER, "255.255.255.255", "127.0.0.1"].map((destination) =>
      frame(packet({ destination, protocol }, icmpEcho(7, 1, pattern(56)))),
    ),
    frame(packet({ destination: PEER, protocol, ttl: 1 }, icmpEcho(8, 2, pattern(1400)))),
    frame(packet({ destination: PEER, protocol }, icmpEcho(9, 3, pattern(8), 0))),
    frame(packet({ destination: PEER, protocol }, icmp({ type: 13 }, pattern(12)))),
    ...errors.map(([type, code, rest]) =>
      frame(packet({ destination: PEER, protocol }, icmp({ type, code, rest }, quoted))),
    ),
  ];
}

/** Questions that are none, or odd: what looks into them must come out again. */
function dnsMessages(query: Uint8Array): Uint8Array[] {
  const header = query.subarray(0, 12);
  const flags = (value: number): Uint8Array =>
    concat(query.subarray(0, 2), u16(value), query.subarray(4));
  const counts = (questions: number): Uint8Array =>
    concat(query.subarray(0, 4), u16(questions), query.subarray(6));
  return [
    header.subarray(0, 5),
    header, // a question is announced and missing
    flags(0x8180), // an answer
    flags(0x2900), // an update
    counts(0),
    counts(2),
    query.subarray(0, query.length - 3),
    concat(header, "\x3f", pattern(40)), // a label beyond the end
    concat(header, "\xc0\x0c", u32(0x10001)), // a name that points to itself
    concat(header, ...Array.from({ length: 130 }, () => "\x01a"), "\0", u32(0x10001)),
    concat(query.subarray(0, 10), u16(1), query.subarray(12), "\0", u16(41), pattern(60)),
  ];
}

function udpFrames(): Uint8Array[] {
  const protocol = PROTOCOL_UDP;
  const build = (destination: string, port: number, payload: Uint8Array, more = {}): Uint8Array => {
    const ports = { sourcePort: 42000 + (port % 100), destinationPort: port };
    const datagram = udp({ source: GUEST, destination, ...ports, ...more }, payload);
    return frame(packet({ destination, protocol, dontFragment: port === 4433 }, datagram));
  };
  const query = concat(
    u32(0x1a2b0100),
    u32(0x00010000),
    u32(0),
    "\x07example\x03com\0",
    u32(0x10001),
  );
  return [
    build(PEER, 9, new Uint8Array(0)),
    build(PEER, 53, pattern(40)),
    build(PEER, 4433, pattern(1200)),
    build(PEER, 4434, pattern(1200), { checksum: 0 }),
    build(DNS, 53, query),
    build(DNS, 54, query),
    ...dnsMessages(query).flatMap((message) => [build(DNS, 53, message), build(DNS, 853, message)]),
    build(GATEWAY, 9999, pattern(20)),
    build("10.0.2.255", 137, pattern(50)),
    build("224.0.0.251", 5353, pattern(50)),
    build("198.51.100.81", 7, pattern(1472)),
    build("198.51.100.82", 7, pattern(1)),
    build("169.254.169.254", 80, pattern(9)),
    build("169.254.1.1", 80, pattern(9)),
  ];
}

function tcpFrames(): Uint8Array[] {
  const build = (
    flags: string,
    destinationPort: number,
    options: TcpOptions = {},
    payload = 0,
  ): Uint8Array => {
    const numbers = { seq: 0x1000, ack: flags.includes("A") ? 0x2000 : 0 };
    const ports = { sourcePort: 43000 + flags.length, destinationPort };
    const addresses = { source: GUEST, destination: PEER };
    const segment = tcp({ ...addresses, ...ports, ...numbers, flags, options }, pattern(payload));
    return frame(packet({ destination: PEER, protocol: PROTOCOL_TCP }, segment));
  };
  const full = { mss: 1460, sackPermitted: true, timestamps: [1, 0], windowScale: 7 } as const;
  return [
    build("S", 80, full),
    build("S", 81, { mss: 536 }),
    build("S", 82),
    build("S", 83, { raw: Uint8Array.of(254, 3, 1, 2, 0, 0, 0, 5) }),
    build("S", 84, full, 100),
    build("SA", 80, full),
    build("A", 80),
    build("PA", 80, { timestamps: [5, 6] }, 300),
    build("A", 80, {
      sack: [
        [0x2100, 0x2200],
        [0x2300, 0x2400],
      ],
    }),
    build("FA", 80, {}, 10),
    build("R", 80),
    build("RA", 80),
    build("PAU", 80, {}, 20),
    build("FSRPAUEC", 80, {}, 1),
  ];
}

function oddFrames(): Uint8Array[] {
  const body = pattern(3000);
  const whole = { source: GUEST, destination: PEER, protocol: PROTOCOL_UDP };
  const ports = { sourcePort: 42500, destinationPort: 2500 };
  const datagram = udp({ ...whole, ...ports }, body);
  const route = Uint8Array.of(131, 7, 4, 10, 0, 2, 2, 0);
  const router = Uint8Array.of(148, 4, 0, 0);
  const echo = icmpEcho(77, 1, body);
  const pings = { source: GUEST, destination: GATEWAY, protocol: PROTOCOL_ICMP, id: 99 };
  return [
    ...fragments({ ...whole, id: 98 }, datagram, 1480).map((part) => frame(part)),
    ...fragments({ ...whole, id: 97 }, datagram, 8 * 60).map((part) => frame(part)),
    ...fragments(pings, echo, 1024).map((part) => frame(part)),
    frame(packet({ destination: PEER, protocol: 132 }, pattern(40))),
    frame(
      packet({ destination: PEER, protocol: PROTOCOL_UDP, options: route }, datagram.slice(0, 8)),
    ),
    frame(packet({ destination: PEER, protocol: PROTOCOL_UDP, options: router }, pattern(30))),
    frame(ipv4({ source: "10.9.9.9", destination: PEER, protocol: PROTOCOL_UDP }, pattern(30))),
    frame(pattern(100), GATEWAY_MAC, 0x86dd),
    frame(pattern(60), GATEWAY_MAC, 0x8100),
    frame(pattern(60), "01:00:5e:00:00:fb"),
    frame(new Uint8Array(0)),
  ];
}

/** Frames of IPv6: the header's next header tells what `payload` is. */
function six(destination: string, protocol: number, payload: Uint8Array, fields = {}): Uint8Array {
  const header = { source: GUEST6, destination, protocol, ...fields };
  const to = destination.startsWith("ff") ? "33:33:00:00:00:01" : GATEWAY_MAC;
  return frame(ipv6(header, payload), to, ETHERTYPE_IPV6);
}

function neighborFrames(): Uint8Array[] {
  const link = linkOption(1, GUEST_MAC);
  const messages = [GATEWAY6, DNS6, ROUTER6, GUEST6].flatMap((target) => {
    const destination = solicitedNode(target);
    const probe = { source: "::", destination };
    const ask = { source: LINK6, destination };
    return [
      [LINK6, destination, neighborSolicitation(ask, target, link)],
      ["::", destination, neighborSolicitation(probe, target)],
    ] as const;
  });
  const toRouters = { source: LINK6, destination: "ff02::2" };
  const own = { source: GUEST6, destination: ROUTER6 };
  const all = [
    ...messages,
    [LINK6, "ff02::2", routerSolicitation(toRouters, link)],
    ["::", "ff02::2", routerSolicitation({ ...toRouters, source: "::" })],
    [GUEST6, ROUTER6, neighborAdvertisement(own, GUEST6, 0x60000000, linkOption(2, GUEST_MAC))],
    [LINK6, "ff02::16", icmp6({ source: LINK6, destination: "ff02::16", type: 143 }, pattern(20))],
  ] as const;
  return all.map(([source, destination, message]) =>
    six(destination, PROTOCOL_ICMPV6, message, { source, ttl: 255 }),
  );
}

function dhcp6Frames(): Uint8Array[] {
  const client: Option6 = [1, concat(u16(3), u16(1), pattern(6))];
  const server: Option6 = [2, concat(u16(3), u16(1), Uint8Array.of(0x52, 0x55, 0x0a, 0, 2, 2))];
  const wanted: Option6 = [6, concat(...[23, 24, 39, 59].map(u16))];
  const bound = ia(1, [iaAddress(GUEST6, 100), iaAddress("2001:db8::1")]);
  const ends = { source: LINK6, destination: "ff02::1:2" };
  return [1, 3, 4, 5, 6, 8, 9, 11, 12].map((type) => {
    const toServer = [3, 5, 8, 9].includes(type) ? [server] : [];
    const rest = type === 11 ? [wanted] : [bound, wanted, ia(2), ia(3, [], 25)];
    const message = dhcp6({ type, options: [client, ...toServer, ...rest] });
    const ports = { sourcePort: 546, destinationPort: 547 };
    return six("ff02::1:2", PROTOCOL_UDP, udp({ ...ends, ...ports }, message), { source: LINK6 });
  });
}

function ipv6Frames(): Uint8Array[] {
  const ends = { source: GUEST6, destination: PEER6 };
  const datagram = udp({ ...ends, sourcePort: 42700, destinationPort: 9 }, pattern(100));
  const syn = tcp({ ...ends, sourcePort: 43700, destinationPort: 80, seq: 1, flags: "S" });
  const ack = tcp({ ...ends, sourcePort: 43700, destinationPort: 80, seq: 2, ack: 9, flags: "A" });
  const pad = Uint8Array.of(1, 4, 0, 0, 0, 0);
  const quote = ipv6({ source: PEER6, destination: GUEST6, protocol: PROTOCOL_TCP }, ack);
  const toGateway = { source: GUEST6, destination: GATEWAY6 };
  return [
    six(PEER6, PROTOCOL_UDP, datagram),
    six(PEER6, PROTOCOL_UDP, datagram, { ttl: 1 }),
    six(
      DNS6,
      PROTOCOL_UDP,
      udp({ ...toGateway, destination: DNS6, sourcePort: 1, destinationPort: 53 }, pattern(40)),
    ),
    six(
      GATEWAY6,
      PROTOCOL_UDP,
      udp({ ...toGateway, sourcePort: 1, destinationPort: 9 }, pattern(9)),
    ),
    six(PEER6, PROTOCOL_TCP, syn),
    six(PEER6, PROTOCOL_TCP, ack),
    six(GATEWAY6, PROTOCOL_ICMPV6, echo6(toGateway, 1, 2, pattern(56))),
    six(PEER6, PROTOCOL_ICMPV6, echo6(ends, 1, 2, pattern(1300))),
    ...[1, 2, 3, 4].map((type) =>
      six(GATEWAY6, PROTOCOL_ICMPV6, icmp6({ ...toGateway, type, rest: 1280 }, quote)),
    ),
    six(PEER6, 0, concat(extension(60, pad), extension(PROTOCOL_UDP, pad), datagram)),
    six(PEER6, 43, concat(extension(PROTOCOL_UDP, Uint8Array.of(0, 1, 0, 0, 0, 0)), datagram)),
    six(PEER6, 60, concat(extension(PROTOCOL_UDP, Uint8Array.of(0xde, 4, 0, 0, 0, 0)), datagram)),
    six(PEER6, 132, pattern(40)),
    six(PEER6, 59, pattern(4)),
    ...fragments6({ ...ends, protocol: PROTOCOL_UDP }, datagram, 48).map((part) =>
      frame(part, GATEWAY_MAC, ETHERTYPE_IPV6),
    ),
    six("2001:db8::81", PROTOCOL_UDP, datagram, { source: "2001:db8::9" }),
    six("::ffff:7f00:1", PROTOCOL_UDP, datagram),
    ...["64:ff9b::a9fe:a9fe", "64:ff9b:1::7f00:1", "2002:7f00:1::1", "2001::1", "fec0::1"].map(
      (address) => six(address, PROTOCOL_UDP, datagram),
    ),
  ];
}

/** All of them, Ethernet frames without virtio_net_hdr. */
export function corpus(): Uint8Array[] {
  return [
    ...arpFrames(),
    ...dhcpFrames(),
    ...icmpFrames(),
    ...udpFrames(),
    ...tcpFrames(),
    ...oddFrames(),
    ...neighborFrames(),
    ...dhcp6Frames(),
    ...ipv6Frames(),
  ];
}
