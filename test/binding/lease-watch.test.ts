/** When it is told that a guest has its lease, by what the engine counts of real messages. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { LeaseWatch } from "../../src/binding/lease-watch.ts";
import { parseSubnet } from "../../src/config/subnet.ts";
import { parseSubnet6 } from "../../src/config/subnet6.ts";
import { STAT_NAMES, type StatName } from "../../src/engine/stats.ts";
import { prettyLogger } from "../../src/lib/log.ts";
import { address, REQUEST, SERVER } from "../support/dhcp.ts";
import { EngineWorld } from "../support/engine-harness.ts";
import { GUEST } from "../support/engine-settings.ts";

const NETWORK = { ipv4: true, subnet: parseSubnet("10.0.2.0/24"), subnet6: undefined };
const GIVEN = "info  lease given address=10.0.2.15 protocol=dhcp";
const CONFIRMED = "lease confirmed address=10.0.2.15 protocol=dhcp";

function stage(network: ConstructorParameters<typeof LeaseWatch>[1] = NETWORK) {
  const world = new EngineWorld();
  const lines: string[] = [];
  const watch = new LeaseWatch(
    prettyLogger("debug", (line) => lines.push(line.trimEnd())),
    network,
  );
  const told = (): string[] => {
    world.run();
    watch.poll(world.engine);
    return lines.splice(0);
  };
  const counted = (name: StatName): void => {
    const at = world.engine.bases.stats + 8 * STAT_NAMES.indexOf(name);
    world.engine.view.setUint32(at, world.engine.view.getUint32(at, true) + 1, true);
  };
  const requested = [50, address(GUEST)] as const;
  return {
    watch,
    told,
    counted,
    discover: () => world.guest(world.dhcp({ type: 1 })),
    select: () => world.guest(world.dhcp({ ...REQUEST, options: [requested, SERVER] })),
    ask: () => world.guest(world.dhcp({ ...REQUEST, options: [requested] })),
  };
}

describe("binding/lease-watch", () => {
  test("tells of a lease that was offered and taken, each time, and of nothing before", () => {
    const { watch, told, discover, select } = stage();
    assert.deepEqual(told(), []);
    for (let i = 0; i < 2; i += 1) {
      discover();
      assert.deepEqual(told(), [], "an offer is no lease");
      select();
      assert.deepEqual(told(), [GIVEN]);
      assert.deepEqual(told(), []);
    }
    assert.equal(watch.wait(), undefined);
  });

  test("an offer and its acknowledgment may come in one turn", () => {
    const { told, discover, select } = stage();
    discover();
    select();
    assert.deepEqual(told(), [GIVEN]);
  });

  test("a lease that a guest has already is told of once for each guest, then at debug", () => {
    const { told, ask, counted } = stage();
    ask();
    assert.deepEqual(told(), [`info  ${CONFIRMED}`]);
    ask();
    assert.deepEqual(told(), [`debug ${CONFIRMED}`]);
    counted("guestsGone");
    assert.deepEqual(told(), []);
    ask();
    assert.deepEqual(told(), [`info  ${CONFIRMED}`]);
  });

  test("DHCPv6 has counters of its own, and neither is told of where it is not served", () => {
    const both = { ...NETWORK, subnet6: parseSubnet6("fd10:0:2::/64") };
    const six = "lease given address=fd10:0:2::2 protocol=dhcpv6";
    for (const [network, lines] of [
      [both, [`info  ${six}`]],
      [{ ...both, ipv4: false }, [`info  ${six}`]],
      [NETWORK, []],
    ] as const) {
      const { told, counted } = stage(network);
      counted("dhcp6Advertised");
      assert.deepEqual(told(), []);
      counted("dhcp6Replies");
      assert.deepEqual(told(), lines);
      counted("dhcpOffers");
      counted("dhcpAcks");
      assert.equal(told().length, network.ipv4 ? 1 : 0);
    }
  });
});
