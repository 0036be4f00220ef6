/**
 * End to end, Linux machines behind vhost-user that differ in what their drivers, cards and memory
 * can: everything that a guest does, with some of the matrix of `test/guests/matrix.ts`, which
 * `npm run guests` runs as a whole.
 */
import { describe, test } from "node:test";
import { SELECTION } from "../guests/matrix.ts";
import { tryGuest } from "../guests/suite.ts";
import { cannotRun, oursOnly } from "../support/e2e/setup.ts";
import { noProbe } from "../support/guest-probe.ts";
import { qemuMissing } from "../support/qemu.ts";

const LIMIT = { timeout: 600_000 };

describe("a guest behind vhost-user does all that a guest does", {
  skip: cannotRun("dnsmasq", "dhclient") || oursOnly() || qemuMissing() || noProbe(),
}, () => {
  for (const row of SELECTION) test(row.name, LIMIT, () => tryGuest(row));
});
