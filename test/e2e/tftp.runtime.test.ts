/**
 * End to end: TFTP clients that nobody here wrote, in a namespace behind a tap: curl, tftp-hpa,
 * atftp, busybox; over both versions of IP, with and without options, and what is refused.
 */
import assert from "node:assert/strict";
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { GATEWAY, GATEWAY6 } from "../support/e2e/program.ts";
import { cannotRun, createWorld, oursOnly, type World } from "../support/e2e/setup.ts";
import { which } from "../support/e2e/shell.ts";
import { GUEST, GUEST6 } from "../support/engine-settings.ts";
import { pattern } from "../support/packet.ts";

const LIMIT = { timeout: 120_000 };
const SIZE = 1_000_000;
const SKIP = cannotRun() || oursOnly();

describe("attach --tftp", { skip: SKIP }, () => {
  let world: World;
  const folder = mkdtempSync(join(tmpdir(), "slirp-tftp-"));
  const content = pattern(SIZE);
  const out = join(folder, "out");

  before(async () => {
    const root = join(folder, "root");
    mkdirSync(join(root, "sub"), { recursive: true });
    for (const each of [folder, root]) chmodSync(each, 0o755);
    writeFileSync(join(root, "sub", "big"), content);
    writeFileSync(join(root, "text"), "one\ntwo\n");
    writeFileSync(join(root, "empty"), "");
    writeFileSync(join(folder, "secret"), "secret");
    symlinkSync("sub/big", join(root, "inside"));
    symlinkSync("../secret", join(root, "outside"));
    world = await createWorld({ ipv6: true, args: ["--tftp", root] });
  }, LIMIT);
  after(async () => {
    await world.remove();
    rmSync(folder, { recursive: true, force: true });
  }, LIMIT);

  /** What a client has written to `out`. */
  async function fetched(...argv: string[]): Promise<Uint8Array> {
    rmSync(out, { force: true });
    const outcome = await world.guest.run(argv, 60_000);
    assert.equal(outcome.code, 0, outcome.stdout + outcome.stderr);
    return readFileSync(out);
  }

  // By name of its address: Linux takes another one for what an unconnected socket sends as soon as
  // SLAAC has given it one, in the middle of a transfer.
  const ends = [
    [GATEWAY, GUEST],
    [`[${GATEWAY6}]`, GUEST6],
  ] as const;
  for (const [host, guest] of ends) {
    test(`curl from ${host}, in blocks of several sizes`, LIMIT, async () => {
      for (const size of ["512", "1428", "65464"]) {
        const url = `tftp://${host}/sub/big`;
        // Without a limit curl waits 72 s before it repeats what was lost; with this one, 5 s.
        const curl = ["curl", "-sSg", "--max-time", "50", "--interface", guest];
        const got = await fetched(...curl, "--tftp-blksize", size, "-o", out, url);
        assert.ok(Buffer.from(content).equals(got), size);
      }
    });
  }

  test("curl without options, of an empty file, and by a link", LIMIT, async () => {
    const plain = ["curl", "-sSg", "-o", out];
    const url = `tftp://${GATEWAY}`;
    assert.equal((await fetched(...plain, "--tftp-no-options", `${url}//text`)).length, 8);
    assert.equal((await fetched(...plain, `${url}/empty`)).length, 0);
    assert.equal((await fetched(...plain, "--tftp-blksize", "8192", `${url}/inside`)).length, SIZE);
  });

  test("what is not below the folder is refused, and nothing is written", LIMIT, async () => {
    for (const [name, code] of [
      ["none", 68],
      ["outside", 69],
      ["../secret", 69],
      ["sub", 69],
    ] as const) {
      const url = `tftp://${GATEWAY}/${name}`;
      const outcome = await world.guest.run(["curl", "-sSg", "--path-as-is", url], 30_000);
      assert.equal(outcome.code, code, name);
    }
    const url = `tftp://${GATEWAY}/new`;
    const outcome = await world.guest.run(["curl", "-sSg", "-T", join(folder, "secret"), url]);
    assert.equal(outcome.code, 69);
  });

  const others: readonly (readonly [string, readonly string[], string])[] = [
    ["tftp", ["-m", "binary", GATEWAY, "-c", "get", "sub/big", out], "big"],
    ["tftp", ["-m", "netascii", GATEWAY, "-c", "get", "text", out], "text"],
    [
      "atftp",
      [
        ...["--option", "windowsize 16", "--option", "blksize 1400"],
        ...["-g", "-r", "sub/big", "-l", out, GATEWAY],
      ],
      "big",
    ],
    ["busybox", ["tftp", "-g", "-r", "sub/big", "-l", out, GATEWAY], "big"],
  ];
  for (const [client, args, file] of others) {
    const skip = which(client) === undefined ? `needs ${client}` : false;
    test(`${client} gets ${file}: ${args.slice(0, 2).join(" ")}`, { skip, ...LIMIT }, async () => {
      const got = await fetched(client, ...args);
      if (file === "text") assert.equal(new TextDecoder().decode(got), "one\ntwo\n");
      else assert.ok(Buffer.from(content).equals(got));
    });
  }
});
