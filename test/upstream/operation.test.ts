/** Fields of operations by their names: each reads its own word, with the sign it has. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { HostOperation } from "../../src/upstream/operation.ts";
import * as abi from "../../wasm/abi.ts";

const AT = 2 * abi.OP_SIZE;

/** The third of four records, of these words; all around it are others. */
function operationOf(words: {
  readonly [offset: number]: number;
}): readonly [HostOperation, DataView<ArrayBuffer>] {
  const view = new DataView(new ArrayBuffer(4 * abi.OP_SIZE));
  new Uint8Array(view.buffer).fill(0x5a);
  new Uint8Array(view.buffer, AT, abi.OP_SIZE).fill(0);
  for (const [offset, word] of Object.entries(words))
    view.setUint32(AT + Number(offset), word, true);
  const operation = new HostOperation(new Int32Array(view.buffer));
  operation.moveTo(AT);
  return [operation, view];
}

const HIGH = 0xfedc0007;

describe("operation", () => {
  test("what every operation has", () => {
    const [operation] = operationOf({
      [abi.OP_KIND_OFFSET]: abi.OP_UDP_RECV,
      [abi.OP_HANDLE_OFFSET]: HIGH,
      [abi.OP_POINTER_OFFSET]: HIGH,
      [abi.OP_COUNT_OFFSET]: 12,
    });
    assert.equal(operation.kind, abi.OP_UDP_RECV);
    assert.equal(operation.handle, HIGH | 0);
    assert.equal(operation.pointer, HIGH);
    assert.equal(operation.messageCount, 12);
  });

  test("the result is written in place, and nowhere else", () => {
    const [operation, view] = operationOf({});
    operation.result = -11;
    assert.equal(view.getInt32(AT + abi.OP_RESULT_OFFSET, true), -11);
    view.setInt32(AT + abi.OP_RESULT_OFFSET, 0);
    assert.ok(new Uint8Array(view.buffer, AT, abi.OP_SIZE).every((octet) => octet === 0));
  });

  test("A, B and C by what they mean", () => {
    const [operation] = operationOf({
      [abi.OP_A_OFFSET]: 0xf0000001,
      [abi.OP_B_OFFSET]: 0xf0000002,
      [abi.OP_C_OFFSET]: 0x00ff1235,
    });
    assert.deepEqual(
      [operation.connectAddress, operation.datagramCount],
      [0xf0000001, 0xf0000001 | 0],
    );
    assert.deepEqual([operation.peerAddress, operation.pathAddress], [0xf0000002, 0xf0000002]);
    assert.deepEqual([operation.guestPort, operation.spot], [0x1235, 0xff]);
    const [other] = operationOf({
      [abi.OP_A_OFFSET]: 11,
      [abi.OP_B_OFFSET]: 22,
      [abi.OP_C_OFFSET]: 33,
    });
    assert.deepEqual([other.sourcePort, other.keepalive, other.tos], [11, 11, 11]);
    assert.equal(other.connectPort, 22);
    assert.deepEqual([other.connectTos, other.peerPort], [33, 33]);
  });

  test("what is asked of it is yes for 1 alone", () => {
    const answers = (word: number): readonly boolean[] => {
      const [operation] = operationOf({
        [abi.OP_A_OFFSET]: word,
        [abi.OP_C_OFFSET]: word,
        [abi.OP_COUNT_OFFSET]: word,
      });
      return [operation.isAbort, operation.isUrgent, operation.isLocal];
    };
    assert.deepEqual([0, 1, 2].map(answers), [
      [false, false, false],
      [true, true, true],
      [false, false, false],
    ]);
  });

  test("abort and urgent are in different words", () => {
    const [abort] = operationOf({ [abi.OP_A_OFFSET]: 1 });
    assert.deepEqual([abort.isAbort, abort.isUrgent], [true, false]);
    const [urgent] = operationOf({ [abi.OP_C_OFFSET]: 1 });
    assert.deepEqual([urgent.isAbort, urgent.isUrgent], [false, true]);
  });

  test("versions of IP: 6 is IPv6, all else IPv4", () => {
    const families = [0, 4, 6, 1].map(
      (count) => operationOf({ [abi.OP_COUNT_OFFSET]: count })[0].family,
    );
    assert.deepEqual(families, [4, 4, 6, 4]);
  });

  test("beyond the memory all is zero", () => {
    const [operation] = operationOf({});
    operation.moveTo(1 << 20);
    assert.deepEqual([operation.kind, operation.pointer, operation.family], [0, 0, 4]);
  });
});
