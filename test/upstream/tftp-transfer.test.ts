/** One TFTP transfer: requests, options, windows, losses, silence, and what is malformed. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import {
  DATAGRAM_SIZE_MAX,
  Transfer,
  type TransferFile,
} from "../../src/upstream/tftp-transfer.ts";
import { concat, pattern, u16 } from "../support/packet.ts";

const SECOND = 1_000_000;
const SEED = 20261129;
const EACCES = 13;
const EIO = 5;

class Desk {
  readonly sent: Uint8Array[] = [];
  readonly told: string[] = [];
  readonly transfer: Transfer;
  readonly #files: Readonly<Record<string, Uint8Array>>;
  open = 0;
  now = 0;
  isGone = false;
  readErrno = 0;

  constructor(files: Readonly<Record<string, Uint8Array>>) {
    this.#files = files;
    const datagram = new Uint8Array(DATAGRAM_SIZE_MAX);
    this.transfer = new Transfer(
      {
        datagram,
        open: (name) => this.#open(name),
        send: (length) => {
          this.sent.push(datagram.slice(0, length));
          return !this.isGone;
        },
        told: (name, problem) => this.told.push(`${name}: ${problem}`),
      },
      0,
    );
  }

  #open(name: string): TransferFile | number {
    const content = this.#files[name];
    if (content === undefined) return name === "secret" ? -EACCES : -2;
    this.open += 1;
    return {
      size: content.length,
      read: (into, offset) => {
        if (this.readErrno > 0) return -this.readErrno;
        const part = content.subarray(offset, offset + into.length);
        into.set(part);
        return part.length;
      },
      close: () => {
        this.open -= 1;
      },
    };
  }

  /** Hands over a datagram; what was sent in return. */
  say(octets: Uint8Array): string[] {
    this.sent.length = 0;
    this.transfer.input(octets, this.now);
    return this.sent.map(show);
  }

  ask(name: string, mode = "octet", ...options: string[]): string[] {
    return this.say(request(1, name, mode, ...options));
  }

  ack(block: number): string[] {
    return this.say(concat(u16(4), u16(block & 0xffff)));
  }

  wait(microseconds: number): string[] {
    this.sent.length = 0;
    this.now += microseconds;
    this.transfer.timeout(this.now);
    return this.sent.map(show);
  }
}

function request(opcode: number, ...texts: string[]): Uint8Array {
  return concat(u16(opcode), ...texts.map((text) => `${text}\0`));
}

/** "DATA 1 512", "OACK blksize=1400", "ERROR 1 file not found". */
function show(octets: Uint8Array): string {
  const view = new DataView(octets.buffer);
  const text = (from: number): string => new TextDecoder().decode(octets.subarray(from, -1));
  const opcode = view.getUint16(0);
  if (opcode === 3) return `DATA ${view.getUint16(2)} ${octets.length - 4}`;
  if (opcode === 5) return `ERROR ${view.getUint16(2)} ${text(4)}`;
  return `OACK ${text(2).replaceAll("\0", " ")}`;
}

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

  const options: readonly (readonly [string, string, string])[] = [
    ["blksize", "7", "DATA"],
    ["blksize", "8", "OACK blksize 8"],
    ["blksize", "99999", "OACK blksize 65464"],
    ["blksize", "x", "DATA"],
    ["blksize", "-1", "DATA"],
    ["timeout", "0", "DATA"],
    ["timeout", "256", "DATA"],
    ["windowsize", "0", "DATA"],
    ["windowsize", "65535", "OACK windowsize 64"],
    ["tsize", "0", "OACK tsize 70000"],
    ["multicast", "", "DATA"],
  ];
  for (const [name, value, answer] of options) {
    test(`option ${name} "${value}"`, () => {
      const [said = ""] = new Desk({ a: pattern(70000) }).ask("a", "octet", name, value);
      assert.equal(said.startsWith("DATA") ? "DATA" : said, answer);
    });
  }

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

  const refused: readonly (readonly [string, Uint8Array, string])[] = [
    ["a file that is not there", request(1, "b", "octet"), "ERROR 1 file not found"],
    ["a file that is forbidden", request(1, "secret", "octet"), "ERROR 2 access violation"],
    ["writing", request(2, "a", "octet"), "ERROR 2 this server is read-only"],
    ["mode mail", request(1, "a", "mail"), "ERROR 4 wanted a name and mode octet or netascii"],
    ["no name", request(1, "", "octet"), "ERROR 4 wanted a name and mode octet or netascii"],
    ["no mode", request(1, "a"), "ERROR 4 wanted a name and mode octet or netascii"],
    ["no end", concat(u16(1), "a\0octet"), "ERROR 4 malformed request"],
    ["513 octets", request(1, "a".repeat(504), "octet"), "ERROR 4 malformed request"],
    ["an unknown opcode", concat(u16(9), "x"), "ERROR 4 illegal TFTP operation"],
    ["an octet", Uint8Array.of(0), "ERROR 4 illegal TFTP operation"],
    ["an ACK before all", concat(u16(4), u16(1)), "ERROR 4 illegal TFTP operation"],
  ];
  for (const [what, octets, answer] of refused) {
    test(`refuses ${what}`, () => {
      const desk = new Desk({ a: pattern(10) });
      assert.deepEqual(desk.say(octets), [answer]);
      assert.ok(desk.transfer.isOver);
      assert.equal(desk.open, 0);
    });
  }

  test("an error of the guest's, a file that breaks, a guest that is gone end it", () => {
    const desk = new Desk({ a: pattern(3000) });
    desk.ask("a");
    assert.deepEqual(desk.say(concat(u16(5), u16(0), "stop\0")), []);
    const broken = new Desk({ a: pattern(3000) });
    broken.ask("a");
    broken.readErrno = EIO;
    assert.deepEqual(broken.ack(1), ["ERROR 0 the file cannot be read"]);
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
