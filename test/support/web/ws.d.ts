/** What of the WebSocket client for Node 20 is used; the package has no types. */
declare module "ws" {
  import type { WebSocketLike } from "../../../src/network/web/index.ts";

  export const WebSocket: new (url: string, protocols: string[]) => WebSocketLike;
}
