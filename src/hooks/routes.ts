/**
 * From an HTTP/2 request to a service: gRPC only, with limits on what a message may take.
 *
 * A path that no service has is answered with the gRPC status UNIMPLEMENTED, as clients expect; a
 * bare 404 would reach them as a fault of some proxy. Compressed messages are refused: nobody sends
 * them over a local socket but to make a small message large.
 */

import type { Http2ServerRequest, Http2ServerResponse } from "node:http2";
import { Code, type ConnectRouter, createConnectRouter } from "@connectrpc/connect";
import type { UniversalHandler } from "@connectrpc/connect/protocol";
import {
  universalRequestFromNodeRequest,
  universalResponseToNodeResponse,
} from "@connectrpc/connect-node";
import type { Logger } from "../lib/log.ts";
import { messageOf } from "../lib/message.ts";
import { addCallbacks } from "./callbacks.ts";
import type { DomainHooks } from "./domain-hooks.ts";
import { addHealth, type Health } from "./health.ts";
import { addInfo } from "./info.ts";
import { addPlugin } from "./plugin.ts";

/**
 * Longest message taken. virt-launcher takes answers of 4 MiB at most, so no domain that is longer
 * can be served, and the API server bounds a VMI to less. The limit keeps what calls can take below
 * what the container may have.
 */
export const MESSAGE_BYTES_MAX = 8 * 1024 * 1024;

const GRPC_CONTENT_TYPE = "application/grpc";
const GRPC_MESSAGE = "grpc-message";

/** What the services of all sockets share. */
export interface Services {
  readonly hooks: DomainHooks;
  readonly health: Health;
  readonly log: Logger;
}

export type RequestListener = (request: Http2ServerRequest, response: Http2ServerResponse) => void;

/** For the socket that virt-launcher finds by itself. */
export function hookListener({ hooks, health, log }: Services): RequestListener {
  return route(health, log, (router) => {
    addInfo(router);
    addCallbacks(router, hooks, log);
  });
}

/** For the socket that a Plugin resource names. */
export function pluginListener({ hooks, health, log }: Services): RequestListener {
  return route(health, log, (router) => addPlugin(router, hooks, log));
}

function route(health: Health, log: Logger, add: (router: ConnectRouter) => void): RequestListener {
  const router = createConnectRouter({
    connect: false,
    grpcWeb: false,
    acceptCompression: [],
    readMaxBytes: MESSAGE_BYTES_MAX,
    writeMaxBytes: MESSAGE_BYTES_MAX,
  });
  add(router);
  addHealth(router, health, [...new Set(router.handlers.map((each) => each.service.typeName))]);
  const handlers = new Map(router.handlers.map((handler) => [handler.requestPath, handler]));
  const answer = async (request: Http2ServerRequest, response: Http2ServerResponse) => {
    const handler = handlers.get(request.url);
    try {
      if (handler === undefined) refuse(request, response);
      else await serve(handler, request, response);
    } catch (error) {
      // The client went away, or broke the protocol: of no consequence.
      const reason = messageOf(error);
      log.debug({ path: request.url, reason }, "call cannot be answered");
      if (!response.stream?.destroyed) response.stream?.close();
    }
  };
  return (request, response) => {
    // Usual for a launcher that ends, but else worth knowing. Deno does not tell.
    request.once("aborted", () => log.info({ path: request.url }, "call broken off"));
    void answer(request, response);
  };
}

async function serve(
  handler: UniversalHandler,
  request: Http2ServerRequest,
  response: Http2ServerResponse,
): Promise<void> {
  // Over a unix socket an authority means nothing, and some clients put the encoded path there,
  // which no URL can have for a host.
  Object.defineProperty(request, "authority", { value: "localhost" });
  const universal = universalRequestFromNodeRequest(request, response, undefined, undefined);
  const answer = await handler(universal);
  const body = answer.body && mendingStatus(answer.body, answer.trailer);
  await universalResponseToNodeResponse({ ...answer, ...(body && { body }) }, response);
}

/**
 * Passes the body on; at its end, when the trailer holds the status, encodes the status text again.
 * Connect encodes far more characters than gRPC asks for, and some clients (grpc-js) leave those
 * encoded that have a meaning in a URL.
 */
async function* mendingStatus(
  body: AsyncIterable<Uint8Array>,
  trailer: Headers | undefined,
): AsyncGenerator<Uint8Array> {
  yield* body;
  const text = trailer?.get(GRPC_MESSAGE);
  if (text) trailer?.set(GRPC_MESSAGE, encodeStatusText(decodeURIComponent(text)));
}

/** Percent-encoding as gRPC has it: printable ASCII but "%" stays. */
export function encodeStatusText(text: string): string {
  return text.replace(/[^ -$&-~]+/g, encodeURIComponent);
}

function refuse(request: Http2ServerRequest, response: Http2ServerResponse): void {
  const isGrpc = request.headers["content-type"]?.startsWith(GRPC_CONTENT_TYPE) === true;
  request.resume();
  const headers = isGrpc
    ? {
        ":status": 200,
        "content-type": GRPC_CONTENT_TYPE,
        "grpc-status": String(Code.Unimplemented),
        [GRPC_MESSAGE]: "unknown method",
      }
    : { ":status": 404 };
  // In one frame: clients look for the status in headers that end the stream, or in trailers.
  response.stream.respond(headers, { endStream: true });
}
