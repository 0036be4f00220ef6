/**
 * End to end: a machine behind vhost-user moves to another QEMU and another `attach` while its
 * memory is written, a transfer runs and a lease is held (`test/guests/migration.ts`). Many runs,
 * and what has to be found where pages are not marked: `npm run guests -- --migration`.
 */
import { describe, test } from "node:test";
import { migrates } from "../guests/migration.ts";
import { cannotRun, oursOnly } from "../support/e2e/setup.ts";
import { noProbe } from "../support/guest-probe.ts";
import { qemuMissing } from "../support/qemu.ts";

const LIMIT = { timeout: 300_000 };

describe("a machine moves to another host", {
  skip: cannotRun("dnsmasq") || oursOnly() || qemuMissing() || noProbe(),
}, () => {
  test("its memory is whole, and it is online at once", LIMIT, () =>
    migrates({ card: ["mrg_rxbuf=off"], cancels: true }),
  );
});
