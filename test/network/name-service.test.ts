/** Questions over TCP: cut as they come, answered as they are ready, bounded. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { isResolver, NameSocket, NameStream, RESOLVER } from "../../src/network/name-service.ts";
import { END } from "../../src/network/upstream.ts";

const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

function stream(resolve: (question: Uint8Array) => Promise<Uint8Array>) {
  const told: string[] = [];
  const events = {
    connected: () => void told.push("connected"),
    readable: () => void told.push("readable"),
    writable: () => void told.push("writable"),
    failed: (code: string) => void told.push(code),
  };
  return { told, names: new NameStream(resolve, events) };
}

/** As long as the header of a message, which is the least. */
const SIZE = 12;
const whole = (text: string): string => text.padEnd(SIZE, ".");

const framed = (text: string): Uint8Array =>
  Uint8Array.from([0, SIZE, ...new TextEncoder().encode(whole(text))]);

function receive(names: NameStream, size = 100): string | number {
  const piece = new Uint8Array(size);
  const count = names.receive([piece]);
  return count > 0 ? new TextDecoder().decode(piece.subarray(0, count)) : count;
}

describe("name service over TCP", () => {
  test("messages are put together from pieces of any size", async () => {
    const asked: string[] = [];
    const { names } = stream(async (question) => {
      asked.push(new TextDecoder().decode(question));
      return question;
    });
    const octets = [...framed("one"), ...framed("two"), ...framed("three")];
    for (const octet of octets) assert.equal(names.send([Uint8Array.of(octet)]), 1);
    await settled();
    assert.deepEqual(asked, ["one", "two", "three"].map(whole));
    assert.equal(receive(names, 3), "\0\fo");
    // What fills less than there is room for says that nothing is left (`TcpSocket.receive`).
    assert.equal(
      receive(names),
      `${whole("one").slice(1)}\0\f${whole("two")}\0\f${whole("three")}`,
    );
    assert.equal(receive(names), 0);
  });

  test("the end comes after the last answer", async () => {
    const { names, told } = stream(async (question) => question);
    names.send([framed("a")]);
    names.shutdown();
    assert.equal(receive(names), 0);
    await settled();
    assert.equal(receive(names), `\0\f${whole("a")}`);
    assert.equal(told.at(-1), "readable");
    assert.equal(receive(names), END);
  });

  test("answers that nobody takes have the rest wait", async () => {
    let asked = 0;
    const size = 10_000;
    const { names } = stream(async () => {
      asked += 1;
      return new Uint8Array(size);
    });
    const questions = Array.from({ length: 300 }, () => framed("q"));
    names.send(questions);
    await settled();
    assert.ok(asked >= 64 && asked < 80, `${asked} were asked`);
    let octets = 0;
    for (let got = 1; got > 0; octets += got) {
      got = names.receive([new Uint8Array(size)]);
      await settled();
      assert.ok(asked * size <= octets + 80 * size);
    }
    assert.equal(octets, 300 * (size + 2));
  });

  test("64 questions wait at most; the rest is asked when there is room", async () => {
    let release: () => void = () => {};
    const gate = new Promise<void>((resolve) => {
      release = resolve;
    });
    let asked = 0;
    const { names } = stream(async (question) => {
      asked += 1;
      await gate;
      return question;
    });
    const many = Array.from({ length: 100 }, () => framed("q"));
    assert.equal(names.send(many), 100 * (2 + SIZE));
    assert.equal(asked, 64);
    release();
    await settled();
    assert.equal(asked, 100);
  });

  test("what is too much is not taken, until there is room", async () => {
    const { names, told } = stream(() => new Promise(() => {}));
    const large = new Uint8Array(70_000).fill(255); // one message, and a part of the next
    for (let i = 0; i < 64; i += 1) names.send([framed("q")]);
    assert.equal(names.send([large]), 70_000);
    assert.equal(names.send([large]), 0);
    assert.equal(told.includes("writable"), false);
  });

  test("a question that fails ends the connection", async () => {
    const { names, told } = stream(() => Promise.reject(new Error("offline")));
    names.send([framed("a")]);
    await settled();
    assert.deepEqual(told.slice(0, 2), ["connected", "ECONNRESET"]);
  });

  test("what is shorter than a header ends the connection, and what follows is not read", () => {
    let asked = 0;
    const { names, told } = stream(async (question) => {
      asked += 1;
      return question;
    });
    const zeros = new Uint8Array(60_000);
    assert.equal(names.send([framed("q"), zeros]), 2 + SIZE + zeros.length);
    assert.deepEqual(told, ["connected", "ECONNRESET"]);
    assert.equal(asked, 1);
  });

  test("after its end nothing is told", async () => {
    const { names, told } = stream(async (question) => question);
    names.send([framed("a")]);
    names.close();
    await settled();
    assert.deepEqual(told, ["connected"]);
  });
});

describe("name service over UDP", () => {
  test("answers that nobody takes leave no room for questions", async () => {
    let asked = 0;
    const names = new NameSocket(
      async (question) => {
        asked += 1;
        return question;
      },
      { readable: () => {}, refused: () => {} },
    );
    for (let i = 0; i < 300; i += 1) {
      names.send(Uint8Array.of(i & 0xff));
      await settled();
    }
    assert.equal(asked, 64);
    assert.ok(names.receive());
    assert.equal(names.send(Uint8Array.of(1)), true);
    assert.equal(names.send(Uint8Array.of(1)), false);
  });

  test("answers that are too long, late or more than 64 at a time are none", async () => {
    const told: string[] = [];
    const events = { readable: () => void told.push("readable"), refused: () => {} };
    const long = new NameSocket(async () => new Uint8Array(65_536), events);
    long.send(Uint8Array.of(1));
    const waiting = new NameSocket(() => new Promise(() => {}), events);
    for (let i = 0; i < 64; i += 1) assert.equal(waiting.send(Uint8Array.of(i)), true);
    assert.equal(waiting.send(Uint8Array.of(1)), false);
    const late = new NameSocket(async (question) => question, events);
    late.send(Uint8Array.of(1));
    late.close();
    await settled();
    assert.deepEqual(told, []);
    assert.equal(late.receive(), undefined);
  });

  test("it is known by address and port", () => {
    assert.equal(isResolver(RESOLVER), true);
    assert.equal(isResolver({ ...RESOLVER, port: 54 }), false);
  });
});
