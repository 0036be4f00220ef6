/** Pages of flows: copied whole, in order, each flow once; ages, both versions of IP, TCP. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { copyFlowPage, readFlowPage } from "../../src/engine/flow-page.ts";
import * as abi from "../../wasm/abi.ts";
import { FlowTable, SIX, TICK } from "../support/flow-table.ts";

/** Flows of a page. */
const PAGE_FLOW_COUNT = 256;
const NOW = 50_000 * TICK + 17;

function table(slots: readonly number[]): FlowTable {
  const found = new FlowTable();
  for (const slot of slots) {
    found.put(slot, {
      peerAddress: SIX + 2,
      lastActive: NOW - 5,
      began: 49_990,
      flags: abi.TRACE_FLAG_BLOCKED,
      tcp: { [abi.TRACE_FLOW_RESENT_OFFSET]: 3 },
    });
  }
  found.address(2, [0x20, 1, 0x0d, 0xb8]);
  return found;
}

/** All pages, one after the other. */
function slotsOf(engine: FlowTable): number[][] {
  const pages: number[][] = [];
  for (let from: number | undefined = 0; from !== undefined; ) {
    const page = copyFlowPage(engine, from, NOW);
    pages.push([...page.slots]);
    from = page.next;
  }
  return pages;
}

describe("pages of flows", () => {
  test("each flow is on one page, in order; a page has so many at most", () => {
    const slots = Array.from({ length: 3 * PAGE_FLOW_COUNT + 1 }, (_, i) => i * 5);
    const pages = slotsOf(table(slots));
    assert.deepEqual(pages.flat(), slots);
    assert.ok(pages.every((page) => page.length <= PAGE_FLOW_COUNT));
  });

  test("the last slot is reached, and an empty table ends", () => {
    const last = abi.FLOW_CAPACITY_COUNT - 1;
    assert.deepEqual(slotsOf(table([last])).flat(), [last]);
    assert.deepEqual(slotsOf(table([])).flat(), []);
  });

  test("a copy stays as it was, and says what there is to know", () => {
    const engine = table([9]);
    const page = copyFlowPage(engine, 0, NOW);
    engine.octets.fill(0xff);
    const [flow, ...others] = readFlowPage(page);
    assert.deepEqual(others, []);
    assert.ok(flow?.tcp !== undefined);
    assert.equal(flow.handle, 7 * 2 ** abi.HANDLE_SLOT_BITS + 9);
    assert.deepEqual(flow.texts, { guest: "10.0.2.15", peer: "2001:db8::", host: "2001:db8::" });
    assert.deepEqual([flow.age, flow.idle], [10 * TICK, 5]);
    assert.deepEqual([flow.isInbound, flow.tcp.isBlocked, flow.tcp.resent], [false, true, 3]);
  });

  test("who came in is told by the share; ages pass the end of their numbers", () => {
    const engine = table([2]);
    engine.put(0, { share: abi.TRACE_SHARE_OUTSIDE, began: 49_990 });
    engine.put(1, { share: abi.TRACE_SHARE_PUBLISHED, kind: abi.KIND_UDP });
    const now = 2 ** 32 * TICK + 40_000 * TICK;
    const flows = readFlowPage(copyFlowPage(engine, 0, now));
    assert.deepEqual(
      flows.map(({ isInbound, tcp }) => [isInbound, tcp !== undefined]),
      [
        [true, true],
        [true, false],
        [false, true],
      ],
    );
    assert.equal(flows[0]?.age, (2 ** 32 - 9_990) * TICK);
  });
});
