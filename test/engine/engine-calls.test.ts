/**
 * What the facade makes of its arguments and of the control block, with functions in the engine's
 * place that only note what they are called with.
 */

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { addressText, flowsOf } from "../../src/engine/flows.ts";
import { HostEngine } from "../../src/engine/host-engine.ts";
import { loadEngine } from "../../src/engine/instance.ts";
import * as abi from "../../wasm/abi.ts";
import { worldConfig } from "../support/engine-settings.ts";
import { tinyEngine } from "../support/tiny-wasm.ts";

type Call = readonly (string | number)[];

const NOW = 123_456.5;
const OCTETS = Uint8Array.from({ length: 16 }, (_, index) => 0xf0 + index);

interface Stage {
  readonly engine: HostEngine;
  readonly calls: Call[];
  /** What functions return from now on. */
  result: number;
  readonly control: (offset: number) => number;
  readonly setControl: (offset: number, value: number) => void;
  readonly config: (offset: number) => number;
}

/** An engine that has started, of functions that do nothing. */
function stage(): Stage {
  const module = loadEngine(tinyEngine());
  const calls: Call[] = [];
  const functions = { ...module.functions };
  for (const name of Object.keys(functions)) {
    Object.defineProperty(functions, name, {
      value: (...args: number[]) => {
        calls.push([name, ...args]);
        return name === "init" ? 0 : made.result;
      },
    });
  }
  const engine = new HostEngine({ ...module, functions });
  const word = (at: number): number => engine.view.getUint32(at, true);
  const made: Stage = {
    engine,
    calls,
    result: 0,
    control: (offset) => word(engine.bases.control + offset),
    setControl: (offset, value) =>
      engine.view.setUint32(engine.bases.control + offset, value, true),
    config: (offset) => word(engine.bases.config + offset),
  };
  engine.start(worldConfig({ flowsMax: 100, chunksMax: 200 }));
  calls.splice(0);
  return made;
}

/** The octets that are told of an address. */
function told({ engine }: Stage): number[] {
  const at = engine.bases.control + abi.CONTROL_ADDRESS_OFFSET;
  return [...engine.octets.subarray(at, at + 16)];
}

describe("engine/engine: the memory's regions", () => {
  test("each base is that of its region", () => {
    const module = loadEngine(tinyEngine());
    const { bases } = new HostEngine(module);
    const regions = [
      ...(["control", "config", "stats", "rxDescriptors", "rxBuffers", "txRecords"] as const),
      ...(["txBuffers", "ops", "flows", "chunks", "scratch", "addresses"] as const),
    ];
    assert.deepEqual(
      regions.map((name) => bases[name]),
      module.regions.map(({ base }) => base),
    );
    assert.equal(regions.length, abi.REGION_COUNT);
  });

  test("the host's address of the memory is halved into two words", () => {
    const module = loadEngine(tinyEngine());
    const engine = new HostEngine(module);
    engine.setHostBase(0x7f12_3456_89ab_c000n);
    engine.start(worldConfig());
    const at = engine.bases.config + abi.CONFIG_HOST_BASE_LO_OFFSET;
    assert.equal(engine.view.getBigUint64(at, true), 0x7f12_3456_89ab_c000n);
    assert.equal(abi.CONFIG_HOST_BASE_HI_OFFSET, abi.CONFIG_HOST_BASE_LO_OFFSET + 4);
    assert.throws(() => engine.setHostBase(0n), {
      code: "START",
      message: "cannot move the memory of an engine that has started",
    });
  });

  test("memory that others may write is refused", () => {
    const module = loadEngine(tinyEngine());
    const memory = new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true });
    assert.throws(() => new HostEngine({ ...module, memory }), {
      code: "MEMORY",
      message: "refuse an engine with shared memory",
    });
  });
});

