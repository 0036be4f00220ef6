/** What there is room for, as it is looked up and told. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe } from "node:test";
import { findRoom, type RoomKnown } from "../../src/binding/room.ts";
import type { PublishOptions } from "../../src/config/forward.ts";
import type { LimitOptions } from "../../src/config/limit-options.ts";
import { deriveLimits } from "../../src/config/limits.ts";
import type { NetworkOptions } from "../../src/config/network.ts";
import type { LogFields } from "../../src/lib/log.ts";
import { memoryTotal } from "../../src/sys/cgroup.ts";
import type { Libc } from "../../src/sys/libc.ts";
import { descriptorsInUse, raiseDescriptors } from "../../src/sys/rlimit.ts";
import { systemTest } from "../sys/support.ts";

const MIB = 1 << 20;
const NO_LIMITS = { flowsMax: undefined, bufferMib: undefined };

/** What is asked of it; a part that says nothing is as small as can be. */
interface Asked {
  readonly rules?: PublishOptions["rules"];
  readonly needsEveryPort?: boolean;
  readonly ipv4?: boolean;
  readonly subnet6?: NetworkOptions["subnet6"];
}

function options({ rules = [], needsEveryPort = true, ipv4 = true, subnet6 }: Asked) {
  const network = { ipv4, subnet6 } as NetworkOptions; // nothing else of it counts
  return { limits: NO_LIMITS as LimitOptions, publish: { rules, needsEveryPort }, network };
}

const ALONE: RoomKnown = { networks: 1, memoryGroup: undefined };

/** Looks, and keeps what is logged. */
function look(sys: Libc, asked: Asked = {}, known = ALONE) {
  const lines: [string, string, LogFields][] = [];
  const log = {
    info: (fields: LogFields, message: string) => void lines.push(["info", message, fields]),
    warn: (fields: LogFields, message: string) => void lines.push(["warn", message, fields]),
  };
  const found = findRoom(sys, options(asked), known, log);
  return { found, lines };
}

