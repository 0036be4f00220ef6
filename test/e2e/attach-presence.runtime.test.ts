/**
 * End to end: at which of its addresses a guest is reached by published ports, by real programs.
 * What decides is in test/wasm/tcp/arrival.test.ts, test/wasm/flow/whereabouts.test.ts and
 * test/upstream/presence.test.ts.
 */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { httpServer } from "../support/e2e/peers.ts";
import { GATEWAY } from "../support/e2e/program.ts";
import { cannotRun, createWorld, oursOnly, type World } from "../support/e2e/setup.ts";

const LIMIT = { timeout: 90_000 };
const OTHER = "10.0.2.60";

describe("attach: where the guest is", { skip: cannotRun() || oursOnly() }, () => {
  let world: World;
  before(async () => {
    world = await createWorld({ ipv6: true, publish: ["18080:80", `18081:${OTHER}:80`] });
    await httpServer(world.guest, "0.0.0.0", 80);
  }, LIMIT);
  after(() => world.remove(), LIMIT);

  const page = async (address: string): Promise<string> => {
    const argv = ["curl", "-sS", "-g", "-m", "10", `http://${address}/`];
    return (await world.host.run(argv, 20_000)).stdout.trim();
  };

  test("02 localhost by ::1 reaches a server on IPv4 alone, from the gateway", LIMIT, async () => {
    assert.equal(await page("[::1]:18080"), GATEWAY);
    assert.equal(await page("127.0.0.1:18080"), GATEWAY);
  });

  test("09 a rule that names an address leads there, once the guest has it", LIMIT, async () => {
    assert.equal(await page("127.0.0.1:18081"), "");
    world.guest.must("ip", "addr", "add", `${OTHER}/24`, "dev", "tap0");
    assert.equal(await page("127.0.0.1:18081"), GATEWAY);
    assert.equal(await page("[::1]:18081"), GATEWAY);
  });
});
