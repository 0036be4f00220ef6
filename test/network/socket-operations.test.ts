/** What a guest's packets become on an `Upstream`, and what its news become for the guest. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import {
  createNetworkSync,
  type NetworkSettings,
  readFlows,
  readStats,
} from "../../src/network/index.ts";
import { NO_UPSTREAM } from "../../src/network/no-upstream.ts";
import type {
  Datagram,
  Endpoint,
  TcpEvents,
  TcpTarget,
  UdpEvents,
  UdpOptions,
  UdpSocket,
  Upstream,
} from "../../src/network/upstream.ts";
import { engineModule } from "../support/engine-binary.ts";
import {
  DNS,
  GATEWAY_MAC,
  GATEWAY6,
  GUEST,
  GUEST_MAC,
  GUEST6,
  PEER,
  PEER6,
} from "../support/engine-settings.ts";
import type { Frame } from "../support/frame.ts";
import {
  ethernet,
  icmpEcho,
  ipv4,
  octetsOf,
  PROTOCOL_ICMP,
  PROTOCOL_TCP,
  PROTOCOL_UDP,
  pattern,
  tcp,
  udp,
} from "../support/packet.ts";
import { decodeFrame } from "../support/packet-decode.ts";
import { ETHERTYPE_IPV6, echo6, ipv6, PROTOCOL_ICMPV6 } from "../support/packet6.ts";
import { TestHost } from "../support/test-host.ts";

/** Lets promises that have been settled have their say. */
const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

function world(upstream: Partial<Upstream>, settings: NetworkSettings = {}) {
  const host = new TestHost();
  const engine = engineModule("simd");
  const network = createNetworkSync({
    engine,
    host,
    settings,
    upstream: { ...NO_UPSTREAM, ...upstream },
  });
  const frames: Frame[] = [];
  network.link.onFrame = (frame) => {
    frames.push(decodeFrame(frame, { vnetSize: 0, mtu: 1500 }));
  };
  /** Sends a frame of the guest and lets all that follows at once happen. */
  const send = async (frame: Uint8Array): Promise<void> => {
    network.link.receive(frame);
    host.run();
    await settled();
    host.run();
  };
  const take = <Kind extends Frame["kind"]>(kind: Kind): Extract<Frame, { kind: Kind }>[] =>
    frames.filter((frame): frame is Extract<Frame, { kind: Kind }> => frame.kind === kind);
  return { host, network, frames, send, take };
}

function fromGuest(to: string, protocol: number, payload: Uint8Array, tos = 0): Uint8Array {
  const isSix = to.includes(":");
  const packet = isSix
    ? ipv6({ source: GUEST6, destination: to, protocol }, payload)
    : ipv4({ source: GUEST, destination: to, protocol, tos }, payload);
  const ends = { source: GUEST_MAC, destination: GATEWAY_MAC };
  return ethernet(isSix ? { ...ends, type: ETHERTYPE_IPV6 } : ends, packet);
}

function datagram(to: string, port: number, payload: Uint8Array | string): Uint8Array {
  const source = to.includes(":") ? GUEST6 : GUEST;
  const fields = { source, destination: to, sourcePort: 5000, destinationPort: port };
  return fromGuest(to, PROTOCOL_UDP, udp(fields, payload));
}

/** Ports of UDP that keep what is sent and can be answered. */
class Ports {
  readonly opened: UdpOptions[] = [];
  readonly sent: { readonly payload: string; readonly to: Endpoint }[] = [];
  readonly answers: Datagram[] = [];
  closed = 0;
  hasRoom = true;
  events: UdpEvents | undefined;

  readonly open = (options: UdpOptions, events: UdpEvents): UdpSocket => {
    this.opened.push(options);
    this.events = events;
    return {
      port: 4242,
      send: (payload, to) => {
        if (this.hasRoom) this.sent.push({ payload: Buffer.from(payload).toString(), to });
        return this.hasRoom;
      },
      receive: () => this.answers.shift(),
      close: () => {
        this.closed += 1;
      },
    };
  };
}

