/** The simulated machine: what is copied by address has to be there, and is shown to its owner. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { type MachineFile, SimMachine } from "../../../src/lab/sim/card/machine.ts";
import { GuestMemory } from "../../../src/link/vhost-user/regions.ts";

const SIZE = 8192;

function stage(isSealed: boolean) {
  const machine = new SimMachine();
  const seen: [number, number, boolean][] = [];
  const file: MachineFile = {
    bytes: new Uint8Array(SIZE),
    isSealed,
    check: (...access) => seen.push(access),
  };
  const memory = new GuestMemory(machine);
  const layout = { guestAddress: 0x1000, userAddress: 0x5000, size: SIZE, offset: 0 };
  const fd = machine.openFile(file);
  assert.equal(memory.add(layout, fd), 0);
  const own = new Uint8Array(16);
  return { machine, seen, file, memory, layout, fd, own, address: machine.address(own.buffer) };
}

describe("sim/card: machine", () => {
  for (const isSealed of [true, false]) {
    test(`what is copied, its owner sees (sealed: ${isSealed})`, () => {
      const { machine, seen, file, memory, own, address } = stage(isSealed);
      let moments = 0;
      machine.onCopy = () => {
        moments += 1;
      };
      assert.equal(memory.canShrink, !isSealed);
      own.fill(7);
      assert.ok(memory.write(0x1010, 4, address));
      assert.deepEqual([...file.bytes.subarray(15, 21)], [0, 7, 7, 7, 7, 0]);
      assert.ok(memory.read(0x1012, 8, address));
      assert.deepEqual([...own.subarray(0, 8)], [7, 7, 0, 0, 0, 0, 0, 0]);
      const accesses = [
        [16, 4, true],
        [18, 8, false],
      ];
      assert.deepEqual(seen, accesses);
      assert.equal(moments, 4, "before and after each");
    });
  }

  test("memory that was given back is there no longer", () => {
    const { machine, memory, layout, address } = stage(true);
    const place = memory.place(layout.userAddress, SIZE)?.address ?? 0;
    assert.equal(memory.remove(layout), 0);
    assert.throws(() => machine.memcpy(address, place, 1), /where no memory is/);
  });

  test("what reaches beyond a buffer, or a window within one, is refused", () => {
    const { machine, memory, layout, address } = stage(true);
    const place = memory.place(layout.userAddress, SIZE)?.address ?? 0;
    assert.throws(() => machine.memcpy(address, place, 17), /where no memory is/);
    assert.throws(() => machine.view(place + 16, 16), /behind where a mapping begins/);
    assert.equal(machine.view(place, 16).byteLength, SIZE);
  });

  test("a descriptor is closed once, and an event is heard", () => {
    const { machine, fd, own, address } = stage(true);
    let heard = 0;
    const event = machine.openEvent(() => {
      heard += 1;
    });
    own.fill(0);
    own[0] = 1;
    assert.equal(machine.write(event, address, 8), 8);
    assert.equal(heard, 1);
    machine.close(event);
    assert.ok(machine.write(event, address, 8) < 0);
    machine.close(fd);
    assert.throws(() => machine.close(fd), /closed twice/);
  });
});
