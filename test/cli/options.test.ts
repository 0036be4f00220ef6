/**
 * The command line. Goal: arguments and variables together, help, and the one line that bad usage
 * gives. Every option has its own test in `test/config`. The process is left alone.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { parseCommandLine } from "../../src/cli/options.ts";
import { ATTACH_ROWS, type AttachOptions } from "../../src/config/attach.ts";
import { DEMO_ROWS } from "../../src/config/demo.ts";
import { MANIFESTS_ROWS } from "../../src/config/manifests.ts";
import type { Environment, OptionRow } from "../../src/config/option.ts";
import { SERVE_ROWS } from "../../src/config/serve.ts";
import { SIMULATE_ROWS } from "../../src/config/simulate.ts";
import { describeOf, errorOf, parse } from "./support.ts";

/** Options of `attach --tap tap0` with more arguments or variables. */
function attach(more: readonly string[], env: Environment = {}): AttachOptions {
  const command = parse(["attach", "--tap", "tap0", ...more], env);
  if (command.kind !== "attach") throw new assert.AssertionError({ message: describeOf(command) });
  return command.options;
}

describe("arguments and environment together", () => {
  test("an argument wins over its variable", () => {
    assert.equal(attach(["--mtu", "1500"], { SLIRP_MTU: "9000" }).network.mtu, 1500);
    assert.equal(attach(["--mtu", "1500"], { SLIRP_MTU: "nonsense" }).network.mtu, 1500);
    assert.deepEqual(attach(["--dns", "1.1.1.1"], { SLIRP_DNS: "2.2.2.2" }).dns.servers, [
      "1.1.1.1",
    ]);
  });

  test("the last of several arguments counts where one is wanted", () => {
    assert.equal(attach(["--mtu", "1500", "--mtu", "1400"]).network.mtu, 1400);
  });

  test("repeatable options keep all, in order", () => {
    const more = ["--dns", "1.1.1.2", "--dns", "1.1.1.1", "--search", "b.org", "--search", "a.org"];
    const options = attach([...more, "--publish", "81-82:1", "--publish", "80:3/udp"]);
    assert.deepEqual(options.dns.servers, ["1.1.1.2", "1.1.1.1"]);
    assert.deepEqual(options.dns.search, ["b.org", "a.org"]);
    assert.deepEqual(
      options.publish.rules.map((rule) => `${rule.hostPort}:${rule.guestPort}/${rule.protocol}`),
      ["81:1/tcp", "80:3/udp"],
    );
  });

  test("their variables separate values by commas", () => {
    const options = attach([], {
      SLIRP_DNS: "1.1.1.2, 1.1.1.1,",
      SLIRP_PUBLISH: "8080:80,5353:53/udp",
      SLIRP_SEARCH: ",",
    });
    assert.deepEqual(options.dns.servers, ["1.1.1.2", "1.1.1.1"]);
    assert.equal(options.publish.rules.length, 2);
    assert.deepEqual(options.dns.search, []);
  });

  test("variables of nobody's are left alone", () => {
    attach([], { SLIRP_PORT: "tcp://10.0.0.1:80", SLIRP_SERVICE_HOST: "10.0.0.1", PATH: "/bin" });
  });
});

describe("help and version", () => {
  for (const argv of [["--help"], ["-h"], ["help"]]) {
    test(`${argv.join(" ")} prints the program's help`, () => {
      const command = parse(argv);
      assert.ok(command.kind === "help");
      assert.match(command.text, /^Usage: slirp-binding COMMAND/);
      for (const name of ["attach", "serve", "doctor", "ui", "manifests", "demo", "simulate"]) {
        assert.match(command.text, new RegExp(`^ {2}${name} `, "m"));
      }
      assert.match(command.text, /onDefineDomain --vmi JSON --domain XML/);
      assert.doesNotMatch(command.text, /internal/);
    });
  }

  for (const argv of [
    ["attach", "--help"],
    ["attach", "-h"],
    ["help", "attach"],
  ]) {
    test(`${argv.join(" ")} prints every option of attach`, () => {
      const command = parse(argv);
      assert.ok(command.kind === "help");
      for (const row of ATTACH_ROWS) assert.ok(command.text.includes(`--${row.name} `), row.name);
      assert.match(command.text, /Coming from slirp4netns:/);
      assert.match(command.text, /Coming from pasta:/);
      assert.ok(command.text.endsWith("\n") && !command.text.endsWith("\n\n"));
      for (const line of command.text.split("\n")) assert.ok(line.length <= 100, line);
    });
  }

  const others: readonly (readonly [string, readonly OptionRow[]])[] = [
    ["serve", SERVE_ROWS],
    ["manifests", MANIFESTS_ROWS],
    ["demo", DEMO_ROWS],
    ["simulate", SIMULATE_ROWS],
  ];
  for (const [name, rows] of others) {
    test(`${name} --help prints every option of ${name}`, () => {
      const command = parse([name, "--help"]);
      assert.ok(command.kind === "help");
      for (const { name: option, isVariableOnly } of rows) {
        assert.equal(command.text.includes(`--${option} `), isVariableOnly !== true, option);
      }
      for (const line of command.text.split("\n")) assert.ok(line.length <= 100, line);
    });
  }

  test("help comes before complaints about options", () => {
    assert.equal(parse(["attach", "--mtu", "1", "--help"]).kind, "help");
  });

  test("--version and -V ask for the version", () => {
    assert.deepEqual(parse(["--version"]), { kind: "version" });
    assert.deepEqual(parse(["-V"]), { kind: "version" });
  });
});

describe("bad usage is one line", () => {
  const choose =
    'choose a command: "attach", "run", "serve", "doctor", "ui", "manifests", "demo", "replay", ' +
    '"simulate", "instances", "flows", "top", "stats", "events", "drops", "log", "log-level", ' +
    '"publish", "capture", "completion", "man", ' +
    'or see "slirp-binding --help"';
  const cases: readonly (readonly [readonly string[], string])[] = [
    [[], choose],
    [["help", "nothing"], "read arguments: unknown command 'nothing'"],
    [["help", "atach"], "read arguments: unknown command 'atach' (Did you mean attach?)"],
    [["attch"], "read arguments: unknown command 'attch' (Did you mean attach?)"],
    [["--nothing"], "read arguments: unknown option '--nothing'"],
    [["attach"], 'choose one of "--tap", "--listen", "--connect" and "--vhost-user": none given'],
    [["attach", "--tap"], "read arguments: option '--tap <NAME>' argument missing"],
    [["attach", "--tapp", "a"], "read arguments: unknown option '--tapp' (Did you mean --tap?)"],
    [["attach", "--vnet"], "read arguments: unknown option '--vnet' (Did you mean --no-vnet?)"],
    [
      ["attach", "tap0"],
      "read arguments: too many arguments for 'attach'. Expected 0 arguments but got 1",
    ],
    [["attach", "--x\n\u001b[2J"], "read arguments: unknown option '--x \\u{1b}[2J'"],
  ];
  for (const [argv, message] of cases) {
    test(JSON.stringify(argv), () => {
      assert.equal(errorOf(argv), message);
    });
  }
});

test("without being told, the format of the log follows standard error", () => {
  const command = parseCommandLine(["attach", "--tap", "t"], {});
  assert.ok(command.kind === "attach");
  assert.ok(["json", "pretty"].includes(command.options.log.format));
});
