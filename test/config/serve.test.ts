/** What `serve` can be told, by argument and by variable, and what it may not. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { ConfigError } from "../../src/config/errors.ts";
import { readVariables } from "../../src/config/option.ts";
import { readServeOptions, SERVE_ROWS, type ServeOptions } from "../../src/config/serve.ts";

type Given = Readonly<Record<string, string>>;

function read(given: Given, env: Given = {}, isTerminal = false): ServeOptions {
  const settings = readVariables(SERVE_ROWS, env);
  for (const [name, text] of Object.entries(given)) {
    settings.set(name, { values: [text], origin: `--${name}` });
  }
  return readServeOptions(settings, isTerminal);
}

describe("options of serve", () => {
  test("all have defaults", () => {
    const options = read({});
    assert.deepEqual(
      { ...options, hooks: options.hooks.link },
      {
        hooks: "auto",
        hooksDir: undefined,
        pluginDir: undefined,
        graceSeconds: 3600,
        abandonSeconds: 300,
        capture: {
          pcap: undefined,
          pcapSnap: 262144,
          pcapLimitMib: undefined,
          record: undefined,
          recordLimitMib: 1024,
        },
        resolvers: { servers: [], port: 53 },
        peerUids: [107],
        limits: { flowsMax: undefined, bufferMib: undefined, tcpIdleSeconds: 7440 },
        hostSide: {
          hostLoopback: false,
          hostAddress: "refuse",
          metadataAddress: "refuse",
          udpPorts: "ephemeral",
          strictFilter: true,
          outbound: { ipv4: undefined, ipv6: undefined, device: undefined },
          strictDf: false,
        },
        rights: { user: undefined, seccomp: true },
        readyFd: undefined,
        metrics: undefined,
        admin: undefined,
        checks: true,
        log: { level: "info", format: "json" },
      },
    );
    assert.equal(read({}, {}, true).log.format, "pretty");
    assert.ok(Object.isFrozen(options) && Object.isFrozen(options.hooks));
  });

  test("are read", () => {
    const options = read({
      "hooks-dir": "/run/hooks",
      "plugin-dir": "plugins",
      grace: "0",
      "ready-fd": "3",
      "dns-port": "5353",
      dns: "127.0.0.1",
      "host-loopback": "true",
      "peer-uid": "0",
      "pcap-snap": "256",
      "pcap-limit": "4",
      record: "/run/vm.rec",
      "record-limit": "64",
      "log-level": "debug",
      "log-format": "pretty",
    });
    assert.equal(options.hooksDir, "/run/hooks");
    assert.equal(options.pluginDir, "plugins");
    assert.equal(options.graceSeconds, 0);
    assert.equal(options.readyFd, 3);
    assert.deepEqual(options.resolvers.servers, ["127.0.0.1"]);
    assert.equal(options.resolvers.port, 5353);
    assert.equal(options.hostSide.hostLoopback, true);
    assert.deepEqual(options.peerUids, [0]);
    assert.equal(options.capture.pcapSnap, 256);
    assert.equal(options.capture.pcapLimitMib, 4);
    assert.deepEqual([options.capture.record, options.capture.recordLimitMib], ["/run/vm.rec", 64]);
    assert.equal(options.log.level, "debug");
    assert.equal(options.log.format, "pretty");
  });

  test("of the hooks come from the environment too, where an argument wins", () => {
    const env = {
      CONTAINER_NAME: "hook-sidecar-2",
      NETWORK_BINDING_PLUGIN_NAME: "mine",
      SLIRP_LINK: "stream",
      SLIRP_CIDR: "10.1.0.0/16",
      SLIRP_MTU: "1400",
      SLIRP_ALLOW_ANNOTATIONS: "0",
      SLIRP_LOOPBACK_PORT: "2000",
    };
    const told = read({}, env).hooks;
    assert.deepEqual(told, {
      bindingName: "mine",
      containerName: "hook-sidecar-2",
      link: "stream",
      allowsAnnotations: false,
      loopbackPort: 2000,
      cidr: "10.1.0.0/16",
      mtu: 1400,
    });
    const asked = { link: "user", cidr: "10.9.0.0/24", mtu: "9000" };
    const unusable = { ...env, SLIRP_LINK: "tin cans", SLIRP_CIDR: "x", SLIRP_MTU: "x" };
    assert.deepEqual(read(asked, unusable).hooks, { ...told, ...asked, mtu: 9000 });
  });

  const wrong: readonly (readonly [Given, string])[] = [
    [{ link: "x" }, 'parse --link "x": wanted one of "auto", "client", "stream", "vhost-user"'],
    [{ cidr: "10.0.0.1/24" }, 'parse --cidr "10.0.0.1/24": '],
    [{ mtu: "100" }, 'parse --mtu "100": wanted an integer from 576 to 65520'],
    [{ grace: "-1" }, 'parse --grace "-1": wanted an integer from 0 to 86400'],
    [{ grace: "86401" }, 'parse --grace "86401": wanted an integer from 0 to 86400'],
    [{ "hooks-dir": "" }, 'parse --hooks-dir "": wanted a path'],
    [{ "plugin-dir": "a\0b" }, 'parse --plugin-dir "a\\u0000b": wanted a path'],
    [{ "ready-fd": "x" }, 'parse --ready-fd "x": wanted an integer from 0 to'],
    [{ "log-level": "loud" }, 'parse --log-level "loud": wanted one of'],
    [{ "log-format": "xml" }, 'parse --log-format "xml": wanted one of'],
  ];
  for (const [given, message] of wrong) {
    test(`${JSON.stringify(given)} is refused`, () => {
      assert.throws(
        () => read(given),
        (error: Error) => error instanceof ConfigError && error.message.startsWith(message),
      );
    });
  }

  test("a wrong variable is blamed by its own name", () => {
    const env = { SLIRP_MTU: "1" };
    assert.throws(() => read({}, env), /^ConfigError: parse SLIRP_MTU "1": wanted an integer/);
  });
});
