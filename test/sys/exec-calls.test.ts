/** What the kernel is asked for when this program becomes another one, and for mounts. */
import assert from "node:assert/strict";
import { arch } from "node:os";
import { describe } from "node:test";
import { becomeProgram, mountEmpty, mountFile, mountOver } from "../../src/sys/exec.ts";
import type { Libc } from "../../src/sys/libc.ts";
import { play, systemTest } from "./support.ts";

const [EXECVE, MOUNT, SIGPROCMASK] = arch() === "x64" ? [59, 165, 14] : [221, 40, 135];

/** The string at an address. */
function textAt(sys: Libc, address: number): string {
  const octets: number[] = [];
  for (let at = address; ; at += 1) {
    const [octet = 0] = new Uint8Array(sys.view(at, 1));
    if (octet === 0) return new TextDecoder().decode(Uint8Array.from(octets));
    octets.push(octet);
  }
}

/** The strings of an array of pointers that ends with zero. */
function textsAt(sys: Libc, address: number): string[] {
  const texts: string[] = [];
  for (let at = address; ; at += 8) {
    const [pointer = 0n] = new BigUint64Array(sys.view(at, 8).slice(0));
    if (pointer === 0n) return texts;
    texts.push(textAt(sys, Number(pointer)));
  }
}

describe("exec: what the kernel is asked", () => {
  systemTest("capabilities and signals first, then the program", [], (sys) => {
    const texts: unknown[] = [];
    const { told, calls } = play(sys, {
      prctl: 0,
      sigaction: (_signal, action) => {
        assert.ok(new Uint8Array(sys.view(action, 152)).every((octet) => octet === 0));
        return 0;
      },
      syscall: (number, first, second, third) => {
        if (number === SIGPROCMASK) {
          assert.ok(new Uint8Array(sys.view(second, 8)).every((octet) => octet === 0));
          return 0;
        }
        texts.push(textAt(sys, first), textsAt(sys, second), textsAt(sys, third));
        return -2;
      },
    });
    const env = { A: "1", NOTHING: undefined, B: "" };
    assert.equal(becomeProgram(told, "/bin/é", ["sh", "-c", ""], env), -2);
    assert.deepEqual(texts, ["/bin/é", ["sh", "-c", ""], ["A=1", "B="]]);
    assert.deepEqual(calls, [
      ["prctl", 47, 4, 0, 0, 0],
      ["sigaction", 13, "@", 0],
      ["sigaction", 25, "@", 0],
      ["syscall", SIGPROCMASK, 2, "@", 0, 8, 0],
      ["syscall", EXECVE, "@", "@", "@", 0, 0],
    ]);
  });

  systemTest("each mount with its kind, flags and options", [], (sys) => {
    const texts: string[][] = [];
    const { told, calls } = play(sys, {
      syscall: (_number, source, target, kind, _flags, options) => {
        texts.push([source, target, kind, options ?? 0].map((address) => textAt(sys, address)));
        return 0;
      },
    });
    mountFile(told, "/from", "/to");
    mountOver(told, "/upper", "/lower");
    mountEmpty(told, "/folder");
    assert.deepEqual(texts, [
      ["/from", "/to", "", ""],
      ["overlay", "/lower", "overlay", "lowerdir=/upper:/lower"],
      ["tmpfs", "/folder", "tmpfs", "mode=755"],
    ]);
    assert.deepEqual(
      calls,
      [0x1000, 1, 0].map((flags) => ["syscall", MOUNT, "@", "@", "@", flags, "@"]),
    );
  });
});
