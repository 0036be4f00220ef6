/**
 * How long a function that is an HTTP server is given what belongs to a request: its body after the
 * answer, its signal, timers, the place of its connection.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { type FetchServiceOptions, fetchService } from "../../../src/network/web/index.ts";
import { HttpGuest } from "../../support/web/http-guest.ts";
import { FakeHost } from "../../support/web/probe.ts";

const LINGER_US = 10_000_000;
const TURNS_MAX = 1000;
const GET = "GET / HTTP/1.1\r\nhost: web.test\r\n";

type Handler = FetchServiceOptions["fetch"];

function serviceOf(fetch: Handler, host = new FakeHost()) {
  return fetchService({ address: "192.0.2.80", fetch, host });
}

/** A promise that somebody else fulfils. */
function later<T>() {
  let resolve: (value: T | PromiseLike<T>) => void = () => {};
  const promise = new Promise<T>((settle) => {
    resolve = settle;
  });
  return { promise, resolve };
}

/** Looks at it once a turn: for what nobody tells. */
async function turnsUntil(condition: () => boolean): Promise<void> {
  for (let turns = 0; !condition(); turns += 1) {
    assert.ok(turns < TURNS_MAX, "what was to be has not come");
    await new Promise((resolve) => setTimeout(resolve));
  }
}

function post(length: number, more = ""): string {
  return `POST / HTTP/1.1\r\nhost: web.test\r\ncontent-length: ${length}\r\n${more}\r\n`;
}

describe("a body that the handler reads after its answer", () => {
  const BODY = Array.from({ length: 100 }, (_, index) =>
    String.fromCharCode(65 + (index % 26)).repeat(1000),
  ).join("");

  for (const [what, more] of [
    ["another request follows", ""],
    ["none does", "connection: close\r\n"],
  ] as const) {
    test(`is whole, where ${what}`, async () => {
      const got = later<string>();
      const guest = new HttpGuest(
        serviceOf((request) => {
          if (request.method === "POST") got.resolve(request.text());
          return new Response("ok");
        }),
      );
      guest.send(`${post(BODY.length, more)}${BODY.slice(0, 20_000)}`);
      await guest.answers(1, "ok");
      for (let at = 20_000; at < BODY.length; at += 20_000) {
        guest.send(BODY.slice(at, at + 20_000));
        // Whoever reads has taken it before the next one comes.
        await new Promise((resolve) => setTimeout(resolve));
      }
      assert.ok((await got.promise) === BODY);
      if (more === "") await guest.send(`${GET}\r\n`).answers(2, "ok");
      else await guest.until(() => guest.hasEnded);
      assert.equal(guest.isReset, false);
    });
  }

  test("is whole where a clone of the request reads it", async () => {
    const got = later<string>();
    const guest = new HttpGuest(
      serviceOf((request) => {
        got.resolve(request.clone().text());
        return new Response("ok");
      }),
    );
    guest.send(`${post(BODY.length)}${BODY.slice(0, 20_000)}`);
    await guest.answers(1, "ok");
    guest.send(BODY.slice(20_000));
    assert.ok((await got.promise) === BODY);
  });

  test("is refused to one who begins once it was skipped", async () => {
    let kept: Request | undefined;
    const guest = new HttpGuest(
      serviceOf((request) => {
        kept ??= request;
        return new Response("ok");
      }),
    );
    guest.send(`${post(6)}abc`);
    await guest.answers(1, "ok");
    guest.send(`def${GET}\r\n`);
    await guest.answers(2, "ok");
    assert.ok(kept);
    await assert.rejects(kept.text());
  });

  test("is skipped where the handler gives it up", async () => {
    const guest = new HttpGuest(
      serviceOf((request) => {
        const reader = request.body?.getReader();
        reader?.read().then(
          () => reader.cancel(),
          () => {},
        );
        return new Response("ok");
      }),
    );
    guest.send(`${post(6)}abc`);
    await guest.answers(1, "ok");
    await guest.send(`def${GET}\r\n`).answers(2, "ok");
    assert.equal(guest.isReset, false);
  });

  test("is waited for ten seconds where it does not go on", async () => {
    const host = new FakeHost();
    const guest = new HttpGuest(
      serviceOf((request) => {
        request.body?.getReader();
        return new Response("ok");
      }, host),
    );
    guest.send(`${post(6)}abcdef${GET}\r\n`);
    await guest.answers(1, "ok");
    await turnsUntil(() => host.waits.length > 0);
    assert.deepEqual(host.waits, [LINGER_US]);
    host.pass(LINGER_US);
    await guest.until(() => guest.isReset);
    assert.deepEqual(host.waits, []);
    assert.equal(guest.text.split("ok").length, 2);
  });
});

