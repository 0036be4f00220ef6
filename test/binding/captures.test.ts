/**
 * Captures while a network runs, both sides in one thread. Goal: what was asked for is in the file
 * or with the caller, limits and failures end it with one line, places are free again, and nobody
 * who is slow makes packets wait.
 */
import assert from "node:assert/strict";
import { lstatSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { OctetQueue } from "../../src/admin/octet-queue.ts";
import { CaptureSlots } from "../../src/binding/capture-slots.ts";
import { type CaptureSettings, Captures } from "../../src/binding/captures.ts";
import type { NetworkEvent } from "../../src/binding/events.ts";
import { RequestError, type RequestKind, type Requests } from "../../src/binding/requests.ts";
import { ConfigError } from "../../src/config/errors.ts";
import { concat } from "../../src/lib/bytes.ts";
import { openNewOutput } from "../../src/lib/output-file.ts";
import type { Outlet } from "../../src/lib/pump.ts";
import { WatchedLink } from "../../src/link/watched-link.ts";
import { memoryHarness } from "../link/harness.ts";
import { testFrame } from "../link/suite.ts";
import { readPcapng } from "../support/pcapng.ts";

const FOLDER = mkdtempSync(join(tmpdir(), "slirp-captures-"));
after(() => rmSync(FOLDER, { recursive: true, force: true }));

const ALL: CaptureSettings = {
  filter: "",
  snapLength: 0,
  framesMax: 0,
  octetsMax: 0,
  secondsMax: 0,
};

function stage() {
  const events: NetworkEvent[] = [];
  const forgotten: number[] = [];
  let isUp = true;
  const ask = async <K extends RequestKind>(kind: K, asks: object): Promise<never> => {
    if (!isUp) throw new RequestError("unavailable", "the guest network has ended");
    const { slot } = asks as { slot: number };
    const answers = {
      captureStart: () => slots.start(asks as Requests["captureStart"]["asks"]),
      captureFigures: () => slots.figures(slot),
      captureStop: () => slots.stop(slot),
    };
    return answers[kind as keyof typeof answers]() as never;
  };
  const captures = new Captures({
    interfaceName: "tap0",
    ask,
    forget: ({ length }) => forgotten.push(length),
    onEvent: (event) => events.push(event),
  });
  const slots = new CaptureSlots({
    rings: captures.shared,
    say: () => captures.kick(),
    sayEnded: (slot) => captures.hasEnded(slot),
  });
  let link: WatchedLink | undefined;
  const harness = memoryHarness({}, (inner) => {
    link = new WatchedLink(inner);
    slots.serve(link, undefined);
    return link;
  });
  const { memory, send } = harness;
  const pass = (length: number, mark = 1): void => {
    send(testFrame(length, mark));
    assert.equal(link?.receive(memory, 1), 1);
    link?.handled(memory, 1);
  };
  let now = 1;
  /** As the loop does when time has passed. */
  const settle = (): void => {
    for (let turn = 0; turn < 2; turn += 1) {
      slots.poll(now);
      now += 1e6;
    }
  };
  const end = (): void => {
    isUp = false;
  };
  return { captures, slots, events, forgotten, pass, settle, end, link };
}

function toFile(name: string): [file: string, open: () => Outlet] {
  const file = join(FOLDER, name);
  return [file, () => openNewOutput(file).outlet];
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 2));
}

async function all(queue: OctetQueue): Promise<Uint8Array> {
  const pieces: Uint8Array[] = [];
  for await (const piece of queue.pieces()) pieces.push(piece);
  return concat(...pieces);
}

