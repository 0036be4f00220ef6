/** The worker's lines about peers, ports and sources that rest, word for word. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { logLeftOut, logPeer, logPresence, restReporter } from "../../src/binding/worker-lines.ts";
import type { Logger } from "../../src/lib/log.ts";
import type { PeerEvent } from "../../src/link/stream-peer.ts";
import { EACCES, EADDRINUSE, EMFILE, SystemError } from "../../src/sys/errno.ts";
import { EVENT_OF_LINK, EVENT_OF_LISTENER } from "../../src/upstream/upstream.ts";

type Line = readonly [level: string, message: string, fields: unknown];

/** A log, and the lines that work leaves in it. */
class Lines {
  readonly #lines: Line[] = [];
  readonly log: Logger = {
    debug: this.#writer("debug"),
    info: this.#writer("info"),
    warn: this.#writer("warn"),
    error: this.#writer("error"),
  };

  #writer(level: string): Logger["info"] {
    return (fields, message) => this.#lines.push([level, message, fields]);
  }

  /** Those since the last call. */
  told(): Line[] {
    return this.#lines.splice(0);
  }
}

describe("a link's peers", () => {
  const link = "unix:/run/vm.sock";
  const foreign = "connection refused: user not allowed";
  const cases: readonly (readonly [PeerEvent, string, string, object])[] = [
    [{ kind: "connected" }, "info", "guest connected", { event: "guest_attached" }],
    [
      { kind: "disconnected", reason: "left", fault: false, refused: 0 },
      "info",
      "guest disconnected",
      { event: "guest_gone", reason: "left" },
    ],
    [
      { kind: "disconnected", reason: "short", fault: true, refused: 1 },
      "warn",
      "guest disconnected: malformed stream",
      { event: "guest_gone", reason: "short", refused: 1 },
    ],
    [{ kind: "refused" }, "warn", "second connection refused: a guest is connected", {}],
    [
      { kind: "foreign", uid: 0 },
      "warn",
      foreign,
      { uid: 0, remedy: `allow it with "--peer-uid 0" if it is QEMU's` },
    ],
    [{ kind: "foreign", uid: -EACCES }, "warn", foreign, { reason: "permission denied (EACCES)" }],
    [
      { kind: "hurried" },
      "warn",
      "peers connect and disconnect quickly, accepting them more slowly",
      {},
    ],
    [
      { kind: "broken", queue: "transmit", problem: "a loop" },
      "warn",
      "queue stopped: its driver broke the rules",
      { queue: "transmit", reason: "a loop" },
    ],
    [
      { kind: "shrinkable" },
      "warn",
      "guest memory may be shrunk, copying it by system calls",
      { remedy: "seal it: QEMU's memory-backend-memfd with seal=on" },
    ],
    [
      { kind: "unreachable", problem: "ENOENT" },
      "warn",
      "peer unreachable, retrying",
      { reason: "ENOENT" },
    ],
  ];
  for (const [event, level, message, fields] of cases) {
    test(`${event.kind}: ${message}`, () => {
      const lines = new Lines();
      logPeer(lines.log, link, event);
      assert.deepEqual(lines.told(), [[level, message, { link, ...fields }]]);
    });
  }
});

test("a port that is left out has a remedy where it is too low", () => {
  const lines = new Lines();
  const event = "port_left_out";
  const low = new SystemError("Publish port 80", EACCES);
  logLeftOut(lines.log, low);
  const remedy = "lower net.ipv4.ip_unprivileged_port_start in the pod";
  assert.deepEqual(lines.told(), [
    ["warn", "port not published", { event, problem: low.message, remedy }],
  ]);
  const taken = new SystemError("Publish port 80", EADDRINUSE);
  logLeftOut(lines.log, taken);
  logLeftOut(lines.log, taken, '"nginx" (pid 7) has it');
  assert.deepEqual(lines.told(), [
    ["warn", "port not published", { event, problem: taken.message }],
    [
      "warn",
      "port not published",
      { event, problem: taken.message, owner: '"nginx" (pid 7) has it' },
    ],
  ]);
});

test("a guest is told of once: by its connection, or by what is heard of it on a tap", () => {
  const lines = new Lines();
  const told = (ports: number, isTap: boolean): Line[] => {
    for (const isThere of [true, false]) logPresence(lines.log, isThere, { ports, isTap });
    return lines.told();
  };
  const [attached, gone] = [{ event: "guest_attached" }, { event: "guest_gone" }];
  const answers = "guest is there, published ports answer";
  const refuses = "guest has gone, published ports refuse";
  assert.deepEqual(told(0, false), []);
  assert.deepEqual(told(1, false), [
    ["info", answers, {}],
    ["info", refuses, {}],
  ]);
  assert.deepEqual(told(0, true), [
    ["info", "guest is there", attached],
    ["info", "guest has gone", gone],
  ]);
  assert.deepEqual(told(2, true), [
    ["info", answers, attached],
    ["info", refuses, gone],
  ]);
});

describe("sources that rest", () => {
  test("are named, with why they do", () => {
    const lines = new Lines();
    restReporter(lines.log, () => 0)(4, EVENT_OF_LISTENER, -EMFILE);
    const source = "published port, number 5";
    assert.deepEqual(lines.told(), [
      ["warn", "cannot accept connections, retrying", { source, reason: "EMFILE" }],
    ]);
    restReporter(lines.log, () => 0)(4, EVENT_OF_LINK, 0);
    const fields = { source: "link", kind: EVENT_OF_LINK, token: 4 };
    assert.deepEqual(lines.told(), [
      ["warn", "event source ready without data, no longer watched for a while", fields],
    ]);
  });

  test("are told of once in a minute", () => {
    const lines = new Lines();
    let now = 0;
    const report = restReporter(lines.log, () => now);
    for (const [at, count] of [
      [0, 1],
      [59_999_999, 0],
      [60_000_000, 1],
      [119_999_999, 0],
      [120_000_000, 1],
    ] as const) {
      now = at;
      report(0, EVENT_OF_LISTENER, -EMFILE);
      assert.equal(lines.told().length, count, `after ${at} us`);
    }
  });
});