describe("timers of a service", () => {
  test("are gone with a connection that is reset after its last answer", async () => {
    const host = new FakeHost();
    const guest = new HttpGuest(serviceOf(() => new Response("ok"), host));
    guest.send(`${GET}connection: close\r\n\r\n`);
    await guest.until(() => guest.hasEnded);
    await turnsUntil(() => host.waits.length > 0);
    assert.deepEqual(host.waits, [LINGER_US]);
    guest.socket.close(true); // as the network's end has it
    await turnsUntil(() => host.waits.length === 0);
  });

  test("reset a guest that does not end its connection", async () => {
    const host = new FakeHost();
    const guest = new HttpGuest(serviceOf(() => new Response("ok"), host));
    guest.send(`${GET}connection: close\r\n\r\n`);
    await guest.until(() => guest.hasEnded);
    await turnsUntil(() => host.waits.length > 0);
    host.pass(LINGER_US);
    await guest.until(() => guest.isReset);
  });
});

describe("a guest that resets", () => {
  /** Asks, resets once `isDue`, and waits for the service to have done with it. */
  async function resetOne(fetch: Handler, isDue: (guest: HttpGuest) => boolean): Promise<void> {
    const { serve, ...place } = serviceOf(fetch);
    const served = later<unknown>();
    const guest = new HttpGuest({
      ...place,
      serve: (connection, target) => {
        const serving = Promise.resolve(serve(connection, target));
        served.resolve(serving);
        return serving;
      },
    });
    guest.send(`${GET}\r\n`);
    await guest.until(() => isDue(guest));
    await new Promise((resolve) => setTimeout(resolve)); // writes are over, the next one is awaited
    guest.socket.close(true);
    await assert.rejects(served.promise, { name: "ConnectionError" });
  }

  test("has a body that waits for news cancelled, and its signal abort", async () => {
    const cancelled = later<unknown>();
    let signal: AbortSignal | undefined;
    await resetOne(
      (request) => {
        signal = request.signal;
        const start = (controller: ReadableStreamDefaultController): void =>
          controller.enqueue(new TextEncoder().encode("data: 1\n\n"));
        return new Response(new ReadableStream({ start, cancel: cancelled.resolve }));
      },
      ({ text }) => text.includes("data: 1"),
    );
    assert.equal((await cancelled.promise) instanceof Error, true);
    assert.equal(signal?.aborted, true);
  });

  test("does not wait for a handler, whose late answer is cancelled", async () => {
    const cancelled = later<unknown>();
    const answer = later<Response>();
    let signal: AbortSignal | undefined;
    const guest = later<HttpGuest>();
    await resetOne(
      (request) => {
        signal = request.signal;
        guest.promise.then((each) => each.writable());
        return answer.promise;
      },
      (each) => {
        guest.resolve(each);
        return signal !== undefined;
      },
    );
    assert.equal(signal?.aborted, true);
    answer.resolve(new Response(new ReadableStream({ cancel: cancelled.resolve })));
    await cancelled.promise;
  });

  test("gives its place back, while its handler never ends", async () => {
    let calls = 0;
    const service = serviceOf(({ url }) => {
      calls += 1;
      return url.endsWith("/last") ? new Response("ok") : new Promise<Response>(() => {});
    });
    const guests = Array.from({ length: 256 }, () => new HttpGuest(service).send(`${GET}\r\n`));
    await turnsUntil(() => calls === 256);
    for (const guest of guests) guest.socket.close(true);
    await new Promise((resolve) => setTimeout(resolve));
    const last = new HttpGuest(service).send(`${GET.replace("/", "/last")}\r\n`);
    await last.answers(1, "ok");
    assert.match(last.text, /ok/);
  });
});

describe("a body that yields what is no Uint8Array", () => {
  for (const wrong of ["text", "", new ArrayBuffer(4), new Uint16Array(4), 5, null, undefined]) {
    test(`fails its answer alone: ${JSON.stringify(wrong)}`, async () => {
      const cancelled = later<unknown>();
      const octets = new TextEncoder().encode("right");
      const guest = new HttpGuest(
        serviceOf(() => {
          const start = (controller: ReadableStreamDefaultController): void => {
            controller.enqueue(octets);
            controller.enqueue(wrong);
          };
          return new Response(new ReadableStream({ start, cancel: cancelled.resolve }));
        }),
      );
      await guest.send(`${GET}\r\n`).until(() => guest.isReset);
      assert.ok((await cancelled.promise) instanceof TypeError);
    });
  }
});