describe("captures while a network runs", () => {
  test("go to a file of the owner alone, whole when they are stopped", async () => {
    const { captures, events, forgotten, pass } = stage();
    const [file, open] = toFile("whole");
    const running = await captures.start({ ...ALL, filter: "not arp" }, open, file);
    for (const mark of [1, 2, 3]) pass(60, mark);
    assert.equal((await running.figures()).frames, 3);
    assert.deepEqual(captures.running, [running]);
    const { frames, octets, lost } = await running.stop("asked for");
    assert.deepEqual(captures.running, []);
    const { packets, interfaceName, filter, statistics } = readPcapng(readFileSync(file));
    assert.deepEqual([frames, lost, packets.length], [3, 0, 3]);
    assert.equal(octets, readFileSync(file).length);
    assert.deepEqual([interfaceName, filter], ["tap0", "not arp"]);
    assert.deepEqual(statistics, { seen: 3, lost: 0, accepted: 3 });
    assert.equal(lstatSync(file).mode & 0o777, 0o600);
    assert.deepEqual(
      events.map(({ kind, message }) => [kind, message]),
      [
        ["capture_started", "capture started"],
        ["capture_stopped", "capture stopped: asked for"],
      ],
    );
    assert.deepEqual(events[1]?.details["frames"], "3");
    assert.equal(forgotten.length, 1);
  });

  test("end at their limits by themselves", async () => {
    for (const [settings, count] of [
      [{ framesMax: 2 }, 2],
      [{ octetsMax: 2000 }, 0],
      [{ secondsMax: 1 }, 3],
    ] as const) {
      const { captures, events, pass, settle } = stage();
      const [file, open] = toFile(`limit-${Object.keys(settings)[0]}`);
      await captures.start({ ...ALL, ...settings }, open, file);
      settle();
      for (let i = 0; i < 3; i += 1) pass("octetsMax" in settings ? 1900 : 60);
      settle();
      await until(() => captures.running.length === 0);
      await until(() => events.length === 2);
      assert.match(events[1]?.message ?? "", /^capture stopped: limit reached$/);
      const { packets } = readPcapng(readFileSync(file));
      assert.ok(packets.length <= count, `${packets.length} frames`);
    }
  });

  test("four at once, each with its filter; a fifth is refused; a place is reused", async () => {
    const { captures, pass } = stage();
    const queues: OctetQueue[] = [];
    const begin = (filter: string) => {
      const queue = new OctetQueue();
      queues.push(queue);
      return captures.start({ ...ALL, filter }, () => queue, "");
    };
    const first = await begin("");
    for (const filter of ["arp", "to guest", "from guest"]) await begin(filter);
    await assert.rejects(begin(""), { code: "resource-exhausted" });
    pass(60);
    await first.stop("asked for");
    await begin("dropped");
    assert.equal(new Set(captures.running.map(({ id }) => id)).size, 4);
    pass(60);
    await Promise.all(captures.running.map((running) => running.stop("asked for")));
    const counts = await Promise.all(
      queues.map(async (queue, i) => {
        return i === 4 ? -1 : readPcapng(await all(queue)).packets.length;
      }),
    );
    assert.deepEqual(counts, [1, 0, 0, 2, -1, 0]);
  });

  test("a caller that does not read loses frames, which are counted; packets go on", async () => {
    const { captures, pass, settle } = stage();
    const queue = new OctetQueue();
    const running = await captures.start(ALL, () => queue, "");
    for (let i = 0; i < 200; i += 1) pass(60_000);
    settle();
    assert.ok(running.lost > 100 && running.lost < 140, `${running.lost} frames`);
    const end = running.stop("asked for");
    const { packets } = readPcapng(await all(queue));
    const { frames, lost } = await end;
    assert.equal(frames, packets.length);
    assert.equal(frames + lost, 200);
  });

  test("a caller that goes away ends its capture", async () => {
    const { captures, events, pass, settle } = stage();
    const queue = new OctetQueue();
    const running = await captures.start(ALL, () => queue, "");
    queue.close();
    pass(60);
    settle();
    await running.stop("its caller has gone");
    await until(() => captures.running.length === 0);
    assert.equal(events.length, 2);
  });

  test("a file that cannot be written ends it, with the reason", async () => {
    const { captures, events, pass, settle } = stage();
    const outlet: Outlet = {
      write: (_octets, done) => done(new Error("no space left")),
      cut: () => {},
      close: () => {},
    };
    await captures.start(ALL, () => outlet, "/full");
    pass(60);
    settle();
    await until(() => events.length === 2);
    assert.equal(events[1]?.message, "capture stopped: cannot be written");
    assert.equal(events[1]?.details["problem"], "no space left");
    assert.deepEqual(captures.running, []);
  });

  test("end with the network, with what there is by then", async () => {
    const { captures, events, pass, settle, end } = stage();
    const [file, open] = toFile("ended");
    await captures.start(ALL, open, file);
    pass(60);
    settle();
    end();
    await captures.close();
    assert.equal(events[1]?.message, "capture stopped: network ended");
    assert.equal(readPcapng(readFileSync(file)).packets.length, 1);
  });

  test("go on when an engine is replaced", async () => {
    const { captures, pass, link } = stage();
    const [file, open] = toFile("replaced");
    const running = await captures.start(ALL, open, file);
    pass(60, 1);
    link?.handOver();
    pass(60, 2);
    await running.stop("asked for");
    assert.equal(readPcapng(readFileSync(file)).packets.length, 2);
  });

  test("a place whose last write hangs is not given away", async () => {
    const { captures, pass, settle } = stage();
    let finish: (() => void) | undefined;
    const outlet: Outlet = {
      write: (octets, done) => {
        finish = () => done(octets.length);
      },
      cut: () => {},
      close: () => {},
    };
    const running = await captures.start(ALL, () => outlet, "/stuck");
    pass(60);
    settle();
    await running.stop("asked for");
    assert.equal(captures.running.length, 1);
    finish?.();
    assert.equal(captures.running.length, 0);
  });

  test("that are refused have changed nothing", async () => {
    const { captures, events } = stage();
    let opened = 0;
    const open = (): Outlet => {
      opened += 1;
      throw new Error("cannot be had");
    };
    await assert.rejects(captures.start({ ...ALL, filter: "host" }, open, "/a"), ConfigError);
    assert.equal(opened, 0);
    await assert.rejects(captures.start(ALL, open, "/a"), /cannot be had/);
    assert.deepEqual([captures.running, events], [[], []]);
  });

  test("write into nothing that is there, and follow no link", () => {
    const [there] = toFile("there");
    writeFileSync(there, "mine");
    const [link] = toFile("link");
    symlinkSync(join(FOLDER, "elsewhere"), link);
    for (const file of [there, link]) {
      assert.throws(() => openNewOutput(file), { code: "EEXIST" });
    }
    assert.equal(readFileSync(there, "utf8"), "mine");
  });
});
