/** Which memory can be shared with another process, what is added for that, and what stays. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { readDomain } from "../../../src/hooks/domain/document.ts";
import { applyEdits } from "../../../src/hooks/domain/edits.ts";
import { type GuestMemory, readMemory, shareMemory } from "../../../src/hooks/domain/memory.ts";

const MIB = 1 << 20;

function wrap(inner: string, devices = "<devices/>"): string {
  return `<domain><memory/>${inner}${devices}</domain>`;
}

function read(xml: string): GuestMemory {
  return readMemory(readDomain(xml));
}

/** What stands between memory and devices once it is shared; twice is once. */
function shared(inner: string): string {
  const xml = wrap(inner);
  assert.equal(read(xml).obstacle, undefined);
  const answer = applyEdits(xml, shareMemory(readDomain(xml)));
  assert.equal(applyEdits(answer, shareMemory(readDomain(answer))), answer);
  assert.equal(read(answer).obstacle, undefined);
  return /<memory\/>(.*)<devices/.exec(answer)?.[1] ?? "";
}

const backing = (...children: string[]): string =>
  `<memoryBacking>${children.join("")}</memoryBacking>`;
const MEMFD = '<source type="memfd"/>';
const SHARED = '<access mode="shared"/>';
const PRIVATE = '<access mode="private"/>';
const cell = (access: string): string =>
  access === "" ? "<cell/>" : `<cell memAccess="${access}"/>`;
const cells = (...access: string[]): string =>
  `<cpu><numa>${access.map(cell).join("")}</numa></cpu>`;

describe("memory is shared", () => {
  const added: readonly (readonly [what: string, before: string, after: string])[] = [
    ["where the domain says nothing", "", backing(MEMFD, SHARED)],
    ["where the element is empty", "<memoryBacking/>", backing(MEMFD, SHARED)],
    [
      "as huge pages, without another source",
      backing("<hugepages/>"),
      backing("<hugepages/>", SHARED),
    ],
    [
      "as huge pages of a memfd",
      backing("<hugepages/>", MEMFD),
      backing("<hugepages/>", MEMFD, SHARED),
    ],
    ["where only the source is missing", backing(SHARED), backing(SHARED, MEMFD)],
    [
      "beside what has nothing to do with it",
      backing("<locked/>", '<allocation mode="immediate"/>'),
      backing("<locked/>", '<allocation mode="immediate"/>', MEMFD, SHARED),
    ],
    ["for NUMA cells that say nothing", cells("", ""), backing(MEMFD, SHARED) + cells("", "")],
    [
      "for NUMA cells of which one says nothing",
      backing(MEMFD) + cells("shared", ""),
      backing(MEMFD, SHARED) + cells("shared", ""),
    ],
    [
      "for NUMA cells that say it all, but for the source",
      cells("shared", "shared"),
      backing(MEMFD) + cells("shared", "shared"),
    ],
    [
      "for memory that may be plugged in later",
      `<maxMemory/>${backing(MEMFD)}${cells("shared")}`,
      `<maxMemory/>${backing(MEMFD, SHARED)}${cells("shared")}`,
    ],
  ];
  for (const [what, before, after] of added) {
    test(what, () => assert.equal(shared(before), after));
  }

  const kept: readonly (readonly [what: string, inner: string])[] = [
    ["memfd", backing(MEMFD, SHARED)],
    ["a file", backing('<source type="file"/>', SHARED)],
    ["huge pages", backing("<hugepages/>", SHARED)],
    ["NUMA cells", backing(MEMFD) + cells("shared", "shared")],
    ["NUMA cells beside another default", backing(MEMFD, PRIVATE) + cells("shared")],
  ];
  for (const [what, inner] of kept) {
    test(`already, and stays as it is: ${what}`, () => assert.equal(shared(inner), inner));
  }

  test("in a domain without an element for memory", () => {
    const domain = readDomain("<domain><devices/></domain>");
    assert.equal(
      applyEdits(domain.text, shareMemory(domain)),
      `<domain>${backing(MEMFD, SHARED)}<devices/></domain>`,
    );
  });
});

describe("memory is not shared", () => {
  const obstacle = (inner: string, devices?: string): string | undefined =>
    read(wrap(inner, devices)).obstacle;

  test("where the domain says so", () => {
    const access = 'memory access "private"';
    assert.equal(obstacle(backing(PRIVATE)), `${access}: wanted "shared"`);
    assert.equal(
      obstacle(backing(MEMFD) + cells("shared", "private")),
      `${access} of a NUMA cell: wanted "shared"`,
    );
    assert.equal(
      obstacle(`<maxMemory/>${backing(MEMFD, PRIVATE)}${cells("shared")}`),
      `${access}: wanted "shared"`,
    );
    assert.equal(
      obstacle("", '<devices><memory access="private"/></devices>'),
      `${access} of a memory device: wanted "shared"`,
    );
    assert.equal(
      obstacle(backing('<source type="anonymous"/>', SHARED)),
      'memory source "anonymous": wanted "memfd" or "file"',
    );
  });

  test("where it is encrypted", () => {
    assert.equal(obstacle('<launchSecurity type="sev"/>'), "memory is encrypted");
  });
});

describe("what is read", () => {
  const sizes: readonly (readonly [inner: string, octets: number])[] = [
    ["<memory>1024</memory>", MIB],
    ['<memory unit="b">1024000000</memory>', 1_024_000_000],
    ['<memory unit="KiB">1000000</memory>', 1_024_000_000],
    ['<memory unit="MB">3</memory>', 3_000_000],
    ['<memory unit="G"> 2 </memory>', 2048 * MIB],
    ['<memory unit="GiB">1</memory><maxMemory slots="4" unit="GiB">3</maxMemory>', 3072 * MIB],
    ['<memory unit="x">7</memory>', 0],
    ["<memory>-7</memory>", 0],
    ["<memory/>", 0],
    ["", 0],
  ];
  for (const [inner, octets] of sizes) {
    test(`the size of ${inner || "nothing"}`, () =>
      assert.equal(read(`<domain>${inner}<devices/></domain>`).size, octets));
  }

  test("whether QEMU touches all of it first, for good", () => {
    const immediate = backing('<allocation mode="immediate"/>');
    const balloon = (reporting: string): string =>
      `<devices><memballoon freePageReporting="${reporting}"/></devices>`;
    const isPreallocated = (inner: string, devices?: string): boolean =>
      read(wrap(inner, devices)).isPreallocated;
    assert.equal(isPreallocated(""), false);
    assert.equal(isPreallocated(backing('<allocation mode="ondemand"/>')), false);
    assert.equal(isPreallocated(immediate), true);
    assert.equal(isPreallocated(immediate, balloon("off")), true);
    assert.equal(isPreallocated(immediate, balloon("on")), false);
    assert.equal(isPreallocated(backing("<hugepages/>")), true);
    assert.equal(read(wrap(backing("<hugepages/>"))).isHuge, true);
    assert.equal(read(wrap(immediate)).isHuge, false);
  });
});
