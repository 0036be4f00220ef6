/** `readLink`: which link, by argument and by variable. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { Environment } from "../../src/config/option.ts";
import { describeOf, errorOf, parse, variable } from "../cli/support.ts";

describe("links", () => {
  const linkOf = (argv: readonly string[], env: Environment = {}): unknown => {
    const command = parse(["attach", ...argv], env);
    assert.ok(command.kind === "attach", describeOf(command));
    return command.options.link;
  };
  const unix = { kind: "stream", peerUids: [], endpoint: { kind: "unix", path: "/run/vm.sock" } };
  const tcp = {
    kind: "stream",
    peerUids: [],
    endpoint: { kind: "tcp", address: 0x7f000001, port: 4711 },
  };

  test("--listen and --connect take a stream socket", () => {
    for (const role of ["listen", "connect"] as const) {
      assert.deepEqual(linkOf([`--${role}`, "unix:/run/vm.sock"]), { ...unix, role });
      assert.deepEqual(linkOf([`--${role}=tcp:127.0.0.1:4711`]), { ...tcp, role });
      const env = { [variable(role)]: "unix:/run/vm.sock" };
      assert.deepEqual(linkOf([], env), { ...unix, role });
    }
  });

  test("--vhost-user and --vhost-user-connect take the path of a unix socket", () => {
    const endpoint = { kind: "unix", path: "/run/vm.sock" };
    for (const [name, role] of [
      ["vhost-user", "listen"],
      ["vhost-user-connect", "connect"],
    ] as const) {
      const wanted = { kind: "vhost-user", role, endpoint, peerUids: [7] };
      const peers = ["--peer-uid", "7"];
      assert.deepEqual(linkOf([`--${name}`, "/run/vm.sock", ...peers]), wanted);
      assert.deepEqual(linkOf([`--${name}`, "unix:/run/vm.sock", ...peers]), wanted);
      assert.deepEqual(linkOf(peers, { [variable(name)]: "/run/vm.sock" }), wanted);
      assert.match(errorOf(["attach", `--${name}`, ""]), /wanted the path of a socket/);
      const long = "a".repeat(108);
      assert.match(errorOf(["attach", `--${name}`, long]), /of at most 107 octets, not 108/);
      const tap = ["attach", `--${name}`, "/a", "--netns", "1"];
      assert.equal(errorOf(tap), 'leave out "--netns": it is for a tap only');
    }
  });

  test("one of them has to be chosen", () => {
    const line = 'choose one of "--tap", "--listen", "--connect" and "--vhost-user": ';
    assert.equal(errorOf(["attach"]), `${line}none given`);
    const both = ["attach", "--tap", "t", "--listen", "unix:/a"];
    assert.equal(errorOf(both), `${line}--tap and --listen given`);
    const mixed = { SLIRP_CONNECT: "unix:/a" };
    assert.equal(errorOf(["attach", "--tap=t"], mixed), `${line}--tap and SLIRP_CONNECT given`);
  });

  test("what is for a tap is refused with a stream", () => {
    const stream = ["attach", "--listen", "unix:/a"];
    for (const [flag, env] of [
      [["--netns", "1"], { SLIRP_NETNS: "1" }],
      [["--configure"], { SLIRP_CONFIGURE: "1" }],
      [["--no-vnet"], { SLIRP_NO_VNET: "1" }],
    ] as const) {
      const line = (origin: string): string => `leave out "${origin}": it is for a tap only`;
      assert.equal(errorOf([...stream, ...flag]), line(flag[0]));
      assert.equal(errorOf(stream, env), line(Object.keys(env)[0] ?? ""));
    }
    assert.equal(parse(stream, { SLIRP_CONFIGURE: "0", SLIRP_NO_VNET: "no" }).kind, "attach");
  });

  test("a wrong endpoint is told of in one line", () => {
    assert.match(errorOf(["attach", "--listen", "tcp:0.0.0.0:1"]), /"tcp:.*1": wanted a loopback /);
    assert.match(errorOf(["attach", "--connect", "tcp:127.0.0.1:0"]), /wanted a port from 1 to/);
  });
});
