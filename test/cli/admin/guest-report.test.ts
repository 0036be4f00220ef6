/**
 * `doctor --guest-report`: the script run in a real guest, a namespace with a tap, and what it says
 * compared with what the program that serves it has seen; then again with what is wrong in it.
 */
import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { describe } from "node:test";
import { ownCommand } from "../../../src/cli/program.ts";
import { netnsPath, systemTest, withNetns } from "../../sys/support.ts";
import { type Program, READY_FD, withProgram } from "../support.ts";

function call(args: readonly string[]): { readonly status: number | null; readonly text: string } {
  const [file = "", ...rest] = [...ownCommand(), "doctor", ...args];
  const { status, stdout, stderr } = spawnSync(file, rest, { encoding: "utf8" });
  return { status, text: `${stdout}${stderr}` };
}

function inGuest(netns: string, ...command: string[]): void {
  execFileSync("ip", ["netns", "exec", netns, ...command]);
}

/** What the guest says, in a file. */
function said(program: Program, netns: string): string {
  const script = call(["--in-guest", "--mtu", "1400"]).text;
  const shell = ["netns", "exec", netns, "sh", "-s", "localhost"];
  const { stdout } = spawnSync("ip", shell, { input: script, encoding: "utf8" });
  const file = program.path("said.txt");
  writeFileSync(file, stdout);
  return file;
}

describe("doctor --guest-report", () => {
  systemTest("finds what is wrong in the guest, and what mends it does", ["root", "tun"], () =>
    withNetns((netns) =>
      withProgram(async (program) => {
        const admin = `unix:${program.path("admin.sock")}`;
        const tap = ["--tap", "tap7", "--netns", netnsPath(netns), "--configure"];
        const rest = ["--mtu", "1400", "--dns", "127.0.0.1", "--ready-fd", READY_FD];
        program.start(["attach", ...tap, ...rest, "--admin", admin]);
        await program.ready();
        inGuest(netns, "ping", "-c", "1", "10.0.2.2");
        const compare = () => call(["--guest-report", said(program, netns), "--admin", admin]);
        const well = compare().text;
        for (const line of ["address: 10.0.2.15", "gateway is 52:", "MTU: 1400"]) {
          assert.ok(well.includes(line), well);
        }
        inGuest(netns, "ip", "link", "set", "tap7", "mtu", "9000");
        inGuest(netns, "ip", "addr", "del", "10.0.2.15/24", "dev", "tap7");
        inGuest(netns, "ip", "addr", "add", "10.0.2.77/24", "dev", "tap7");
        inGuest(netns, "ip", "route", "replace", "default", "via", "10.0.2.9", "dev", "tap7");
        const { status, text } = compare();
        assert.equal(status, 1, text);
        assert.match(text, /^warning +the guest has 10\.0\.2\.77, its lease is 10\.0\.2\.15$/m);
        assert.match(
          text,
          /^error +the guest's default route leads to 10\.0\.2\.9, not 10\.0\.2\.2$/m,
        );
        assert.match(text, /^ +mend: ip link set tap7 mtu 1400$/m);
        program.signal("SIGTERM");
        await program.outcome();
      }),
    ),
  );

  systemTest("says what a report is, and that there is nobody to ask", [], () =>
    withProgram(async (program) => {
      const file = program.path("said.txt");
      writeFileSync(file, "report mtu=1500\n");
      const nobody = call(["--guest-report", file, "--admin", `unix:${program.path("none.sock")}`]);
      assert.equal(nobody.status, 3, nobody.text);
    }),
  );
});
