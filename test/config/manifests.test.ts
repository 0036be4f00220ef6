/**
 * Options of `manifests`. Goal: defaults, and that no text gets through that YAML or a shell would
 * read as something else. Method: tables of texts taken and refused.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import packageJson from "../../package.json" with { type: "json" };
import { ConfigError } from "../../src/config/errors.ts";
import { readManifestOptions } from "../../src/config/manifests.ts";
import type { Setting } from "../../src/config/settings.ts";
import { MANIFEST_KINDS } from "../support/manifest-kinds.ts";

function settings(given: Readonly<Record<string, string | readonly string[]>>) {
  return new Map<string, Setting>(
    Object.entries(given).map(([name, value]) => [
      name,
      { values: typeof value === "string" ? [value] : value, origin: `--${name}` },
    ]),
  );
}

function read(given: Readonly<Record<string, string | readonly string[]>>) {
  return readManifestOptions(settings(given));
}

test("without settings all documents with the usual names are meant", () => {
  assert.deepEqual(read({}), {
    image: `registry.example/slirp-binding:${packageJson.version}`,
    name: "slirp",
    kubevirt: "kubevirt",
    namespace: "kubevirt",
    sysctls: false,
    only: ["kubevirt", "gate", "resources", "nad", "vm"],
  });
  assert.ok(Object.isFrozen(read({})));
});

test("documents asked for keep their order, and each comes once", () => {
  assert.deepEqual(read({ only: ["vm", "kubevirt", "vm"] }).only, ["kubevirt", "vm"]);
  for (const kind of MANIFEST_KINDS) assert.deepEqual(read({ only: kind }).only, [kind]);
  assert.throws(() => read({ only: "pod" }), ConfigError);
});

const DIGEST = `sha256:${"0123456789abcdef".repeat(4)}`;

describe("images", () => {
  const taken = [
    "slirp",
    "slirp-binding:1.0",
    "quay.io/kubevirt/network-slirp-binding:v1.1.0",
    "registry:5000/kubevirt/network-slirp-binding:devel",
    "localhost/a__b/c.d",
    `quay.io/a/b@${DIGEST}`,
    `quay.io:443/a/b:Tag_1.2-x@${DIGEST}`,
    "[fd00::1]:5000/slirp",
  ];
  for (const image of taken) {
    test(`takes "${image}"`, () => assert.equal(read({ image }).image, image));
  }
  const refused = [
    "",
    " ",
    "a b",
    "a\n  evil: true",
    "a: b",
    "a #b",
    "Upper/Case:x",
    "quay.io/Upper",
    "a:",
    ":a",
    "a@sha256:12",
    "a//b",
    "/a",
    "a/",
    "a:b:c",
    "https://quay.io/a",
    "a'b",
    'a"b',
    "a$(id)",
    "a;b",
    `a/${"b".repeat(520)}`,
  ];
  for (const image of refused) {
    test(`refuses ${JSON.stringify(image.slice(0, 40))}`, () => {
      assert.throws(() => read({ image }), {
        name: "ConfigError",
        message:
          `parse --image ${JSON.stringify(image)}: ` +
          'wanted an image such as "registry.example/slirp-binding:1.0"',
      });
    });
  }

  test("a text made to keep a careless pattern busy is refused at once", () => {
    const began_ms = performance.now();
    for (const part of ["a-", "a_", "a.", "a/", "-", "a:"]) {
      assert.throws(() => read({ image: `${part.repeat(200)}!` }), ConfigError);
    }
    assert.ok(performance.now() - began_ms < 1000);
  });
});

describe("names", () => {
  for (const option of ["name", "kubevirt", "namespace"]) {
    for (const text of ["a", "0", "my-slirp", "1e3", "true", "a".repeat(63)]) {
      test(`--${option} takes "${text.slice(0, 10)}"`, () => {
        const options: Readonly<Record<string, unknown>> = { ...read({ [option]: text }) };
        assert.equal(options[option], text);
      });
    }
    for (const text of ["", "A", "-a", "a-", "a.b", "a b", "a/b", "a\n", "ä", "a".repeat(64)]) {
      test(`--${option} refuses ${JSON.stringify(text.slice(0, 10))}`, () => {
        assert.throws(() => read({ [option]: text }), ConfigError);
      });
    }
  }
});
