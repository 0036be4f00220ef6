/** Networks as an embedder has them: frames in, frames out, misuse, back-pressure, the end. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { EngineError, type EngineErrorCode } from "../../src/engine/errors.ts";
import {
  createNetwork,
  createNetworkSync,
  dhcpOptions,
  dial,
  type Network,
  type NetworkOptions,
  readFlows,
  readStats,
} from "../../src/network/index.ts";
import type { Upstream } from "../../src/network/upstream.ts";
import { engineModule, readEngine } from "../support/engine-binary.ts";
import { GATEWAY, GATEWAY_MAC, GUEST, GUEST_MAC, PEER } from "../support/engine-settings.ts";
import {
  arp,
  ETHERTYPE_ARP,
  ethernet,
  icmpEcho,
  ipv4,
  MAC_BROADCAST,
  PROTOCOL_ICMP,
  PROTOCOL_TCP,
  type TcpFields,
  tcp,
} from "../support/packet.ts";
import { decodeFrame } from "../support/packet-decode.ts";
import { TestHost } from "../support/test-host.ts";

const SEED = new Uint8Array(32).fill(3);
const PLAIN = { vnetSize: 0, mtu: 1500 } as const;

function set(options: Partial<NetworkOptions> = {}) {
  const host = new TestHost();
  const engine = engineModule("simd");
  const network = createNetworkSync({ engine, host, seed: SEED, ...options });
  const frames: Uint8Array[] = [];
  network.link.onFrame = (frame) => void frames.push(frame);
  const take = () => frames.splice(0).map((frame) => decodeFrame(frame, PLAIN));
  return { host, network, frames, take };
}

function arpFor(address: string): Uint8Array {
  const payload = arp({
    operation: 1,
    senderMac: GUEST_MAC,
    senderAddress: GUEST,
    targetMac: "00:00:00:00:00:00",
    targetAddress: address,
  });
  return ethernet({ source: GUEST_MAC, destination: MAC_BROADCAST, type: ETHERTYPE_ARP }, payload);
}

function toGateway(to: string, protocol: number, payload: Uint8Array): Uint8Array {
  const packet = ipv4({ source: GUEST, destination: to, protocol }, payload);
  const fields = { source: GUEST_MAC, destination: GATEWAY_MAC };
  return ethernet(fields, packet);
}

const ping = (sequence: number): Uint8Array =>
  toGateway(GATEWAY, PROTOCOL_ICMP, icmpEcho(9, sequence, "abcdefgh"));

type Segment = Pick<TcpFields, "flags" | "seq" | "ack">;

function segment(fields: Segment, payload = "", sourcePort = 40_000): Uint8Array {
  const ends = { source: GUEST, destination: PEER, sourcePort, destinationPort: 80 };
  return toGateway(PEER, PROTOCOL_TCP, tcp({ ...ends, window: 64_000, ...fields }, payload));
}

const syn = (sourcePort?: number): Uint8Array => segment({ flags: "S", seq: 1 }, "", sourcePort);

function throwsCode(code: EngineErrorCode, act: () => unknown): void {
  assert.throws(act, (error) => error instanceof EngineError && error.code === code);
}

describe("network: frames", () => {
  test("a frame goes in, the answer comes out with the next turn", () => {
    const { host, network, take } = set();
    assert.equal(network.link.receive(arpFor(GATEWAY)), true);
    assert.deepEqual(take(), [], "not before");
    host.run();
    const [reply] = take().filter(({ kind }) => kind === "arp");
    assert.equal(reply?.kind === "arp" && reply.senderMac, GATEWAY_MAC);
    assert.equal(network.inspect(readStats).arpReplies, 1);
  });

  test("the frame is copied: the card may use its buffer again at once", () => {
    const { host, network, take } = set();
    const buffer = arpFor(GATEWAY);
    network.link.receive(buffer);
    buffer.fill(0);
    host.run();
    assert.equal(take().filter(({ kind }) => kind === "arp").length, 1);
  });

  test("a batch is written in place and handed over at once", () => {
    const { network, take } = set();
    const batch = network.link.openBatch();
    for (let i = 0; i < 64; i += 1) {
      const frame = ping(i);
      batch.next(frame.length)?.set(frame);
    }
    assert.equal(batch.next(64), undefined, "64 at most");
    assert.equal(batch.count, 64);
    batch.end();
    const replies = take().filter(({ kind }) => kind === "icmp");
    assert.equal(replies.length, 64);
  });

  test("frames that came one by one go before those of a batch", () => {
    const { network, take } = set();
    network.link.receive(ping(1));
    const batch = network.link.openBatch();
    const frame = ping(2);
    batch.next(frame.length)?.set(frame);
    batch.end();
    const sequences = take().flatMap((reply) => (reply.kind === "icmp" ? reply.rest & 0xffff : []));
    assert.deepEqual(sequences, [1, 2]);
  });

  test("an empty batch is one that is not there", () => {
    const { network } = set();
    network.link.openBatch().end();
    network.link.openBatch().end();
  });

  test("frames can be read where the engine has them", () => {
    const { host, network } = set();
    const seen: number[] = [];
    network.link.onFrames = (frames) => {
      for (let i = 0; i < frames.count; i += 1) {
        const into = new Uint8Array(frames.length(i) + 2);
        frames.copy(i, into, 2);
        assert.throws(() => frames.copy(i, into.subarray(3)), RangeError);
        const reply = decodeFrame(into.subarray(2), PLAIN);
        if (reply.kind === "icmp") seen.push(into.length - 2);
      }
      return frames.count;
    };
    for (let i = 0; i < 3; i += 1) network.link.receive(ping(i));
    host.run();
    assert.deepEqual(seen, [60, 60, 60]);
  });

  test("nobody there: frames are counted, and nothing waits", () => {
    const { host, network } = set();
    network.link.onFrame = undefined;
    for (let i = 0; i < 40; i += 1) network.link.receive(ping(i));
    host.run();
    assert.equal(network.link.refused >= 40, true);
  });

  test("the same seed, times and frames give the same octets; another seed does not", () => {
    const play = (seed: Uint8Array): string => {
      const { host, network, frames } = set({ seed });
      network.link.receive(arpFor(GATEWAY));
      host.run();
      dial(network, 80)
        .readable.cancel()
        .catch(() => {});
      host.advance(3_000_000);
      for (let i = 0; i < 5; i += 1) network.link.receive(syn(40_000 + i));
      host.advance(100_000);
      return frames.map((frame) => Buffer.from(frame).toString("hex")).join("\n");
    };
    assert.equal(play(SEED), play(SEED));
    assert.notEqual(play(SEED), play(new Uint8Array(32).fill(4)));
  });
});

describe("network: back-pressure", () => {
  test("a card without room gets the same frame again, in order, after resume", () => {
    const { host, network } = set();
    const got: number[] = [];
    let room = 2;
    network.link.onFrame = (frame) => {
      const reply = decodeFrame(frame, PLAIN);
      if (reply.kind !== "icmp") return undefined;
      if (room === 0) return false;
      room -= 1;
      got.push(reply.rest & 0xffff);
      return true;
    };
    for (let i = 0; i < 10; i += 1) network.link.receive(ping(i));
    host.run();
    assert.deepEqual(got, [0, 1]);
    host.advance(1_000_000);
    assert.deepEqual(got, [0, 1], "not before it has said so");
    room = 100;
    network.link.resume();
    host.run();
    assert.deepEqual(got, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
  });

  test("resume that is said for nothing does no harm", () => {
    const { host, network, take } = set();
    for (let i = 0; i < 500; i += 1) {
      network.link.resume();
      host.run();
    }
    network.link.receive(ping(1));
    host.run();
    assert.equal(take().filter(({ kind }) => kind === "icmp").length, 1);
  });

  test("a link without room says so, and tells when there is some", () => {
    const { host, network } = set();
    let taken = 0;
    while (network.link.receive(ping(taken))) taken += 1;
    assert.equal(taken, 512);
    let told = 0;
    network.link.onRoom = () => {
      told += 1;
    };
    host.run();
    assert.equal(told, 1);
    assert.equal(network.link.receive(ping(0)), true);
    assert.equal(network.inspect(readStats).guestRxFrames, 512);
  });
});

describe("network: misuse", () => {
  test("a frame of no octets, or one no slot holds", () => {
    const { network } = set();
    throwsCode("FRAME", () => network.link.receive(new Uint8Array(0)));
    throwsCode("FRAME", () => network.link.receive(new Uint8Array(69_633)));
    const batch = network.link.openBatch();
    throwsCode("FRAME", () => batch.next(0));
    throwsCode("FRAME", () => batch.next(69_633));
    throwsCode("FRAME", () => batch.next(1.5));
    batch.end();
  });

  test("a batch while another is in work, from within a turn, or after its end", () => {
    const { host, network } = set();
    const batch = network.link.openBatch();
    throwsCode("BUSY", () => network.link.openBatch());
    batch.end();
    throwsCode("BUSY", () => batch.end());
    throwsCode("BUSY", () => batch.next(60));
    let thrown: unknown;
    network.link.onFrame = () => {
      try {
        network.link.openBatch();
      } catch (error) {
        thrown = error;
      }
    };
    network.link.receive(ping(1));
    host.run();
    assert.equal(thrown instanceof EngineError && thrown.code, "BUSY");
  });

  test("a network that was disposed of", async () => {
    const { host, network } = set();
    dial(network, 80)
      .readable.cancel()
      .catch(() => {});
    network.link.receive(ping(1));
    network.dispose();
    network.dispose();
    await network.closed;
    throwsCode("DISPOSED", () => network.link.receive(ping(1)));
    throwsCode("DISPOSED", () => network.link.openBatch());
    throwsCode("DISPOSED", () => network.link.resume());
    throwsCode("DISPOSED", () => dial(network, 80));
    throwsCode("DISPOSED", () => network.inspect(readStats));
    throwsCode("DISPOSED", () => network.inspect(readFlows));
    host.run();
    host.advance(10_000_000);
    assert.equal(host.isIdle, true, "no timer is left");
  });

  test("what is no engine", async () => {
    const garbage = Uint8Array.of(1, 2, 3);
    throwsCode("MODULE", () => createNetworkSync({ engine: garbage }));
    await assert.rejects(createNetwork({ engine: garbage }), { code: "MODULE" });
    const empty = Uint8Array.of(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0);
    throwsCode("EXPORTS", () => createNetworkSync({ engine: empty }));
    await assert.rejects(createNetwork({ engine: empty.buffer }), { code: "EXPORTS" });
    const real = await createNetwork({ engine: readEngine("scalar").slice() });
    real.dispose();
  });

  test("settings out of range", () => {
    const engine = engineModule("simd");
    const wrong: NetworkOptions["settings"][] = [
      { mtu: 575, ipv6: false },
      { mtu: 1279 },
      { mtu: 65_521 },
      { mtu: 1500.5 },
      { mtu: Number.NaN },
      { ipv4: "10.0.2.1/24" },
      { ipv4: "hello" },
      { ipv6: "10.0.2.0/24" },
      { ipv4: false, ipv6: false },
      { gateway: "10.0.3.1" },
      { gateway: "10.0.2.255" },
      { gateway: "10.0.2.15" },
      { guest: "10.0.2.3" },
      { gatewayMac: "52:55" },
      { flows: 15 },
      { flows: 65_537 },
      { bufferMib: 0 },
      { bufferMib: 65 },
      { udpTimeout: 0 },
      { tcpTimeout: -1 },
      { dhcp: { ipv4: new Uint8Array(1025), ipv6: new Uint8Array(0) } },
      { dhcp: { ipv4: new Uint8Array(0), ipv6: new Uint8Array(1025) } },
      { resolvers: ["a"] },
      { resolvers: ["1.1.1.1", "1.1.1.2", "1.1.1.3", "1.1.1.4"] },
    ];
    for (const settings of wrong) {
      const act = (): Network => createNetworkSync({ engine, settings: settings ?? {} });
      throwsCode("CONFIG", act);
    }
    throwsCode("CONFIG", () => createNetworkSync({ engine, seed: new Uint8Array(31) }));
    for (const content of [
      { hostName: "no_host" },
      { searchDomains: ["a b"] },
      { searchDomains: new Array<string>(200).fill("example.org") },
      { ntpServers: ["::1"] },
    ]) {
      throwsCode("CONFIG", () => dhcpOptions(content));
    }
    const { network } = set();
    for (const port of [0, -1, 65_536, 1.5, Number.NaN]) {
      throwsCode("CONFIG", () => dial(network, port));
    }
  });
});

describe("network: failures", () => {
  test("an upstream that throws ends the network, which says why", async () => {
    const upstream: Upstream = {
      connect: (_target, events) => {
        events.connected();
        const fail = (): never => {
          throw new Error("the relay is broken");
        };
        return { send: fail, receive: fail, shutdown: fail, close: () => {} };
      },
      openUdp: () => undefined,
      close: () => {},
    };
    const { host, network, take } = set({ upstream });
    network.link.receive(syn());
    host.run();
    const [answer] = take().filter((frame) => frame.kind === "tcp");
    assert.ok(answer);
    network.link.receive(segment({ flags: "PA", seq: 2, ack: answer.seq + 1 }, "hello"));
    host.run();
    await assert.rejects(network.closed, { code: "FAILED", message: /the relay is broken$/ });
    throwsCode("DISPOSED", () => network.link.receive(ping(1)));
  });

  test("without an upstream connections are refused and datagrams are lost", () => {
    const { host, network, take } = set();
    network.link.receive(syn());
    host.run();
    const [answer] = take().filter(({ kind }) => kind === "tcp");
    assert.equal(answer?.kind === "tcp" && answer.flags.includes("R"), true);
    assert.equal(network.inspect(readFlows).length, 0);
  });

  test("an upstream that throws while it opens a socket fails that connection alone", () => {
    const upstream: Upstream = {
      connect: () => {
        throw Object.assign(new Error("no"), { code: "ENETUNREACH" });
      },
      openUdp: () => {
        throw new Error("no");
      },
      close: () => {},
    };
    const { host, network, take } = set({ upstream });
    network.link.receive(syn());
    host.run();
    const kinds = take().map(({ kind }) => kind);
    assert.equal(kinds.includes("icmp"), true, "the guest is told that the network is unreachable");
  });
});