describe("engine/engine: calls", () => {
  test("input and time go on as they are", () => {
    const { engine, calls } = stage();
    engine.guestRx(7, NOW);
    engine.upstreamEvent(0xfedc0001, abi.EVENT_READABLE, NOW);
    engine.step(NOW + 1);
    engine.complete(NOW + 2);
    engine.txDone();
    engine.guestGone(NOW + 3);
    engine.farewell();
    assert.deepEqual(calls, [
      ["guest_rx", 7, NOW],
      ["upstream_event", 0xfedc0001, abi.EVENT_READABLE, NOW],
      ["step", NOW + 1],
      ["complete", NOW + 2],
      ["tx_done"],
      ["guest_gone", NOW + 3],
      ["farewell"],
    ]);
  });

  test("a connection from the host: the guest it is for, and a handle without sign", () => {
    const made = stage();
    made.result = -2;
    assert.equal(made.engine.inboundTcp(80, 0xc0000201, 50_000, NOW, 0x0a00020f), 0xfffffffe);
    made.engine.inboundTcp(80, 0xc0000201, 50_000, NOW);
    assert.deepEqual(made.calls, [
      ["inbound_tcp", 80, 0xc0000201, 50_000, 0x0a00020f, NOW],
      ["inbound_tcp", 80, 0xc0000201, 50_000, 0, NOW],
    ]);
  });

  test("a datagram from the host: version, spot and guest", () => {
    const made = stage();
    made.result = -2;
    assert.equal(made.engine.inboundUdp(53, 5353, NOW, 6, 3, 0xf0000001), 0xfffffffe);
    made.engine.inboundUdp(53, 5353, NOW, 4, 1);
    made.engine.inboundUdp(53, 5353, NOW);
    assert.deepEqual(made.calls, [
      ["inbound_udp", 53, 5353, 0x306, 0xf0000001, NOW],
      ["inbound_udp", 53, 5353, 0x100, 0, NOW],
      ["inbound_udp", 53, 5353, 0, 0, NOW],
    ]);
  });

  test("an IPv6 address: octets, scope, and a number without sign", () => {
    const made = stage();
    made.result = -0x10000000 + 5;
    assert.equal(made.engine.addressSix(OCTETS, 7), 0xf0000005);
    assert.deepEqual(told(made), [...OCTETS]);
    assert.equal(made.control(abi.CONTROL_SCOPE_OFFSET), 7);
    made.engine.addressSix(OCTETS);
    assert.equal(made.control(abi.CONTROL_SCOPE_OFFSET), 0);
  });

  test("text of addresses: IPv4 as it is, IPv6 from its place in the table", () => {
    const { engine } = stage();
    assert.equal(addressText(engine, 0x0a00020f), "10.0.2.15");
    assert.equal(addressText(engine, 0xefffffff), "239.255.255.255");
    const write = (place: number, octets: readonly number[]): void => {
      engine.octets.set(octets, engine.bases.addresses + place * abi.ADDRESS_SIZE);
    };
    write(0, [0x20, 1, 0x0d, 0xb8, ...Array(11).fill(0), 1]);
    write(3, [0xfe, 0x80, ...Array(13).fill(0), 2]);
    // What follows an address is no part of it.
    engine.view.setUint32(engine.bases.addresses + 16, 0xffffffff, true);
    assert.equal(addressText(engine, 0xf0000000), "2001:db8::1");
    assert.equal(addressText(engine, 0xf0000003), "fe80::2");
  });
});

describe("engine/engine: what of the host a guest reaches", () => {
  test("own addresses replace what was there, and those without room are counted", () => {
    const made = stage();
    const second = OCTETS.map((octet) => octet - 0x80);
    made.result = 1;
    assert.equal(made.engine.setHostAddresses([OCTETS, second]), 0);
    assert.deepEqual(told(made), [...second]);
    assert.deepEqual(made.calls, [
      ["host_address", abi.HOST_CLEAR],
      ["host_address", abi.HOST_OWN],
      ["host_address", abi.HOST_OWN],
    ]);
    made.result = 0;
    assert.equal(made.engine.setHostAddresses([OCTETS, second]), 2);
  });

  test("published ports are told with their protocol", () => {
    const made = stage();
    made.result = 1;
    assert.equal(made.engine.addHostPort("tcp", OCTETS, 8080), true);
    assert.deepEqual(told(made), [...OCTETS]);
    made.result = 0;
    assert.equal(made.engine.addHostPort("udp", OCTETS, 65_535), false);
    assert.deepEqual(made.calls, [
      ["host_address", 0x60000 + 8080],
      ["host_address", 0x110000 + 65_535],
    ]);
  });

  test("a UDP port that has one socket for both versions", () => {
    const { engine, calls } = stage();
    engine.setDual(5353);
    assert.deepEqual(calls, [["host_address", 0x400000 + 5353]]);
  });
});

