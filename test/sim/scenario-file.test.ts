/**
 * Scenario files: defaults, and for everything that is wrong one line that names the field. Method:
 * a small file, and changes to it.
 */
import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { readScenario, ScenarioError } from "../../src/lab/sim/scenario-file.ts";
import { planOfScenario } from "../../src/lab/sim/scenario-plan.ts";
import { ScenarioSchema } from "../../src/lab/sim/scenario-schema.ts";

const SMALL = `
title: small
flows:
  - name: one
    kind: tcp
    down: 1 kB
`;

function errorOf(text: string): string {
  try {
    readScenario(text);
  } catch (error) {
    assert.ok(error instanceof ScenarioError, String(error));
    assert.doesNotMatch(error.message, /\n|\.$/, "one line without a period");
    return error.message;
  }
  assert.fail("taken");
}

describe("sim/scenario-file: what is taken", () => {
  test("little is needed; the rest has defaults", () => {
    const { plan, groups } = planOfScenario(readScenario(SMALL), 5);
    assert.equal(plan.seed, 5);
    assert.equal(plan.limits.mtu, 1500);
    assert.equal(plan.toGuest.delay, 100);
    assert.equal(plan.calmAt, 60_000_000);
    assert.equal(plan.tcp.length, 1);
    assert.equal(plan.tcp[0]?.down, 1000);
    assert.deepEqual(
      groups.map(({ name, first, count }) => [name, first, count]),
      [["one", 0, 1]],
    );
  });

  test("flows of several groups: starts are spread, ids follow on, endpoints differ", () => {
    const text = `${SMALL}  - { name: two, kind: tcp, count: 4, start: 1 s, over: 2 s }
  - { name: three, kind: dns, count: 2 }\n`;
    const { plan, groups } = planOfScenario(readScenario(text), 1);
    assert.deepEqual(
      plan.tcp.map(({ id, app }) => [id, app.startAt]),
      [
        [0, 0],
        [1, 1_000_000],
        [2, 1_500_000],
        [3, 2_000_000],
        [4, 2_500_000],
      ],
    );
    assert.deepEqual(
      groups.map(({ first, count }) => [first, count]),
      [
        [0, 1],
        [1, 4],
        [0, 2],
      ],
    );
    const ends = new Set(plan.tcp.map(({ address, port }) => `${address}:${port}`));
    assert.equal(ends.size, 5);
    assert.equal(plan.dns.length, 2);
  });

  test("parties: many addresses, no claim, an end of their own; what is promised", () => {
    const text = `${SMALL}    count: 4\n    sources: 2\n    yields: true\n    leaves-at: 9 s
    peer-reads: 0\n    peer-closes: never\n    guest-closes: never
  - { name: ports, kind: udp, yields: true }
guest: { backlog: 16, silences: [{ at: 1 s, for: 2 s }] }
promises: { move-within: 9 s }\n`;
    const { plan } = planOfScenario(readScenario(text), 1);
    assert.equal(new Set(plan.tcp.map(({ address }) => address)).size, 2);
    const [one] = plan.tcp;
    assert.deepEqual([one?.yields, one?.leavesAt, one?.peer.readsMax], [true, 9_000_000, 0]);
    assert.deepEqual([one?.peer.closeWhen, one?.app.closeWhen], ["never", "never"]);
    assert.equal(plan.udp[0]?.yields, true);
    assert.equal(plan.guestBacklog, 16);
    assert.deepEqual(plan.silences, [{ at: 1_000_000, duration: 2_000_000 }]);
    assert.equal(plan.promises?.moveWithin, 9_000_000);
    assert.equal(plan.promises?.connectWithin, 2_000_000);
  });

  test("one direction of the link differs from the other", () => {
    const { plan } = planOfScenario(
      readScenario(`${SMALL}link: { delay: 5 ms, loss: 1 %, to-guest: { loss: 2 %, queue: 9 } }`),
      1,
    );
    assert.equal(plan.toEngine.faults.loss, 10_000);
    assert.equal(plan.toGuest.faults.loss, 20_000);
    assert.equal(plan.toGuest.queueFrames, 9);
    assert.equal(plan.toGuest.delay, plan.toEngine.delay);
  });
});

