/** What of the Wisp server is used; the package has no types. */
declare module "@mercuryworkshop/wisp-js/server" {
  import type { IncomingMessage } from "node:http";
  import type { Duplex } from "node:stream";

  export const logging: { readonly NONE: number; set_level(level: number): void };
  export const server: {
    readonly options: Record<string, unknown>;
    routeRequest(request: IncomingMessage, socket: Duplex, head: Buffer): void;
  };
}
