/** Values of QEMU's options: the fields that matter, whatever else is there and however much. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { readFields } from "../../../src/hooks/domain/fields.ts";

function fieldsOf(value: string): Record<string, string> {
  return Object.fromEntries(readFields(value));
}

describe("fields", () => {
  test("of type and keys, with other keys left out", () => {
    assert.deepEqual(fieldsOf("user,id=a,net=10.0.2.0/24,xid=b,idx=c"), { type: "user", id: "a" });
    assert.deepEqual(fieldsOf("virtio-net-pci,netdev=n,bus=pci.1,addr=0x1.0x2"), {
      type: "virtio-net-pci",
      netdev: "n",
      bus: "pci.1",
      addr: "0x1.0x2",
    });
  });

  test("a comma written twice begins no field", () => {
    assert.deepEqual(fieldsOf("user,bootfile=a,,b,id=c"), { type: "user", id: "c" });
    assert.deepEqual(fieldsOf(""), { type: "" });
  });

  test("of an object in JSON", () => {
    assert.deepEqual(fieldsOf('{"driver":"e1000","id":"a","addr":7}'), { id: "a", addr: "7" });
    for (const value of ["{", "[1]", "{}", '{"id"'])
      assert.equal(readFields(value).size <= 1, true);
  });

  test("nothing long is kept", () => {
    const long = "x".repeat(100_000);
    assert.deepEqual(fieldsOf(`user,id=${long},addr=1`), { type: "user", addr: "1" });
    assert.equal(readFields(long).get("type")?.length, 256);
    assert.deepEqual(fieldsOf(`{"id":"${long}"}`), {});
    assert.deepEqual(fieldsOf(`user${",".repeat(5000)}id=a`), { type: "user", id: "a" });
    assert.deepEqual(fieldsOf(`user${",".repeat(1_000_000)}id=a`), { type: "user" });
  });
});
