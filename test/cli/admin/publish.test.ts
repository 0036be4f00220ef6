/** `publish`: what is listed, added and removed, and what is told where a rule is refused. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Code, ConnectError } from "@connectrpc/connect";
import { publish } from "../../../src/cli/admin/publish.ts";
import { readPublish } from "../../../src/config/steer.ts";
import { settingsOf } from "../../config/support.ts";
import { stage } from "./support.ts";

const PORT = {
  network: "tap0",
  protocol: "tcp",
  hostAddress: "127.0.0.1",
  hostPort: 8080,
  guestPort: 80,
  isListening: true,
};

test("ports are listed with where they lead", async () => {
  const ports = [PORT, { ...PORT, guestAddress: "10.0.2.9", isAdded: true, isListening: false }];
  const at = stage({ listPublished: () => ({ ports }) });
  await publish(readPublish(settingsOf({})), at);
  assert.deepEqual(
    at.output.lines.map((line) => line.split(/ {2,}/)),
    [
      ["PROTOCOL", "HOST", "GUEST", "STATE", "FLOWS", "SINCE", "INTERFACE"],
      ["tcp", "127.0.0.1:8080", "port 80", "listening", "0", "start", "tap0"],
      ["tcp", "127.0.0.1:8080", "10.0.2.9:80", "no guest", "0", "added", "tap0"],
    ],
  );
});

test("rules are carried out in their order, and what was done is told", async () => {
  const added: string[] = [];
  const at = stage({
    addPublished: ({ rule, network }) => {
      added.push(`${network} ${rule}`);
      if (rule.startsWith("81")) throw new ConnectError("port in use", Code.FailedPrecondition);
      return { ports: [PORT] };
    },
  });
  const given = { action: "add", rule: ["8080:80", "81:81", "82:82"], interface: "tap0" };
  await assert.rejects(publish(readPublish(settingsOf({ ...given, json: "true" })), at), /in use/);
  assert.deepEqual(added, ["tap0 8080:80", "tap0 81:81"]);
  assert.deepEqual(at.output.records, [
    {
      network: "tap0",
      protocol: "tcp",
      host_address: "127.0.0.1",
      host_port: 8080,
      guest_address: "",
      guest_port: 80,
      is_added: false,
      is_listening: true,
      flows: 0,
    },
  ]);
});

test("what was removed is told, and that there is nothing", async () => {
  const at = stage({
    removePublished: () => ({ ports: [PORT] }),
    listPublished: () => ({}),
  });
  await publish(readPublish(settingsOf({ action: "remove", rule: "8080" })), at);
  assert.match(at.output.text, /127\.0\.0\.1:8080/);
  await publish(readPublish(settingsOf({ action: "list" })), at);
  assert.deepEqual(at.notes, ["removed:", "no published ports"]);
});