const REFUSED: readonly (readonly [string, string, RegExp])[] = [
  ["nothing", "", /^write a map with "title" and "flows"$/],
  ["a list", "[1]", /^write a map with "title" and "flows"$/],
  ["no YAML", "a: [", /^parse YAML: .* at line 1, column /],
  ["the same key twice", `${SMALL}title: again`, /^parse YAML: Map keys must be unique/],
  ["no title", "flows: []", /^add field "title"$/],
  ["no flows", "title: a\nflows: []", /^field "flows" "\[\]": wanted at least one kind of flow$/],
  ["a field that is not", `${SMALL}links: {}`, /^remove field "links": no such field$/],
  ["one deeper", `${SMALL}link: { los: 1 % }`, /^remove field "link.los": no such field$/],
  ["a bad value", `${SMALL}link: { loss: lots }`, /^field "link.loss" "lots": wanted a share such/],
  [
    "one out of bounds",
    `${SMALL}guest: { mtu: 70000 }`,
    /^field "guest.mtu" "70000": wanted an in/,
  ],
  ["no map", `${SMALL}guest: 1`, /^field "guest": wanted fields with values$/],
  [
    "a kind that is not",
    `${SMALL}  - { name: a, kind: sctp }`,
    /^field "flows\[1\].kind" "sctp": wan/,
  ],
  ["no kind", `${SMALL}  - { name: a }`, /^add field "flows\[1\].kind"/],
  ["a field of another kind", `${SMALL}    pause: 1 s`, /^remove field "flows\[0\].pause"/],
  [
    "a name twice",
    `${SMALL}  - { name: one, kind: dns }`,
    /^field "flows\[1\].name": another kind/,
  ],
  ["a long run", `${SMALL}duration: 90 min`, /^field "duration" "90 min": wanted a time such as/],
  [
    "too many flows",
    `${SMALL}    count: 20001`,
    /^field "flows\[0\].count" "20001": wanted an int/,
  ],
  [
    "too many in all",
    `${SMALL}    count: 20000\n  - { name: b, kind: dns }`,
    /^lessen the flows: 20001 f/,
  ],
  [
    "too many octets",
    `${SMALL}    count: 2000\n    up: 1 MB`,
    /^lessen the flows: 2002000000 octets/,
  ],
  [
    "both wait",
    `${SMALL}    peer-closes: after-peer\n    guest-closes: after-peer`,
    /both sides would/,
  ],
  ["nobody closes", `${SMALL}    peer-closes: never\n    guest-closes: never`, /both sides would/],
  [
    "waits for ever",
    `${SMALL}    send-after: 2`,
    /^field "flows\[0\].send-after": the guest sends/,
  ],
  [
    "refused from outside",
    `${SMALL}    from: outside\n    connect: never`,
    /^field "flows\[0\].conn/,
  ],
  [
    "dawdles",
    `${SMALL}    read-size: 1\n    read-pause: 10 s`,
    /this would take more than an hour$/,
  ],
  [
    "an unknown reason",
    `${SMALL}expect: { drops-max: { foo: 1 } }`,
    /^field "expect.drops-max.foo"/,
  ],
  ["control characters", `${SMALL}"\\e[2J": 1`, /^remove field "\\u001b\[2J": no such field$/],
];

describe("sim/scenario-file: what is not", () => {
  for (const [what, text, message] of REFUSED) {
    test(what, () => assert.match(errorOf(text), message));
  }

  test("aliases do not multiply", () => {
    const bomb = `a: &a [1,1,1,1,1,1,1,1,1]\nb: &b [${"*a,".repeat(50)}]\nc: [${"*b,".repeat(50)}]`;
    assert.match(errorOf(bomb), /^parse YAML: Excessive alias count/);
  });

  test("a file without end is refused before it is read", () => {
    assert.match(errorOf("#".repeat(300_000)), /^shorten the scenario/);
  });
});

describe("docs/simulator.md", () => {
  /** Names of all fields, however deep: what has entries is asked for them. */
  function fieldsOf(schema: unknown, found = new Set<string>()): Set<string> {
    if (typeof schema !== "object" || schema === null) return found;
    for (const key of ["wrapped", "item", "options", "pipe"] as const) {
      const inner: unknown = Reflect.get(schema, key);
      for (const each of Array.isArray(inner) ? inner : [inner]) fieldsOf(each, found);
    }
    const entries: unknown = Reflect.get(schema, "entries");
    if (typeof entries === "object" && entries !== null) {
      for (const [name, inner] of Object.entries(entries)) {
        found.add(name);
        fieldsOf(inner, found);
      }
    }
    return found;
  }

  test("names every field", () => {
    const file = fileURLToPath(new URL("../../docs/simulator.md", import.meta.url));
    assert.ok(existsSync(file));
    const document = readFileSync(file, "utf8");
    const fields = [...fieldsOf(ScenarioSchema)];
    assert.ok(fields.length > 60, `${fields.length} fields were found`);
    assert.deepEqual(
      fields.filter((name) => !document.includes(`\`${name}\``)),
      [],
    );
  });
});
