/** Endpoints of stream links: what is taken, what is refused, and back to text. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import {
  formatEndpoint,
  parseConnectEndpoint,
  parseListenEndpoint,
} from "../../src/config/endpoint.ts";

describe("endpoint", () => {
  test("reads what it writes", () => {
    for (const text of [
      "unix:/run/vm.sock",
      "unix:relative:with:colons",
      "unix:@abstract",
      "tcp:127.0.0.1:1",
      "tcp:127.255.0.9:65535",
    ]) {
      assert.equal(formatEndpoint(parseListenEndpoint(text)), text);
      assert.equal(formatEndpoint(parseConnectEndpoint(text)), text);
    }
  });

  test("needs no word in front of what can be nothing else", () => {
    for (const path of ["/run/vm.sock", "./vm.sock", "../vm.sock", "@abstract"]) {
      assert.deepEqual(parseListenEndpoint(path), { kind: "unix", path });
      assert.deepEqual(parseConnectEndpoint(path), { kind: "unix", path });
    }
    assert.equal(formatEndpoint(parseListenEndpoint("127.0.0.1:4711")), "tcp:127.0.0.1:4711");
  });

  test("takes port 0 to listen only", () => {
    const endpoint = { kind: "tcp", address: 0x7f000001, port: 0 };
    assert.deepEqual(parseListenEndpoint("tcp:127.0.0.1:0"), endpoint);
    assert.throws(() => parseConnectEndpoint("tcp:127.0.0.1:0"), /wanted a port from 1 to 65535/);
  });

  test("refuses what is no endpoint", () => {
    for (const [text, problem] of [
      ["", "wanted unix:PATH|tcp:127.0.0.1:PORT"],
      ["vm.sock", "wanted unix:PATH|tcp:127.0.0.1:PORT"],
      ["udp:127.0.0.1:1", "wanted unix:PATH|tcp:127.0.0.1:PORT"],
      ["tcp:127.0.0.1", "wanted unix:PATH|tcp:127.0.0.1:PORT"],
      ["tcp:localhost:1", "wanted unix:PATH|tcp:127.0.0.1:PORT"],
      ["tcp:::1:1", "wanted unix:PATH|tcp:127.0.0.1:PORT"],
      ["tcp:127.0.0.1:65536", "wanted a port from 1 to 65535"],
      ["tcp:10.0.0.1:1", "wanted a loopback address such as 127.0.0.1"],
      ["tcp:0.0.0.0:1", "wanted a loopback address such as 127.0.0.1"],
      ["unix:", "wanted the path of a socket"],
      ["unix:@", "wanted the path of a socket"],
      ["unix:a\0b", "wanted the path of a socket"],
      [`unix:${"a".repeat(108)}`, "wanted a path of at most 107 octets, not 108"],
      [`unix:${"ä".repeat(54)}`, "wanted a path of at most 107 octets, not 108"],
    ] as const) {
      assert.throws(() => parseListenEndpoint(text), { name: "ConfigError", message: problem });
    }
    assert.equal(parseListenEndpoint(`unix:${"a".repeat(107)}`).kind, "unix");
  });
});
