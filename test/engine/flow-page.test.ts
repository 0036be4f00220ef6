/** Pages of flows: copied whole, in order, each flow once; ages, both versions of IP, TCP. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { copyFlowPage, readFlowPage } from "../../src/engine/flow-page.ts";
import * as abi from "../../wasm/abi.ts";

const FLOWS = 64;
const ADDRESSES = FLOWS + abi.FLOW_CAPACITY_COUNT * abi.FLOW_SIZE;
const SIZE = ADDRESSES + 8 * abi.ADDRESS_SIZE;
const TICK = 2 ** abi.TRACE_BEGAN_SHIFT;
/** Flows of a page. */
const PAGE_FLOW_COUNT = 256;
const NOW = 50_000 * TICK + 17;
const SIX = abi.ADDRESS_SIX >>> 0;

function table(slots: readonly number[]) {
  const octets = new Uint8Array(SIZE);
  const view = new DataView(octets.buffer);
  for (const slot of slots) {
    const base = FLOWS + slot * abi.FLOW_SIZE;
    view.setUint8(base + abi.FLOW_KIND_OFFSET, abi.KIND_TCP);
    view.setUint8(base + abi.FLOW_STATE_OFFSET, abi.STATE_ESTABLISHED);
    view.setUint16(base + abi.FLOW_GENERATION_OFFSET, 7, true);
    view.setUint32(base + abi.FLOW_GUEST_ADDRESS_OFFSET, 0x0a00020f, true);
    view.setUint32(base + abi.FLOW_PEER_ADDRESS_OFFSET, SIX + 2, true);
    view.setUint32(base + abi.FLOW_HOST_ADDRESS_OFFSET, 0x7f000001, true);
    view.setBigInt64(base + abi.TRACE_FLOW_LAST_ACTIVE_OFFSET, BigInt(NOW - 5), true);
    view.setUint32(base + abi.TRACE_FLOW_BEGAN_OFFSET, 49_990, true);
    view.setUint32(base + abi.TRACE_FLOW_RESENT_OFFSET, 3, true);
    view.setUint32(base + abi.FLOW_FLAGS_OFFSET, abi.TRACE_FLAG_BLOCKED, true);
  }
  octets.set([0x20, 1, 0x0d, 0xb8], ADDRESSES + 2 * abi.ADDRESS_SIZE);
  const bases = { flows: FLOWS, addresses: ADDRESSES };
  return { octets, view, bases, flowCount: slots.length };
}

/** All pages, one after the other. */
function slotsOf(engine: ReturnType<typeof table>): number[][] {
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
    assert.deepEqual(flow.texts, { guest: "10.0.2.15", peer: "2001:db8::", host: "127.0.0.1" });
    assert.deepEqual([flow.age, flow.idle], [10 * TICK, 5]);
    assert.deepEqual([flow.isInbound, flow.tcp.isBlocked, flow.tcp.resent], [false, true, 3]);
  });

  test("who came in is told by the share; ages pass the end of their numbers", () => {
    const engine = table([0, 1, 2]);
    const at = (slot: number, offset: number): number => FLOWS + slot * abi.FLOW_SIZE + offset;
    engine.view.setUint8(at(0, abi.TRACE_FLOW_SHARE_OFFSET), abi.TRACE_SHARE_OUTSIDE);
    engine.view.setUint8(at(1, abi.TRACE_FLOW_SHARE_OFFSET), abi.TRACE_SHARE_PUBLISHED);
    engine.view.setUint8(at(1, abi.FLOW_KIND_OFFSET), abi.KIND_UDP);
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
