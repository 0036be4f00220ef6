/**
 * A network for guests in a page or a worker: what `../index.ts` makes, with what a browser can
 * reach as its upstream (`docs/web.md`).
 *
 *     const upstream = webUpstream({ relay: "wss://relay.example/", resolver: "192.0.2.53" });
 *     const network = await createNetwork({ engine, upstream });
 */
export {
  type FetchContext,
  type FetchHandler,
  type FetchServiceOptions,
  fetchService,
} from "./fetch-service.ts";
export { type GuestFetch, guestFetch } from "./guest-fetch.ts";
export { HttpError } from "./http-head.ts";
export type { Names, Resolver } from "./names.ts";
export type { RelayOptions, RelayStats } from "./relay.ts";
export type { WebSocketConstructor, WebSocketLike } from "./relay-socket.ts";
export { type WebUpstream, type WebUpstreamOptions, webUpstream } from "./web-upstream.ts";
