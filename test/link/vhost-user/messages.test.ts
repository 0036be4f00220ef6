/** Messages of vhost-user: headers, lengths and descriptors, right and wrong. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import {
  encodeU64,
  encodeVringState,
  type Message,
  ProtocolError,
  REQUEST,
  readHeader,
  readLogBase,
  readMemReg,
  readMemTable,
  readNothing,
  readU64,
  readVringAddress,
  readVringEvent,
  readVringState,
  replyTo,
} from "../../../src/link/vhost-user/messages.ts";
import { message, regionOctets, tableOctets, u32, u64 } from "./front-end.ts";

const REGION = { guestAddress: 0x1_0000, size: 0x2000, userAddress: 0x7f00_0000, offset: 0x3000 };

function got(request: number, payload: Uint8Array, fds: readonly number[] = []): Message {
  return { request, flags: 1, payload, fds: [...fds] };
}

describe("vhost-user messages: header", () => {
  test("request, flags and size", () => {
    const octets = message(REQUEST.setFeatures, u64(0), 9);
    assert.deepEqual(readHeader(octets), { request: 2, flags: 9, size: 8 });
  });

  test("another version, a reply and too long a payload are refused", () => {
    const none = new Uint8Array(0);
    assert.throws(() => readHeader(message(1, none, 2)), /version 2 of the protocol, wanted 1/);
    assert.throws(() => readHeader(message(1, none, 5)), /a reply 1 that nobody/);
    const long = message(5, new Uint8Array(265));
    assert.throws(() => readHeader(long), /request 5 of 265 octets, wanted at most 264/);
    assert.equal(readHeader(message(5, new Uint8Array(264))).size, 264);
  });

  test("a reply has the request's number, the version and its mark", () => {
    const octets = replyTo(11, encodeVringState({ index: 1, value: 0xfffe }));
    assert.deepEqual([...new Uint32Array(octets.buffer)], [11, 5, 8, 1, 0xfffe]);
    const features = replyTo(1, encodeU64(0x1_0000_0002n));
    assert.deepEqual([...new Uint32Array(features.buffer)], [1, 5, 8, 2, 1]);
  });
});

describe("vhost-user messages: payload", () => {
  test("numbers", () => {
    readNothing(got(3, new Uint8Array(0)));
    assert.equal(readU64(got(2, u64(2n ** 63n))), 2n ** 63n);
    assert.deepEqual(readVringState(got(8, u32(1, 256))), { index: 1, value: 256 });
  });

  test("places of a ring, each from its own field", () => {
    const octets = new Uint8Array([...u32(1, 1), ...u64(0x10, 0x20, 0x30, 2n ** 40n)]);
    assert.deepEqual(readVringAddress(got(9, octets)), {
      index: 1,
      isLogged: true,
      descriptors: 0x10,
      used: 0x20,
      available: 0x30,
      log: 2 ** 40,
    });
    octets[4] = 0;
    assert.equal(readVringAddress(got(9, octets)).isLogged, false);
  });

  test("an event descriptor, or none", () => {
    assert.deepEqual(readVringEvent(got(12, u64(1), [5])), { index: 1, hasFd: true });
    assert.deepEqual(readVringEvent(got(12, u64(0x101))), { index: 1, hasFd: false });
    assert.throws(() => readVringEvent(got(12, u64(1))), /with 0 descriptors, wanted 1/);
    assert.throws(() => readVringEvent(got(12, u64(0x100), [5])), /with 1 descriptors, wanted 0/);
  });

  test("a table of regions has a descriptor for each", () => {
    const second = { ...REGION, guestAddress: 0x1_0000_0000 };
    const table = tableOctets([REGION, second]);
    assert.deepEqual(readMemTable(got(5, table, [3, 4])), [REGION, second]);
    assert.deepEqual(readMemTable(got(5, tableOctets([]))), []);
    assert.throws(() => readMemTable(got(5, table, [3])), /with 1 descriptors, wanted 2/);
    assert.throws(() => readMemTable(got(5, table.subarray(0, 71), [3, 4])), /wanted 72/);
    assert.throws(() => readMemTable(got(5, new Uint8Array(4))), /of 4 octets, wanted 8/);
    assert.throws(() => readMemTable(got(5, u64(9))), /table of 9 regions, wanted at most 8/);
  });

  test("one region, with a descriptor where it is added", () => {
    const octets = new Uint8Array([...u64(0), ...regionOctets(REGION)]);
    assert.deepEqual(readMemReg(got(37, octets, [3])), REGION);
    assert.deepEqual(readMemReg(got(38, octets)), REGION);
    assert.deepEqual(readMemReg(got(38, octets, [3])), REGION);
    assert.throws(() => readMemReg(got(37, octets)), ProtocolError);
  });

  test("a log", () => {
    assert.deepEqual(readLogBase(got(6, u64(4096, 8192), [3])), { size: 4096, offset: 8192 });
    assert.throws(() => readLogBase(got(6, u64(4096, 0))), /with 0 descriptors/);
  });

  test("every other length is refused", () => {
    const readers = [
      ...[readNothing, readU64, readVringState, readVringAddress],
      ...[readVringEvent, readMemReg, readLogBase],
    ];
    const wanted = [0, 8, 8, 40, 8, 40, 16];
    for (const [i, read] of readers.entries()) {
      for (let size = 0; size <= 64; size += 1) {
        if (size === wanted[i]) continue;
        const odd = got(REQUEST.addMemReg, new Uint8Array(size), [1]);
        assert.throws(() => read(odd), ProtocolError, `${read.name} of ${size}`);
      }
    }
  });
});
