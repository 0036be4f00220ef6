/** Rows of options: how they look, how they are read, from arguments and from variables. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import {
  checkConflicts,
  choice,
  flag,
  integer,
  isGiven,
  list,
  negatedFlag,
  type OptionRow,
  parseSwitch,
  readGroup,
  readVariable,
  readVariables,
  rowsOf,
  value,
  variableOnly,
} from "../../src/config/option.ts";
import { settingsOf } from "./support.ts";

const heading = "Here:";
const size = integer({
  name: "box-size",
  argument: "N",
  description: "size, {bounds} (default {default})",
  heading,
  bounds: [2, 5],
  fallback: 3,
});
const open = flag({ name: "open", description: "open it", heading });
const lid = negatedFlag({ name: "no-lid", description: "without a lid", heading });
const color = choice({ name: "color", choices: ["red", "blue"], description: "color", heading });
const label = value({
  name: "label",
  argument: "TEXT",
  description: "label",
  heading,
  parse: (text) => text.toUpperCase(),
  conflicts: { open: "it is for closed ones" },
});
const items = list({ name: "item", argument: "X", description: "item", heading, parse: Number });
const GROUP = { size, open, lid, color, label, items };

describe("a row", () => {
  test("looks as it is described", () => {
    const { read, ...look } = size;
    assert.deepEqual(look, {
      name: "box-size",
      variable: "SLIRP_BOX_SIZE",
      argument: "N",
      description: "size, 2 to 5 (default 3)",
      heading,
    });
    assert.equal(color.argument, "red|blue");
    assert.equal(color.repeatable, undefined);
    assert.equal(items.repeatable, true);
    assert.equal(open.argument, undefined);
    assert.deepEqual(
      [open, lid, color, label, items].map(({ variable }) => variable),
      ["SLIRP_OPEN", "SLIRP_NO_LID", "SLIRP_COLOR", "SLIRP_LABEL", "SLIRP_ITEM"],
    );
    assert.deepEqual(label.conflicts, { open: "it is for closed ones" });
  });

  test("may say something else than its choices", () => {
    const row = choice({
      name: "n",
      argument: "NAME",
      choices: ["a", "b"],
      description: "one, {default} if nothing is said",
      heading,
      fallback: "b" as const,
    });
    assert.equal(row.argument, "NAME");
    assert.equal(row.description, "one, b if nothing is said");
    assert.equal(row.read(new Map()), "b");
  });

  test("of a variable alone has no place in the help", () => {
    const row = variableOnly("CONTAINER", String, "none");
    assert.deepEqual(
      [row.name, row.variable, row.isVariableOnly],
      ["CONTAINER", "CONTAINER", true],
    );
    assert.equal(row.read(new Map()), "none");
    assert.equal(variableOnly("CONTAINER", String).read(new Map()), undefined);
    assert.equal(row.read(readVariables([row], { CONTAINER: "box" })), "box");
    assert.notEqual(row.argument, undefined, "it is no flag");
    assert.equal(variableOnly("S", parseSwitch, true).read(new Map()), true);
    assert.equal(variableOnly("S", parseSwitch, false).read(new Map()), false);
  });
});

describe("a group", () => {
  test("is read into values by its keys, absent ones into their defaults", () => {
    assert.deepEqual(readGroup(GROUP, new Map()), {
      size: 3,
      open: false,
      lid: true,
      color: undefined,
      label: undefined,
      items: [],
    });
    const given = { "box-size": "5", open: "true", "no-lid": "true", color: "blue" };
    const settings = settingsOf({ ...given, label: ["a", "b"], item: ["1", "2"] });
    assert.deepEqual(readGroup(GROUP, settings), {
      size: 5,
      open: true,
      lid: false,
      color: "blue",
      label: "B",
      items: [1, 2],
    });
  });

  test("is refused with the place the text came from", () => {
    assert.throws(() => readGroup({ size }, settingsOf({ "box-size": "6" })), {
      message: 'parse --box-size "6": wanted an integer from 2 to 5',
    });
    assert.throws(() => readGroup({ color }, settingsOf({ color: "green" })), {
      message: 'parse --color "green": wanted one of "red", "blue"',
    });
  });

  test("has rows in its order, and so have several", () => {
    assert.deepEqual(rowsOf({ size, open }, { lid }), [size, open, lid]);
  });
});

describe("variables", () => {
  const read = (row: OptionRow, text: string | undefined) =>
    readVariable(row, { [row.variable]: text });

  test("that are empty or not there say nothing", () => {
    assert.equal(read(size, undefined), undefined);
    assert.equal(read(size, ""), undefined);
    assert.equal(read(open, ""), undefined);
  });

  test("have one value, or several between commas where the option may be repeated", () => {
    assert.deepEqual(read(label, "a,b"), { values: ["a,b"], origin: "SLIRP_LABEL" });
    assert.deepEqual(read(items, " 1, 2 ,,"), { values: ["1", "2"], origin: "SLIRP_ITEM" });
  });

  test("of flags are on or off", () => {
    assert.deepEqual(read(open, "1"), { values: ["true"], origin: "SLIRP_OPEN" });
    assert.deepEqual(read(open, "off"), { values: ["false"], origin: "SLIRP_OPEN" });
    assert.throws(() => read(open, "maybe"), {
      name: "ConfigError",
      message: 'parse SLIRP_OPEN "maybe": wanted "1" or "0"',
    });
  });

  test("are read together, by option name", () => {
    const env = { SLIRP_OPEN: "yes", SLIRP_BOX_SIZE: "2", SLIRP_LABEL: "", PATH: "/bin" };
    const settings = readVariables(rowsOf(GROUP), env);
    assert.deepEqual([...settings.keys()], ["box-size", "open"]);
    assert.equal(size.read(settings), 2);
  });

  test("a switch takes these words and no other", () => {
    for (const on of ["1", "true", "YES", "On"]) assert.equal(parseSwitch(on), true, on);
    for (const off of ["0", "False", "no", "OFF"]) assert.equal(parseSwitch(off), false, off);
    for (const text of ["", "2", "10", "yes!", "a1", "on off"]) {
      assert.throws(() => parseSwitch(text), { message: 'wanted "1" or "0"' }, text);
    }
  });
});

describe("conflicts", () => {
  const rows = rowsOf(GROUP);

  test("name the option to leave out, and why", () => {
    assert.throws(() => checkConflicts(rows, settingsOf({ label: "a", open: "true" })), {
      name: "ConfigError",
      message: 'leave out "--label": it is for closed ones',
    });
  });

  test("need both, and a flag that is off is not given", () => {
    checkConflicts(rows, settingsOf({ label: "a" }));
    checkConflicts(rows, settingsOf({ open: "true" }));
    checkConflicts(rows, settingsOf({ label: "a", open: "false" }));
    checkConflicts(rows, settingsOf({ label: "a", open: ["true", "false"] }));
    const off = { ...open, conflicts: { label: "no" } };
    checkConflicts([off], settingsOf({ label: "a", open: "false" }));
    assert.throws(() => checkConflicts([off], settingsOf({ label: "a", open: "true" })));
  });

  test("isGiven asks for the setting", () => {
    assert.equal(isGiven(new Map(), "open"), false);
    assert.equal(isGiven(settingsOf({ open: "true" }), "open"), true);
    assert.equal(isGiven(settingsOf({ open: "false" }), "open"), false);
    assert.equal(isGiven(settingsOf({ label: "" }), "label"), true);
  });
});
