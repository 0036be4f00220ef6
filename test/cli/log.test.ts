/** The log of a running program: followed, and its level set, in both threads and at once. */
import assert from "node:assert/strict";
import { connect } from "node:net";
import { describe } from "node:test";
import { type AdminCalls, adminClient } from "../../src/admin/client.ts";
import { LogLevel } from "../../src/admin/gen/slirp_binding/admin/v1/admin_pb.js";
import { systemTest } from "../sys/support.ts";
import { READY_FD, withProgram } from "./support.ts";

async function checkLog(calls: AdminCalls, vm: string): Promise<void> {
  assert.equal((await calls.setLogLevel({ level: LogLevel.DEBUG })).previous, LogLevel.ERROR);
  assert.equal((await calls.getLogLevel({})).level, LogLevel.DEBUG);
  const guest = connect(vm);
  const found: Record<string, string>[] = [];
  for await (const { text, lost } of calls.watchLog({ backlog: 256 })) {
    assert.equal(lost, 0);
    found.push(JSON.parse(text));
    if (found.at(-1)?.["msg"] === "guest connected") break;
  }
  guest.destroy();
  const [first] = found;
  assert.deepEqual([first?.["pos"], first?.["msg"]], ["main", "log level changed"]);
  assert.equal(found.at(-1)?.["pos"], "worker");
}

describe("the log of a program", () => {
  systemTest("a program at level error tells all at debug, from both threads", [], () =>
    withProgram(async (program) => {
      const [vm, admin] = [program.path("vm.sock"), program.path("admin.sock")];
      const link = ["--listen", `unix:${vm}`, "--admin", `unix:${admin}`];
      const quiet = ["--log-level", "error", "--log-format", "json", "--ready-fd", READY_FD];
      program.start(["attach", ...link, ...quiet]);
      await program.ready();
      const client = adminClient(admin);
      try {
        await checkLog(client.calls, vm);
      } finally {
        client.close();
      }
      program.signal("SIGTERM");
      const { code, stderr } = await program.outcome();
      assert.equal(code, 0);
      assert.match(stderr, /"msg":"guest connected"/);
      assert.doesNotMatch(stderr, /"msg":"ready"/);
    }),
  );
});