describe("operations: UDP", () => {
  for (const peer of [PEER, PEER6]) {
    test(`datagrams go out and answers come in: ${peer}`, async () => {
      const ports = new Ports();
      const { host, send, take } = world({ openUdp: ports.open });
      await send(datagram(peer, 7, "hello"));
      await send(datagram(peer, 8, "again"));
      assert.deepEqual(ports.opened, [{ family: peer === PEER ? 4 : 6, port: 0, peer: undefined }]);
      assert.deepEqual(ports.sent, [
        { payload: "hello", to: { address: peer, port: 7 } },
        { payload: "again", to: { address: peer, port: 8 } },
      ]);
      for (const port of [8, 7]) {
        ports.answers.push({ from: { address: peer, port }, payload: octetsOf(`from ${port}`) });
      }
      ports.events?.readable();
      host.run();
      const got = take("udp").map(({ source, sourcePort, payload }) => [
        source,
        sourcePort,
        Buffer.from(payload).toString(),
      ]);
      assert.deepEqual(got, [
        [peer, 8, "from 8"],
        [peer, 7, "from 7"],
      ]);
    });

    test(`a refusal becomes an ICMP error about that datagram: ${peer}`, async () => {
      const ports = new Ports();
      const { host, send, take } = world({ openUdp: ports.open });
      await send(datagram(peer, 7, "hello"));
      ports.events?.refused("ECONNREFUSED", { address: peer, port: 7 }, octetsOf("hello"));
      host.run();
      const kinds = [...take("icmp"), ...take("icmp6")].map(({ type, code }) => [type, code]);
      const isSix = peer === PEER6;
      assert.deepEqual(
        kinds.filter(([type = 0]) => type < 128),
        [isSix ? [1, 4] : [3, 3]],
      );
    });
  }

  test("no datagram, the largest and one of nothing are what they were", async () => {
    const ports = new Ports();
    const { host, send, take } = world({ openUdp: ports.open });
    await send(datagram(PEER, 7, ""));
    assert.equal(ports.sent[0]?.payload, "");
    const large = pattern(1472);
    ports.answers.push({ from: { address: PEER, port: 7 }, payload: large });
    ports.answers.push({ from: { address: PEER, port: 7 }, payload: new Uint8Array(0) });
    ports.events?.readable();
    host.run();
    assert.deepEqual(
      take("udp").map(({ payload }) => payload.length),
      [1472, 0],
    );
  });

  test("what finds no room is dropped and counted", async () => {
    const ports = new Ports();
    ports.hasRoom = false;
    const { network, send } = world({ openUdp: ports.open });
    await send(datagram(PEER, 7, "hello"));
    assert.equal(network.inspect(readStats).dropUdpSend, 1);
  });

  test("a port that is not to be had is no more than that", async () => {
    const { network, send } = world({ openUdp: () => undefined });
    await send(datagram(PEER, 7, "hello"));
    assert.equal(
      network.inspect(readStats).dropUdpSend > 0 || network.inspect(readFlows).length === 0,
      true,
    );
  });

  test("an idle port is closed, and its last news are nobody's", async () => {
    const ports = new Ports();
    const { host, network, send } = world({ openUdp: ports.open }, { udpTimeout: 10 });
    await send(datagram(PEER, 7, "hello"));
    host.advance(30_000_000);
    assert.equal(ports.closed, 1);
    ports.events?.readable();
    host.run();
    assert.equal(network.inspect(readStats).staleEvents, 0);
    assert.equal(network.inspect(readFlows).length, 0);
  });
});

describe("operations: names", () => {
  const answerOf = async (question: Uint8Array): Promise<Uint8Array> => {
    const answer = question.slice();
    answer[2] = (answer[2] ?? 0) | 0x80; // it is a response
    return answer;
  };
  const question = Uint8Array.of(
    ...[0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0],
    ...[1, 97, 4, 116, 101, 115, 116, 0, 0, 1, 0, 1],
  );

  test("a question over UDP is answered from the DNS address", async () => {
    const { send, take } = world({ resolve: answerOf });
    await send(datagram(DNS, 53, question));
    const [answer] = take("udp");
    assert.equal(answer?.source, DNS);
    assert.deepEqual(answer?.payload, await answerOf(question));
  });

  test("a resolver that fails leaves SERVFAIL or nothing, never an answer of ours", async () => {
    const resolve = (): Promise<Uint8Array> => Promise.reject(new Error("offline"));
    const { host, send, take } = world({ resolve });
    await send(datagram(DNS, 53, question));
    host.advance(60_000_000);
    const codes = take("udp").map(({ payload }) => (payload[3] ?? 0) & 15);
    assert.equal(
      codes.every((code) => code === 2),
      true,
    );
  });

  test("without resolver the DNS address says SERVFAIL, and nothing leaves", async () => {
    const ports = new Ports();
    const { network, send, take } = world({ openUdp: ports.open });
    await send(datagram(DNS, 53, question));
    assert.deepEqual(
      take("udp").map(({ payload }) => (payload[3] ?? 0) & 15),
      [2],
    );
    assert.deepEqual(ports.opened, []);
    assert.equal(network.inspect(readStats).servfailSent, 1);
  });
});

