/** Own addresses for the engine: at start, after changes, at a bounded pace, failing. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { mappedOctetsOf } from "../../src/lib/addr6.ts";
import type { AddressList } from "../../src/sys/addresses.ts";
import { ENOMEM, SystemError } from "../../src/sys/errno.ts";
import { EPOLLET, EPOLLIN } from "../../src/sys/linux.ts";
import { AddressWatch } from "../../src/upstream/own-addresses.ts";
import { EVENT_OF_ADDRESSES } from "../../src/upstream/upstream.ts";
import { HOST_ADDRESS_COUNT } from "../../wasm/abi.ts";
import { EngineWorld } from "../support/engine-harness.ts";
import { logTo } from "./resolver-support.ts";

const EPERM = 1;
const ONE = Uint8Array.from(mappedOctetsOf(0xc000020a));
const TWO = Uint8Array.from(mappedOctetsOf(0xc000020b));

/** A watch over a source that a test feeds, and what the engine was told. */
function stage(isNeeded = true) {
  const lines: string[] = [];
  const told: string[] = [];
  const source = {
    fd: 7,
    next: { addresses: [ONE], isStale: false } as AddressList | number,
    reads: 0,
    closed: 0,
    read(): AddressList | number {
      source.reads += 1;
      return source.next;
    },
    close(): void {
      source.closed += 1;
    },
  };
  const { engine } = new EngineWorld();
  engine.setHostAddresses = (addresses) => {
    told.push(addresses.map(String).join(" "));
    return Math.max(addresses.length - HOST_ADDRESS_COUNT, 0);
  };
  const watch = new AddressWatch(() => source, logTo(lines), isNeeded);
  const epoll = { add: () => 0 };
  return { lines, told, source, engine, watch, epoll };
}

describe("upstream/own-addresses", () => {
  test("they are told at start, and again when they have changed", () => {
    const { lines, told, source, engine, watch, epoll } = stage();
    watch.start(engine, epoll, 1_000_000);
    assert.deepEqual(told, [String(ONE)]);
    assert.deepEqual(lines, ["debug own addresses read 1"]);
    assert.equal(watch.wait(1_000_000), undefined, "nothing to do until something changes");
    watch.poll(engine, 9_000_000);
    assert.equal(source.reads, 1);
    watch.notice();
    assert.equal(watch.wait(9_000_000), 0);
    watch.poll(engine, 9_000_000);
    assert.equal(told.length, 1, "the same as before");
    source.next = { addresses: [ONE, TWO], isStale: false };
    watch.notice();
    assert.equal(watch.wait(9_040_000), 60_000, "ten times a second at most");
    watch.poll(engine, 9_040_000);
    assert.equal(told.length, 1);
    watch.poll(engine, 9_100_000);
    assert.equal(told.at(-1), `${ONE} ${TWO}`);
    watch.close();
    assert.equal(source.closed, 1);
  });

  test("another engine is told of the same ones", () => {
    const { told, engine, watch, epoll } = stage();
    watch.start(engine, epoll, 1_000_000);
    watch.start(engine, epoll, 2_000_000);
    assert.deepEqual(told, [String(ONE), String(ONE)]);
  });

  test("a list that changed while it was read is read again", () => {
    const { source, engine, watch, epoll } = stage();
    source.next = { addresses: [ONE], isStale: true };
    watch.start(engine, epoll, 1_000_000);
    assert.equal(watch.wait(1_000_000), 100_000);
    source.next = { addresses: [ONE], isStale: false };
    watch.poll(engine, 1_100_000);
    assert.equal(watch.wait(1_100_000), undefined);
  });

  test("a failure keeps what is known, is logged once, and tried again", () => {
    const { lines, told, source, engine, watch, epoll } = stage();
    watch.start(engine, epoll, 1_000_000);
    source.next = -EPERM;
    watch.notice();
    for (const now of [2_000_000, 3_000_000, 4_000_000]) watch.poll(engine, now);
    assert.equal(source.reads, 4);
    assert.equal(told.length, 1);
    assert.deepEqual(
      lines.filter((line) => line.startsWith("warn")),
      ["warn cannot read own addresses, retrying EPERM"],
    );
    assert.equal(watch.wait(4_000_000), 1_000_000);
    source.next = { addresses: [TWO], isStale: false };
    watch.poll(engine, 5_000_000);
    assert.equal(told.at(-1), String(TWO));
    assert.equal(watch.wait(5_000_000), undefined);
    source.next = -EPERM;
    watch.notice();
    watch.poll(engine, 6_000_000);
    assert.equal(lines.filter((line) => line.startsWith("warn")).length, 2, "it is told anew");
  });

  test("a host without addresses is told as such", () => {
    const { told, source, engine, watch, epoll } = stage();
    source.next = { addresses: [], isStale: false };
    assert.equal(watch.wait(1), undefined, "it has not begun");
    watch.notice(EVENT_OF_ADDRESSES + 1);
    assert.equal(watch.wait(1), undefined, "that is another source's");
    watch.start(engine, epoll, 1_000_000);
    assert.deepEqual(told, [], "as the engine is without them");
  });

  test("where the guest may not reach them, a start without them fails", () => {
    const { source, engine, watch, epoll } = stage();
    source.next = -EPERM;
    assert.throws(() => watch.start(engine, epoll, 0), /^SystemError: Read own addresses: /);
    const refused = (): never => {
      throw new SystemError("Open a netlink socket", EPERM);
    };
    assert.throws(() => new AddressWatch(refused, logTo([]), true), SystemError);
  });

  test("where it may, it goes on without them", () => {
    const { lines, source, engine, watch, epoll } = stage(false);
    source.next = -EPERM;
    watch.start(engine, epoll, 0);
    assert.equal(watch.wait(0), 1_000_000, "it tries again");
    const blind = new AddressWatch(
      () => {
        throw new SystemError("Open a netlink socket", EPERM);
      },
      logTo(lines),
      false,
    );
    blind.start(engine, epoll, 0);
    blind.notice();
    blind.poll(engine, 1);
    assert.equal(blind.wait(1), undefined);
    blind.close();
    assert.match(lines.join("\n"), /warn own addresses unknown Open a netlink socket: .*/);
  });

  test("more than the engine has room for are told of", () => {
    const { lines, source, engine, watch, epoll } = stage();
    const addresses = Array.from({ length: HOST_ADDRESS_COUNT + 2 }, (_, i) =>
      Uint8Array.from(mappedOctetsOf(0x0a000000 + i)),
    );
    source.next = { addresses, isStale: false };
    watch.start(engine, epoll, 0);
    assert.ok(lines.includes("warn too many own addresses, some left out 2 2048"), lines.join());
  });

  test("the same addresses in another order are no change", () => {
    const { told, source, engine, watch, epoll } = stage();
    source.next = { addresses: [ONE, TWO], isStale: false };
    watch.start(engine, epoll, 1_000_000);
    source.next = { addresses: [TWO, ONE], isStale: false };
    watch.notice();
    watch.poll(engine, 2_000_000);
    assert.equal(told.length, 1);
  });

  test("it is watched for edges, by a kind of its own; what cannot be watched is told", () => {
    const { engine, watch } = stage();
    const calls: number[][] = [];
    watch.start(engine, { add: (...args) => calls.push(args) }, 1_000_000);
    assert.deepEqual(calls, [[7, EPOLLIN | EPOLLET, 0, EVENT_OF_ADDRESSES]]);
    const failing = { add: () => -ENOMEM };
    assert.throws(
      () => stage().watch.start(engine, failing, 1),
      /^SystemError: Watch own addresses/,
    );
  });
});