describe("engine/engine: what may change while it runs", () => {
  test("limits: whole numbers from 16 to what it was started with", () => {
    const { engine, config } = stage();
    const limits = (flowsMax: number, chunksMax: number): number[] => {
      engine.setLimits({ flowsMax, chunksMax });
      return [config(abi.CONFIG_FLOWS_MAX_OFFSET), config(abi.CONFIG_CHUNKS_MAX_OFFSET)];
    };
    assert.deepEqual(limits(50.9, 60.9), [50, 60]);
    assert.deepEqual(limits(15, 0), [16, 16]);
    assert.deepEqual(limits(17, 18), [17, 18]);
    assert.deepEqual(limits(101, 201), [100, 200]);
    assert.equal(engine.config.flowsMax, 100);
  });

  test("whether the guest is asked for is one flag, and leaves the others", () => {
    const { engine, config } = stage();
    const before = config(abi.CONFIG_FLAGS_OFFSET);
    assert.notEqual(before, 0);
    engine.askForGuest(false);
    assert.equal(config(abi.CONFIG_FLAGS_OFFSET), before);
    engine.askForGuest(true);
    engine.askForGuest(true);
    assert.equal(config(abi.CONFIG_FLAGS_OFFSET), before | abi.CONFIG_FLAG_ASK_GUEST);
    engine.askForGuest(false);
    assert.equal(config(abi.CONFIG_FLAGS_OFFSET), before);
  });

  test("resolvers and options are rewritten where the configuration is", () => {
    const { engine, config } = stage();
    engine.setResolvers([0x01020304]);
    assert.equal(config(abi.CONFIG_RESOLVERS_OFFSET), 0x01020304);
    engine.setDhcpOptions(Uint8Array.of(1, 2, 3), Uint8Array.of(4, 5));
    assert.equal(config(abi.CONFIG_DHCP_OPTIONS_LENGTH_OFFSET), 3);
    assert.equal(config(abi.CONFIG_DHCP6_OPTIONS_LENGTH_OFFSET), 2);
    assert.equal(config(abi.CONFIG_OPTIONS_SERIAL_OFFSET), 1);
  });
});

describe("engine/engine: what the control block says", () => {
  test("numbers are where the engine writes them", () => {
    const made = stage();
    const { engine, setControl } = made;
    made.result = 77.5;
    setControl(abi.CONTROL_OP_COUNT_OFFSET, 1001);
    setControl(abi.CONTROL_OP_BASE_OFFSET, 1002);
    setControl(abi.CONTROL_TX_COUNT_OFFSET, 1003);
    setControl(abi.CONTROL_FLOW_COUNT_OFFSET, 1004);
    setControl(abi.CONTROL_CHUNK_COUNT_OFFSET, 1005);
    setControl(abi.CONTROL_HEARD_OFFSET, 1006);
    const { opCount, opBase, txCount, flowCount, chunkCount, heard } = engine;
    const numbers = [opCount, opBase, txCount, flowCount, chunkCount, heard];
    assert.deepEqual(numbers, [1001, 1002, 1003, 1004, 1005, 1006]);
    assert.equal(engine.nextDeadline(), 77.5);
    assert.deepEqual(made.calls, [["next_deadline"]]);
  });

  test("work that is left, and rings that are full", () => {
    const { engine, setControl } = stage();
    const said = (bits: number): boolean[] => {
      setControl(abi.CONTROL_READY_OFFSET, bits);
      return [engine.ready, engine.mustFlush];
    };
    assert.deepEqual(said(0), [false, false]);
    assert.deepEqual(said(abi.READY_RECEIVE), [true, false]);
    assert.deepEqual(said(abi.READY_FLUSH), [true, true]);
    assert.deepEqual(said(abi.READY_FLUSH | abi.READY_RECEIVE), [true, true]);
  });

  test("flows are listed up to their number, from all slots and no others", () => {
    const { engine, setControl } = stage();
    const fill = (slot: number, port: number): void => {
      const base = engine.bases.flows + slot * abi.FLOW_SIZE;
      engine.view.setUint8(base + abi.FLOW_KIND_OFFSET, abi.KIND_UDP);
      engine.view.setUint16(base + abi.FLOW_GUEST_PORT_OFFSET, port, true);
    };
    fill(0, 1);
    fill(2, 3);
    fill(99, 100);
    fill(100, 101); // beyond its limit
    const ports = (count: number): (readonly number[])[] => {
      setControl(abi.CONTROL_FLOW_COUNT_OFFSET, count);
      return flowsOf(engine).map(({ guestPort, handle }) => [guestPort, handle]);
    };
    const listed = [
      [1, 0],
      [3, 2],
      [100, 99],
    ];
    assert.deepEqual(ports(3), listed);
    assert.deepEqual(ports(4), listed);
    assert.deepEqual(ports(2), listed.slice(0, 2));
  });
});
