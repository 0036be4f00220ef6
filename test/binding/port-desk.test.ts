/** Published ports on the worker's side: what is checked, told and bounded. */
import assert from "node:assert/strict";
import { describe } from "node:test";
import { PortDesk } from "../../src/binding/port-desk.ts";
import { RequestError, type RequestErrorCode } from "../../src/binding/requests.ts";
import { formatRule, type PublishRule, parsePublish } from "../../src/config/publish-rule.ts";
import { parsePublished } from "../../src/config/published-ports.ts";
import { check, ECONNREFUSED } from "../../src/sys/errno.ts";
import { HiddenPorts } from "../../src/upstream/hidden-ports.ts";
import { Listeners } from "../../src/upstream/listener.ts";
import { PortSockets } from "../../src/upstream/port-sockets.ts";
import { START } from "../support/engine-harness.ts";
import { connect, freeRow } from "../upstream/listener-rig.ts";
import { freePort, listen, type Rig, rigTest } from "../upstream/rig.ts";

/** A desk of a network that began with some rules, and whose guest is there. */
function stage(rig: Rig, rules: readonly PublishRule[] = [], socketsMax = 1000) {
  const opened = new PortSockets(rig.sys);
  const listeners = new Listeners(rig.sys, rig.engine, rig.sockets, undefined, opened);
  listeners.open(rules, rig.epoll, { ipv4: true, ipv6: false }, () => {});
  listeners.answer(true);
  const told: string[] = [];
  const hidden = new HiddenPorts();
  const desk = new PortDesk({
    listeners,
    opened,
    presence: { portsChanged: () => void listeners.answer(true) },
    hidden,
    versions: { ipv4: true, ipv6: false },
    socketsMax: () => socketsMax - opened.extra,
    log: { info: ({ event, rule }) => void told.push(`${event} ${rule}`) },
  });
  const add = (text: string) => desk.add(parsePublish(text), START);
  const remove = (text: string) => desk.remove(parsePublished(text), START);
  const list = () => desk.list().map(({ rule }) => formatRule(rule));
  return { desk, opened, listeners, hidden, told, add, remove, list };
}

function refused(code: RequestErrorCode, pattern: RegExp) {
  return (error: unknown): boolean => {
    assert.ok(error instanceof RequestError, String(error));
    assert.deepEqual([error.code, pattern.test(error.message)], [code, true], error.message);
    return true;
  };
}

