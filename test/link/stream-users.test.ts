/** Users of a stream link's peers: real sockets, of this user and of another one. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { chmodSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { describe } from "node:test";
import type { StreamEndpoint } from "../../src/config/endpoint.ts";
import { openStreamListener } from "../../src/link/stream-listener.ts";
import { NamedUsers } from "../../src/link/stream-users.ts";
import { check, EINPROGRESS } from "../../src/sys/errno.ts";
import { EPOLLIN, EPOLLOUT } from "../../src/sys/linux.ts";
import { accept, connectIpv4, connectUnix, openTcp } from "../../src/sys/socket.ts";
import { becomesReady, systemTest, waitFor } from "../sys/support.ts";

const STRANGER = 4711;
const US = process.getuid?.() ?? -1;
/** A socket's file must be reached by others here. */
const PATH = join(tmpdir(), `slirp-users-${process.pid}.sock`);
const PLACES = {
  unix: (): StreamEndpoint => ({ kind: "unix", path: PATH }),
  tcp: (): StreamEndpoint => ({ kind: "tcp", address: 0x7f000001, port: 0 }),
} as const;
/** Connects to where the argument says, and stays. */
const CLIENT = `
const { connect } = require("node:net");
const [path, port] = process.argv.slice(1);
connect(path === "" ? { host: "127.0.0.1", port: Number(port) } : { path });
`;

for (const kind of ["unix", "tcp"] as const) {
  describe(`users of a ${kind} link`, () => {
    systemTest("know us, from both ends", [], (sys) => {
      const listener = openStreamListener(sys, PLACES[kind]());
      const { endpoint } = listener;
      const users = new NamedUsers(sys, kind, [US]);
      let client: number;
      if (endpoint.kind === "unix") client = check(connectUnix(sys, endpoint.path), "Connect");
      else {
        client = check(openTcp(sys), "Open");
        const result = connectIpv4(sys, client, endpoint.address, endpoint.port);
        assert.ok(result === 0 || result === -EINPROGRESS);
        waitFor(sys, client, EPOLLOUT);
      }
      const from = { address: 0, port: 0 };
      // Before it is accepted, as a link that connects asks.
      assert.equal(users.ofListener(client, endpoint), US);
      const server = check(accept(sys, listener.fd, from), "Accept");
      assert.equal(users.of(server, from), US);
      assert.equal(users.allows(US), true);
      assert.equal(new NamedUsers(sys, kind, []).allows(0), false, "root has to be named, too");
      users.close();
      listener.close();
      const again = new NamedUsers(sys, kind, [US]);
      assert.equal(again.ofListener(client, endpoint), US, "who has accepted, and listens no more");
      again.close();
      for (const fd of [client, server]) sys.close(fd);
    });

    systemTest("know a stranger", ["root"], async (sys) => {
      const listener = openStreamListener(sys, PLACES[kind]());
      const { endpoint } = listener;
      if (endpoint.kind === "unix") chmodSync(endpoint.path, 0o666);
      const users = new NamedUsers(sys, kind, [US, 107]);
      const target = endpoint.kind === "unix" ? [endpoint.path] : ["", `${endpoint.port}`];
      const command = ["--reuid", `${STRANGER}`, "--clear-groups", "node", "-e", CLIENT, ...target];
      const child = spawn("setpriv", command, { stdio: "ignore" });
      await becomesReady(sys, listener.fd, EPOLLIN);
      const from = { address: 0, port: 0 };
      const server = check(accept(sys, listener.fd, from), "Accept");
      const uid = users.of(server, from);
      child.kill();
      assert.equal(uid, STRANGER);
      assert.equal(users.allows(uid), false);
      users.close();
      sys.close(server);
      listener.close();
    });
  });
}
