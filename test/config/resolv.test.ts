/**
 * resolv.conf. Goal: read as glibc reads it, never throwing, and read again exactly when the file
 * is another one. Method: text cases, then real files in a directory of their own.
 */
import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, renameSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { parseResolvConf, readIfChanged } from "../../src/config/resolv.ts";

describe("parseResolvConf", () => {
  test("reads the file Kubernetes writes", () => {
    const conf = parseResolvConf(
      "search default.svc.cluster.local svc.cluster.local cluster.local\n" +
        "nameserver 10.96.0.10\noptions ndots:5\n",
    );
    assert.deepEqual(conf, {
      nameservers: ["10.96.0.10"],
      search: ["default.svc.cluster.local", "svc.cluster.local", "cluster.local"],
      options: ["ndots:5"],
      warnings: [],
    });
  });

  test("ignores comments, blank lines and unknown keywords", () => {
    const conf = parseResolvConf(
      "# nameserver 1.1.1.1\n;nameserver 2.2.2.2\n\nsortlist 3.3.3.3\nnameserver 4.4.4.4 # four\n" +
        "nameserver\t5.5.5.5;five",
    );
    assert.deepEqual(conf.nameservers, ["4.4.4.4", "5.5.5.5"]);
  });

  test("wants the keyword in the first column and a blank behind it", () => {
    const conf = parseResolvConf(" nameserver 1.1.1.1\nnameserver2.2.2.2\nnameservers 3.3.3.3\n");
    assert.deepEqual(conf.nameservers, []);
  });

  test("lets the last of domain and search win", () => {
    assert.deepEqual(parseResolvConf("domain a.org\nsearch b.org c.org\n").search, [
      "b.org",
      "c.org",
    ]);
    assert.deepEqual(parseResolvConf("search b.org c.org\ndomain a.org x\n").search, ["a.org"]);
    assert.deepEqual(parseResolvConf("search a.org\nsearch \t\n").search, ["a.org"]);
  });

  test("adds up options", () => {
    const conf = parseResolvConf("options ndots:5 edns0\noptions rotate\n");
    assert.deepEqual(conf.options, ["ndots:5", "edns0", "rotate"]);
  });

  test("keeps three name servers, of either version of IP, in order", () => {
    const lines = ["fe80::1%eth0", "1.0.0.1", "fd00::2", "1.0.0.2", "1.0.0.3", "1.0.0.4"];
    const conf = parseResolvConf(lines.map((line) => `nameserver ${line}`).join("\n"));
    assert.deepEqual(conf.nameservers, ["fe80::1%eth0", "1.0.0.1", "fd00::2"]);
    assert.deepEqual(
      conf.warnings,
      ["1.0.0.2", "1.0.0.3", "1.0.0.4"].map(
        (one) => `ignore name server "${one}": only 3 are used`,
      ),
    );
  });

  test("warns of what is no address and of having no server", () => {
    const conf = parseResolvConf("nameserver dns.example\r\nnameserver\nnameserver #\n");
    assert.deepEqual(conf.nameservers, []);
    assert.deepEqual(conf.warnings, [
      'ignore name server "dns.example": not an IP address',
      "find no name server: DNS questions of the guest are answered SERVFAIL",
    ]);
  });

  test("freezes what it gives", () => {
    const conf = parseResolvConf("nameserver 1.1.1.1");
    assert.ok(Object.isFrozen(conf));
    assert.ok(Object.values(conf).every((list) => Object.isFrozen(list)));
  });
});

describe("readIfChanged", () => {
  let directory = "";
  let path = "";

  before(() => {
    directory = mkdtempSync(join(tmpdir(), "resolv-"));
    path = join(directory, "resolv.conf");
  });
  after(() => rmSync(directory, { recursive: true }));

  test("gives the same object back while the file stays the same", () => {
    writeFileSync(path, "nameserver 1.1.1.1\n");
    const first = readIfChanged(path);
    assert.deepEqual(first.conf.nameservers, ["1.1.1.1"]);
    assert.equal(readIfChanged(path, first), first);
  });

  test("sees a change in place, by modification time alone", () => {
    const first = readIfChanged(path);
    writeFileSync(path, "nameserver 2.2.2.2\n");
    utimesSync(path, 1, 1);
    const second = readIfChanged(path, first);
    assert.deepEqual(second.conf.nameservers, ["2.2.2.2"]);
  });

  test("sees another file put in its place with the same time and size", () => {
    const first = readIfChanged(path);
    const other = join(directory, "other");
    writeFileSync(other, "nameserver 3.3.3.3\n");
    utimesSync(other, 1, 1);
    renameSync(other, path);
    assert.deepEqual(readIfChanged(path, first).conf.nameservers, ["3.3.3.3"]);
  });

  test("takes a missing file for an empty one and notices when it comes", () => {
    rmSync(path);
    const missing = readIfChanged(path);
    assert.deepEqual(missing.conf.nameservers, []);
    assert.match(missing.conf.warnings.join(), /ENOENT/);
    assert.equal(readIfChanged(path, missing), missing);
    writeFileSync(path, "nameserver 1.1.1.1\n");
    assert.deepEqual(readIfChanged(path, missing).conf.nameservers, ["1.1.1.1"]);
  });

  test("does not read what is no file", () => {
    const folder = join(directory, "folder");
    mkdirSync(folder);
    const snapshot = readIfChanged(folder);
    assert.match(snapshot.conf.warnings.join(), /not a regular file/);
    assert.equal(readIfChanged(folder, snapshot), snapshot);
  });

  test("does not read what is far too large", () => {
    const huge = join(directory, "huge");
    writeFileSync(huge, "#".repeat((1 << 20) + 1));
    assert.match(readIfChanged(huge).conf.warnings.join(), /larger than 1 MiB/);
  });
});