describe("port desk", () => {
  rigTest("a port is added, listed with its flows, and removed", (rig) => {
    const { desk, listeners, told, add, remove, list } = stage(rig);
    const port = freePort(rig.sys, "tcp");
    const text = `127.0.0.1:${port}:80`;
    const rule = parsePublish(text);
    assert.deepEqual(add(text), { rule, isAdded: true, isListening: true, flows: 0 });
    const client = check(connect(rig, port), "Connect");
    assert.equal(listeners.accept(0, START), 1);
    assert.deepEqual(desk.list(), [{ rule, isAdded: true, isListening: true, flows: 1 }]);
    const row = { rule, isAdded: true, isListening: true, flows: 1 };
    assert.deepEqual(remove(text), { rows: [row], isWhole: true });
    assert.equal(connect(rig, port), -ECONNREFUSED);
    assert.deepEqual([list(), told], [[], [`port_published ${text}`, `port_removed ${text}`]]);
    rig.sys.close(client);
    listeners.close();
  });

  rigTest("what is there already is named, also a part of it at another address", (rig) => {
    const first = freeRow(rig.sys, "tcp", 3);
    const range = `127.0.0.1:${first}-${first + 2}:80`;
    const { listeners, add } = stage(rig, [parsePublish(range)]);
    const pattern = new RegExp(`^already published by "${range.replaceAll(".", "\\.")}"$`);
    for (const text of [range, `127.0.0.1:${first + 1}:99`, `${first + 2}-${first + 9}:1`]) {
      assert.throws(() => add(text), refused("already-exists", pattern));
    }
    listeners.close();
  });

  rigTest("a port that was left out at the start may be added when it is free", (rig) => {
    const first = freeRow(rig.sys, "tcp", 3);
    const { fd: taken } = listen(rig.sys, first + 1);
    const { listeners, add, remove, list } = stage(rig, [
      parsePublish(`127.0.0.1:${first}-${first + 2}:80`),
    ]);
    const rows = [`127.0.0.1:${first}:80`, `127.0.0.1:${first + 2}:82`];
    assert.deepEqual(list(), rows);
    const answer = add(`127.0.0.1:${first + 1}:81`);
    assert.ok("taken" in answer && answer.taken === first + 1, "it is told, and not thrown");
    rig.sys.close(taken);
    add(`127.0.0.1:${first + 1}:81`);
    assert.equal(list().length, 3);
    assert.equal(remove(`127.0.0.1:${first}-${first + 2}`).rows.length, 3);
    listeners.close();
  });

  rigTest("ports of the program's own are refused, other protocols' are not", (rig) => {
    const { listeners, hidden, add } = stage(rig);
    const port = freePort(rig.sys, "udp");
    hidden.add(port);
    const pattern = /^port \d+ is this program's own/;
    for (const text of [`${port}:80`, `127.0.0.1:${port - 1}-${port}:80`]) {
      assert.throws(() => add(text), refused("failed-precondition", pattern));
    }
    add(`127.0.0.1:${port}:80/udp`);
    listeners.close();
  });

  rigTest("bounds: ports in a call, rules, sockets that are left for flows", (rig) => {
    const { listeners, add } = stage(rig, [], 70);
    assert.throws(() => add("20000-21024:1"), refused("resource-exhausted", /at most 1024 ports/));
    const first = freeRow(rig.sys, "udp", 7);
    const range = (count: number) => `127.0.0.1:${first}-${first + count - 1}:1/udp`;
    assert.throws(() => add(range(7)), refused("resource-exhausted", /ulimit -n/));
    add(range(6));
    assert.throws(() => add("127.0.0.1:9:9/udp"), refused("resource-exhausted", /^1 sockets/));
    listeners.close();
  });

  rigTest("bounds: addresses of the host", (rig) => {
    const port = freePort(rig.sys, "udp");
    const rules = Array.from({ length: 126 }, (_, i) => `127.0.1.${i + 1}:${port}:1/udp`);
    const { listeners, add, remove } = stage(rig, rules.map(parsePublish));
    const more = `127.0.2.1:${port}:1/udp`;
    assert.throws(() => add(more), refused("resource-exhausted", /at most 126 addresses/));
    remove(rules[7] ?? "");
    add(more);
    listeners.close();
  });

  rigTest("a part of a rule, or none, is not removed, and what there is is named", (rig) => {
    const first = freeRow(rig.sys, "tcp", 3);
    const range = `127.0.0.1:${first}-${first + 2}:80`;
    const { listeners, remove, list } = stage(rig, [parsePublish(range)]);
    const named = range.replaceAll(".", "\\.");
    const part = new RegExp(`^only a part is named of "${named}"`);
    assert.throws(() => remove(`127.0.0.1:${first}`), refused("not-found", part));
    const none = new RegExp(`^no published port "\\*:${first}/tcp"; there is "${named}"$`);
    assert.throws(() => remove(`${first}`), refused("not-found", none));
    assert.throws(() => remove("9/udp"), refused("not-found", /^no published port "\*:9\/udp"$/));
    assert.deepEqual(list(), [range]);
    listeners.close();
  });

  rigTest("what is more than one call may close is removed by several", (rig) => {
    const first = freeRow(rig.sys, "udp", 1500);
    const range = `127.0.0.1:${first}-${first + 1499}:1/udp`;
    const { listeners, opened, remove, list } = stage(rig, [parsePublish(range)]);
    const { rows, isWhole } = remove(range);
    assert.deepEqual([rows.map(({ rule }) => rule.count), isWhole], [[1024], false]);
    assert.deepEqual(list(), [`127.0.0.1:${first + 1024}-${first + 1499}:1025/udp`]);
    const rest = remove(range);
    assert.deepEqual([rest.rows.map(({ rule }) => rule.count), rest.isWhole], [[476], true]);
    assert.deepEqual([list(), opened.extra, rig.sockets.ports.count], [[], -1500, 0]);
    listeners.close();
  });
});
