/** What testpmd prints when it ends. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { readTotals } from "../../bench/testpmd-guest.ts";

const block = (name: string, received: number, sent: number): string => `
  ---------------------- ${name} ----------------------
  RX-packets: ${received}             RX-dropped: 7             RX-total: ${received + 7}
  TX-packets: ${sent}        TX-dropped: 637657440     TX-total: 638686528
  ----------------------------------------------------------------------------
`;

test("the sums of all ports are read, and nothing else", () => {
  const ports = block("Forward statistics for port 0 ", 1, 2);
  const sums = block("Accumulated forward statistics for all ports", 390848, 32);
  assert.deepEqual(readTotals(ports + sums), { received: 390848, sent: 32 });
  assert.equal(readTotals("Bye...\n"), undefined);
  assert.equal(readTotals("EAL: Error\nRX-packets: 1"), undefined);
});
