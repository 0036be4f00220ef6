/** What the commands that change a program were asked, and what goes with what. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { readCapture, readLogLevel, readPublish } from "../../src/config/steer.ts";
import { settingsOf } from "./support.ts";

type Given = Readonly<Record<string, string | readonly string[]>>;

function refuses(read: (given: Given) => unknown, given: Given, message: RegExp): void {
  assert.throws(() => read(given), message, JSON.stringify(given));
}

test("publish lists unless it is told what to do", () => {
  const publish = (given: Given) => readPublish(settingsOf(given));
  assert.deepEqual([publish({}).action, publish({}).rules], ["list", []]);
  const added = publish({ action: "add", rule: ["8080:80", "127.0.0.1:53:53/udp"] });
  assert.deepEqual([added.action, added.rules], ["add", ["8080:80", "127.0.0.1:53:53/udp"]]);
  assert.deepEqual(publish({ action: "remove", rule: ["8080"] }).rules, ["8080"]);
  refuses(publish, { action: "add" }, /say what to add, such as publish add 8080:80/);
  refuses(publish, { action: "add", rule: ["8080:80", "x"] }, /parse --rule "x": /);
  refuses(publish, { action: "list", rule: ["1:1"] }, /takes no rules/);
  refuses(publish, { action: "ad" }, /wanted one of "add", "remove", "list"/);
});

test("capture does one thing at a time", () => {
  const capture = (given: Given) => readCapture(settingsOf(given));
  const { filter, snap, count, seconds, write, onInstance, list, stop } = capture({});
  assert.deepEqual([filter, snap, count, seconds], ["", 0, 0, 0]);
  assert.deepEqual([write, onInstance, list, stop], [undefined, undefined, false, undefined]);
  assert.equal(
    capture({ filter: ["dropped", "and", "from", "guest"] }).filter,
    "dropped and from guest",
  );
  assert.equal(capture({ stop: "7" }).stop, 7);
  refuses(capture, { write: "a", "on-instance": "b" }, /leave out "--on-instance"/);
  refuses(capture, { list: "true", write: "a" }, /leave out "--list": nothing is captured/);
  refuses(capture, { list: "true", stop: "1" }, /leave out "--stop": one at a time/);
  refuses(capture, { stop: "1", filter: "tcp" }, /leave out the filter/);
  refuses(capture, { filter: "tcp tcp tcp" }, /parse --filter/);
  refuses(capture, { snap: "10" }, /from 64 to 262144/);
});

test("the log's level is asked for or set", () => {
  assert.equal(readLogLevel(settingsOf({})).level, undefined);
  assert.equal(readLogLevel(settingsOf({ level: "warn" })).level, "warn");
  assert.throws(() => readLogLevel(settingsOf({ level: "loud" })), /wanted one of "debug"/);
});
