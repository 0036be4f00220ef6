/**
 * Calls of the admin service by its socket, as JSON texts that are passed on as they are.
 *
 * Theory of operation
 *   The page speaks the JSON that Connect makes of the contract, and so does the socket: to read
 *   10,000 flows into messages and to write them again would cost a second for nothing. So this is
 *   Connect's protocol by hand, which is an HTTP request: a call with one answer is a POST of JSON;
 *   one with many has envelopes, 1 octet of flags, 4 octets of length, JSON. The last envelope has
 *   flag 2 and tells the error, if there was one.
 *   https://connectrpc.com/docs/protocol
 *
 *   Nothing is read of the socket before the reader asks for it: who is slow makes the instance
 *   wait, which leaves out, or sums up, what it could not send.
 */
import { type IncomingMessage, request } from "node:http";
import { messageOf } from "../lib/message.ts";

const SERVICE = "/slirp_binding.admin.v1.AdminService/";
/** The program's own limit of a page of flows is far below. */
const MESSAGE_SIZE_MAX = 64 * 1024 * 1024;
const ANSWER_LIMIT_ms = 10_000;
const ENVELOPE_SIZE = 5;
const FLAG_COMPRESSED = 1;
const FLAG_END = 2;

/** A call that the instance refused, or that did not reach it. */
export class CallError extends Error {
  /** Connect's name of it; "unavailable" where the instance does not answer. */
  readonly code: string;

  constructor(code: string, message: string) {
    super(message);
    this.code = code;
  }
}

export interface AdminCalls {
  /** @returns the answer's JSON. @throws CallError */
  call(method: string, body: string, signal: AbortSignal): Promise<string>;
  /** JSON of each message. Throws `CallError`, also where `signal` ended it. */
  stream(method: string, body: string, signal: AbortSignal): AsyncIterable<string>;
}

/** @param socketPath tells where the socket is, anew for each call, since it may come back */
export function adminCalls(socketPath: () => Promise<string>): AdminCalls {
  return {
    async call(method, body, signal) {
      const limit = AbortSignal.any([signal, AbortSignal.timeout(ANSWER_LIMIT_ms)]);
      const path = await findSocket(socketPath);
      const response = await post(path, method, Buffer.from(body), "application/json", limit);
      const text = await textOf(response);
      if (response.statusCode === 200) return text;
      throw readError(text, `the instance answered ${response.statusCode}`);
    },
    async *stream(method, body, signal) {
      const path = await findSocket(socketPath);
      const type = "application/connect+json";
      const response = await post(path, method, enveloped(body), type, signal);
      if (response.statusCode !== 200) {
        throw readError(await textOf(response), `the instance answered ${response.statusCode}`);
      }
      yield* messagesOf(response);
    },
  };
}

async function findSocket(socketPath: () => Promise<string>): Promise<string> {
  try {
    return await socketPath();
  } catch (error) {
    throw new CallError("unavailable", messageOf(error));
  }
}

function post(
  socketPath: string,
  method: string,
  body: Buffer,
  type: string,
  signal: AbortSignal,
): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const headers = {
      host: "localhost",
      "content-type": type,
      "content-length": body.length,
      "connect-protocol-version": "1",
    };
    const path = `${SERVICE}${method}`;
    const asked = request({ socketPath, method: "POST", path, headers, signal, agent: false });
    asked.on("response", resolve);
    asked.on("error", (error) => reject(new CallError("unavailable", messageOf(error))));
    asked.end(body);
  });
}

async function textOf(response: IncomingMessage): Promise<string> {
  const parts: Buffer[] = [];
  let size = 0;
  try {
    for await (const part of response as AsyncIterable<Buffer>) {
      size += part.length;
      if (size > MESSAGE_SIZE_MAX) throw tooLarge();
      parts.push(part);
    }
  } catch (error) {
    throw asCallError(error);
  }
  return Buffer.concat(parts).toString("utf8");
}

async function* messagesOf(response: IncomingMessage): AsyncGenerator<string> {
  let parts: Buffer[] = [];
  let size = 0;
  let wanted = ENVELOPE_SIZE;
  try {
    for await (const part of response as AsyncIterable<Buffer>) {
      parts.push(part);
      size += part.length;
      // Put together once an envelope is whole, not at each part of it.
      while (size >= wanted) {
        const octets =
          parts.length === 1 && parts[0] !== undefined ? parts[0] : Buffer.concat(parts);
        wanted = ENVELOPE_SIZE + octets.readUInt32BE(1);
        if (wanted > MESSAGE_SIZE_MAX) throw tooLarge();
        if (size >= wanted) {
          const text = octets.toString("utf8", ENVELOPE_SIZE, wanted);
          const flags = octets[0] ?? 0;
          parts = [octets.subarray(wanted)];
          size -= wanted;
          wanted = ENVELOPE_SIZE;
          if ((flags & FLAG_COMPRESSED) !== 0) throw new CallError("internal", "compressed answer");
          if ((flags & FLAG_END) !== 0) return checkEnd(text);
          yield text;
        } else {
          parts = [octets];
          break;
        }
      }
    }
  } catch (error) {
    throw asCallError(error);
  } finally {
    response.destroy();
  }
  throw new CallError("unavailable", "the instance ended the connection");
}

function enveloped(body: string): Buffer {
  const octets = Buffer.alloc(ENVELOPE_SIZE + Buffer.byteLength(body));
  octets.writeUInt32BE(octets.length - ENVELOPE_SIZE, 1);
  octets.write(body, ENVELOPE_SIZE, "utf8");
  return octets;
}

function checkEnd(text: string): void {
  const end: unknown = JSON.parse(text);
  if (typeof end !== "object" || end === null || !("error" in end)) return;
  throw readError(JSON.stringify(end.error), "the instance ended the call");
}

/** Of Connect's JSON of an error; `fallback` is what is said where it is none. */
function readError(text: string, fallback: string): CallError {
  try {
    const { code, message } = JSON.parse(text) as Record<string, unknown>;
    if (typeof code === "string") return new CallError(code, String(message ?? code));
  } catch {
    // whatever it was, it was no error of Connect's
  }
  return new CallError("unavailable", fallback);
}

function tooLarge(): CallError {
  return new CallError("internal", `an answer of more than ${MESSAGE_SIZE_MAX} octets`);
}

function asCallError(error: unknown): CallError {
  return error instanceof CallError ? error : new CallError("unavailable", messageOf(error));
}
