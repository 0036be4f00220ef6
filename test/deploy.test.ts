/**
 * `deploy/` is what `slirp-binding manifests` prints, a file for each document. A difference is
 * mended by printing anew: `slirp-binding manifests --only KIND >deploy/KIND.yaml`. And what the
 * guide for admins quotes of the program exists: errors, variables, annotations, files.
 */

import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { describe, test } from "node:test";
import { SERVE_ROWS } from "../src/config/serve.ts";
import { derivePlans } from "../src/hooks/domain/plan.ts";
import { readVmi } from "../src/hooks/domain/vmi.ts";
import { messageOf } from "../src/lib/message.ts";
import { contextOf, fixture, MEMORY } from "./support/hook-fixtures.ts";
import { MANIFEST_KINDS } from "./support/manifest-kinds.ts";
import { network, Stage } from "./support/networks-stage.ts";

const FOLDER = new URL("../deploy/", import.meta.url);

test("deploy has no manifest that is not printed", () => {
  // What Prometheus' operator wants is no resource of KubeVirt's: test/metrics/deploy.test.ts.
  const files = readdirSync(FOLDER).filter((file) => /^(?!podmonitor\b).*\.yaml$/.test(file));
  assert.deepEqual(files.sort(), MANIFEST_KINDS.map((kind) => `${kind}.yaml`).sort());
});

describe("docs/kubevirt.md", () => {
  const guide = readFileSync(new URL("../docs/kubevirt.md", import.meta.url), "utf8");
  const section = (title: string): string =>
    guide.split(/^## /m).find((each) => each.startsWith(`${title}\n`)) ?? "";
  const POD = { podNetworks: [{ address: 0x0a00_0000, prefixLength: 16 }] };

  type Fields = Readonly<Record<string, unknown>>;

  /** Refusals of a usual VM with these fields in its interface, or with these annotations. */
  function plans(fields: Fields, link = "user", annotations: Fields = {}, rest = {}, memory = {}) {
    const root = JSON.parse(fixture("a-user-guide.vmi.json"));
    Object.assign(root.spec.domain.devices.interfaces[0], fields);
    root.metadata.annotations = annotations;
    const env = { SLIRP_LINK: link, SLIRP_ALLOW_ANNOTATIONS: "0" };
    const context = contextOf("a-user-guide", env, rest);
    return derivePlans(readVmi(JSON.stringify(root)), { ...MEMORY, ...memory }, context);
  }

  function ofCase(name: string) {
    return derivePlans(readVmi(fixture(`${name}.vmi.json`)), MEMORY, contextOf(name));
  }

  const REFUSED: readonly (() => unknown)[] = [
    () => ofCase("x-no-networks"),
    () => ofCase("f-secondary-multus"),
    () => ofCase("x-wrong-binding"),
    () => ofCase("x-cidr-no-mask"),
    () => plans({}, "user", {}, POD),
    () => ofCase("x-port-zero"),
    () => plans({ ports: [{ port: 80, protocol: "SCTP" }] }),
    () => plans({ model: "ne2k" }),
    () => plans({ state: "down" }),
    () => plans({ dhcpOptions: { ntpServers: ["192.0.2.1"] } }),
    () => plans({ model: "e1000" }, "vhost-user"),
    () => plans({}, "vhost-user", {}, {}, { obstacle: 'memory access "private": wanted "shared"' }),
    () => plans({ dhcpOptions: { bootFileName: "a\nb" } }),
    async () => {
      const stage = new Stage();
      await stage.networks.prepare([network("slirpnet", 1)]);
      stage.get(0).comes();
      await stage.networks.prepare([network("slirpnet", 2)]);
    },
    () => plans({ ports: [{ port: 28500 }] }, "client"),
    () => plans({}, "user", { "slirp.network.kubevirt.io/link": "user" }),
  ];

  test("quotes the refusals word for word, and no others", async () => {
    const [, table = ""] = section("When it does not work").split("\n| text | mend |\n");
    const quoted = [...table.matchAll(/^\| `([^`]+)` \|/gm)].map(([, text]) => text);
    const found: string[] = [];
    for (const work of REFUSED) {
      try {
        await work();
      } catch (error) {
        found.push(messageOf(error));
      }
    }
    assert.deepEqual(quoted, found);
  });

  test("names variables and annotations that are read", () => {
    const known = new Set(SERVE_ROWS.map(({ variable }) => variable));
    for (const [name] of guide.matchAll(/\bSLIRP_[A-Z_]+/g)) assert.ok(known.has(name), name);
    for (const name of ["SLIRP_LINK", "SLIRP_GRACE"])
      assert.ok(section("Variables").includes(name));
  });

  test("names files that are there", () => {
    const files = [...guide.matchAll(/deploy\/([a-z]+)\.yaml/g)].map(([, kind = ""]) => kind);
    const kinds: readonly string[] = MANIFEST_KINDS;
    for (const kind of files) assert.ok(kinds.includes(kind), kind);
    assert.ok(new Set(files).size >= 4);
  });
});
