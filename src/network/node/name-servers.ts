/**
 * Questions to the name servers of this machine, as they are: by UDP, and by TCP where the answer
 * is too long for that.
 *
 * Each question has a socket of its own, connected to the server, so its port is of the kernel's
 * choice and nobody else's answer gets in; an answer counts when it has the question's number and
 * the question itself (RFC 5452 §9.1). The servers are asked one after the other.
 *
 * Source: RFC 1035 §4.1.1, §4.2; RFC 7766 §5, §8.
 */
import { createSocket } from "node:dgram";
import { connect, isIP, isIPv6 } from "node:net";
import { joined } from "../../upstream/messages.ts";
import { HEADER_SIZE, isAnswer, isTruncated, readU16 } from "../dns-message.ts";
import type { Endpoint } from "../upstream.ts";

/** How long one server has for its answer, and how often it is asked by UDP. */
const PATIENCE_MS = 2000;
const DNS_PORT = 53;
const PORT_MAX = 0xffff;
const LENGTH_SIZE = 2;

/**
 * A server as Node writes it: `192.0.2.1`, `192.0.2.1:5353`, `2001:db8::1`, `[2001:db8::1]:5353`.
 * Throws `RangeError`.
 */
export function serverOf(text: string): Endpoint {
  if (isIPv6(text)) return { address: text, port: DNS_PORT };
  const match = /^(?:\[([^\]]+)\]|([^:]+))(?::(\d+))?$/.exec(text);
  const address = match?.[1] ?? match?.[2] ?? "";
  const port = Number(match?.[3] ?? DNS_PORT);
  if (isIP(address) === 0 || port < 1 || port > PORT_MAX) {
    throw new RangeError(`"${text}" is no address of a name server`);
  }
  return { address, port };
}

/**
 * Has a question answered by the first of these servers that does.
 * @param stop ends the wait
 * @throws Error where none answers
 */
export async function askServers(
  question: Uint8Array,
  servers: readonly Endpoint[],
  stop: AbortSignal,
): Promise<Uint8Array> {
  if (question.length < HEADER_SIZE) throw new RangeError("a question is shorter than its header");
  let cause: unknown;
  for (const server of servers) {
    try {
      const answer = await byUdp(question, server, stop);
      if (!isTruncated(answer)) return answer;
      return await byTcp(question, server, stop).catch(() => answer);
    } catch (error) {
      cause = error;
      if (stop.aborted) break;
    }
  }
  throw new Error("no name server has answered", { cause });
}

/** One exchange, which is over when `done` is called, with time, or by `stop`. */
function exchange(
  stop: AbortSignal,
  begin: (done: (result: Uint8Array | Error) => void) => () => void,
): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    let isDone = false;
    let end = (): void => {};
    const done = (result: Uint8Array | Error): void => {
      if (isDone) return;
      isDone = true;
      clearTimeout(timer);
      stop.removeEventListener("abort", halt);
      end();
      if (result instanceof Error) reject(result);
      else resolve(result);
    };
    const halt = (): void => done(new Error("the network has ended"));
    const timer = setTimeout(() => done(new Error("no answer in time")), PATIENCE_MS);
    try {
      end = begin(done);
      if (isDone) end();
    } catch (error) {
      done(new Error("cannot ask a name server", { cause: error }));
    }
    if (stop.aborted) halt();
    else stop.addEventListener("abort", halt, { once: true });
  });
}

function byUdp(question: Uint8Array, server: Endpoint, stop: AbortSignal): Promise<Uint8Array> {
  return exchange(stop, (done) => {
    const socket = createSocket(isIPv6(server.address) ? "udp6" : "udp4");
    socket.on("error", done);
    socket.on("message", (answer) => {
      if (isAnswer(answer, question)) done(answer);
    });
    let isOpen = true;
    // Without a way to the server Node calls this with an error and emits none.
    socket.connect(server.port, server.address, (error?: Error) => {
      if (error) done(error);
      else if (isOpen) socket.send(question);
    });
    return () => {
      isOpen = false;
      socket.removeAllListeners("message");
      socket.removeAllListeners("error").on("error", () => {});
      socket.close();
    };
  });
}

function byTcp(question: Uint8Array, server: Endpoint, stop: AbortSignal): Promise<Uint8Array> {
  return exchange(stop, (done) => {
    const socket = connect({ host: server.address, port: server.port });
    let heard: Uint8Array<ArrayBuffer> = new Uint8Array(0);
    socket.on("error", done);
    socket.on("end", () => done(new Error("the name server has hung up")));
    socket.on("data", (chunk: Uint8Array) => {
      heard = joined([heard, chunk]);
      const size = readU16(heard, 0);
      if (heard.length < LENGTH_SIZE + size) return;
      const answer = heard.slice(LENGTH_SIZE, LENGTH_SIZE + size);
      done(isAnswer(answer, question) ? answer : new Error("the answer is to something else"));
    });
    socket.write(joined([Uint8Array.of(question.length >> 8, question.length & 0xff), question]));
    return () => {
      socket.removeAllListeners().on("error", () => {});
      socket.destroy();
    };
  });
}
