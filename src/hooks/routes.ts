/**
 * From an HTTP/2 request to a service: gRPC only, each call within its share (`calls.ts`).
 *
 * A path of no service is answered with the gRPC status UNIMPLEMENTED, as clients expect; they take
 * a bare 404 for a proxy's error. Compressed messages are refused: on a local socket their only use
 * is to make a small message large.
 */

import type { Http2ServerRequest, Http2ServerResponse } from "node:http2";
import {
  Code,
  type ConnectRouter,
  createConnectRouter,
  createContextValues,
} from "@connectrpc/connect";
import type { UniversalHandler } from "@connectrpc/connect/protocol";
import {
  universalRequestFromNodeRequest,
  universalResponseToNodeResponse,
} from "@connectrpc/connect-node";
import type { Logger } from "../lib/log.ts";
import { messageOf } from "../lib/message.ts";
import { readBody } from "./body.ts";
import { addCallbacks } from "./callbacks.ts";
import { CALL, type Call, type CallClass, type Calls, MESSAGE_BYTES_MAX } from "./calls.ts";
import type { DomainHooks } from "./domain-hooks.ts";
import { addHealth, type Health } from "./health.ts";
import { addInfo } from "./info.ts";
import { addPlugin } from "./plugin.ts";
import { encodeStatusText } from "./status-text.ts";

const GRPC_CONTENT_TYPE = "application/grpc";
const GRPC_MESSAGE = "grpc-message";
/** Methods that bring a domain or the like. */
const DOMAIN_METHODS = new Set(["OnDefineDomain", "PreCloudInitIso", "MutateDomain"]);

/** What the services of all sockets share. */
export interface Services {
  readonly hooks: DomainHooks;
  readonly health: Health;
  readonly log: Logger;
  readonly calls: Calls;
  /** Called for each call to a KubeVirt service, not for health checks. */
  readonly onCall: () => void;
}

export type RequestListener = (request: Http2ServerRequest, response: Http2ServerResponse) => void;

/** For the socket that virt-launcher finds by itself. */
export function hookListener(services: Services): RequestListener {
  const { hooks, log } = services;
  return route(services, (router) => {
    addInfo(router);
    addCallbacks(router, hooks, log);
  });
}

/** For the socket that a Plugin resource names. */
export function pluginListener(services: Services): RequestListener {
  const { hooks, log } = services;
  return route(services, (router) => addPlugin(router, hooks, log));
}

function route(
  { health, log, calls, onCall }: Services,
  add: (router: ConnectRouter) => void,
): RequestListener {
  const router = createConnectRouter({
    connect: false,
    grpcWeb: false,
    acceptCompression: [],
    readMaxBytes: MESSAGE_BYTES_MAX,
    writeMaxBytes: MESSAGE_BYTES_MAX,
  });
  add(router);
  const ofLauncher = new Set(router.handlers.map((each) => each.requestPath));
  addHealth(router, health, [...new Set(router.handlers.map((each) => each.service.typeName))]);
  const handlers = new Map(router.handlers.map((handler) => [handler.requestPath, handler]));
  const answer = async (request: Http2ServerRequest, response: Http2ServerResponse, call: Call) => {
    const handler = handlers.get(request.url);
    try {
      if (handler === undefined) refuse(request, response);
      else await serve(handler, request, response, call);
    } catch (error) {
      // The client has gone, or violated the protocol.
      const reason = messageOf(error);
      log.debug({ path: request.url, reason }, "cannot answer call");
      if (!response.stream?.destroyed) response.stream?.close();
    } finally {
      call.answered();
    }
  };
  return (request, response) => {
    const { stream, url } = request;
    const { session } = stream;
    if (session === undefined) return;
    if (ofLauncher.has(url)) onCall();
    const kind = classOf(handlers.get(url));
    const call = calls.open({ kind, method: url, connection: session });
    stream.once("close", () => call.close());
    // Usual when a launcher ends, else worth a line. Deno does not emit it.
    request.once("aborted", () => {
      if (call.mayLog()) log.info({ path: url }, "call aborted");
    });
    void answer(request, response, call);
  };
}

function classOf(handler: UniversalHandler | undefined): CallClass {
  const method = handler?.method.name ?? "";
  if (DOMAIN_METHODS.has(method)) return "domain";
  return handler?.method.methodKind === "server_streaming" ? "watch" : "control";
}

async function serve(
  handler: UniversalHandler,
  request: Http2ServerRequest,
  response: Http2ServerResponse,
  call: Call,
): Promise<void> {
  // Over a unix socket an authority means nothing, and some clients put the encoded path there,
  // which no URL can have for a host.
  Object.defineProperty(request, "authority", { value: "localhost" });
  const contextValues = createContextValues().set(CALL, call);
  const universal = universalRequestFromNodeRequest(request, response, undefined, contextValues);
  const answer = await handler({ ...universal, body: bodyOf(request, call) });
  const body = answer.body && reencodeStatus(answer.body, answer.trailer, call);
  await universalResponseToNodeResponse({ ...answer, ...(body && { body }) }, response);
}

async function* bodyOf(request: Http2ServerRequest, call: Call): AsyncGenerator<Uint8Array> {
  yield await readBody(request, call);
}

/**
 * Passes the body on; at its end, when the trailer holds the status, encodes the status text again.
 * Connect encodes far more characters than gRPC asks for, and some clients (grpc-js) leave those
 * encoded that have a meaning in a URL.
 */
async function* reencodeStatus(
  body: AsyncIterable<Uint8Array>,
  trailer: Headers | undefined,
  call: Call,
): AsyncGenerator<Uint8Array> {
  for await (const part of body) {
    if (call.kind !== "watch") call.answered();
    yield part;
  }
  const text = trailer?.get(GRPC_MESSAGE);
  if (text) trailer?.set(GRPC_MESSAGE, encodeStatusText(decodeURIComponent(text)));
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
