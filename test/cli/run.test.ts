/**
 * `run` between its two other processes, which shell scripts play here: what each is told and when,
 * what becomes of its end, and what is left. `run-inside.test.ts` has the real one inside,
 * `test/e2e/run.runtime.test.ts` all of it.
 */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import {
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { connect } from "node:net";
import { constants, tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { describe, test } from "node:test";
import { setImmediate } from "node:timers";
import { tapRequestOf } from "../../src/binding/outer-end.ts";
import { namespaceFlags } from "../../src/cli/namespaces.ts";
import { run } from "../../src/cli/run.ts";
import type { InsideRequest } from "../../src/cli/run-inside.ts";
import { resolvConfOf } from "../../src/cli/run-resolv-conf.ts";
import type { RunOptions } from "../../src/config/run.ts";
import { parse } from "./support.ts";

const LIMIT_ms = 20_000;

/**
 * Plays unshare(1) and the command behind it: writes down its arguments, then ends as it reads in
 * "end", with a code or by a signal. Called to see whether it would work, it does as "probe" says.
 */
const UNSHARE = `#!/bin/sh
stage=\${0%/*}
PATH=/usr/bin:/bin
for last; do :; done
if [ "$last" = true ]; then
  . "$stage/probe"
  exit 0
fi
echo $$ >"$stage/pid"
printf '%s\\n' "$@" >"$stage/inside.new"
mv "$stage/inside.new" "$stage/inside"
read -r end <"$stage/end"
case $end in
  [0-9]*) exit "$end" ;;
  *) kill -s "$end" $$ ;;
esac
`;

/** Plays `attach`: does as "network" says once it has written down what it was told. */
const NETWORK = `#!/bin/sh
stage=\${0%/*}
/usr/bin/env >"$stage/environment"
PATH=/usr/bin:/bin
printf '%s\\n' "$@" >"$stage/told.new"
mv "$stage/told.new" "$stage/told"
. "$stage/network.sh"
echo ended >"$stage/ended"
`;
const READY = 'printf 1; : >"$stage/ready"; cat >/dev/null';
const SILENT = "cat >/dev/null";
const FAILS = "exit 1";
const STUBBORN = 'printf 1; mkfifo "$stage/never"; read -r _ <"$stage/never"';

function optionsOf(...argv: string[]): RunOptions {
  const command = parse(["run", ...argv]);
  assert.ok(command.kind === "run");
  return command.options;
}

async function until<T>(probe: () => T | undefined | false, what: string): Promise<T> {
  for (const end = performance.now() + LIMIT_ms; ; ) {
    const value = probe();
    if (value !== undefined && value !== false) return value;
    if (performance.now() > end) throw new Error(`waited in vain for ${what}`);
    await new Promise((resolve) => setImmediate(resolve));
  }
}

/** What the process inside was told. */
interface Inside {
  readonly argv: readonly string[];
  readonly request: InsideRequest;
}

/** A run in a folder of its own, from which the others are directed. */
class Stage {
  readonly folder = mkdtempSync(join(tmpdir(), "slirp-run-"));
  readonly lines: string[] = [];
  readonly own: readonly string[];
  readonly #end: number;

  constructor({ network = READY, probe = "", own = ["network", "first"] } = {}) {
    const [program = "", ...rest] = own;
    this.own = [this.path(program), ...rest];
    writeFileSync(this.path("unshare"), UNSHARE, { mode: 0o755 });
    writeFileSync(this.path("network.sh"), network);
    writeFileSync(this.path("network"), NETWORK, { mode: 0o755 });
    writeFileSync(this.path("probe"), probe);
    mkdirSync(this.path("bin"));
    writeFileSync(this.path("bin/tool"), "", { mode: 0o755 });
    writeFileSync(this.path("bin/text"), "");
    mkdirSync(this.path("tmp"));
    execFileSync("mkfifo", [this.path("end")]);
    this.#end = openSync(this.path("end"), "r+"); // nobody waits for the other side so
  }

  path(name: string): string {
    return join(this.folder, name);
  }

  /** What a script has written, when it has. */
  read(name: string): string | undefined {
    return existsSync(this.path(name)) ? readFileSync(this.path(name), "utf8") : undefined;
  }

  /** Runs with nothing in PATH but what is played here; the command's own is another one. */
  async run(options: RunOptions, endLimit_ms = 60_000): Promise<number> {
    const { PATH: path = "", TMPDIR: temporary } = process.env;
    process.env["PATH"] = this.folder;
    process.env["TMPDIR"] = this.path("tmp");
    try {
      const err = (line: string): void => void this.lines.push(line);
      const env = { PATH: this.path("bin") };
      return await run(options, env, { own: this.own, endLimit_ms, err });
    } finally {
      process.env["PATH"] = path;
      if (temporary === undefined) delete process.env["TMPDIR"];
      else process.env["TMPDIR"] = temporary;
    }
  }

  /** The process inside, once it is there. */
  async inside(): Promise<Inside> {
    const argv = await until(() => this.read("inside")?.trimEnd().split("\n"), "the one inside");
    return { argv, request: JSON.parse(argv.at(-1) ?? "") };
  }

  /** Comes to the gate as the process inside does; resolves to what it is told there. */
  enter({ folder }: InsideRequest): Promise<string> {
    return new Promise((resolve, reject) => {
      let word = "";
      const socket = connect(join(folder, "gate"));
      socket.on("data", (octets) => {
        word += octets;
      });
      socket.on("error", reject);
      socket.on("end", () => resolve(word));
    });
  }

  /** Has the command end: a code or the name of a signal. */
  end(how: string): void {
    writeSync(this.#end, `${how}\n`);
  }

  remove(): void {
    closeSync(this.#end);
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** Directs a run, and sees that it leaves nothing. */
async function withStage(stage: Stage, play: (stage: Stage) => Promise<void>): Promise<void> {
  const listeners = (): number[] =>
    Object.keys(constants.signals).map((name) => process.listenerCount(name));
  const before = listeners();
  try {
    await play(stage);
    assert.deepEqual(readdirSync(stage.path("tmp")), []);
    const isShut = (): boolean => !readFileSync("/proc/net/unix", "utf8").includes(stage.folder);
    await until(isShut, "the gate to be shut");
    assert.deepEqual(listeners(), before);
  } finally {
    stage.end("KILL");
    stage.remove();
  }
}

describe("run", () => {
  test("the command gets the network that is there, and its code is told", () =>
    withStage(new Stage(), async (stage) => {
      const options = optionsOf("--mtu", "1400", "--map-root", "--no-ipv6", "--", "tool", "-x");
      const running = stage.run(options);
      const { argv, request } = await stage.inside();
      const flags = namespaceFlags(true);
      assert.deepEqual(argv.slice(0, -1), [...flags, "--", ...stage.own, "internal-run"]);
      assert.deepEqual(request.command, ["tool", "-x"]);
      const { link, network } = options.attach;
      assert.ok(link.kind === "tap");
      assert.deepEqual(request.tap, JSON.parse(JSON.stringify(tapRequestOf(network, link))));
      assert.deepEqual(readdirSync(request.folder).sort(), ["etc", "gate"]);
      const conf = readFileSync(join(request.folder, "etc/resolv.conf"), "utf8");
      assert.equal(conf, resolvConfOf(options.attach));
      assert.equal(stage.read("told"), undefined, "no network before there is a namespace");
      const word = stage.enter(request);
      await until(() => !existsSync(request.folder), "the folder to go");
      const told = await until(() => stage.read("told"), "the network");
      const netns = `--netns=${stage.read("pid")?.trim()}`;
      const given = ["attach", "--exit-fd=0", "--ready-fd=1", ...options.attachArguments, netns];
      assert.deepEqual(told.trimEnd().split("\n"), ["first", ...given]);
      assert.equal(await word, "1");
      const names = stage.read("environment")?.match(/^\w+(?==)/gm) ?? [];
      assert.deepEqual(
        names.filter((name) => !["OLDPWD", "PWD", "SHLVL", "_"].includes(name)),
        ["PATH"],
      );
      assert.equal(stage.read("ended"), undefined);
      stage.end("7");
      assert.equal(await running, 7);
      assert.equal(stage.read("ended"), "ended\n");
      assert.deepEqual(stage.lines, []);
    }));

  test("a command that a signal ends, one that we were sent", () =>
    withStage(new Stage(), async (stage) => {
      const running = stage.run(optionsOf("tool"));
      const word = stage.enter((await stage.inside()).request);
      assert.equal(await word, "1");
      process.kill(process.pid, "SIGUSR2");
      assert.equal(await running, 128 + constants.signals.SIGUSR2);
    }));

  test("a network that ends instead keeps the command out", async () => {
    for (const [end, code] of [
      ["0", 125],
      ["TERM", 143],
    ] as const) {
      await withStage(new Stage({ network: FAILS }), async (stage) => {
        const running = stage.run(optionsOf("tool"));
        assert.equal(await stage.enter((await stage.inside()).request), "");
        stage.end(end);
        assert.equal(await running, code);
      });
    }
  });

  test("a network that cannot be started does so, too", () =>
    withStage(new Stage({ own: ["missing"] }), async (stage) => {
      const running = stage.run(optionsOf("tool"));
      assert.equal(await stage.enter((await stage.inside()).request), "");
      stage.end("125");
      assert.equal(await running, 125);
    }));

  test("a process inside that ends while the network begins has had none", () =>
    withStage(new Stage({ network: SILENT }), async (stage) => {
      const running = stage.run(optionsOf("tool"));
      const word = stage.enter((await stage.inside()).request);
      await until(() => stage.read("told"), "the network");
      stage.end("3");
      assert.equal(await word, "");
      assert.equal(await running, 125);
      assert.equal(stage.read("ended"), "ended\n");
    }));

  test("a process inside that no longer listens is waited for all the same", () =>
    withStage(new Stage(), async (stage) => {
      const running = stage.run(optionsOf("tool"));
      const { folder } = (await stage.inside()).request;
      const socket = connect(join(folder, "gate"));
      await new Promise<void>((resolve) => socket.once("connect", resolve));
      socket.destroy();
      await until(() => stage.read("ready") !== undefined, "the network");
      // Time to be told of it, and to find that nobody is to be told.
      for (let turn = 0; turn < 20; turn += 1) await new Promise((next) => setImmediate(next));
      stage.end("5");
      assert.ok([5, 125].includes(await running));
    }));

  test("a process inside that ends before it is there says why itself", () =>
    withStage(new Stage(), async (stage) => {
      const running = stage.run(optionsOf("tool"));
      await stage.inside();
      stage.end("9");
      assert.equal(await running, 9);
      assert.equal(stage.read("told"), undefined);
      assert.deepEqual(stage.lines, []);
    }));

  test("a network that does not end is ended", () =>
    withStage(new Stage({ network: STUBBORN }), async (stage) => {
      const running = stage.run(optionsOf("tool"), 20);
      assert.equal(await stage.enter((await stage.inside()).request), "1");
      stage.end("0");
      assert.equal(await running, 0);
      assert.equal(stage.read("ended"), undefined);
    }));
});

describe("what cannot be run, in a line", () => {
  const cases: readonly (readonly [string, string, string, number, RegExp])[] = [
    ["no such command", "none", "", 127, /^slirp-binding: run "none": there is no such command\n$/],
    ["no program", "text", "", 126, /^slirp-binding: run "text": permission denied\n$/],
    [
      "no namespaces",
      "tool",
      "echo unshare: no room >&2; exit 1",
      125,
      /^slirp-binding: make namespaces: no room; .*\n$/,
    ],
    ["unshare goes", "tool", 'rm "$0"', 125, /^slirp-binding: .*(?:unshare|ENOENT|not found).*\n$/],
  ];
  for (const [name, command, probe, code, line] of cases) {
    test(name, () =>
      withStage(new Stage({ probe }), async (stage) => {
        assert.equal(await stage.run(optionsOf(command)), code);
        assert.equal(stage.lines.length, 1);
        assert.match(stage.lines[0] ?? "", line);
        assert.deepEqual([stage.read("inside"), stage.read("told")], [undefined, undefined]);
      }),
    );
  }
});

test("resolv.conf names what the network answers at, search list and options of outside", () => {
  const textOf = (outside: string, ...argv: string[]): string =>
    resolvConfOf(optionsOf(...argv, "true").attach, outside);
  const outside = "nameserver 192.0.2.1\nsearch c.d e.f\noptions ndots:2 edns0\n";
  assert.equal(textOf(""), "nameserver 10.0.2.3\nnameserver fd10:0:2::3\n");
  assert.equal(
    textOf(outside, "--no-ipv6", "--cidr", "192.168.5.0/24"),
    "nameserver 192.168.5.3\nsearch c.d e.f\noptions ndots:2 edns0\n",
  );
  assert.equal(
    textOf(outside, "--no-ipv4", "--search", "a.b"),
    "nameserver fd10:0:2::3\nsearch a.b\noptions ndots:2 edns0\n",
  );
  assert.match(resolvConfOf(optionsOf("true").attach), /^nameserver 10\.0\.2\.3\n/);
});
