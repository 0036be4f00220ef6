/** Requests of TFTP: options that are agreed on, and what is refused, with which code. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import {
  EACCES,
  EEXIST,
  EISDIR,
  ELOOP,
  EMFILE,
  ENOENT,
  ENOTDIR,
  EPERM,
  EXDEV,
} from "../../src/sys/errno.ts";
import { concat, pattern, u16 } from "../support/packet.ts";

import { Desk, request } from "./tftp-desk.ts";

describe("upstream/tftp-transfer: requests", () => {
  const options: readonly (readonly [string, string, string])[] = [
    ["blksize", "7", "DATA"],
    ["blksize", "8", "OACK blksize 8"],
    ["blksize", "99999", "OACK blksize 65464"],
    ["blksize", "x", "DATA"],
    ["blksize", "-1", "DATA"],
    ["blksize", "9999999999", "OACK blksize 65464"],
    ["blksize", "99999999999", "DATA"],
    ["timeout", "0", "DATA"],
    ["timeout", "1", "OACK timeout 1"],
    ["timeout", "255", "OACK timeout 255"],
    ["timeout", "256", "DATA"],
    ["windowsize", "0", "DATA"],
    ["windowsize", "1", "OACK windowsize 1"],
    ["windowsize", "65535", "OACK windowsize 64"],
    ["tsize", "0", "OACK tsize 70000"],
    ["tsize", "x", "DATA"],
    ["multicast", "", "DATA"],
  ];
  for (const [name, value, answer] of options) {
    test(`option ${name} "${value}"`, () => {
      const [said = ""] = new Desk({ a: pattern(70000) }).ask("a", "octet", name, value);
      assert.equal(said.startsWith("DATA") ? "DATA" : said, answer);
    });
  }

  const refused: readonly (readonly [string, Uint8Array, string])[] = [
    ["a file that is not there", request(1, "b", "octet"), "ERROR 1 file not found"],
    ["a file that is forbidden", request(1, "secret", "octet"), "ERROR 2 access violation"],
    ["writing", request(2, "a", "octet"), "ERROR 2 this server is read-only"],
    ["mode mail", request(1, "a", "mail"), "ERROR 4 wanted a name and mode octet or netascii"],
    ["no name", request(1, "", "octet"), "ERROR 4 wanted a name and mode octet or netascii"],
    ["no mode", request(1, "a"), "ERROR 4 wanted a name and mode octet or netascii"],
    ["no end", concat(u16(1), "a\0octet"), "ERROR 4 malformed request"],
    ["512 octets", request(1, "a".repeat(503), "octet"), "ERROR 1 file not found"],
    ["an ACK cut short", concat(u16(4), "x"), "ERROR 4 illegal TFTP operation"],
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

  for (const [errno, answer] of [
    ...[ENOENT, ENOTDIR].map((errno) => [errno, "ERROR 1 file not found"] as const),
    ...[EACCES, EPERM, EXDEV, ELOOP, EISDIR].map(
      (errno) => [errno, "ERROR 2 access violation"] as const,
    ),
    ...[EMFILE, EEXIST].map((errno) => [errno, "ERROR 0 the file cannot be opened"] as const),
  ]) {
    test(`a file that cannot be opened for errno ${errno}`, () => {
      const desk = new Desk({});
      assert.deepEqual(desk.ask(`${errno}`), [answer]);
      assert.deepEqual(desk.told, [`${errno}: ${answer.slice(8)}`]);
    });
  }
});
