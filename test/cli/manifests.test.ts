/**
 * `manifests`. Goal: every document parses as YAML, also as the YAML 1.1 of `kubectl`, and holds
 * the fields that KubeVirt, Kubernetes and Multus read, with the values asked for, whatever these
 * look like. Method: the text is read back; a merge patch is applied to a resource that has more
 * in it.
 */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, test } from "node:test";
import fc from "fast-check";
import { parseAllDocuments } from "yaml";
import packageJson from "../../package.json" with { type: "json" };
import { MANIFESTS_EPILOGUE } from "../../src/cli/epilogues.ts";
import { manifests } from "../../src/cli/manifests.ts";
import {
  MANIFESTS_ROWS,
  type ManifestKind,
  type ManifestOptions,
  readManifestOptions,
} from "../../src/config/manifests.ts";
import { MANIFEST_KINDS } from "../support/manifest-kinds.ts";

const IMAGE_DEFAULT = `registry.example/slirp-binding:${packageJson.version}`;
const DEFAULTS = readManifestOptions(new Map());
const SEED = 20260729;
const YAML_VERSIONS = ["1.1", "1.2"] as const;

type Json = { readonly [key: string]: Json } & { readonly [index: number]: Json };

function parse(text: string, version: (typeof YAML_VERSIONS)[number] = "1.1"): Json[] {
  const documents = parseAllDocuments(text, { version, strict: true, uniqueKeys: true });
  assert.ok(Array.isArray(documents));
  return documents.map((document) => {
    assert.deepEqual([...document.errors, ...document.warnings], []);
    return document.toJS() as Json;
  });
}

function print(only: ManifestKind, more: Partial<ManifestOptions> = {}): string {
  return manifests({ ...DEFAULTS, ...more, only: [only] });
}

function read(only: ManifestKind, more: Partial<ManifestOptions> = {}): Json {
  const [document, ...others] = parse(print(only, more));
  assert.equal(others.length, 0);
  assert.ok(document !== undefined);
  return document;
}

/** JSON Merge Patch (RFC 7396 §2). */
function merge(target: unknown, patch: unknown): unknown {
  if (typeof patch !== "object" || patch === null || Array.isArray(patch)) return patch;
  const isObject = typeof target === "object" && target !== null && !Array.isArray(target);
  const result: Record<string, unknown> = isObject ? { ...target } : {};
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) delete result[key];
    else result[key] = merge(result[key], value);
  }
  return result;
}

