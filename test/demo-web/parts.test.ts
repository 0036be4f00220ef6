/** Parts of the demonstration that need no browser: modules, commands for the guest, figures. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { withoutSignature } from "../../examples/web-demo/guest-files.ts";
import { Desk } from "../../examples/web-demo/page/desk.ts";
import {
  type Counters,
  Course,
  figuresBetween,
  type Observation,
} from "../../examples/web-demo/page/observation.ts";

describe("modules of the guest's kernel", () => {
  const module = Buffer.from("\x7fELF and so on");
  const signature = Buffer.alloc(100, 0xaa);
  const mark = Buffer.from("~Module signature appended~\n");

  test("a signature is taken off", () => {
    const head = Buffer.alloc(12);
    head.writeUInt32BE(signature.length, 8);
    const signed = Buffer.concat([module, signature, head, mark]);
    assert.deepEqual(withoutSignature(signed), module);
  });

  test("a module without one stays as it is", () => {
    assert.equal(withoutSignature(module), module);
    assert.equal(withoutSignature(Buffer.alloc(0)).length, 0);
  });
});

describe("commands for the guest", () => {
  const say = (desk: Desk, text: string): void => {
    for (const octet of Buffer.from(text)) desk.take(octet);
  };

  test("go out one by one, and each has its own answer", async () => {
    const sent: string[] = [];
    const desk = new Desk((octets) => sent.push(Buffer.from(octets).toString()));
    const first = desk.run("one");
    const second = desk.run("two");
    assert.deepEqual(sent, []);
    say(desk, "noise of the boot\n@@ 0\n");
    await desk.ready;
    assert.deepEqual(sent, ["one\n"]);
    say(desk, "a line\n@@ no answer\nanother\n@@ 3\n");
    assert.deepEqual(await first, { code: 3, output: "a line\n@@ no answer\nanother" });
    assert.deepEqual(sent, ["one\n", "two\n"]);
    say(desk, "@@ 0\n");
    assert.deepEqual(await second, { code: 0, output: "" });
  });
});

describe("figures", () => {
  const none: Counters = {
    ...{ framesFromGuest: 0, framesToGuest: 0, bytesFromGuest: 0, bytesToGuest: 0 },
    ...{ retransmits: 0, drops: 0, waits: 0 },
  };
  const seen = (time_ms: number, counters: Partial<Counters>): Observation => ({
    time_ms,
    counters: { ...none, ...counters },
    flows: [],
  });

  test("are rates of the time between two looks", () => {
    const before = seen(1000, { bytesToGuest: 1000, drops: 1 });
    const now = seen(3000, { bytesToGuest: 3000, framesFromGuest: 8, drops: 1, retransmits: 4 });
    const { toGuest, fromGuest, framesFromGuest, drops, retransmits } = figuresBetween(before, now);
    assert.deepEqual([toGuest, fromGuest, framesFromGuest], [8000, 0, 4]);
    assert.deepEqual([drops, retransmits], [0, 2]);
  });

  test("are kept for some minutes", () => {
    const course = new Course();
    assert.equal(course.add(seen(0, {})), undefined);
    let points = 0;
    for (let second = 1; second <= 400; second += 1) {
      const view = course.add(seen(second * 1000, { framesToGuest: second }));
      points = view?.points.length ?? 0;
      assert.equal(view?.figures?.framesToGuest, 1);
    }
    assert.equal(points, 300);
  });
});
