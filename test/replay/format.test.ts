/** What a recording is made of, as files that are there already have it. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import {
  abiHash,
  ENDINGS,
  FILE_HEADER_SIZE,
  FORMAT_VERSION,
  HASH_SIZE,
  HEAD_SIZE,
  KIND,
  LIVE_PARTS,
  MAGIC,
  RECORD_HEADER_SIZE,
  RECORD_SIZE_MAX,
  RecordingError,
  WATCHED_PARTS,
} from "../../src/replay/format.ts";
import * as abi from "../../wasm/abi.ts";

describe("format", () => {
  test("numbers and sizes are those of files that were written with version 2", () => {
    assert.equal(String.fromCharCode(...MAGIC), "SLIRPREC");
    assert.equal(FORMAT_VERSION, 2);
    assert.deepEqual(
      [FILE_HEADER_SIZE, HASH_SIZE, RECORD_HEADER_SIZE, HEAD_SIZE],
      [48, 16, 8, 128],
    );
    assert.equal(RECORD_SIZE_MAX, 0xff_ff_fc);
    assert.deepEqual(ENDINGS, ["closed", "limit"]);
    assert.deepEqual(
      { ...KIND },
      {
        ...{ start: 1, guestRx: 2, event: 3, step: 4, complete: 5, txDone: 6 },
        ...{ inboundTcp: 7, inboundUdp: 8, addressSix: 9, farewell: 10, deadline: 11 },
        ...{ live: 12, trap: 13, end: 14, hostAddress: 15, guestGone: 16 },
      },
    );
  });

  test("the longest batch of frames fits in a record", () => {
    const frame = 8 + abi.RX_SLOT_SIZE;
    assert.ok(8 + 4 + abi.RX_SLOT_COUNT * frame <= RECORD_SIZE_MAX);
  });

  test("what may change in CONFIG is named part by part, none twice", () => {
    const ends = LIVE_PARTS.map(([offset, size]) => [offset, offset + size] as const);
    for (const [from, to] of ends) {
      assert.ok(from >= 0 && to <= abi.CONFIG_SIZE);
      const others = ends.filter(([start, end]) => start < to && end > from);
      assert.equal(others.length, 1, `${from} to ${to}`);
    }
    const covers = (offset: number): boolean =>
      ends.some(([from, to]) => from <= offset && offset < to);
    for (const offset of [
      ...[abi.CONFIG_FLAGS_OFFSET, abi.CONFIG_FLOWS_MAX_OFFSET, abi.CONFIG_CHUNKS_MAX_OFFSET + 3],
      ...[abi.CONFIG_RESOLVERS_COUNT_OFFSET, abi.CONFIG_OPTIONS_SERIAL_OFFSET + 3],
      abi.CONFIG_RESOLVERS_COUNT_OFFSET + 4 * abi.RESOLVER_COUNT + 3,
      abi.CONFIG_RESOLVERS6_OFFSET + abi.RESOLVER_COUNT * abi.CONFIG_RESOLVER6_SIZE - 1,
      ...[abi.CONFIG_DHCP_OPTIONS_LENGTH_OFFSET, abi.CONFIG_DHCP6_OPTIONS_LENGTH_OFFSET],
      abi.CONFIG_DHCP_OPTIONS_OFFSET + abi.DHCP_OPTIONS_SIZE - 1,
      abi.CONFIG_DHCP6_OPTIONS_OFFSET + abi.DHCP_OPTIONS_SIZE - 1,
    ]) {
      assert.ok(covers(offset), `offset ${offset}`);
    }
  });

  test("all but the lists of options is looked at before each call", () => {
    assert.equal(LIVE_PARTS.length, 9);
    assert.deepEqual(WATCHED_PARTS, [...LIVE_PARTS.slice(0, 4), ...LIVE_PARTS.slice(-1)]);
    assert.deepEqual(WATCHED_PARTS[3], [abi.CONFIG_OPTIONS_SERIAL_OFFSET, 4]);
    assert.deepEqual(WATCHED_PARTS[4], [abi.CONFIG_LINK_FLAGS_OFFSET, 4]);
  });

  test("an error says what is wrong and where", () => {
    const error = new RecordingError("it is wet", 77);
    assert.deepEqual(
      [error.name, error.message, error.offset],
      ["RecordingError", "it is wet", 77],
    );
    assert.ok(error instanceof Error);
  });

  test("the hash of the ABI has 16 digits and is the same each time", () => {
    assert.match(abiHash(), /^[0-9a-f]{16}$/);
    assert.equal(abiHash(), abiHash());
  });
});
