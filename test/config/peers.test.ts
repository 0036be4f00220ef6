/** `--peer-uid`: which users it takes, from arguments and from its variable. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { parseCommandLine } from "../../src/cli/options.ts";
import type { Environment } from "../../src/config/option.ts";

/** Users that are allowed with these arguments of `attach`, or the error's message. */
function peersOf(argv: readonly string[], env: Environment = {}): readonly number[] | string {
  const command = parseCommandLine(["attach", ...argv], env, false);
  if (command.kind === "error") return command.message;
  assert.ok(command.kind === "attach");
  const { link } = command.options;
  return link.kind === "stream" ? link.peerUids : [];
}

describe("--peer-uid", () => {
  const listen = ["--listen", "unix:/run/vm.sock"];

  test("names users, one by one or several at once", () => {
    assert.deepEqual(peersOf(listen), []);
    assert.deepEqual(peersOf([...listen, "--peer-uid", "0"]), [0]);
    const several = ["--peer-uid", "107,0", "--peer-uid", "4294967294"];
    assert.deepEqual(peersOf([...listen, ...several]), [107, 0, 4294967294]);
    assert.deepEqual(peersOf(listen, { SLIRP_PEER_UID: "107,0" }), [107, 0]);
  });

  for (const text of ["", "-1", "4294967295", "root", "1,", "0x1"]) {
    test(`is no user: "${text}"`, () => {
      const problem = "wanted an integer from 0 to 4294967294";
      const message = `parse --peer-uid ${JSON.stringify(text)}: ${problem}`;
      assert.equal(peersOf([...listen, `--peer-uid=${text}`]), message);
    });
  }

  test("is refused for too many, and for a tap", () => {
    const many = Array.from({ length: 17 }, (_, i) => i).join();
    const message = 'give "--peer-uid" at most 16 users, not 17';
    assert.equal(peersOf([...listen, "--peer-uid", many]), message);
    const tap = 'leave out "--peer-uid": it is for a socket only';
    assert.equal(peersOf(["--tap", "t", "--peer-uid", "0"]), tap);
  });
});
