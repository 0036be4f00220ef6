/**
 * Program of resolver.test.ts, run in a mount namespace where /etc/resolv.conf is the test's own,
 * by a root without capabilities: its own file of mode 0 it may not read, and may change. Follows
 * the file by what a reader answers, and throws when the engine is told anything else.
 */
import assert from "node:assert/strict";
import { chmodSync, readFileSync, writeFileSync } from "node:fs";
import process from "node:process";
import { RESOLV_CONF_PATH } from "../../src/config/resolv.ts";
import { ResolvAnswers } from "../../src/upstream/resolv-answers.ts";
import { ResolverWatch } from "../../src/upstream/resolver.ts";
import { EngineWorld } from "../support/engine-harness.ts";
import { attachOptions, logTo } from "./resolver-support.ts";

const INTERVAL = 1_000_000;
const MAY = 0o644;
const LOST = "resolv.conf is no longer readable";

// Nothing is written unless this really is the test's file.
const [marker = ""] = process.argv.slice(2);
assert.ok(marker !== "" && readFileSync(RESOLV_CONF_PATH, "utf8").includes(marker));

const lines: string[] = [];
const answers = new ResolvAnswers();
answers.isThere = true;
let asked = 0;
const ask = (): void => {
  asked += 1;
};
const reading = { answers, ask };
const answer = (text: string): void => answers.write(new TextEncoder().encode(text));

const { engine } = new EngineWorld();
let resolvers: readonly unknown[] = ["nothing told"];
engine.setResolvers = (addresses) => {
  resolvers = addresses;
};
const watch = new ResolverWatch(attachOptions(), logTo(lines), reading);
let now = 5_000_000;
const look = (): void => {
  now += INTERVAL;
  watch.poll(engine, now);
};
const forbid = (): void => {
  writeFileSync(RESOLV_CONF_PATH, "# another file\n"); // one that was read is not read again
  chmodSync(RESOLV_CONF_PATH, 0);
};
const servers = (): readonly string[] => watch.conf.nameservers;

// While it may be read nobody is asked, and what a reader says does not count.
answer("nameserver 192.0.2.66\nok");
look();
assert.equal(watch.wait(now), INTERVAL);
assert.deepEqual([servers(), asked], [["192.0.2.1"], 0]);

// An answer from before does not count, the next one does, at once.
forbid();
assert.throws(() => readFileSync(RESOLV_CONF_PATH), /EACCES|denied/);
look();
assert.deepEqual([servers(), asked], [["192.0.2.1"], 1]);
assert.equal(watch.wait(now), INTERVAL);
answer("nameserver 192.0.2.2\nsearch a.test\nok");
assert.equal(watch.wait(now), 0);
watch.poll(engine, now);
assert.deepEqual([servers(), watch.conf.search], [["192.0.2.2"], ["a.test"]]);
assert.equal(resolvers.length, 1);
assert.equal(watch.wait(now), INTERVAL, "asked no sooner than it is looked at");
const told = lines.length;

// The same again is no news; it is asked at each look.
look();
answer("nameserver 192.0.2.2\nsearch a.test\nok");
watch.poll(engine, now);
assert.deepEqual([asked, lines.length], [2, told]);

// Nor are several of either, in the same order; in another one they are.
const several = "nameserver 192.0.2.2\nnameserver 192.0.2.3\nsearch a.test b.test\nok";
answer(several);
watch.poll(engine, now);
assert.deepEqual([resolvers.length, watch.conf.search], [2, ["a.test", "b.test"]]);
const toldOfBoth = lines.length;
answer(several);
watch.poll(engine, now);
assert.equal(lines.length, toldOfBoth);
answer("nameserver 192.0.2.3\nnameserver 192.0.2.2\nsearch a.test b.test\nok");
watch.poll(engine, now);
assert.deepEqual(servers(), ["192.0.2.3", "192.0.2.2"]);
assert.deepEqual(lines.slice(toldOfBoth), [
  "info resolvers changed resolvers_changed 192.0.2.3 192.0.2.2",
]);

// While an answer is being written there is no reason to hurry.
const [, version] = [0, 1].map((word) => new Int32Array(answers.memory, 4 * word, 1));
assert.ok(version !== undefined);
Atomics.add(version, 0, 1);
assert.equal(watch.wait(now), INTERVAL);
Atomics.add(version, 0, 1);
assert.equal(watch.wait(now), 0);
watch.poll(engine, now);

// Gone: a state like any other. Not to be read by anybody: all stays, and is told once.
answer("gone");
watch.poll(engine, now);
assert.deepEqual([servers(), resolvers], [[], []]);
assert.match(lines.join("\n"), /warn read .*ENOENT/);
for (const text of ["nameserver 192.0.2.3\nok", "error", "error"]) {
  answer(text);
  watch.poll(engine, now);
}
assert.deepEqual(servers(), ["192.0.2.3"]);
assert.equal(lines.filter((line) => line.includes(LOST)).length, 1);

// A network that starts meanwhile begins with what was answered last.
const later = new ResolverWatch(attachOptions(), logTo([]), reading);
assert.deepEqual(later.conf.nameservers, [], "of which nothing is known");
answer("nameserver 192.0.2.4\nok");
const latest = new ResolverWatch(attachOptions(), logTo([]), reading);
assert.deepEqual(latest.conf.nameservers, ["192.0.2.4"]);

// One that begins without a reader says what it cannot read, and no more.
const alone: string[] = [];
const blind = new ResolverWatch(attachOptions(), logTo(alone));
blind.poll(engine, now);
blind.poll(engine, now + INTERVAL);
assert.deepEqual([alone.length, blind.conf.nameservers], [1, []]);
assert.match(alone.join(), /^warn read .*: (?:EACCES|EPERM), DNS questions are answered SERVFAIL/);

// It may be read again, and once more not, when the reader has gone.
chmodSync(RESOLV_CONF_PATH, MAY);
writeFileSync(RESOLV_CONF_PATH, "nameserver 192.0.2.5\n");
look();
assert.deepEqual(servers(), ["192.0.2.5"]);
answers.isThere = false;
forbid();
const before = asked;
look();
look();
assert.deepEqual([servers(), asked], [["192.0.2.5"], before]);
assert.equal(lines.filter((line) => line.includes(LOST)).length, 2);
chmodSync(RESOLV_CONF_PATH, MAY);
