/**
 * lwIP itself as a guest (`test/support/lwip/guest.c`), as small machines have it: addresses, ping,
 * and whole octets both ways, over a link that loses frames in both directions.
 * Its TCP has no SACK, and sends again by duplicate acknowledgments or its timer of seconds.
 */
import assert from "node:assert/strict";
import { chmodSync, existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test } from "node:test";
import { httpServer } from "../support/e2e/peers.ts";
import { ROOT, startAttach } from "../support/e2e/program.ts";
import { sha256Of } from "../support/e2e/seeded.mjs";
import { cannotRun, oursOnly } from "../support/e2e/setup.ts";
import { must, run, which } from "../support/e2e/shell.ts";
import { createHost, HOST_ADDRESS, HOST_ADDRESS6 } from "../support/e2e/world.ts";

const LIMIT = { timeout: 300_000 };
const GUEST_LIMIT_ms = 240_000;
const SOURCE = join(ROOT, "test/support/lwip/guest.c");
const COMPILER = "cc";

function lacks(): string | false {
  if (which(COMPILER) === undefined) return `needs ${COMPILER}`;
  return existsSync("/usr/include/lwip/lwip/init.h") ? false : "needs liblwip-dev";
}

/** What the guest tells of its life: addresses, ping, transfers. */
async function live(loss: number, count: number): Promise<Record<string, unknown>[]> {
  const host = createHost();
  const folder = mkdtempSync(join(tmpdir(), "slirp-lwip-"));
  chmodSync(folder, 0o777); // root becomes nobody, and the socket is to be gone at the end
  try {
    const guest = join(folder, "guest");
    must([COMPILER, "-O2", "-I/usr/include/lwip", "-o", guest, SOURCE, "-llwip", "-lpthread"]);
    const web = await httpServer(host, HOST_ADDRESS);
    const web6 = await httpServer(host, HOST_ADDRESS6);
    const link = join(folder, "link.sock");
    const program = await startAttach(host, ["--listen", `unix:${link}`]);
    try {
      const at = [HOST_ADDRESS, web.port, HOST_ADDRESS6, web6.port].map(String);
      const words = [link, String(loss), "1", ...at, String(count)];
      const { code, stdout, stderr } = await run([guest, ...words], GUEST_LIMIT_ms);
      assert.equal(code, 0, `${stdout}${stderr}`);
      return stdout
        .trim()
        .split("\n")
        .map((line) => JSON.parse(line));
    } finally {
      await program.stop();
    }
  } finally {
    host.remove();
    rmSync(folder, { recursive: true, force: true });
  }
}

function hasEverything(told: readonly Record<string, unknown>[], count: number): void {
  const [addresses, ping, ...transfers] = told;
  assert.equal(addresses?.["address"], "10.0.2.15");
  assert.match(String(addresses?.["address6"]), /^FD10:0:2:0:5054:FF:FE6C:7769$/);
  assert.equal(ping?.["ping"], true);
  const heard = { count, sha256: sha256Of(1, count) };
  const seen = transfers.map(({ down, up, heard: by }) => [down ?? up, by]);
  assert.deepEqual(seen, [
    [HOST_ADDRESS, undefined], // it compares what it reads itself
    [HOST_ADDRESS, heard],
    [HOST_ADDRESS6, undefined],
    [HOST_ADDRESS6, heard],
  ]);
}

describe("lwIP as a guest", { skip: cannotRun() || oursOnly() || lacks() }, () => {
  test("has its addresses, pings and carries 16.7 MB each way", LIMIT, async () => {
    const count = 16_700_000;
    hasEverything(await live(0, count), count);
  });

  test("the same where a frame of twenty is lost, both ways", LIMIT, async () => {
    const count = 1_000_000;
    hasEverything(await live(5, count), count);
  });
});
