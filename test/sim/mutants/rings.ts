/**
 * Deliberate bugs of the vhost-user link, in the files that the simulator's card runs (`list.ts`
 * says how they are written). Whoever has one would see a guest's network stand still, or its
 * memory spoilt, once in a while.
 */
import type { Mutant } from "./mutant.ts";

const FOLDER = "src/link/vhost-user";
const RING = `${FOLDER}/ring.ts`;
const TO_GUEST = `${FOLDER}/to-guest.ts`;
const FROM_GUEST = `${FOLDER}/from-guest.ts`;

export const RINGS: readonly Mutant[] = [
  {
    name: "kick lost between look and wish",
    file: RING,
    from: "} else this.#setFlags(0);\n    this.#look();",
    to: "} else this.#setFlags(0);",
    why: "a guest that makes a frame available in that moment is not heard",
    seed: 1,
  },
  {
    name: "kick not asked for",
    file: RING,
    from: "} else this.#setFlags(0);",
    to: "}",
    why: "a guest without event indexes is told not to kick, for ever",
    seed: 1,
  },
  {
    name: "kick lost in small rings",
    file: FROM_GUEST,
    from: "while (frames < count) {",
    to: "while (frames < count && taken < ring.size) {",
    why: "a ring of fewer entries than a batch, when it is full, is never looked at again",
    seed: 1,
  },
  {
    name: "call lost",
    file: RING,
    from: "const mustCall = this.#mayHaveMissed || isDue;",
    to: "const mustCall = this.#mayHaveMissed;",
    why: "a driver that sleeps until it is called sleeps on",
    seed: 1,
  },
  {
    name: "calls wanted and not wanted",
    file: RING,
    from: "return (this.#memory.availableFlags() & NO_CALL) === 0;",
    to: "return (this.#memory.availableFlags() & NO_CALL) !== 0;",
    why: "the same without event indexes",
    seed: 1,
  },
  {
    name: "event index off by one",
    file: RING,
    from: "const isDue = ((this.#used - event - 1) & INDEX_MASK) < count;",
    to: "const isDue = ((this.#used - event) & INDEX_MASK) < count;",
    why: "the call for the very entry that was asked for is missing",
    seed: 1,
  },
  {
    name: "used before written",
    file: RING,
    from: "this.#memory.setUsed(slot, head, written);",
    to:
      "this.#memory.setUsedIndex((this.#used + 1) & INDEX_MASK);\n" +
      "    this.#memory.setUsed(slot, head, written);",
    why: "a driver that looks at once takes back whatever stood there before",
    seed: 1,
  },
  {
    name: "available index wraps late",
    file: RING,
    from: "this.#next = (this.#next + 1) & INDEX_MASK;",
    to: "this.#next += 1;",
    why: "after 65,536 frames the link stands still",
    seed: 1,
  },
  {
    name: "used index wraps for the driver alone",
    file: RING,
    from: "const count = (this.#used - before) & INDEX_MASK;",
    to: "const count = this.#used - before;",
    why: "after 65,536 frames the call is missing that is due then",
    seed: 1,
  },
  {
    name: "chain as long as the ring refused",
    file: RING,
    from: "for (let i = 0; i < this.size; i += 1) {",
    to: "for (let i = 1; i < this.size; i += 1) {",
    why: "a frame that takes all descriptors breaks its queue",
    seed: 1,
  },
  {
    name: "num_buffers off by one",
    file: TO_GUEST,
    from: "setUint16(BUFFERS_OFFSET, this.#chains, true)",
    to: "setUint16(BUFFERS_OFFSET, this.#chains - 1, true)",
    why: "the driver takes the end of a frame for another frame",
    seed: 1,
  },
  {
    name: "untake forgotten",
    file: TO_GUEST,
    from: "ring.untake(this.#chains);",
    to: "",
    why: "buffers that were too few for a frame never come back",
    seed: 1,
  },
  {
    name: "used length of the whole buffer",
    file: TO_GUEST,
    from: "const written = Math.min(rest, this.#sizes[chain] ?? 0);",
    to: "const written = this.#sizes[chain] ?? 0;",
    why: "frames have what was in the buffer before at their end",
    seed: 1,
  },
  {
    name: "legacy header of twelve octets",
    file: `${FOLDER}/features.ts`,
    from: "headerSize: has(NET_MRG_RXBUF) || has(F_VERSION_1) ? 12 : 10,",
    to: "headerSize: 12,",
    why: "a legacy guest sees two octets too many before each frame",
    seed: 1,
  },
  {
    name: "short header taken for a long one",
    file: FROM_GUEST,
    from: "const moved = VNET_SIZE - headerSize;",
    to: "const moved = 0 * headerSize;",
    why: "frames of a legacy guest lose their first two octets",
    seed: 1,
  },
  {
    name: "buffer copied beyond its region",
    file: `${FOLDER}/regions.ts`,
    from: "const part = Math.min(left, region.end - at);",
    to: "const part = left + 0 * region.end;",
    why: "a buffer in two regions is written into memory that is not the guest's",
    seed: 1,
  },
  {
    name: "stopped queue forgets where it was",
    file: `${FOLDER}/queue.ts`,
    from: "if (this.#ring !== undefined) this.#base = this.#ring.next;",
    to: "",
    why: "after a stop the guest's old frames are sent once more",
    seed: 1,
  },
];
