/** The guest's script: a shell reads it, and what it is told stands in it. */
import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { describe, test } from "node:test";
import { parseGuestReport } from "../../src/doctor/guest-report.ts";
import { guestScript } from "../../src/doctor/in-guest.ts";
import { FAMILIES } from "../../src/metrics/families.ts";

const SCRIPT = guestScript({ gateway: "10.0.2.2", dns: "10.0.2.3", mtu: 1500 });

describe("doctor --in-guest", () => {
  test("sh takes it for a script", () => {
    execFileSync("sh", ["-n"], { input: SCRIPT });
    assert.ok(SCRIPT.startsWith("#!/bin/sh\n") && SCRIPT.endsWith("\n"));
    assert.ok(SCRIPT.includes("gateway=10.0.2.2 dns=10.0.2.3 mtu=1500 "));
  });

  test("every series it names is one of the catalogue", () => {
    const names = SCRIPT.match(/\bslirp_\w+/g) ?? [];
    assert.ok(names.length > 5);
    for (const name of names) assert.ok(name in FAMILIES, name);
  });

  test("where nothing is right it ends with the number of problems, and changes nothing", () => {
    const tools = { PATH: "/nonexistent" };
    const { status, stdout } = spawnSync("/bin/sh", ["-s"], { input: SCRIPT, env: tools });
    const lines = stdout.toString().split("\n");
    const problems = lines.filter((line) => line.startsWith("problem")).length;
    assert.ok(problems > 1);
    assert.equal(status, problems);
    assert.equal(lines.filter((line) => line.includes("try:")).length, problems);
  });

  test("what it says at its end is a report", () => {
    const { stdout } = spawnSync("/bin/sh", ["-s"], { input: SCRIPT });
    const report = parseGuestReport(stdout.toString());
    assert.equal(typeof report?.mtu, "number");
    assert.match(stdout.toString(), /^report {3}mtu=\d+$/m);
  });
});
