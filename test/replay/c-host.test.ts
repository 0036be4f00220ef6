/**
 * The host in C (`examples/c-host`) beside the one in JavaScript: the same recording, replayed by
 * both, gives the same digest of all outputs; what is changed is found by both at the same call;
 * what is no recording is refused by both.
 */
import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { cpus, tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { gunzipSync } from "node:zlib";
import { planOfCompetition } from "../../src/lab/sim/competition.ts";
import { Random } from "../../src/lab/sim/random.ts";
import { planFromSeed } from "../../src/lab/sim/scenario.ts";
import { planOfWindows } from "../../src/lab/sim/windows.ts";
import {
  FILE_HEADER_SIZE,
  KIND,
  RECORD_HEADER_SIZE,
  RecordingError,
} from "../../src/replay/format.ts";
import * as abi from "../../wasm/abi.ts";
import { buildCHost, type CHost, type CHostRun, lacksCHost, runCHost } from "./c-host.ts";
import { Script } from "./script.ts";
import { recordPlan, recordSeed, replay, resealed } from "./support.ts";

const FIXTURES = new URL("../fixtures/recordings/", import.meta.url);
/** Mutated recordings that both hosts are given. */
const MUTANT_COUNT = 80;
const SUITE = { skip: lacksCHost() };
/** A short run with everything in it. */
const SHORT = recordSeed(10).octets;

/** Verdicts of the host in JavaScript, as exit codes of the one in C. */
function verdictOf(octets: Uint8Array): { readonly code: number; readonly text: string } {
  try {
    const { digest, difference } = replay(octets);
    if (difference === undefined) return { code: 0, text: digest };
    const { call, name } = difference;
    return { code: 1, text: `differs at call ${call} (${name})` };
  } catch (error) {
    if (!(error instanceof RecordingError)) throw error;
    // Each language writes numbers with a fraction in its own way.
    const text = error.message.replace(/ at octet.*/, "").replace(/(?<=: time ).*/, "");
    return { code: 2, text };
  }
}

describe("the host in C", SUITE, () => {
  let host: CHost;
  let folder: string;
  let files = 0;
  before(() => {
    host = buildCHost();
    folder = mkdtempSync(join(tmpdir(), "slirp-c-host-"));
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  async function runOn(octets: Uint8Array, program = host.plain): Promise<CHostRun> {
    files += 1;
    const file = join(folder, `${files}.rec`);
    writeFileSync(file, octets);
    const run = await runCHost(program, file);
    rmSync(file);
    return run;
  }

  /** Both hosts say the same. */
  async function compare(octets: Uint8Array, program?: string, what = ""): Promise<CHostRun> {
    const verdict = verdictOf(octets);
    const run = await runOn(octets, program);
    const said = `${what} ${JSON.stringify(run)} for ${JSON.stringify(verdict.text)}`;
    assert.equal(run.code, verdict.code, said);
    assert.ok((verdict.code === 2 ? run.stderr : run.stdout).includes(verdict.text), said);
    return run;
  }

  async function isEqual(octets: Uint8Array): Promise<void> {
    const { stdout } = await compare(octets);
    const { calls, turns, framesIn, framesOut, operations } = replay(octets);
    assert.match(stdout, new RegExp(`^equal: ${calls} calls in ${turns} turns of `));
    assert.ok(stdout.includes(`${framesIn} frames from the guest, ${framesOut} to it`), stdout);
    assert.ok(stdout.includes(` ${operations} operations\n`), stdout);
    assert.match(stdout, /\n {2}speed: \d+ frames per second, [\d.]+ s, of which [\d.]+ s in/);
  }

  describe("gives the digest of the one in JavaScript", () => {
    test("for simulated runs: crowds, offloads, errors, many datagrams, lost frames", async () => {
      let lossy = 0;
      for (const seed of [1, 2, 4, 6, 8, 11, 14]) {
        const { toGuest, toEngine } = planFromSeed(seed);
        lossy += toGuest.faults.loss + toEngine.faults.loss > 0 ? 1 : 0;
        await isEqual(recordSeed(seed).octets);
      }
      assert.ok(lossy >= 2, `${lossy} seeds lose frames`);
    });

    test("for competitions and shut windows", async () => {
      await isEqual(recordPlan(planOfCompetition(1).plan).octets);
      await isEqual(recordPlan(planOfWindows(1)).octets);
    });

    // Both versions of IP, MTUs up to 65,520, a firewall that drops: see recordings.test.ts.
    for (const name of readdirSync(FIXTURES)) {
      test(`for a recording from a tap: ${name}`, async () => {
        await isEqual(gunzipSync(readFileSync(new URL(name, FIXTURES))));
      });
    }

    test("for a recording that ends at its limit", async () => {
      const { octets } = recordSeed(10, 30_000);
      const { stdout } = await compare(octets);
      assert.match(stdout, /; the recording ended at its limit\n/);
    });
  });

  describe("finds what differs, at the same call", () => {
    /** One bit of the `which`th record of a kind is changed, and the check values made to agree. */
    const change = (kind: number, which: number, word: number): Uint8Array => {
      let seen = 0;
      return resealed(SHORT, (found, body) => {
        if (found !== kind) return;
        seen += 1;
        if (seen === which) body[word] = (body[word] ?? 0) ^ 1;
      });
    };

    test("a frame for the guest", async () => {
      const { code, stdout } = await compare(change(KIND.txDone, 2, 2));
      assert.equal(code, 1);
      assert.match(stdout, /: frame 1 of \d+\n {2}recorded: \d+ octets, hash [0-9a-f]{16}: /);
      const [, recorded, replayed] = stdout.split("\n");
      assert.notEqual(recorded?.slice(12), replayed?.slice(12));
    });

    test("an operation", async () => {
      const { code, stdout } = await compare(change(KIND.complete, 1, 4));
      assert.equal(code, 1);
      assert.match(stdout, /: operation 1 of \d+\n {2}recorded: kind \d+, handle [0-9a-f]+, A /);
    });

    test("a deadline, a result, a frame of the guest, an event", async () => {
      assert.match((await compare(change(KIND.deadline, 3, 0))).stdout, /: deadline\n/);
      const init = (abi.CONFIG_SIZE >> 2) + 1;
      assert.match((await compare(change(KIND.start, 1, init))).stdout, /: result\n/);
      assert.equal((await compare(change(KIND.guestRx, 1, 5 + (46 >> 2)))).code, 1);
      assert.equal((await compare(change(KIND.event, 1, 2))).code, 1);
    });

    test("a trap that does not come", async () => {
      // Behind the file's header, that of the first record and the length of CONFIG.
      const config = SHORT.slice(60, 60 + abi.CONFIG_SIZE);
      const script = new Script().start(config).words(KIND.step, 5).record(KIND.trap);
      assert.match((await compare(script.end())).stdout, /: trap\n {2}recorded: a trap\n/);
    });
  });

  describe("refuses what cannot be replayed", () => {
    test("other arguments than one file, and no file", async () => {
      for (const args of [[], ["a", "b"]]) {
        const { code, stderr } = await runCHost(host.plain, ...args);
        assert.deepEqual([code, stderr], [2, "usage: replay FILE\n"]);
      }
      const missing = await runCHost(host.plain, join(folder, "none"));
      assert.equal(missing.code, 2);
      assert.match(missing.stderr, /^replay: cannot open /);
      const unreadable = await runCHost(host.plain, folder);
      assert.equal(unreadable.code, 2);
      assert.match(unreadable.stderr, /^replay: cannot read /);
    });

    test("a file that is cut short, at any place", async () => {
      const all = SHORT.length;
      for (const size of [0, 7, 20, FILE_HEADER_SIZE, FILE_HEADER_SIZE + 3, 4000, all - 1]) {
        const { stderr } = await compare(SHORT.subarray(0, size), host.sanitized);
        const wanted = size < 8 ? "it is not a recording" : "the recording is cut short";
        assert.ok(stderr.includes(wanted), stderr);
      }
    });

    test("an octet that is changed, and octets behind the end", async () => {
      const octets = SHORT.slice();
      octets[5000] = (octets[5000] ?? 0) ^ 1;
      assert.match(
        (await compare(octets)).stderr,
        /the recording is damaged at octet \d+; \d+ calls/,
      );
      const longer = new Uint8Array(octets.length + 1);
      longer.set(SHORT);
      assert.match((await compare(longer)).stderr, /octets follow the end of the recording/);
    });

    test("another version, ABI version or memory layout", async () => {
      for (const [offset, wanted] of [
        [8, /a recording of version 3: wanted 2/],
        [12, /a recording of ABI version 3: wanted 2/],
        [16, /a recording of an engine with another memory layout/],
      ] as const) {
        const octets = SHORT.slice();
        octets[offset] = (octets[offset] ?? 0) ^ 1;
        const { code, stderr } = await runOn(octets);
        assert.equal(code, 2);
        assert.match(stderr, wanted);
        assert.equal(verdictOf(octets).code, 2);
      }
    });

    test("records that contradict themselves", async () => {
      const frames = (place: number, ...counts: number[]) =>
        new Script()
          .start()
          .words(KIND.guestRx, 5, ...counts, place, 4, 0)
          .end();
      for (const octets of [
        new Script().words(KIND.step, 5).end(),
        new Script().start().start().end(),
        new Script().start().record(99).end(),
        new Script().start().record(KIND.step).end(),
        new Script().start().words(KIND.step, 5, 6).end(),
        new Script().start().words(KIND.step, Number.NaN).end(),
        new Script().start().words(KIND.step, -1).end(),
        new Script()
          .start()
          .words(KIND.step, 2 ** 53)
          .end(),
        new Script().start().words(KIND.step, 5).words(KIND.step, 4).end(),
        new Script().start().words(KIND.live, undefined, 12, 0, 0).end(),
        new Script().start(new Uint8Array(8)).end(),
        new Script().start().end(2),
        frames(0xffffffff, 1),
        frames(abi.RX_SLOT_COUNT * abi.RX_SLOT_SIZE - 2, 1),
        frames(0, abi.RX_SLOT_COUNT + 1),
        frames(0, 2),
      ]) {
        // The configuration of these scripts is noise, which the engine refuses as they say.
        const file = resealed(octets, (kind, body) => {
          if (kind === KIND.start && body.length > 1000) body[body.length - 1] = -1;
        });
        const { code, stderr } = await compare(file, host.sanitized);
        assert.equal(code, 2);
        assert.match(stderr, /the recording contradicts itself: /);
      }
    });
  });

  test("judges mutated recordings as the one in JavaScript does, without a fault", async () => {
    const random = new Random(16);
    const whole = [SHORT, gunzipSync(readFileSync(new URL("plain.rec.gz", FIXTURES)))];
    const mutants = Array.from({ length: MUTANT_COUNT }, () => {
      const octets = whole[random.below(whole.length)] ?? new Uint8Array(0);
      return mutated(octets, random);
    });
    const codes = new Map<number | null, number>();
    const worker = async (): Promise<void> => {
      for (let next = mutants.pop(); next !== undefined; next = mutants.pop()) {
        const { code } = await compare(next.octets, host.sanitized, next.what);
        codes.set(code, (codes.get(code) ?? 0) + 1);
      }
    };
    await Promise.all(Array.from({ length: Math.min(cpus().length, 4) }, worker));
    // All kinds of verdicts are among them.
    const told = JSON.stringify([...codes]);
    for (const code of [0, 1, 2]) assert.ok((codes.get(code) ?? 0) > 1, told);
  });
});

interface Mutant {
  readonly octets: Uint8Array;
  readonly what: string;
}

/** A recording of which something is missing or changed; mostly so that its check values agree. */
function mutated(whole: Uint8Array, random: Random): Mutant {
  if (random.oneIn(6)) {
    const size = random.below(whole.length);
    return { octets: whole.subarray(0, size), what: `cut to ${size}` };
  }
  if (random.oneIn(6)) {
    const octets = whole.slice();
    const at = random.below(octets.length);
    octets[at] = (octets[at] ?? 0) ^ (1 + random.below(255));
    return { octets, what: `octet ${at}` };
  }
  const count = 1 + random.skewed(8);
  const records = recordCount(whole);
  // The first record is the longest by far, and the one that few calls follow if it is wrong.
  const chosen = new Set(Array.from({ length: count }, () => 1 + random.below(records - 1)));
  if (random.oneIn(8)) chosen.add(0);
  let index = -1;
  const octets = resealed(whole, (kind, body) => {
    index += 1;
    if (chosen.has(index) && body.length > 0) mutateBody(kind, body, random);
  });
  return { octets, what: `records ${[...chosen].join(" ")}` };
}

function mutateBody(kind: number, body: Int32Array, random: Random): void {
  const at = random.below(body.length);
  // Addresses beyond 2^53 are rounded in JavaScript: not what a process has.
  const base = 1 + (abi.CONFIG_HOST_BASE_HI_OFFSET >> 2);
  if (kind === KIND.start && at === base) return;
  const word = body[at] ?? 0;
  body[at] = random.pick([
    word ^ (1 << random.below(32)),
    word + random.pick([1, -1, 4]),
    random.u32(),
    random.pick([0, -1, 0x7fffffff, 0xffff]),
  ]);
}

function recordCount(octets: Uint8Array): number {
  const view = new DataView(octets.buffer, octets.byteOffset, octets.byteLength);
  let count = 0;
  for (let at = FILE_HEADER_SIZE; at < octets.length; count += 1) {
    at += RECORD_HEADER_SIZE + (view.getUint32(at, true) >>> 8);
  }
  return count;
}
