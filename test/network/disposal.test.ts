/**
 * The end of a network by what it calls: nothing is called after it, and what was being opened is
 * closed. And batches that keep frames waiting.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { createNetworkSync, type NetworkOptions } from "../../src/network/index.ts";
import type { TcpSocket, Upstream } from "../../src/network/upstream.ts";
import { engineModule } from "../support/engine-binary.ts";
import { GATEWAY, GATEWAY_MAC, GUEST, GUEST_MAC, PEER } from "../support/engine-settings.ts";
import {
  ETHERTYPE_IPV4,
  ethernet,
  icmpEcho,
  ipv4,
  PROTOCOL_ICMP,
  PROTOCOL_TCP,
  PROTOCOL_UDP,
  tcp,
  udp,
} from "../support/packet.ts";
import { TestHost } from "../support/test-host.ts";

function set(options: Partial<NetworkOptions> = {}) {
  const host = new TestHost();
  const seed = new Uint8Array(32).fill(3);
  const network = createNetworkSync({ engine: engineModule("simd"), host, seed, ...options });
  return { host, network };
}

function frame(to: string, protocol: number, payload: Uint8Array): Uint8Array {
  const packet = ipv4({ source: GUEST, destination: to, protocol }, payload);
  const macs = { source: GUEST_MAC, destination: GATEWAY_MAC };
  return ethernet({ ...macs, type: ETHERTYPE_IPV4 }, packet);
}

const ping = (sequence: number): Uint8Array =>
  frame(GATEWAY, PROTOCOL_ICMP, icmpEcho(9, sequence, "abcdefgh"));

const ends = (sourcePort: number) => ({
  ...{ source: GUEST, destination: PEER },
  ...{ sourcePort, destinationPort: 80 },
});

const syn = (port: number): Uint8Array =>
  frame(PEER, PROTOCOL_TCP, tcp({ ...ends(port), window: 64_000, flags: "S", seq: 1 }));

const datagram = (port: number): Uint8Array => frame(PEER, PROTOCOL_UDP, udp(ends(port), "hello"));

/** An upstream that notes what it is asked for. */
function noting(onOpen: (what: string) => void, onClose: () => void = () => {}) {
  const noted: string[] = [];
  const socket: TcpSocket = {
    send: () => 0,
    receive: () => 0,
    shutdown: () => {},
    close: () => {
      noted.push("socket closed");
      onClose();
    },
  };
  const open = (what: string): void => {
    noted.push(what);
    onOpen(what);
  };
  const upstream: Upstream = {
    connect: () => {
      open("connect");
      return socket;
    },
    openUdp: () => {
      open("openUdp");
      return {
        port: 1,
        send: () => true,
        receive: () => undefined,
        close: () => socket.close(true),
      };
    },
    close: () => void noted.push("closed"),
  };
  return { noted, upstream };
}

describe("a network that is disposed of by what it calls", () => {
  test("a receiver of frames gets no other one", () => {
    const { host, network } = set();
    let frames = 0;
    network.link.onFrame = () => {
      frames += 1;
      network.dispose();
    };
    for (let i = 0; i < 5; i += 1) network.link.receive(ping(i));
    host.run();
    assert.equal(frames, 1);
    assert.equal(host.isIdle, true);
  });

  test("a receiver of batches gets no other one", () => {
    const { host, network } = set();
    let calls = 0;
    network.link.onFrames = () => {
      calls += 1;
      network.dispose();
      return 1;
    };
    for (let i = 0; i < 5; i += 1) network.link.receive(ping(i));
    host.run();
    assert.equal(calls, 1);
  });

  for (const what of ["connect", "openUdp"]) {
    test(`${what}: its socket is closed, nothing is opened after the upstream's end`, async () => {
      const { noted, upstream } = noting(() => network.dispose());
      const { host, network } = set({ upstream });
      const make = what === "connect" ? syn : datagram;
      for (let i = 0; i < 4; i += 1) network.link.receive(make(40_000 + i));
      host.run();
      assert.deepEqual(noted, [what, "closed", "socket closed"]);
      await network.closed;
    });
  }

  test("sockets that throw at the end are told of, and all the others are closed", async () => {
    const { noted, upstream } = noting(
      () => {},
      () => {
        throw new Error("out of order");
      },
    );
    const { host, network } = set({ upstream });
    for (let i = 0; i < 3; i += 1) network.link.receive(syn(40_000 + i));
    host.run();
    network.dispose();
    const closed = ["socket closed", "socket closed", "socket closed", "closed"];
    assert.deepEqual(noted, ["connect", "connect", "connect", ...closed]);
    await assert.rejects(network.closed, { code: "FAILED", message: /out of order$/ });
  });
});

describe("frames behind a batch", () => {
  for (const count of [0, 1]) {
    test(`those that came while one of ${count} was written are taken after it`, () => {
      const { host, network } = set();
      let answers = 0;
      let room = 0;
      network.link.onFrame = () => {
        answers += 1;
      };
      network.link.onRoom = () => {
        room += 1;
      };
      const batch = network.link.openBatch();
      let sent = 0;
      while (network.link.receive(ping(sent))) sent += 1;
      host.run();
      for (let i = 0; i < count; i += 1) {
        const last = ping(sent);
        batch.next(last.length)?.set(last);
      }
      batch.end();
      host.run();
      assert.ok(answers >= sent + count, `${answers} answers to ${sent + count}`);
      assert.ok(room > 0, "there is room again");
    });
  }

  test("what is no array of octets is no frame", () => {
    const { network } = set();
    const wrongs: unknown[] = ["abc", new Uint16Array(60), new ArrayBuffer(60), undefined];
    for (const wrong of wrongs) {
      assert.throws(() => network.link.receive(wrong as Uint8Array), { code: "FRAME" });
    }
  });
});
