/** What of the Wisp server is used; the package has no types. */
declare module "@mercuryworkshop/wisp-js/server" {
  import type { IncomingMessage } from "node:http";
  import type { Duplex } from "node:stream";

  /** A stream's way to its destination. */
  interface StreamSocket {
    readonly hostname: string;
    connect(): Promise<void>;
    /** Resolves to null when nothing more comes. */
    recv(): Promise<Uint8Array | null>;
    send(data: Uint8Array): Promise<void>;
    close(): void;
    pause(): void;
    resume(): void;
  }

  export const logging: { readonly NONE: number; set_level(level: number): void };
  export const server: {
    readonly options: Record<string, unknown>;
    routeRequest(
      request: IncomingMessage,
      socket: Duplex,
      head: Buffer,
      options?: { readonly TCPSocket: new (hostname: string, port: number) => StreamSocket },
    ): void;
  };
}