/** A group's folder, with files as the kernel has them. */
function withGroup(run: (known: RoomKnown, folder: string) => void): void {
  const folder = mkdtempSync(join(tmpdir(), "slirp-room-"));
  writeFileSync(join(folder, "memory.stat"), "file 0\nshmem 0\n");
  writeFileSync(join(folder, "memory.current"), `${40 * MIB}\n`);
  const source = join(folder, "memory.max");
  try {
    run({ networks: 1, memoryGroup: { limit: 128 * MIB, source, version: 2, folder } }, folder);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

describe("room", () => {
  systemTest("without a limit it is the machine's, and is not watched", [], (sys) => {
    const { found, lines } = look(sys);
    const total = memoryTotal() ?? 0;
    const descriptors = raiseDescriptors(sys);
    assert.equal(found.memory, undefined);
    const [[level, message, fields] = []] = lines;
    assert.deepEqual([lines.length, level, message], [1, "info", "limits"]);
    assert.deepEqual(fields, {
      flows_max: found.limits.flowsMax,
      payload_mib: found.limits.bufferMib,
      sockets_max: found.limits.socketsMax,
      buffers_mib: Math.floor(found.limits.buffers / MIB),
      memory_mib: Math.floor(total / MIB),
      memory_from: "/proc/meminfo",
      descriptors,
    });
    const room = { memory: total, machine: total, descriptors, networks: 1, published: 0 };
    const derived = deriveLimits({ ...room, descriptorsInUse: descriptorsInUse() }, NO_LIMITS);
    assert.deepEqual(found.limits, derived);
  });

  systemTest("a group's limit counts, and what it has in use can be looked at", [], (sys) =>
    withGroup((known, folder) => {
      const { found, lines } = look(sys, {}, known);
      assert.equal(found.memory?.gauge.used(), 40 * MIB);
      assert.equal(found.memory.reserve, found.limits.reserve);
      assert.equal(found.memory.group.limit, 128 * MIB);
      assert.equal(lines[0]?.[2]["memory_mib"], 128);
      assert.equal(lines[0]?.[2]["memory_from"], join(folder, "memory.max"));
      // What the program runs on counts as used, other cache does not.
      writeFileSync(join(folder, "memory.stat"), `file ${20 * MIB}\nshmem 0\n`);
      assert.equal(found.memory.gauge.used(), 28 * MIB);
      found.memory.gauge.close();
    }),
  );

  systemTest("several networks share it", [], (sys) =>
    withGroup((known) => {
      const alone = look(sys, {}, known).found;
      const third = look(sys, {}, { ...known, networks: 3 }).found;
      assert.ok(third.limits.flowsMax < alone.limits.flowsMax);
      for (const { memory } of [alone, third]) memory?.gauge.close();
    }),
  );

  systemTest(
    "a group that is too small to be meant is not watched, nor one out of reach",
    [],
    (sys) => {
      withGroup((known) => {
        const { memoryGroup } = known;
        assert.ok(memoryGroup !== undefined);
        const small = look(
          sys,
          {},
          { ...known, memoryGroup: { ...memoryGroup, limit: 17 * MIB - 1 } },
        );
        assert.equal(small.found.memory, undefined);
        assert.deepEqual(small.lines.slice(1), [
          ["warn", "there is less memory than the program itself needs", {}],
        ]);
        const just = look(sys, {}, { ...known, memoryGroup: { ...memoryGroup, limit: 17 * MIB } });
        just.found.memory?.gauge.close();
        assert.ok(just.found.memory !== undefined);
        const folder = "/nonexistent";
        const away = look(sys, {}, { ...known, memoryGroup: { ...memoryGroup, folder } });
        assert.equal(away.found.memory, undefined);
        const [, [level, message, fields] = []] = away.lines;
        assert.deepEqual([level, message], ["warn", "cannot watch memory in use"]);
        assert.match(String(fields?.["problem"]), /ENOENT|no such file/i);
      });
    },
  );

  systemTest("what cannot be told is told so", [], (sys) => {
    const { found, lines } = look({ ...sys, prlimit: () => -1 });
    assert.equal(lines[0]?.[2]["descriptors"], "unknown");
    assert.ok(found.limits.flowsMax > 0);
  });

  systemTest("ports that descriptors do not suffice for are an error, or left out", [], (sys) => {
    const limit = raiseDescriptors(sys);
    const count = 65_535;
    const rule = { protocol: "udp", hostAddress: 0, hostPort: 1, guestPort: 1, count } as const;
    // As many as no limit of descriptors allows.
    const rules = Array.from({ length: Math.ceil(limit / count) + 1 }, () => rule);
    const published = rules.length * count;
    const [, needed = ""] =
      /to (\d+)/.exec(
        String(look(sys, { rules, needsEveryPort: false }).lines[0]?.[2]["remedy"]),
      ) ?? [];
    assert.ok(Number(needed) > published);
    const remedy =
      `raise "ulimit -n" (LimitNOFILE) from ${limit} to ${needed}, or publish fewer; ` +
      "TCP on all addresses counts twice, on 0.0.0.0 once";
    const problem = `${published} sockets of published ports are more than descriptors allow`;
    const { lines } = look(sys, { rules, needsEveryPort: false });
    assert.deepEqual(lines[0], ["warn", "ports will be left out", { problem, remedy }]);
    assert.throws(() => look(sys, { rules }), { message: `${problem}: ${remedy}` });
  });

  systemTest("TCP on all addresses takes a socket of each version there is", [], (sys) => {
    const tcp = {
      protocol: "tcp",
      hostAddress: 0,
      hostPort: 1,
      guestPort: 1,
      count: 60_000,
    } as const;
    const subnet6 = { prefix: [], prefixLength: 64 } as never; // only whether there is one counts
    const told = (asked: Asked) => {
      const limit = raiseDescriptors(sys);
      const rules = Array.from({ length: Math.ceil(limit / 60_000) + 1 }, () => tcp);
      const { lines } = look(sys, { rules, needsEveryPort: false, ...asked });
      return Number(/^\d+/.exec(String(lines[0]?.[2]["problem"]))?.[0]) / (rules.length * 60_000);
    };
    assert.equal(told({ ipv4: true, subnet6 }), 2);
    assert.equal(told({ ipv4: true, subnet6: undefined }), 1);
    assert.equal(told({ ipv4: false, subnet6 }), 1);
  });
});
