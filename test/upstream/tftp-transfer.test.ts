/** One TFTP transfer: blocks, windows, losses, silence, text, and how it ends. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { EIO, EPERM } from "../../src/sys/errno.ts";
import { concat, pattern, u16 } from "../support/packet.ts";

import { Desk, request, SECOND, SEED, show } from "./tftp-desk.ts";

describe("upstream/tftp-transfer", () => {
  test("without options: blocks of 512, one at a time, a short one is the last", () => {
    const desk = new Desk({ a: pattern(1100) });
    assert.deepEqual(desk.ask("a"), ["DATA 1 512"]);
    assert.deepEqual(desk.ack(1), ["DATA 2 512"]);
    assert.deepEqual(desk.ack(2), ["DATA 3 76"]);
    assert.deepEqual(desk.sent[0]?.subarray(4), pattern(1100).subarray(1024));
    assert.deepEqual(desk.ack(3), []);
    assert.ok(desk.transfer.isOver);
    assert.equal(desk.open, 0);
    assert.deepEqual(desk.told, ["a: "]);
  });

  test("a file of whole blocks ends with an empty one, an empty file has that alone", () => {
    const desk = new Desk({ a: pattern(512), empty: new Uint8Array(0) });
    desk.ask("a");
    assert.deepEqual(desk.ack(1), ["DATA 2 0"]);
    assert.deepEqual(new Desk({ empty: new Uint8Array(0) }).ask("empty"), ["DATA 1 0"]);
  });

  test("options are agreed on one by one, and begin with ACK 0", () => {
    const desk = new Desk({ a: pattern(5000) });
    const wanted = ["BLKSIZE", "1400", "tsize", "0", "timeout", "3", "windowsize", "2", "odd", "1"];
    const said = desk.ask("a", "OCTET", ...wanted);
    assert.deepEqual(said, ["OACK blksize 1400 timeout 3 tsize 5000 windowsize 2"]);
    assert.deepEqual(desk.ack(0), ["DATA 1 1400", "DATA 2 1400"]);
    assert.deepEqual(desk.ack(2), ["DATA 3 1400", "DATA 4 800"]);
    desk.ack(4);
    assert.ok(desk.transfer.isOver);
  });

  test("a window has 64 KiB at most", () => {
    const desk = new Desk({ a: pattern(70000) });
    const said = desk.ask("a", "octet", "blksize", "8192", "windowsize", "64");
    assert.deepEqual(said, ["OACK blksize 8192 windowsize 8"]);
  });

  test("what is lost is sent again after the time, and in the end given up", () => {
    const desk = new Desk({ a: pattern(3000) });
    desk.ask("a", "octet", "timeout", "2");
    assert.deepEqual(desk.wait(2 * SECOND - 1), []);
    assert.deepEqual(desk.wait(1), ["OACK timeout 2"]);
    desk.ack(0);
    for (let i = 0; i < 5; i += 1) assert.deepEqual(desk.wait(2 * SECOND), ["DATA 1 512"]);
    assert.deepEqual(desk.wait(2 * SECOND), []);
    assert.ok(desk.transfer.isOver);
    assert.equal(desk.open, 0);
  });

  test("in a window of one an ACK that comes again sends nothing (RFC 1123 §4.2.3.1)", () => {
    const desk = new Desk({ a: pattern(3000) });
    desk.ask("a");
    assert.deepEqual(desk.ack(1), ["DATA 2 512"]);
    assert.deepEqual(desk.ack(1), []);
    assert.deepEqual(desk.ack(0), [], "one of before");
    assert.deepEqual(desk.ack(3), [], "one of a block that was never sent");
  });

  test("in a larger window an ACK in the middle goes on from there, one again counts once", () => {
    const desk = new Desk({ a: pattern(9000) });
    desk.ask("a", "octet", "windowsize", "4");
    assert.equal(desk.ack(0).length, 4);
    assert.deepEqual(
      desk.ack(2),
      [3, 4, 5, 6].map((block) => `DATA ${block} 512`),
    );
    assert.equal(desk.ack(2).length, 4);
    assert.deepEqual(desk.ack(2), []);
  });

  test("numbers of blocks begin anew with 0", () => {
    const desk = new Desk({ a: pattern(8 * 65540) });
    desk.ask("a", "octet", "blksize", "8", "windowsize", "64");
    for (let block = 0; block < 65536; block += 64) desk.ack(block);
    assert.deepEqual(desk.ack(65536).slice(0, 3), ["DATA 1 8", "DATA 2 8", "DATA 3 8"]);
    desk.ack(65541);
    assert.ok(desk.transfer.isOver);
  });

  test("a request that comes again is answered again; another one begins anew", () => {
    const desk = new Desk({ a: pattern(3000), b: pattern(9) });
    assert.deepEqual(desk.ask("a"), ["DATA 1 512"]);
    assert.deepEqual(desk.ask("a"), ["DATA 1 512"]);
    assert.deepEqual(desk.told, ["a: "]);
    assert.deepEqual(desk.ask("b"), ["DATA 1 9"]);
    assert.equal(desk.open, 1);
  });

  test("netascii has CR LF for line feeds and CR NUL for carriage returns, across blocks", () => {
    const text = "x".repeat(510) + "y\nz\r".repeat(300);
    const wanted = text.replaceAll("\r", "\r\0").replaceAll("\n", "\r\n");
    const desk = new Desk({ a: concat(text) });
    const got = new Map<number, Uint8Array>();
    const take = (): void => {
      for (const each of desk.sent) got.set(each[3] ?? 0, each.slice(4));
    };
    desk.ask("a", "netascii", "windowsize", "3", "tsize", "0");
    assert.deepEqual(desk.sent.map(show), ["OACK windowsize 3"]);
    for (let block = 0; !desk.transfer.isOver && block < 20; block += 1) {
      desk.ack(block); // in the middle of a window all the time
      take();
    }
    const whole = concat(...[...got].sort(([a], [b]) => a - b).map(([, octets]) => octets));
    assert.equal(new TextDecoder().decode(whole), wanted);
  });

  test("an error of the guest's, a file that breaks, a guest that is gone end it", () => {
    const desk = new Desk({ a: pattern(3000) });
    desk.ask("a");
    assert.deepEqual(desk.say(concat(u16(5), u16(0), "stop\0")), []);
    const broken = new Desk({ a: pattern(3000) });
    broken.ask("a");
    broken.readErrno = EIO;
    assert.deepEqual(broken.ack(1), ["ERROR 0 the file cannot be read"]);
    assert.equal(broken.sent[0]?.at(-1), 0, "the text has its end");
    const forbidden = new Desk({ a: pattern(3000) });
    forbidden.ask("a");
    forbidden.readErrno = EPERM;
    assert.deepEqual(forbidden.ack(1), ["ERROR 0 the file cannot be read"]);
    const gone = new Desk({ a: pattern(3000) });
    gone.isGone = true;
    gone.ask("a");
    for (const each of [desk, broken, gone]) {
      assert.ok(each.transfer.isOver);
      assert.equal(each.open, 0);
    }
  });

  test("one that says nothing is given up after a second", () => {
    const desk = new Desk({});
    assert.deepEqual(desk.wait(SECOND), []);
    assert.ok(desk.transfer.isOver);
  });

  test("a pair of netascii is cut between two blocks, of either kind", () => {
    for (const [end, second] of [
      ["\n", "\n"],
      ["\r", "\0"],
    ] as const) {
      const desk = new Desk({ a: concat(`${"x".repeat(511)}${end}y`) });
      assert.deepEqual(desk.ask("a", "netascii"), ["DATA 1 512"]);
      assert.equal(desk.sent[0]?.at(-1), 13);
      assert.deepEqual(desk.ack(1), ["DATA 2 2"]);
      assert.equal(new TextDecoder().decode(desk.sent[0]?.subarray(4)), `${second}y`);
      assert.deepEqual([...desk.ack(2), desk.transfer.isOver], [true]);
    }
  });

  test("text that cannot be read is an error like any other", () => {
    const desk = new Desk({ a: pattern(3000) });
    desk.readErrno = EIO;
    assert.deepEqual(desk.ask("a", "netascii"), ["ERROR 0 the file cannot be read"]);
  });

  test("its time runs from the start, and anew with each answer and each progress", () => {
    const desk = new Desk({ a: pattern(3000) });
    assert.equal(desk.transfer.deadline, SECOND);
    desk.now = 400;
    desk.ask("a", "octet", "timeout", "3");
    assert.equal(desk.transfer.deadline, 400 + 3 * SECOND);
    desk.now = 900;
    desk.ack(0);
    assert.equal(desk.transfer.deadline, 900 + 3 * SECOND);
    desk.ack(7); // of a block that was never sent
    desk.now = 2000;
    assert.equal(desk.transfer.deadline, 900 + 3 * SECOND);
    desk.wait(3 * SECOND);
    assert.equal(desk.transfer.deadline, desk.now + 3 * SECOND);
  });

  test("what a file of before has left does not count for the next", () => {
    const desk = new Desk({ a: pattern(3000), b: pattern(9) });
    desk.ask("b");
    for (let i = 0; i < 4; i += 1) desk.wait(SECOND);
    assert.deepEqual(desk.ask("a"), ["DATA 1 512"]);
    for (let i = 0; i < 5; i += 1) assert.deepEqual(desk.wait(SECOND), ["DATA 1 512"]);
    assert.deepEqual(desk.ack(1), ["DATA 2 512"], "it does not end where the other one did");
    desk.ask("a", "octet", "windowsize", "2");
    for (const again of [2, 2, 0]) assert.equal(desk.ack(0).length, again);
    desk.ask("a", "octet", "windowsize", "3");
    for (const again of [3, 3, 0]) assert.equal(desk.ack(0).length, again);
  });

  test("a request that comes again behind an ACK begins anew", () => {
    const desk = new Desk({ a: pattern(3000) });
    desk.ask("a");
    desk.ack(1);
    assert.deepEqual(desk.ask("a"), ["DATA 1 512"]);
    assert.deepEqual([desk.told.length, desk.open], [2, 1]);
  });

  test("progress gives it all its tries again", () => {
    const desk = new Desk({ a: pattern(3000) });
    desk.ask("a");
    for (let i = 0; i < 5; i += 1) desk.wait(SECOND);
    desk.ack(1);
    for (let i = 0; i < 5; i += 1) assert.deepEqual(desk.wait(SECOND), ["DATA 2 512"]);
    assert.deepEqual(desk.wait(SECOND), []);
    assert.ok(desk.transfer.isOver);
  });

  test("before ACK 0 no other one counts", () => {
    const desk = new Desk({ a: pattern(3000) });
    desk.ask("a", "octet", "blksize", "600");
    assert.deepEqual(desk.ack(1), []);
    assert.deepEqual(desk.ack(0), ["DATA 1 600"]);
  });

  test("of an option that is there twice the first counts, one without a value does not", () => {
    const desk = new Desk({ a: pattern(3000) });
    assert.deepEqual(desk.ask("a", "octet", "blksize", "600", "BLKSIZE", "700", "tsize"), [
      "OACK blksize 600",
    ]);
  });

  test("the size of text, and of nothing, is not told", () => {
    const desk = new Desk({ a: pattern(600), empty: new Uint8Array(0) });
    assert.deepEqual(desk.ask("a", "netascii", "tsize", "0"), ["DATA 1 512"]);
    assert.deepEqual(desk.ask("empty", "octet", "tsize", "0"), ["DATA 1 0"]);
  });

  test("a guest that is gone is sent nothing more of a window, nor an answer twice", () => {
    const desk = new Desk({ a: pattern(3000) });
    desk.ask("a", "octet", "windowsize", "4");
    desk.isGone = true;
    assert.deepEqual(desk.ack(0), ["DATA 1 512"]);
    assert.ok(desk.transfer.isOver);
    const other = new Desk({ a: pattern(3000) });
    other.isGone = true;
    assert.equal(other.ask("a", "octet", "blksize", "600").length, 1);
    assert.deepEqual([other.transfer.isOver, other.open], [true, 0]);
    assert.deepEqual([...other.ack(0), ...other.wait(9 * SECOND)], []);
  });

  test("any octets: no file stays open, a window at most is sent for each", () => {
    const some = fc.oneof(
      fc.uint8Array({ maxLength: 600 }),
      fc.nat(70000).map((block) => concat(u16(4), u16(block & 0xffff))),
      fc
        .constantFrom(["blksize", "9"], ["windowsize", "64"], [])
        .map((each) => request(1, "a", "octet", ...each)),
    );
    const property = fc.property(fc.array(some, { maxLength: 30 }), (all) => {
      const desk = new Desk({ a: pattern(5000) });
      for (const octets of all) assert.ok(desk.say(octets).length <= 64);
      desk.transfer.end();
      assert.equal(desk.open, 0);
    });
    fc.assert(property, { seed: SEED, numRuns: 300 });
  });
});
