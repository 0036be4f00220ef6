/** Echoes through an upstream: what is one, what comes back, bounds. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { type Ping, PingSocket } from "../../src/network/ping-socket.ts";

const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
const TO = { address: "192.0.2.1", port: 0 };
const HEADER = [0, 0, 0x12, 0x34, 0, 1]; // code, checksum and so on
const request = (type: number, ...data: number[]): Uint8Array =>
  Uint8Array.of(type, 0, ...HEADER, ...data);

function opened(ping: Ping, family: 4 | 6 = 4) {
  const told: string[] = [];
  const events = { readable: () => void told.push("readable"), refused: () => {} };
  return { told, socket: new PingSocket(ping, family, events) };
}

describe("ping socket", () => {
  for (const [family, type, reply] of [
    [4, 8, 0],
    [6, 128, 129],
  ] as const) {
    test(`a reply has the header of its request, IPv${family}`, async () => {
      const { socket, told } = opened(async (_address, data) => data, family);
      assert.equal(socket.send(request(type, 1, 2, 3), TO), true);
      assert.equal(socket.receive(), undefined);
      await settled();
      assert.deepEqual(told, ["readable"]);
      assert.deepEqual(socket.receive(), { from: TO, payload: request(reply, 1, 2, 3) });
    });
  }

  test("what is no echo, lost or late brings nothing", async () => {
    const answers = [Promise.resolve(undefined), Promise.reject(new Error("lost"))];
    const { socket, told } = opened(() => answers.shift() ?? Promise.resolve(Uint8Array.of(1)));
    assert.equal(socket.send(request(0), TO), false);
    assert.equal(socket.send(Uint8Array.of(8, 0, 0), TO), false);
    for (let i = 0; i < 3; i += 1) assert.equal(socket.send(request(8), TO), true);
    socket.close();
    await settled();
    assert.deepEqual(told, []);
    assert.equal(socket.receive(), undefined);
  });

  test("64 wait, replies that nobody takes among them", async () => {
    let asked = 0;
    const { socket } = opened(async (_address, data) => {
      asked += 1;
      return data;
    });
    for (let i = 0; i < 300; i += 1) {
      socket.send(request(8), TO);
      await settled();
    }
    assert.equal(asked, 64);
    assert.ok(socket.receive());
    assert.equal(socket.send(request(8), TO), true);
    assert.equal(socket.send(request(8), TO), false);
  });
});
