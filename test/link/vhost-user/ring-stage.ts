/** A ring over memory of a pretended guest, with its driver in the test's hands. */
import assert from "node:assert/strict";
import { GuestMemory } from "../../../src/link/vhost-user/regions.ts";
import { Parts, Ring, type RingOptions } from "../../../src/link/vhost-user/ring.ts";
import { openRingMemory, ringSizes } from "../../../src/link/vhost-user/ring-memory.ts";
import type { Libc } from "../../../src/sys/libc.ts";
import { Driver, RING_SIZE } from "./driver.ts";
import { GuestRam } from "./guest-ram.ts";

export interface RingStage {
  readonly driver: Driver;
  readonly ring: Ring;
  readonly parts: Parts;
  readonly ram: GuestRam;
  readonly guest: GuestMemory;
}

const READ: RingOptions = {
  size: RING_SIZE,
  base: 0,
  isWritable: false,
  hasEventIndex: true,
  hasIndirect: true,
  log: -1,
};

export function withRing(
  sys: Libc,
  options: Partial<RingOptions> & { readonly isSealed?: boolean },
  run: (stage: RingStage) => void,
  prepare: (driver: Driver) => void = () => {},
): void {
  const { isSealed = true, ...wanted } = options;
  const settings = { ...READ, ...wanted };
  using ram = new GuestRam(sys, isSealed);
  const guest = new GuestMemory(sys);
  const driver = new Driver(ram, 0, settings.isWritable, settings.size);
  try {
    assert.equal(guest.add(ram.layout, ram.fd), 0);
    prepare(driver);
    const sizes = ringSizes(settings.size, settings.hasEventIndex);
    const places = driver.places(0);
    const place = (at: number, size: number) => {
      const found = guest.place(at, size);
      assert.ok(found);
      return found;
    };
    const there = {
      descriptors: place(places.descriptors, sizes.descriptors),
      available: place(places.available, sizes.available),
      used: place(places.used, sizes.used),
    };
    const memory = openRingMemory(sys, there, settings.size, settings.hasEventIndex);
    const ring = new Ring(sys, guest, memory, settings);
    run({ driver, ring, parts: new Parts(), ram, guest });
  } finally {
    guest.close();
  }
}

export function partsOf({ parts, ram }: RingStage): [at: number, size: number][] {
  return Array.from({ length: parts.count }, (_, i) => [
    (parts.addresses[i] ?? 0) - ram.guest(0),
    parts.lengths[i] ?? 0,
  ]);
}
