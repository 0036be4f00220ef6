/** Two networks on a cable: octets both ways by batches, and what becomes of them at the end. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import {
  createNetworkSync,
  dial,
  type FramesReceiver,
  type Network,
  type NetworkSettings,
  plug,
  readStats,
  type SentFrames,
  withServices,
} from "../../src/network/index.ts";
import { sha256Of } from "../support/e2e/seeded.mjs";
import { until } from "../support/e2e/shell.ts";
import { engineModule } from "../support/engine-binary.ts";
import { octetsOf, sendSeeded, sha256 } from "../support/tcp-service.ts";

const LIMIT = { timeout: 60_000 };
const ECHO = {
  address: "127.0.0.1",
  port: 7,
  serve: ({ readable, writable }: ReturnType<typeof dial>) => readable.pipeTo(writable),
};
const FAR = {
  ...{ gateway: "10.0.2.15", guest: "10.0.2.2", gatewayMac: "52:55:00:00:00:0f" },
  hostLoopback: true,
};

function plugged(settings: NetworkSettings): readonly [Network, Network] {
  const engine = engineModule("simd");
  const near = createNetworkSync({ engine, settings });
  const upstream = withServices([ECHO]);
  const far = createNetworkSync({ engine, upstream, settings: { ...settings, ...FAR } });
  plug(near, far);
  return [near, far];
}

describe("cable", () => {
  for (const settings of [{}, { mtu: 65520 }, { mtu: 65520, offloads: true }]) {
    test(`carries eight streams and their echoes, ${JSON.stringify(settings)}`, LIMIT, async () => {
      const [near, far] = plugged({ ipv6: false, ...settings });
      const count = 1_500_000;
      await Promise.all(
        Array.from({ length: 8 }, async (_, seed) => {
          const connection = dial(near, 7);
          const [heard] = await Promise.all([
            octetsOf(connection),
            sendSeeded(connection, seed, count),
          ]);
          assert.equal(sha256(heard), sha256Of(seed, count), `stream ${seed}`);
        }),
      );
      // A machine that is busy has tails probed, which come twice; but none comes before its turn.
      for (const network of [near, far]) {
        assert.equal(network.inspect(readStats).tcpOutOfOrder, 0, "no frame overtakes another");
      }
      near.dispose();
      far.dispose();
    });
  }

  test("either end may end within the other's turn, which goes on", LIMIT, async () => {
    for (const ends of ["near", "far"] as const) {
      const engine = engineModule("simd");
      const networks: Partial<Record<"near" | "far", Network>> = {};
      const serve = (): void => networks[ends]?.dispose();
      const near = createNetworkSync({ engine, settings: { ipv6: false } });
      const upstream = withServices([
        { ...ECHO, serve },
        { ...ECHO, port: 8 },
      ]);
      const far = createNetworkSync({ engine, upstream, settings: { ipv6: false, ...FAR } });
      Object.assign(networks, { near, far });
      plug(near, far);
      const connection = dial(near, 7);
      const [gone, left] = ends === "near" ? [near, far] : [far, near];
      await gone.closed;
      connection.abort();
      // Frames for who is gone, and room again in the link of who is left.
      for (let i = 0; i < 500; i += 1) left.link.receive(new Uint8Array(60));
      await until(() => left.link.isFree, "frames to be taken");
      assert.ok(left.inspect(readStats).guestRxFrames >= 500, "it has not failed");
      left.dispose();
      await left.closed;
    }
  });

  test("leads nowhere once the other end is gone", LIMIT, async () => {
    const [near, far] = plugged({ ipv6: false });
    far.dispose();
    await far.closed;
    assert.equal(far.link.isFree, false);
    const connection = dial(near, 7);
    let isOver = false;
    near.closed.finally(() => {
      isOver = true;
    });
    await until(() => near.inspect(readStats).guestTxFrames > 0, "a frame for nobody");
    assert.equal(isOver, false);
    near.dispose();
    await assert.rejects(octetsOf(connection), { name: "ConnectionError" });
  });

  test("gives frame by frame what goes into no batch any more", () => {
    const inBatch: number[] = [];
    const alone: number[] = [];
    const link = {
      isFree: true,
      openBatch: () => ({
        next: (length: number) => (inBatch.length === 2 ? undefined : new Uint8Array(length)),
        end: () => {
          link.isFree = false; // as where the engine has not taken all of it
        },
      }),
      receive: (frame: Uint8Array) => alone.push(frame.length) <= 2,
    };
    const never = new Promise<void>(() => {});
    const from = { link: { onFrames: undefined as FramesReceiver | undefined }, closed: never };
    plug(from as unknown as Network, { link, closed: never } as unknown as Network);
    const copy = (i: number): void => void (link.isFree && inBatch.push(i));
    const frames = { count: 6, length: (i: number) => 60 + i, copy } as unknown as SentFrames;
    assert.equal(
      from.link.onFrames?.(frames),
      4,
      "two in a batch, two alone, then there is no room",
    );
    assert.deepEqual(
      [inBatch, alone],
      [
        [0, 1],
        [62, 63, 64],
      ],
    );
  });
});
