/** The DHCP client alone: what it sends when, and what it makes of answers. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { DhcpClient, type DhcpLease } from "../../../src/lab/sim/guest/dhcp.ts";
import { get32, set32 } from "../../../src/lab/sim/guest/octets.ts";

const MAC = Uint8Array.of(0x52, 0x54, 0, 0, 0, 1);
const SECOND = 1_000_000;
const START = 1_000_000;

class Bench {
  readonly sent: { readonly message: Uint8Array; readonly server: string | undefined }[] = [];
  readonly leases: (DhcpLease | undefined)[] = [];
  readonly faults: string[] = [];
  now = START;
  readonly client = new DhcpClient({
    mac: MAC,
    send: (message, server) => this.sent.push({ message, server }),
    leased: (lease) => this.leases.push(lease),
    fault: (text) => this.faults.push(text),
  });

  /** Types of what has been sent so far. */
  get types(): number[] {
    return this.sent.map(({ message }) => message[242] ?? 0);
  }

  advance(seconds: number): void {
    const end = this.now + seconds * SECOND;
    while (this.client.nextDeadline() <= end) {
      this.now = Math.max(this.now, this.client.nextDeadline());
      this.client.poll(this.now);
    }
    this.now = end;
  }

  answer(type: number, extra: readonly number[] = [], transaction = 0xabcd): void {
    const message = new Uint8Array(300);
    message[0] = 2;
    set32(message, 4, transaction);
    set32(message, 16, 0x0a00020f);
    message.set(MAC, 28);
    set32(message, 236, 0x63825363);
    const usual = [53, 1, type, 54, 4, 10, 0, 2, 2, 51, 4, 0, 0, 0, 100];
    const network = [1, 4, 255, 255, 255, 0, 3, 4, 10, 0, 2, 2, 6, 4, 10, 0, 2, 3, 26, 2, 5, 220];
    message.set([...usual, ...network, ...extra, 255], 240);
    this.client.input(message, this.now);
  }
}

function bound(): Bench {
  const bench = new Bench();
  bench.client.start(0xabcd, bench.now);
  bench.advance(0);
  bench.answer(2);
  bench.advance(0);
  bench.answer(5);
  return bench;
}

describe("sim/guest/dhcp", () => {
  test("DISCOVER, OFFER, REQUEST, ACK", () => {
    const bench = bound();
    assert.deepEqual(bench.types, [1, 3]);
    const request = bench.sent[1]?.message ?? new Uint8Array(0);
    assert.equal(get32(request, 236), 0x63825363);
    const { address, prefixLength, gateway, dns, mtu, server } = bench.client.lease ?? {};
    assert.deepEqual(
      [address, prefixLength, gateway, dns, mtu, server],
      ["10.0.2.15", 24, "10.0.2.2", ["10.0.2.3"], 1500, "10.0.2.2"],
    );
    assert.equal(bench.client.phase, "bound");
  });

  test("without an answer it asks again, ever more seldom", () => {
    const bench = new Bench();
    bench.client.start(1, bench.now);
    bench.advance(31);
    assert.deepEqual(bench.types, [1, 1, 1, 1, 1]); // at 0, 2, 6, 14, 30 s
  });

  test("half of the lease later it renews by unicast, and the lease runs on", () => {
    const bench = bound();
    bench.advance(50);
    assert.equal(bench.types.at(-1), 3);
    assert.equal(bench.sent.at(-1)?.server, "10.0.2.2");
    bench.answer(5);
    bench.advance(60);
    assert.equal(bench.client.phase, "renewing");
    assert.equal(bench.leases.length, 2);
  });

  test("a lease that nobody renews is lost, and it starts over", () => {
    const bench = bound();
    bench.advance(130);
    assert.deepEqual(bench.leases.slice(1), [undefined]);
    assert.equal(bench.types.at(-1), 1);
  });

  test("NAK starts over", () => {
    const bench = new Bench();
    bench.client.start(0xabcd, bench.now);
    bench.advance(0);
    bench.answer(2);
    bench.advance(0);
    bench.answer(6);
    bench.advance(0);
    assert.deepEqual(bench.types, [1, 3, 1]);
  });

  test("other people's answers count for nothing; broken ones are faults", () => {
    const bench = new Bench();
    bench.client.start(0xabcd, bench.now);
    bench.advance(0);
    bench.answer(2, [], 0x9999);
    assert.equal(bench.client.phase, "selecting");
    bench.client.input(new Uint8Array(20), bench.now);
    assert.equal(bench.faults.length, 1);
  });

  test("an option in parts is one", () => {
    const bench = bound();
    bench.advance(50);
    bench.answer(5, [119, 2, 1, 2, 119, 1, 3]);
    assert.deepEqual(bench.client.lease?.options.get(119), Uint8Array.of(1, 2, 3));
  });
});
