/**
 * virt-launcher's manners with a client that nobody here wrote: @grpc/grpc-js, a connection of its
 * own for every call, authority `localhost`, a deadline.
 */
import { connect, type Socket } from "node:net";
import * as grpc from "@grpc/grpc-js";

export const INFO = "/kubevirt.hooks.info.Info/Info";
export const MUTATE_DOMAIN = "/kubevirt.hooks.plugins.v1alpha1.DomainHookService/MutateDomain";
export const HEALTH_CHECK = "/grpc.health.v1.Health/Check";
export const HEALTH_WATCH = "/grpc.health.v1.Health/Watch";

export const EMPTY = Buffer.alloc(0);
/** Frames that begin every connection of a client: preface and empty SETTINGS. */
export const CLIENT_PREFACE = Buffer.from(
  `PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n${"\0".repeat(3)}\x04${"\0".repeat(5)}`,
  "latin1",
);

const DEADLINE_ms = 20_000;

export interface CallOptions {
  readonly deadline_ms?: number;
  /** Replaces the authority; grpc-go's is `localhost`. */
  readonly authority?: string;
  readonly metadata?: Readonly<Record<string, string>>;
  readonly compress?: boolean;
}

const raw = (bytes: Buffer): Buffer => bytes;

/** Path of a method of the callbacks: `callback("v1alpha3", "Shutdown")`. */
export function callback(version: string, method: string): string {
  return `/kubevirt.hooks.${version}.Callbacks/${method}`;
}

/** A client with a connection that it shares with no other. */
export function openClient(socket: string, options: CallOptions = {}): grpc.Client {
  return new grpc.Client(`unix:${socket}`, grpc.credentials.createInsecure(), {
    "grpc.use_local_subchannel_pool": 1,
    "grpc.default_authority": options.authority ?? "localhost",
    "grpc.max_receive_message_length": -1,
    ...(options.compress === true ? { "grpc.default_compression_algorithm": 2 } : {}),
  });
}

/** One call over `client`; resolves to the octets of the answer, rejects with a `ServiceError`. */
export function callOver(
  client: grpc.Client,
  method: string,
  body: Buffer,
  { deadline_ms = DEADLINE_ms, metadata = {} }: CallOptions = {},
): Promise<Buffer> {
  const fields = new grpc.Metadata();
  for (const [key, value] of Object.entries(metadata)) fields.set(key, value);
  return new Promise((resolve, reject) => {
    const options = { deadline: Date.now() + deadline_ms };
    client.makeUnaryRequest(method, raw, raw, body, fields, options, (error, answer) => {
      if (error) reject(error);
      else if (answer === undefined) reject(new Error("neither an answer nor an error"));
      else resolve(answer);
    });
  });
}

/** One call over a new connection, closed after it. */
export async function call(
  socket: string,
  method: string,
  body: Buffer = EMPTY,
  options: CallOptions = {},
): Promise<Buffer> {
  const client = openClient(socket, options);
  try {
    return await callOver(client, method, body, options);
  } finally {
    client.close();
  }
}

/** How a call failed: name of the gRPC status and its text. */
export interface Refusal {
  readonly code: string;
  readonly text: string;
}

/** Makes a call that has to fail, and says how. */
export async function refusal(
  socket: string,
  method: string,
  body: Buffer = EMPTY,
  options: CallOptions = {},
): Promise<Refusal> {
  try {
    await call(socket, method, body, options);
  } catch (error) {
    if (!isServiceError(error)) throw error;
    return { code: grpc.status[error.code] ?? "", text: error.details };
  }
  throw new Error(`${method} did not fail`);
}

function isServiceError(error: unknown): error is grpc.ServiceError {
  return error instanceof Error && "code" in error && "details" in error;
}

/** A connection below HTTP/2. */
export function connectRaw(path: string): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect(path);
    socket.once("error", reject);
    socket.once("connect", () => {
      socket.off("error", reject);
      // A cut connection shows itself as an error to some runtimes: it is an end like any other.
      socket.on("error", () => {});
      resolve(socket);
    });
  });
}

/** Resolves with the next octets that arrive. */
export function received(socket: Socket): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    socket.once("data", resolve);
    socket.once("close", () => reject(new Error("closed without an answer")));
  });
}

/** Resolves when the other end has closed the connection. */
export function closed(socket: Socket): Promise<void> {
  socket.resume();
  return new Promise((resolve) => {
    if (socket.closed) return resolve();
    socket.once("close", () => resolve());
  });
}