describe("operations: ping", () => {
  const echo = async (address: string, data: Uint8Array): Promise<Uint8Array | undefined> =>
    address === PEER || address === PEER6 ? data : undefined;

  for (const peer of [PEER, PEER6]) {
    test(`an echo that came back is told, with the guest's own identifier: ${peer}`, async () => {
      const { send, take } = world({ ping: echo });
      const request = peer === PEER ? icmpEcho(9, 3, "abcdefgh") : undefined;
      const packet =
        request === undefined
          ? fromGuest(
              PEER6,
              PROTOCOL_ICMPV6,
              echo6({ source: GUEST6, destination: PEER6 }, 9, 3, "abcdefgh"),
            )
          : fromGuest(PEER, PROTOCOL_ICMP, request);
      await send(packet);
      const replies = [...take("icmp"), ...take("icmp6")].filter(({ source }) => source === peer);
      assert.deepEqual(
        replies.map(({ type, rest }) => [type, rest]),
        [[peer === PEER ? 0 : 129, (9 << 16) | 3]],
      );
    });
  }

  test("one that did not come back, or cannot be sent, is no reply", async () => {
    const other = "198.51.100.81";
    const asked = fromGuest(other, PROTOCOL_ICMP, icmpEcho(9, 3, "abcdefgh"));
    for (const upstream of [{ ping: echo }, {}]) {
      const { host, network, send, take } = world(upstream);
      await send(asked);
      host.advance(1_000_000);
      assert.deepEqual(
        take("icmp").filter(({ type }) => type === 0),
        [],
      );
      assert.equal(network.inspect(readStats).pingToGuest, 0);
    }
  });
});

describe("operations: TCP", () => {
  const syn = (to: string, tos = 0): Uint8Array => {
    const source = to.includes(":") ? GUEST6 : GUEST;
    const ends = { source, destination: to, sourcePort: 4000, destinationPort: 80 };
    return fromGuest(to, PROTOCOL_TCP, tcp({ ...ends, flags: "S", seq: 1, window: 60_000 }), tos);
  };

  test("a connection is accepted when the far side has, not before", async () => {
    const targets: TcpTarget[] = [];
    let events: TcpEvents | undefined;
    const connect: Upstream["connect"] = (target, its) => {
      targets.push(target);
      events = its;
      return { send: () => 0, receive: () => 0, shutdown: () => {}, close: () => {} };
    };
    const { host, send, take } = world({ connect });
    await send(syn(PEER, 0x20));
    assert.deepEqual(targets, [{ address: PEER, port: 80, tos: 0x20 }]);
    assert.deepEqual(take("tcp"), []);
    events?.connected();
    host.run();
    assert.deepEqual(
      take("tcp").map(({ flags }) => flags),
      ["SA"],
    );
  });

  for (const [code, kind] of [
    ["ECONNREFUSED", "tcp"],
    ["EHOSTUNREACH", "icmp"],
    ["ENETUNREACH", "icmp"],
  ] as const) {
    for (const isLate of [false, true]) {
      test(`${code} ${isLate ? "later" : "at once"} is told the guest`, async () => {
        let events: TcpEvents | undefined;
        let closed = 0;
        const connect: Upstream["connect"] = (_target, its) => {
          events = its;
          if (!isLate) its.failed(code);
          const close = (): void => {
            closed += 1;
          };
          return { send: () => 0, receive: () => 0, shutdown: () => {}, close };
        };
        const { host, network, send, take } = world({ connect });
        await send(syn(PEER));
        if (isLate) events?.failed(code);
        host.run();
        assert.equal(take(kind).length, 1);
        assert.equal(closed, 1);
        assert.equal(network.inspect(readFlows).length, 0);
        events?.readable();
        events?.failed(code);
        host.run();
      });
    }
  }

  test("IPv6 goes out as text, and not at all where the upstream has none", async () => {
    const targets: TcpTarget[] = [];
    const connect: Upstream["connect"] = (target, events) => {
      targets.push(target);
      return NO_UPSTREAM.connect(target, events);
    };
    const both = world({ connect });
    await both.send(syn(PEER6));
    assert.deepEqual(
      targets.map(({ address }) => address),
      [PEER6],
    );
    const four = world({ connect, families: [4] });
    await four.send(syn(PEER6));
    assert.equal(targets.length, 1);
    assert.equal(
      four.frames.some((frame) => "source" in frame && frame.source === GATEWAY6),
      false,
    );
  });
});
