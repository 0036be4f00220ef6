/** What the hooks' environment says, and what it may not. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { ConfigError } from "../../src/config/errors.ts";
import { readExternalDataPlane, readHookSettings } from "../../src/config/hook-settings.ts";

describe("settings", () => {
  test("have defaults, for empty variables as well", () => {
    const defaults = {
      bindingName: "slirp",
      containerName: undefined,
      link: "auto",
      allowsAnnotations: true,
      loopbackPort: 28500,
      cidr: "10.0.2.0/24",
      mtu: undefined,
    };
    assert.deepEqual(readHookSettings({}), defaults);
    const empty = {
      CONTAINER_NAME: "",
      SLIRP_LINK: "",
      SLIRP_MTU: "",
      SLIRP_ALLOW_ANNOTATIONS: "",
    };
    assert.deepEqual(readHookSettings(empty), defaults);
    assert.ok(Object.isFrozen(readHookSettings({})));
  });

  test("are read", () => {
    const env = {
      NETWORK_BINDING_PLUGIN_NAME: "my.slirp-2",
      CONTAINER_NAME: "hook-sidecar-3",
      SLIRP_LINK: "vhost-user",
      SLIRP_ALLOW_ANNOTATIONS: "off",
      SLIRP_LOOPBACK_PORT: "65279",
      SLIRP_CIDR: "10.7.0.0/16",
      SLIRP_MTU: "576",
      OTHER: "x",
    };
    assert.deepEqual(readHookSettings(env), {
      bindingName: "my.slirp-2",
      containerName: "hook-sidecar-3",
      link: "vhost-user",
      allowsAnnotations: false,
      loopbackPort: 65279,
      cidr: "10.7.0.0/16",
      mtu: 576,
    });
  });

  const wrong: readonly (readonly [string, string, string])[] = [
    ["NETWORK_BINDING_PLUGIN_NAME", "a/b", "wanted a name of Kubernetes"],
    ["CONTAINER_NAME", "../x", "wanted a name of Kubernetes"],
    ["CONTAINER_NAME", "A", "wanted a name of Kubernetes"],
    ["SLIRP_LINK", "tap", 'wanted one of "auto", "client", "stream", "vhost-user", "user"'],
    ["SLIRP_ALLOW_ANNOTATIONS", "maybe", 'wanted "1" or "0"'],
    ["SLIRP_LOOPBACK_PORT", "80", "wanted an integer from 1024 to 65279"],
    ["SLIRP_LOOPBACK_PORT", "65280", "wanted an integer from 1024 to 65279"],
    ["SLIRP_CIDR", "10.0.2.1/24", 'host bits are set, the network is "10.0.2.0/24"'],
    ["SLIRP_MTU", "9", "wanted an integer from 576 to 65520"],
  ];
  for (const [name, value, problem] of wrong) {
    test(`${name} "${value}" is refused`, () => {
      const message = `parse ${name} "${value}": ${problem}`;
      assert.throws(() => readHookSettings({ [name]: value }), { name: "ConfigError", message });
    });
  }
});

describe("an external data plane", () => {
  test("is there when somebody says so", () => {
    assert.equal(readExternalDataPlane({}), false);
    assert.equal(readExternalDataPlane({ SLIRP_EXTERNAL_DATA_PLANE: "" }), false);
    assert.equal(readExternalDataPlane({ SLIRP_EXTERNAL_DATA_PLANE: "0" }), false);
    assert.equal(readExternalDataPlane({ SLIRP_EXTERNAL_DATA_PLANE: "Yes" }), true);
    assert.throws(() => readExternalDataPlane({ SLIRP_EXTERNAL_DATA_PLANE: "2" }), ConfigError);
  });
});
