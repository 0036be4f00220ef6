/**
 * End to end: ports that are published, used and removed again and again, TCP and UDP, IPv4 and
 * IPv6, while other connections carry what they can. Nothing is left of any of them: no descriptor,
 * no flow, no memory that grows.
 *
 * SLIRP_PUBLISH_CYCLES is how often; `npm run soak -- --publish N` sets it.
 */
import assert from "node:assert/strict";
import process from "node:process";
import { after, describe, test } from "node:test";
import { type Held, heldBy } from "../support/e2e/held.ts";
import { MODE, startStreams, tcpServer } from "../support/e2e/peers.ts";
import { Asker, PortUser, servePort, type Use } from "../support/e2e/ports.ts";
import { cannotRun, createWorld, oursOnly } from "../support/e2e/setup.ts";
import { endAll, until } from "../support/e2e/shell.ts";

const asked = process.env["SLIRP_PUBLISH_CYCLES"];
const CYCLES = asked === undefined ? 20 : Number(asked);
const LIMIT = { timeout: 90_000 + CYCLES * 2000 };
/** Cycles after which all is there that is opened at the first use, and the heap has its size. */
const WARM = Math.ceil(CYCLES / 5);
const INSIDE = 7777;
const FIRST = 20_000;
/** Ports that are used in turn: each soon again, and not at once. */
const PORTS = 5;
const KIB = 1 << 10;
const GROWTH_MAX_KIB = 24 * KIB;
/** A stream that does not end before the test does. */
const ENDLESS = 1e12;

/** What is published in a cycle, and how it is used. */
function usesOf(cycle: number): (Use & { readonly rule: string })[] {
  const port = FIRST + (cycle % PORTS);
  const size = { tcp: 64 * KIB, udp: 1200 };
  return (["tcp", "udp"] as const).flatMap((protocol) =>
    ["127.0.0.1", "::1"].map((host) => {
      const at = host.includes(":") ? `[${host}]` : host;
      const rule = `${at}:${port}:${INSIDE}/${protocol}`;
      return { protocol, host, port, size: size[protocol], rule };
    }),
  );
}

describe("attach: ports that come and go", { skip: cannotRun() || oursOnly() }, () => {
  const asker = new Asker();
  after(() => {
    endAll();
    asker.close();
  });

  test(`${CYCLES} cycles under traffic leave nothing behind`, LIMIT, async () => {
    const args = [...asker.args];
    const world = await createWorld({ ipv6: true, publish: ["127.0.0.1:18080:80"], args });
    await servePort(world.guest, INSIDE);
    await tcpServer(world.guest, "0.0.0.0", 80);
    const user = new PortUser(world.host);
    await asker.listening();
    const whole = { host: "127.0.0.1", port: 18080, mode: MODE.both, seed: 3, streams: 2 };
    const load = startStreams(world.host, { ...whole, send: ENDLESS, receive: ENDLESS });
    const { pid } = world.program;
    /** What is held once there is the traffic and no other flow; those that wait have no socket. */
    const settled = async (): Promise<Held> => {
      await until(async () => {
        const { flows } = await asker.calls.listFlows({});
        return flows.filter(({ state }) => state !== "TIME_WAIT").length === whole.streams;
      }, "only the traffic's flows");
      return heldBy(pid);
    };
    let before = await settled();
    for (let cycle = 0; cycle < CYCLES; cycle += 1) {
      const uses = usesOf(cycle);
      for (const { rule } of uses) await asker.add(rule);
      await Promise.all(uses.map((use) => user.works(use)));
      for (const { rule } of uses) await asker.remove(rule);
      await Promise.all(uses.map((use) => user.refused(use)));
      if (cycle + 1 === WARM) before = await settled();
    }
    const rows = await asker.list();
    assert.deepEqual(
      rows.map(({ hostPort, isAdded, flows }) => [hostPort, isAdded, flows]),
      [[18080, false, whole.streams]],
    );
    const { descriptors, resident_kib } = await settled();
    assert.deepEqual(descriptors, before.descriptors);
    const growth = resident_kib - before.resident_kib;
    assert.ok(growth < GROWTH_MAX_KIB, `${growth} KiB more than after ${WARM} cycles`);
    assert.equal(load.ended(), false, "the traffic went on");
    await world.remove();
  });
});