describe("all documents", () => {
  test("are those of deploy/, with nothing asked for", () => {
    for (const kind of MANIFEST_KINDS) {
      const file = new URL(`../../deploy/${kind}.yaml`, import.meta.url);
      assert.equal(readFileSync(file, "utf8"), print(kind), kind);
    }
  });

  test("come in order, separated, and end with one line end", () => {
    const text = manifests(DEFAULTS);
    const kinds = parse(text).map((document) => document["kind"] ?? document[0]?.["op"]);
    assert.deepEqual(kinds, [
      "KubeVirt",
      "add",
      "KubeVirt",
      "NetworkAttachmentDefinition",
      "VirtualMachine",
    ]);
    assert.equal(text, MANIFEST_KINDS.map((kind) => print(kind)).join("---\n"));
    assert.match(text, /[^\n]\n$/);
    for (const line of text.split("\n")) assert.ok(line.length <= 100, line);
    assert.doesNotMatch(text, /[ \t]$|\t/m);
  });

  test("mean the same in both versions of YAML", () => {
    for (const kind of MANIFEST_KINDS) {
      const [old, now] = YAML_VERSIONS.map((version) => parse(print(kind), version));
      assert.deepEqual(old, now);
    }
  });

  test("each begins with a comment and says how it is applied", () => {
    for (const kind of MANIFEST_KINDS) {
      assert.match(print(kind), /^# /);
      assert.match(print(kind), /^# {2,3}kubectl (?:patch|apply) /m);
      assert.ok(print(kind).includes(`${kind}.yaml`), kind);
    }
  });
});

describe("the registration", () => {
  test("holds image and migration, and names the KubeVirt resource", () => {
    assert.deepEqual(read("kubevirt"), {
      apiVersion: "kubevirt.io/v1",
      kind: "KubeVirt",
      metadata: { name: "kubevirt", namespace: "kubevirt" },
      spec: {
        configuration: {
          network: { binding: { slirp: { sidecarImage: IMAGE_DEFAULT, migration: {} } } },
        },
      },
    });
    assert.equal(DEFAULTS.image, IMAGE_DEFAULT);
  });

  test("takes the names asked for, in the command as well", () => {
    const more = { name: "net", kubevirt: "kv", namespace: "cnv", image: "quay.io/a/b:1" };
    const { metadata, spec } = read("kubevirt", more);
    assert.deepEqual(metadata, { name: "kv", namespace: "cnv" });
    const binding = spec?.["configuration"]?.["network"]?.["binding"];
    assert.deepEqual(binding, { net: { sidecarImage: "quay.io/a/b:1", migration: {} } });
    for (const kind of ["kubevirt", "gate", "resources"] as const) {
      assert.match(print(kind, more), /kubectl patch kubevirt kv --namespace cnv /);
    }
  });

  test("as a merge patch it keeps other plugins and everything else", () => {
    const there = {
      metadata: { name: "kubevirt", namespace: "kubevirt", labels: { a: "b" } },
      spec: {
        imagePullPolicy: "Always",
        configuration: {
          developerConfiguration: { featureGates: ["A"] },
          network: {
            defaultNetworkInterface: "bridge",
            binding: { passt: { sidecarImage: "p" }, slirp: { sidecarImage: "old" } },
          },
        },
      },
    };
    const patched = merge(there, read("kubevirt")) as typeof there;
    const { network, ...rest } = patched.spec.configuration;
    assert.deepEqual(rest, { developerConfiguration: { featureGates: ["A"] } });
    assert.deepEqual(network, {
      defaultNetworkInterface: "bridge",
      binding: {
        passt: { sidecarImage: "p" },
        slirp: { sidecarImage: IMAGE_DEFAULT, migration: {} },
      },
    });
    assert.deepEqual(patched.metadata, there.metadata);
    assert.equal(patched.spec.imagePullPolicy, "Always");
  });

  test("with sysctls it names the NetworkAttachmentDefinition that is printed", () => {
    const spec = read("kubevirt", { sysctls: true })["spec"];
    const plugin = spec?.["configuration"]?.["network"]?.["binding"]?.["slirp"];
    const { metadata } = read("nad", { sysctls: true });
    const name = `${metadata?.["namespace"]}/${metadata?.["name"]}`;
    assert.equal(plugin?.["networkAttachmentDefinition"], name);
    assert.deepEqual(plugin?.["migration"], {});
    for (const sysctls of [true, false]) assert.ok(print("nad", { sysctls }).includes(name));
    assert.doesNotMatch(print("kubevirt"), /networkAttachmentDefinition/);
  });
});

test("the feature gate is added to the list by a JSON patch", () => {
  assert.deepEqual(read("gate"), [
    {
      op: "add",
      path: "/spec/configuration/developerConfiguration/featureGates/-",
      value: "NetworkBindingPlugins",
    },
  ]);
});

test("sidecars get resources within quantities of Kubernetes", () => {
  const { metadata, spec } = read("resources");
  assert.deepEqual(metadata, { name: "kubevirt", namespace: "kubevirt" });
  assert.deepEqual(spec?.["configuration"], {
    supportContainerResources: [
      {
        type: "sidecar",
        resources: {
          requests: { cpu: "50m", memory: "96Mi" },
          limits: { cpu: "500m", memory: "256Mi" },
        },
      },
    ],
  });
});

test("the NetworkAttachmentDefinition holds the CNI configuration as JSON", () => {
  const { apiVersion, kind, spec } = read("nad");
  assert.equal(apiVersion, "k8s.cni.cncf.io/v1");
  assert.equal(kind, "NetworkAttachmentDefinition");
  assert.deepEqual(JSON.parse(String(spec?.["config"])), {
    cniVersion: "1.0.0",
    name: "slirp-sysctls",
    plugins: [{ type: "kubevirt-passt-binding" }],
  });
});

test("the virtual machine has the binding, a port and all that its parts refer to", () => {
  const { apiVersion, kind, spec } = read("vm", { name: "net" });
  assert.deepEqual([apiVersion, kind], ["kubevirt.io/v1", "VirtualMachine"]);
  const inner = spec?.["template"]?.["spec"];
  assert.deepEqual(inner?.["networks"], [{ name: "slirpnet", pod: {} }]);
  const devices = inner?.["domain"]?.["devices"];
  assert.deepEqual(devices?.["interfaces"], [
    { name: "slirpnet", binding: { name: "net" }, ports: [{ name: "http", port: 80 }] },
  ]);
  const names = (list: unknown): unknown[] => (list as { name: string }[]).map(({ name }) => name);
  assert.deepEqual(names(devices?.["disks"]), names(inner?.["volumes"]));
  const cloudInit = inner?.["volumes"]?.[1]?.["cloudInitNoCloud"]?.["networkData"];
  const [networkData] = parse(String(cloudInit));
  assert.deepEqual(networkData, { version: 2, ethernets: { eth0: { dhcp4: true } } });
});

test("names and images of every allowed form come back as the same text", () => {
  const label = fc.oneof(
    fc.stringMatching(/^[a-z0-9]([a-z0-9-]{0,20}[a-z0-9])?$/),
    fc.constantFrom("true", "no", "on", "y", "null", "1", "007", "1e3", "0x1f", "12-1", "e3"),
  );
  const image = fc.oneof(
    label,
    fc.tuple(label, label).map(([path, tag]) => `${path}:${tag}`),
    fc.tuple(label, label).map(([host, path]) => `${host}.example:5000/${path}`),
  );
  const options = fc.record({ name: label, kubevirt: label, namespace: label, image });
  const property = fc.property(options, (more) => {
    for (const version of YAML_VERSIONS) {
      const [registration] = parse(print("kubevirt", more), version);
      assert.deepEqual(registration?.["metadata"], {
        name: more.kubevirt,
        namespace: more.namespace,
      });
      const binding = registration?.["spec"]?.["configuration"]?.["network"]?.["binding"];
      assert.deepEqual(binding, { [more.name]: { sidecarImage: more.image, migration: {} } });
      const [vm] = parse(print("vm", more), version);
      const devices = vm?.["spec"]?.["template"]?.["spec"]?.["domain"]?.["devices"];
      assert.equal(devices?.["interfaces"]?.[0]?.["binding"]?.["name"], more.name);
    }
  });
  fc.assert(property, { seed: SEED, numRuns: 300 });
});

test("the help names every document", () => {
  for (const kind of MANIFEST_KINDS)
    assert.match(MANIFESTS_EPILOGUE, new RegExp(`^  ${kind} `, "m"));
  for (const line of MANIFESTS_EPILOGUE.split("\n")) assert.ok(line.length <= 100, line);
  const names = MANIFESTS_ROWS.map(({ name }) => name).sort();
  assert.deepEqual(names, Object.keys(DEFAULTS).sort());
});
