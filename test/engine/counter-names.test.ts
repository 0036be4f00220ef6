/** Names of counters as they are logged. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { counterLabel } from "../../src/engine/counter-names.ts";
import { DROP_NAMES, STAT_NAMES } from "../../src/engine/stats.ts";

test("what happened is in snake case, what was dropped is one counter with a reason", () => {
  assert.equal(counterLabel("tcpRetransmits"), "tcp_retransmits");
  assert.equal(counterLabel("dhcp6Replies"), "dhcp6_replies");
  assert.equal(counterLabel("tcpChallengeAcks"), "tcp_challenge_acks");
  assert.equal(counterLabel("dropTcpChecksum"), 'drop{reason="tcp_checksum"}');
  assert.equal(counterLabel("dropRunt"), 'drop{reason="runt"}');
});

test("every counter has a name of its own, which monitoring takes", () => {
  const labels = [...STAT_NAMES, ...DROP_NAMES].map(counterLabel);
  assert.equal(new Set(labels).size, labels.length);
  for (const label of labels) {
    assert.match(label, /^(?:[a-z][a-z0-9_]*|drop\{reason="[a-z][a-z0-9_]*"\})$/);
  }
});
